//! What is run under each seed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use raddle_core::{Priority, Worker, WorkerSpec};
use raddle_runtime::test::{self, Run};
use raddle_runtime::{
    Actor, AskError, AsyncContext, AsyncHandler, Backoff, Context, Handler, Hedge, Overflow, Pool,
    ReadWrite, Restarts, SharedHandler, Watchdog,
};
use raddle_strategies::{JoinIdle, LeastLoaded, RoundRobin};

const MS: Duration = Duration::from_millis(1);

/// A message, by its number, with the key that it was sent with.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    number: u32,
    key: Option<u64>,
}

impl ReadWrite for Numbered {
    fn is_read(&self) -> bool {
        self.number.is_multiple_of(2)
    }
}

/// What has happened to the messages.
#[derive(Default)]
struct Seen {
    /// How often each was handled.
    handled: HashMap<u32, u32>,
    /// The last one of each key.
    last: HashMap<u64, u32>,
    wrong: Vec<String>,
}

type Witness = Arc<Mutex<Seen>>;

fn seen(witness: &Witness) -> MutexGuard<'_, Seen> {
    witness.lock().unwrap()
}

struct Notes(Witness);

impl Actor for Notes {}

impl Handler<Numbered> for Notes {
    type Reply = u32;

    fn handle(&mut self, message: Numbered, cx: &mut Context<'_, Self>) -> u32 {
        self.note_order(message, cx.is_cancelled());
        self.note_handled(message.number)
    }
}

impl AsyncHandler<Numbered> for Notes {
    type Reply = u32;

    async fn handle(&mut self, message: Numbered, cx: &mut AsyncContext<'_, Self>) -> u32 {
        self.note_and_wait(message, cx).await
    }
}

impl SharedHandler<Numbered> for Notes {
    type Reply = u32;

    async fn handle(&self, message: Numbered, cx: &mut AsyncContext<'_, Self>) -> u32 {
        self.note_and_wait(message, cx).await
    }
}

impl Notes {
    /// A handler that hung, and so is cancelled, is overtaken by those that follow.
    fn note_order(&self, Numbered { number, key }: Numbered, is_cancelled: bool) {
        let mut seen = seen(&self.0);
        if let Some(key) = key
            && !is_cancelled
            && let Some(last) = seen.last.insert(key, number)
            && last >= number
        {
            seen.wrong.push(format!("key {key}: {number} after {last}"));
        }
    }

    fn note_handled(&self, number: u32) -> u32 {
        *seen(&self.0).handled.entry(number).or_default() += 1;
        number
    }

    /// Some wait for longer than they may, and are dropped.
    async fn note_and_wait(&self, message: Numbered, cx: &AsyncContext<'_, Self>) -> u32 {
        let Numbered { number, key } = message;
        self.note_order(message, cx.is_cancelled());
        let time = match number % 16 {
            15 => 1_000 * MS,
            millis => millis / 4 * MS,
        };
        test::sleep_async(time).await;
        if let Some(key) = key
            && !cx.is_cancelled()
        {
            let mut seen = seen(&self.0);
            let last = seen.last[&key];
            if last != number {
                seen.wrong.push(format!("key {key}: {last} before the end of {number}"));
            }
        }
        self.note_handled(number)
    }
}

/// What a caller knows of a message.
enum Fate {
    /// It may have been handled.
    Sent,
    /// It, or a copy of it, may have been handled.
    Copied,
    /// It was handled.
    Handled,
    /// It was not handled, and never will be.
    Never(&'static str),
}

/// Tasks of all kinds, from three callers, to a pool with few workers and small mailboxes, whose handlers
/// fail in all ways while workers come and go.
pub fn mixed(run: &Run) {
    let witness = Witness::default();
    let fates = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&witness);
    let backoff = Backoff { initial: MS, max: 8 * MS, jitter: 0.5 };
    let builder = Pool::builder("mixed")
        .workers(2 + run.choose(2) as usize, WorkerSpec::new("w"))
        .mailbox(2, Overflow::Block)
        .reroute(run.choose(2) == 1)
        .watchdog(Watchdog::after(100 * MS))
        .restarts(Restarts::default().backoff(backoff))
        .hedge_budget(1.0);
    let builder = match run.choose(3) {
        0 => builder.strategy(RoundRobin::new()),
        1 => builder.strategy(LeastLoaded::new()),
        _ => builder.strategy(JoinIdle::new()),
    };
    let make = move |_: &Worker| Notes(Arc::clone(&notes));
    let pool = match run.choose(4) {
        0 => builder.spawn(make),
        1 => builder.spawn_async(make),
        2 => builder.spawn_concurrent(2, make),
        _ => builder.spawn_read_write(2, make),
    };
    let pool = pool.unwrap();
    for caller in 1..=3 {
        // What a caller does is drawn first: it runs on a thread of its own.
        let calls: Vec<_> = (0..run.choose(10)).map(|_| run.choose(17)).collect();
        let (pool, fates) = (pool.clone(), Arc::clone(&fates));
        run.spawn(format!("caller-{caller}"), move || {
            for (number, call) in (1_000 * caller..).zip(calls) {
                let fate = send(&pool, number, u64::from(caller), call);
                fates.lock().unwrap().push((number, fate));
            }
        });
    }
    run.join();
    run.finish();
    let seen = seen(&witness);
    assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    for (number, fate) in &*fates.lock().unwrap() {
        let times = seen.handled.get(number).copied().unwrap_or(0);
        match fate {
            Fate::Sent => assert!(times <= 1, "{number} was handled {times} times"),
            Fate::Copied => assert!(times <= 2, "{number} was handled {times} times"),
            Fate::Handled => assert!(times >= 1, "{number} was not handled"),
            Fate::Never(why) => assert_eq!(times, 0, "{number} was handled, and {why}"),
        }
    }
}

/// Sends a message in one of several ways.
fn send(pool: &Pool<Numbered, u32>, number: u32, caller: u64, call: u32) -> Fate {
    let plain = Numbered { number, key: None };
    let key = 10 * caller + u64::from(call % 2);
    let keyed = Numbered { number, key: Some(key) };
    let told = |sent: Result<(), _>| match sent {
        Ok(()) => Fate::Sent,
        Err(_) => Fate::Never("it was refused"),
    };
    match call {
        0 => told(pool.tell(plain).map_err(drop)),
        1 | 2 => told(pool.task(keyed).key(key).tell().map_err(drop)),
        3 => asked(pool.ask(plain).wait()),
        4 => asked(pool.task(keyed).key(key).ask().wait()),
        5 => asked(pool.task(plain).timeout(5 * MS).ask().wait()),
        6 => match asked(pool.task(plain).ask_hedged(Hedge::after(2 * MS)).wait()) {
            Fate::Sent => Fate::Copied,
            known => known,
        },
        7 => told(pool.task(plain).overflow(Overflow::Reject).tell().map_err(drop)),
        8 => told(pool.task(plain).overflow(Overflow::DropOldest).tell().map_err(drop)),
        9 => match pool.tell_after(3 * MS, plain) {
            Ok(timer) => {
                test::sleep(3 * MS);
                if timer.cancel() { Fate::Never("its timer was cancelled") } else { Fate::Sent }
            }
            Err(_) => Fate::Never("it was refused"),
        },
        10 => told(pool.task(plain).priority(Priority::High).tell().map_err(drop)),
        11 => {
            drop(pool.task(plain).cancel_on_drop().ask());
            Fate::Sent
        }
        12 => told(pool.try_tell(plain).map_err(drop)),
        13 => asked(pool.ask_within(4 * MS, plain).wait()),
        14 => told(test::block_on(pool.tell_async(plain)).map_err(drop)),
        15 => asked(test::block_on(async { pool.ask(plain).await })),
        _ => {
            test::sleep(MS);
            Fate::Never("it was not sent")
        }
    }
}

fn asked(answer: Result<u32, AskError<Numbered>>) -> Fate {
    match answer {
        Ok(_) => Fate::Handled,
        Err(AskError::Refused(_)) => Fate::Never("it was refused"),
        Err(AskError::Expired) => Fate::Never("it expired"),
        Err(AskError::Cancelled) => Fate::Never("it was cancelled"),
        Err(AskError::Retired) => Fate::Never("its worker was retired"),
        Err(AskError::Shed) => Fate::Never("it was shed"),
        Err(_) => Fate::Sent,
    }
}

/// A number that callers read and then write.
#[derive(Default)]
struct Register(u32);

enum Access {
    Read,
    Write(u32),
}

impl Actor for Register {}

impl Handler<Access> for Register {
    type Reply = u32;

    fn handle(&mut self, access: Access, _: &mut Context<'_, Self>) -> u32 {
        if let Access::Write(value) = access {
            self.0 = value;
        }
        self.0
    }
}

/// Callers that each add one, and not atomically.
pub fn lost_update(run: &Run) {
    let register = Pool::builder("register").workers(1, WorkerSpec::new("w"));
    let pool = register.spawn(|_| Register::default()).unwrap();
    for caller in 0..3 {
        let pool = pool.clone();
        run.spawn(format!("caller-{caller}"), move || {
            let value = pool.ask(Access::Read).wait().unwrap();
            pool.ask(Access::Write(value + 1)).wait().unwrap();
        });
    }
    run.join();
    assert_eq!(pool.ask(Access::Read).wait().unwrap(), 3, "lost an update");
}

/// Waits for an event of a pool in which nothing happens.
pub fn stuck(_: &Run) {
    let register = Pool::builder("register").workers(1, WorkerSpec::new("w"));
    let pool = register.spawn(|_| Register::default()).unwrap();
    let _ = pool.subscribe().next();
}
