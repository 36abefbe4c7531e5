//! Callers that wait for room: futures and threads, first come, first served.
mod common;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use common::{
    At, Do, Gate, LONG, Obedient, ObedientPool, block_on, builder, counted, end, hold, id, key_of,
    number, poll, pool, watchdog, worker,
};
use raddle_core::Priority;
use raddle_runtime::{
    Actor, Ask, AskError, Context, Drain, Handler, Hedge, Overflow, Pool, Refusal, RestartPolicy,
    Restarts,
};

/// Long enough for a caller to begin to wait, and short enough for a test.
const SOON: Duration = Duration::from_millis(20);

fn two_threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

fn number_in(order: Do) -> u64 {
    match order {
        Do::Return(number) => number,
        _ => panic!("only `Return` was sent"),
    }
}

/// A pool of one worker, which is in a handler and whose mailbox of one task is full.
fn full(overflow: Overflow) -> (ObedientPool, Gate) {
    let pool = pool(1, 1, overflow);
    let gate = hold(&pool, 0);
    pool.tell(Do::Return(0)).unwrap();
    (pool, gate)
}

/// Asks 64 times of one worker with a mailbox of 4, while its handler is held: the executor's other futures
/// go on, and all asks are answered.
async fn ask_64() {
    let pool = pool(1, 4, Overflow::Block);
    let gate = hold(&pool, 0);
    let asks: Vec<_> = (0..64).map(|n| tokio::spawn(pool.ask(Do::Return(n)))).collect();
    // The asks wait, and a future that shares their executor is polled again and again.
    let heartbeat = tokio::spawn(async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    });
    heartbeat.await.unwrap();
    assert!(asks.iter().all(|ask| !ask.is_finished()));
    gate.open();
    for (n, ask) in (0..).zip(asks) {
        assert_eq!(ask.await.unwrap().unwrap().unwrap().number, n);
    }
    let account = pool.shutdown_async(Drain::all()).await.unwrap();
    assert_eq!((account.counts.completed, account.rejected), (65, 0));
}

#[test]
fn a_full_mailbox_blocks_no_executor() {
    let _watchdog = watchdog();
    block_on(ask_64());
    two_threads().block_on(ask_64());
}

#[test]
fn callers_are_served_in_the_order_in_which_they_came() {
    let _watchdog = watchdog();
    let pool = pool(1, 2, Overflow::Block);
    let gate = hold(&pool, 0);
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |n: u64| {
        let order = Arc::clone(&order);
        Do::call(move || order.lock().unwrap().push(n))
    };
    let mut asks = Vec::new();
    let mut tells = Vec::new();
    for n in 0..50 {
        match n % 2 {
            0 => asks.push(pool.ask(note(n))),
            _ => tells.push(pool.tell_async(note(n))),
        }
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| pool.tell(note(50)));
        gate.open();
        thread.join().unwrap().unwrap();
    });
    block_on(async {
        for tell in tells {
            tell.await.unwrap();
        }
    });
    for ask in asks {
        ask.wait().unwrap().unwrap();
    }
    end(&pool);
    assert_eq!(*order.lock().unwrap(), (0..=50).collect::<Vec<_>>());
}

#[test]
fn tasks_of_a_key_keep_their_order_though_they_wait_for_room() {
    let _watchdog = watchdog();
    let pool = pool(2, 1, Overflow::Block);
    let key = key_of(&pool, "w-0");
    let gate = Gate::new();
    pool.task(Do::Hold(gate.clone())).key(key).tell().unwrap();
    gate.reached();
    let order = Arc::new(Mutex::new(Vec::new()));
    let asks: Vec<_> = (0..20)
        .map(|n| {
            let order = Arc::clone(&order);
            pool.task(Do::call(move || order.lock().unwrap().push(n))).key(key).ask()
        })
        .collect();
    gate.open();
    asks.into_iter().for_each(|ask| drop(ask.wait().unwrap()));
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    end(&pool);
}

#[test]
fn dropping_a_future_ends_its_wait_and_the_others_are_served() {
    let _watchdog = watchdog();
    let (pool, gate) = full(Overflow::Block);
    let (make, dropped) = counted();
    let message = || {
        let counted = make();
        Do::call(move || drop(counted))
    };
    let (mut first, second) = (pool.ask(message()), pool.tell_async(message()));
    let third = pool.ask(Do::Return(3));
    assert!(poll(&mut first).is_pending());
    assert_eq!(worker(&pool, "w-0").in_flight, 5);
    drop((first, second));
    assert_eq!(dropped.try_iter().count(), 2);
    assert_eq!(worker(&pool, "w-0").in_flight, 3, "with the one that still waits");
    gate.open();
    assert_eq!(number(third), 3);
    let account = end(&pool);
    assert_eq!((account.counts.completed, account.counts.cancelled, account.rejected), (3, 0, 0));
}

#[test]
fn a_wait_ends_at_the_deadline_and_at_the_policys_limit() {
    let _watchdog = watchdog();
    for overflow in [Overflow::Block, Overflow::BlockFor(SOON)] {
        let (pool, gate) = full(overflow);
        let task = || match overflow {
            Overflow::Block => pool.task(Do::Return(7)).timeout(SOON),
            _ => pool.task(Do::Return(7)),
        };
        let (tell, ask, by_thread) = (task().tell_async(), task().ask(), task().ask());
        let (tell, ask) = block_on(async { (tell.await, ask.await) });
        let refused = |result| match result {
            Err(AskError::Refused(error)) => error,
            other => panic!("{other:?}"),
        };
        let why = if overflow == Overflow::Block { Refusal::Expired } else { Refusal::Full };
        for error in [tell.unwrap_err(), refused(ask), refused(by_thread.wait())] {
            assert_eq!((error.refusal(), error.is_overload()), (&why, true));
            assert_eq!(number_in(error.into_message()), 7);
        }
        gate.open();
        assert_eq!(end(&pool).rejected, 3);
    }
}

#[test]
fn closing_the_pool_returns_the_messages_of_all_who_wait() {
    let _watchdog = watchdog();
    let (pool, gate) = full(Overflow::Block);
    let (tell, ask) = (pool.tell_async(Do::Return(7)), pool.ask(Do::Return(7)));
    let keyed = pool.task(Do::Return(1)).key(1).ask();
    let waiting = pool.task(Do::Return(7)).key(1).ask();
    let never_polled = pool.ask(Do::Return(8));
    let waits =
        std::thread::spawn(move || block_on(async { (tell.await, ask.await, waiting.await) }));
    let ending = pool.shutdown_async(Drain::all());
    let (tell, ask, waiting) = waits.join().unwrap();
    let mut errors = vec![tell.unwrap_err()];
    for result in [ask, waiting] {
        let Err(AskError::Refused(error)) = result else { panic!("{result:?}") };
        errors.push(error);
    }
    for error in errors {
        assert!(error.is_closed());
        assert_eq!(number_in(error.into_message()), 7);
    }
    gate.open();
    let account = block_on(ending).unwrap();
    assert_eq!((account.counts.admitted, account.counts.completed), (3, 3), "{account:?}");
    assert_eq!(number(keyed), 1);
    assert!(matches!(never_polled.wait(), Err(AskError::Refused(error)) if error.is_closed()));
}

#[test]
fn a_task_whose_worker_leaves_while_it_waits_goes_to_another() {
    let _watchdog = watchdog();
    let pool = pool(2, 1, Overflow::Block);
    let gate = hold(&pool, 0);
    pool.task(Do::Return(0)).strategy(&At(0)).tell().unwrap();
    let asks = [(), ()].map(|()| pool.task(Do::WhoAreYou).strategy(&At(0)).ask());
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    let [future, thread] = asks;
    let by = block_on(future).unwrap().unwrap().by;
    assert_eq!((by.as_str(), &*thread.wait().unwrap().unwrap().by), ("w-1", "w-1"));
    gate.open();
    end(&pool);
}

/// Passes the gate when it is dropped.
struct Passes(Gate);

impl Drop for Passes {
    fn drop(&mut self) {
        self.0.pass();
    }
}

#[test]
fn a_future_waits_for_a_key_whose_worker_leaves_with_tasks_of_it() {
    let _watchdog = watchdog();
    let never = Restarts::default().policy(RestartPolicy::Never);
    let builder = builder(3).mailbox(8, Overflow::Block).restarts(never);
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let key = key_of(&pool, "w-0");
    let dropping = [Gate::new(), Gate::new()];
    let message = |gate: &Gate| {
        let held = Passes(gate.clone());
        Do::call(move || drop(held))
    };
    let gate = Gate::new();
    pool.task(Do::Hold(gate.clone())).key(key).tell().unwrap();
    gate.reached();
    pool.task(Do::Panic("by order")).key(key).tell().unwrap();
    pool.task(message(&dropping[0])).key(key).tell().unwrap();
    gate.open();
    // The first worker is not restarted, and still has a task of the key. So has the next one, to which the
    // key is moving.
    dropping[0].reached();
    pool.task(message(&dropping[1])).key(key).tell().unwrap();
    let (next, last) = match worker(&pool, "w-1").in_flight {
        1 => (0, "w-2"),
        _ => (1, "w-1"),
    };
    pool.task(Do::Panic("by order")).strategy(&At(next)).tell().unwrap();
    dropping[1].reached();
    let by = block_on(async {
        let asked = tokio::spawn(pool.task(Do::WhoAreYou).key(key).ask());
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(!asked.is_finished());
        let late = pool.task(Do::Return(7)).key(key).timeout(SOON).tell_async().await;
        assert_eq!(*late.unwrap_err().refusal(), Refusal::Expired);
        dropping.iter().for_each(Gate::open);
        asked.await.unwrap()
    });
    assert_eq!(by.unwrap().unwrap().by, last);
    end(&pool);
}

/// A waker that uses the pool, and panics.
struct Busy(ObedientPool, std::sync::mpsc::Sender<bool>);

impl Wake for Busy {
    fn wake(self: Arc<Self>) {
        let told = self.0.try_tell(Do::Return(1));
        self.1.send(told.is_ok()).unwrap();
        std::panic::resume_unwind(Box::new("by order"));
    }
}

#[test]
fn a_waker_may_use_the_pool_and_panic() {
    let _watchdog = watchdog();
    let (pool, gate) = full(Overflow::Block);
    let (woken, all_woken) = std::sync::mpsc::channel();
    let waker = Waker::from(Arc::new(Busy(pool.clone(), woken.clone())));
    let mut tells = [pool.tell_async(Do::Return(7)), pool.tell_async(Do::Return(7))];
    for tell in &mut tells {
        let polled = Pin::new(tell).poll(&mut std::task::Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    gate.open();
    (0..2).for_each(|_| _ = all_woken.recv_timeout(LONG).unwrap());
    assert!(tells.into_iter().all(|tell| block_on(tell).is_ok()));
    drop(waker);
    end(&pool);
}

#[test]
fn trying_never_waits() {
    let _watchdog = watchdog();
    let (pool, gate) = full(Overflow::Block);
    let waiting = pool.ask(Do::Return(1));
    let mut local = pool.local();
    let refused = [
        pool.try_tell(Do::Return(7)).unwrap_err(),
        local.try_tell(Do::Return(7)).unwrap_err(),
        pool.task(Do::Return(7)).overflow(Overflow::Block).try_tell().unwrap_err(),
        pool.try_ask(Do::Return(7)).into_admitted().unwrap_err(),
        local.try_ask(Do::Return(7)).into_admitted().unwrap_err(),
        pool.task(Do::Return(7)).overflow(Overflow::BlockFor(LONG)).try_tell().unwrap_err(),
    ];
    for error in refused {
        assert!(error.is_full());
        assert_eq!(number_in(error.into_message()), 7);
    }
    let high = pool.task(Do::Return(9)).priority(Priority::High);
    high.try_tell().expect("another lane has room");
    gate.open();
    assert_eq!(number(waiting), 1);
    pool.try_tell(Do::Return(2)).unwrap();
    local.tell(Do::Return(3)).unwrap();
    assert_eq!(end(&pool).rejected, 6);
}

#[test]
fn policies_that_do_not_wait_mean_the_same_to_futures() {
    let _watchdog = watchdog();
    let (pool, gate) = full(Overflow::Block);
    let mut rejected = pool.task(Do::Return(7)).overflow(Overflow::Reject).tell_async();
    assert!(matches!(poll(&mut rejected), Poll::Ready(Err(error)) if error.is_full()));
    let dropped = pool.task(Do::Return(7)).overflow(Overflow::DropNewest).ask();
    assert!(matches!(dropped.wait(), Err(AskError::Shed)));
    let mut oldest = pool.task(Do::Return(7)).overflow(Overflow::DropOldest).tell_async();
    assert!(matches!(poll(&mut oldest), Poll::Ready(Ok(()))));
    gate.open();
    assert_eq!(end(&pool).shed, 2);
}

#[test]
fn the_limit_of_an_ask_covers_room_start_and_reply() {
    let _watchdog = watchdog();
    let (pool, gate) = full(Overflow::Block);
    let ask = || pool.ask_within(SOON, Do::Return(7));
    let for_room = [ask().wait(), block_on(ask())];
    for result in for_room {
        let Err(AskError::Refused(error)) = result else { panic!("{result:?}") };
        assert_eq!(*error.refusal(), Refusal::Expired);
        assert_eq!(number_in(error.into_message()), 7);
    }
    gate.open();
    end(&pool);

    let pool = common::pool(1, 8, Overflow::Block);
    let gate = hold(&pool, 0);
    let ask = || pool.ask_within(SOON, Do::Return(7));
    let [thread, future] = [ask(), ask()];
    for result in [thread.wait(), block_on(future)] {
        assert!(matches!(result, Err(AskError::TimedOut)), "{result:?}");
    }
    let mut polled = ask();
    let timed_out = std::iter::repeat_with(|| polled.try_recv()).flatten().next().unwrap();
    assert!(matches!(timed_out, Err(AskError::TimedOut)), "{timed_out:?}");
    gate.open();
    assert_eq!(end(&pool).counts.expired, 3);

    let pool = common::pool(1, 8, Overflow::Block);
    let hang = || Do::with(|cx| while !cx.is_cancelled() {});
    let result = pool.ask_within(SOON, hang()).wait();
    assert!(matches!(result, Err(AskError::TimedOut)), "{result:?}");
    let result = block_on(pool.ask_within(SOON, hang()));
    assert!(matches!(result, Err(AskError::TimedOut)), "{result:?}");
    assert_eq!(pool.ask_within(LONG, Do::Return(1)).wait().unwrap().unwrap().number, 1);
    assert_eq!(block_on(pool.ask_within(LONG, Do::Return(1))).unwrap().unwrap().number, 1);
    assert_eq!(end(&pool).counts.completed, 4);
}

#[test]
fn a_limit_beside_an_earlier_deadline_counts_for_the_reply() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    let hang = Do::with(|cx| while !cx.is_cancelled() {});
    let since = Instant::now();
    let ask = pool.task(hang).deadline(Instant::now() + LONG).ask_within(SOON);
    assert!(matches!(ask.wait(), Err(AskError::TimedOut)));
    assert!(since.elapsed() >= SOON);
    let gate = hold(&pool, 0);
    let late = pool.task(Do::Return(1)).timeout(SOON).ask_within(LONG);
    assert!(matches!(block_on(late), Err(AskError::Expired)));
    gate.open();
    end(&pool);
}

/// Says which worker runs it.
struct Namer;

impl Actor for Namer {}

/// Passes the gate, if there is one.
#[derive(Clone)]
struct Hedged(Option<Gate>);

impl Handler<Hedged> for Namer {
    type Reply = String;
    fn handle(&mut self, Hedged(gate): Hedged, cx: &mut Context<'_, Self>) -> String {
        if let Some(gate) = gate {
            gate.pass();
        }
        cx.worker().name().to_owned()
    }
}

#[test]
fn the_copy_of_a_hedged_ask_replies_while_the_first_waits_for_room() {
    let _watchdog = watchdog();
    let builder = builder(2).mailbox(1, Overflow::Block).hedge_budget(1.0);
    let pool: Pool<Hedged, String> = builder.spawn(|_| Namer).unwrap();
    let gate = Gate::new();
    pool.task(Hedged(Some(gate.clone()))).strategy(&At(0)).tell().unwrap();
    gate.reached();
    pool.task(Hedged(None)).strategy(&At(0)).tell().unwrap();
    let ask = || {
        let task = pool.task(Hedged(None)).shared_strategy(Arc::new(At(0)));
        task.ask_hedged(Hedge::after(Duration::ZERO))
    };
    assert_eq!(ask().wait().unwrap(), "w-1");
    assert_eq!(block_on(ask()).unwrap(), "w-1");
    gate.open();
    assert_eq!(end(&pool).counts.completed, 4, "neither was sent to the first worker");
}

#[test]
fn an_ask_may_be_waited_for_by_a_thread_after_it_was_polled() {
    let _watchdog = watchdog();
    let (pool, gate) = full(Overflow::Block);
    let mut asks: Vec<Ask<_, _>> = (1..4).map(|n| pool.ask(Do::Return(n))).collect();
    asks.iter_mut().for_each(|ask| assert!(poll(ask).is_pending()));
    assert!(asks[0].try_recv().is_none());
    assert!(matches!(asks[0].wait_timeout(SOON), Err(AskError::TimedOut)));
    gate.open();
    let numbers: Vec<_> = asks.into_iter().map(number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let gate = hold(&pool, 0);
    let mut ask = pool.ask(Do::Return(4));
    assert!(poll(&mut ask).is_pending() && ask.try_recv().is_none());
    gate.open();
    let replied = std::iter::repeat_with(|| ask.try_recv()).flatten().next().unwrap();
    assert_eq!(replied.unwrap().unwrap().number, 4);
    assert!(matches!(poll(&mut ask), Poll::Ready(Err(AskError::Taken))));
    end(&pool);
}

#[test]
fn many_futures_come_and_go_while_tasks_run() {
    let _watchdog = watchdog();
    let pool = pool(2, 2, Overflow::Block);
    two_threads().block_on(async {
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let mut told = 0;
                    for n in 0..200 {
                        let mut tell = pool.tell_async(Do::Return(n));
                        if (n + caller) % 3 == 0 {
                            // Polled once, and dropped.
                            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut tell).poll(cx)));
                            told += u64::from(polled.await.is_ready());
                        } else {
                            tell.await.unwrap();
                            told += 1;
                        }
                    }
                    told
                })
            })
            .collect();
        for caller in callers {
            assert!(caller.await.unwrap() > 100);
        }
    });
    let account = end(&pool);
    assert!(account.counts.completed > 1_000, "{account:?}");
    assert_eq!(account.counts.completed, account.counts.admitted);
}
