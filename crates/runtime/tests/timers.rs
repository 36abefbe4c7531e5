//! Tasks that are given later, and again and again.
mod common;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{Counted, Do, LONG, Obedient, builder, counted, end, hold, key_of, pool, watchdog};
use raddle_core::{Clock, VirtualTime, WorkerSpec};
use raddle_runtime::{Actor, Context, Drain, Overflow, Pool, SendError};
use raddle_sync::atomic::{AtomicU32, Ordering::Relaxed};

const MS: Duration = Duration::from_millis(1);

/// A pool of one worker whose time stands still until it is moved, and what its tasks say.
struct Timed {
    pool: Pool<Obedient>,
    time: VirtualTime,
    said: Receiver<u32>,
    sayer: Sender<u32>,
}

/// Said when everything that was due has been given and run.
const UP_TO_DATE: u32 = u32::MAX;

impl Timed {
    fn new() -> Self {
        let (clock, time) = Clock::simulated();
        let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
        let (sayer, said) = channel();
        Self { pool, time, said, sayer }
    }

    fn say(&self, number: u32) -> Do {
        say(&self.sayer, number)
    }

    /// What is said up to now, when this time has passed: some milliseconds, which the pool may
    /// wait for by the machine's clock.
    fn after(&self, passed: Duration) -> Vec<u32> {
        self.time.advance(passed);
        // The last one that is due; and as it is new, the pool looks at its clock.
        self.pool.tell_after(Duration::ZERO, self.say(UP_TO_DATE));
        let next = || self.said.recv_timeout(LONG).expect("timers fire");
        std::iter::from_fn(|| Some(next()).filter(|said| *said != UP_TO_DATE)).collect()
    }
}

fn say(sayer: &Sender<u32>, number: u32) -> Do {
    let sayer = sayer.clone();
    Do::call(move || {
        let _ = sayer.send(number);
    })
}

#[test]
fn a_task_is_given_once_and_not_before_its_time() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let timer = timed.pool.tell_after(10 * MS, timed.say(1));
    assert_eq!(timed.after(9 * MS), []);
    assert!(timer.is_active());
    assert_eq!(timed.after(MS), [1]);
    assert!(!timer.is_active() && !timer.cancel(), "it has fired");
    assert_eq!(timed.after(100 * MS), []);
    assert_eq!(end(&timed.pool).counts.admitted, 4);
}

#[test]
fn a_cancelled_task_is_not_given() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let timers = [1, 2, 3].map(|number| timed.pool.tell_after(10 * MS, timed.say(number)));
    assert!(timers[1].clone().cancel(), "a clone is the same timer");
    assert!(!timers[1].cancel() && !timers[1].is_active(), "once");
    drop(timers);
    assert_eq!(timed.after(20 * MS), [1, 3], "dropping a handle cancels nothing");
    end(&timed.pool);
}

#[test]
fn a_repeated_task_keeps_its_times_until_it_is_cancelled() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let sayer = timed.sayer.clone();
    let count = AtomicU32::new(0);
    let timer = timed.pool.tell_every(10 * MS, move || say(&sayer, count.fetch_add(1, Relaxed)));
    assert_eq!(timed.after(9 * MS), []);
    assert_eq!(timed.after(MS), [0]);
    assert_eq!(timed.after(10 * MS), [1]);
    assert_eq!(timed.after(35 * MS), [2], "what was missed is skipped");
    assert_eq!(timed.after(4 * MS), []);
    assert_eq!(timed.after(MS), [3], "and the next one is in time");
    assert!(timer.is_active() && timer.cancel());
    assert_eq!(timed.after(100 * MS), []);
    end(&timed.pool);
}

#[test]
fn a_repeated_message_that_cannot_be_made_once_is_made_the_next_time() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let sayer = timed.sayer.clone();
    let count = AtomicU32::new(0);
    timed.pool.tell_every(MS, move || {
        let number = count.fetch_add(1, Relaxed);
        assert!(number != 1, "oh");
        say(&sayer, number)
    });
    let said: Vec<_> = (0..4).flat_map(|_| timed.after(MS)).collect();
    assert_eq!(said, [0, 2, 3]);
    end(&timed.pool);
}

#[test]
fn many_tasks_are_given_by_their_time_and_then_by_their_entry() {
    let _watchdog = watchdog();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let timed = Timed::new();
    let mut wanted: Vec<(u32, u32)> = (0..1000).map(|entry| (random.u32(1..50), entry)).collect();
    let mut timers = Vec::new();
    for (delay, entry) in &wanted {
        timers.push(timed.pool.tell_after(*delay * MS, timed.say(*entry)));
    }
    wanted.retain(|_| {
        let timer = timers.remove(0);
        let stays = random.u8(..4) > 0;
        stays || !timer.cancel()
    });
    wanted.sort_unstable();
    let mut said = Vec::new();
    for _ in 0..10 {
        said.extend(timed.after(5 * MS));
    }
    assert_eq!(said, wanted.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>());
    end(&timed.pool);
}

#[test]
fn a_later_task_is_what_it_was_described_as() {
    let _watchdog = watchdog();
    let (sender, by) = channel();
    let pool = common::pool(2, 64, Overflow::Block);
    for name in ["w-0", "w-1"] {
        let key = key_of(&pool, name);
        let sender = sender.clone();
        let who = Do::with(move |cx| {
            let _ = sender.send((cx.worker().name().to_owned(), cx.remaining()));
        });
        pool.task(who).key(key).timeout(LONG).tell_after(MS);
        let (by, remaining) = by.recv_timeout(LONG).unwrap();
        assert_eq!(by, name);
        assert!(remaining.is_some_and(|left| left <= LONG));
    }
    end(&pool);
}

#[test]
fn a_task_that_is_refused_later_is_told_and_counted() {
    let _watchdog = watchdog();
    let (sender, told) = channel();
    let pool = builder(1)
        // A timer does not wait for room all the same.
        .mailbox(1, Overflow::Block)
        .on_rejected(move |error| {
            let _ = sender.send(matches!(error, SendError::Full(Do::Return(7))));
        })
        .spawn(|_| Obedient::default())
        .unwrap();
    let gate = hold(&pool, 0);
    pool.tell(Do::Return(1)).unwrap();
    pool.tell_after(MS, Do::Return(7));
    assert_eq!(told.recv_timeout(LONG), Ok(true));
    let every = pool.tell_every(MS, || Do::Return(7));
    assert_eq!([told.recv_timeout(LONG), told.recv_timeout(LONG)], [Ok(true), Ok(true)]);
    every.cancel();
    gate.open();
    let account = end(&pool);
    assert!(account.rejected >= 3);
    assert_eq!(account.counts.completed, 2);
}

#[test]
fn no_task_is_given_after_a_shutdown() {
    let _watchdog = watchdog();
    let (make, dropped) = counted();
    let hold = |counted: Counted| Do::call(move || drop(counted));
    let Timed { pool, time, said, sayer } = Timed::new();
    let timers =
        [pool.tell_after(10 * MS, hold(make())), pool.tell_every(10 * MS, move || say(&sayer, 1))];
    let account = end(&pool);
    time.advance(Duration::from_secs(3600));
    let late = pool.tell_after(Duration::ZERO, hold(make()));
    assert_eq!(pool.shutdown(Drain::all()).unwrap(), account);
    assert_eq!(pool.account().counts.admitted, 0);
    drop(pool);
    assert!(said.recv().is_err(), "nothing was said, and who would is gone");
    assert_eq!(dropped.try_iter().count(), 2, "the messages are dropped with the pool");
    assert!(timers.iter().chain([&late]).all(|timer| !timer.is_active()));
}

#[test]
fn by_the_machine_s_clock_too() {
    let _watchdog = watchdog();
    let pool = pool(1, 64, Overflow::Block);
    let (sayer, said) = channel();
    let start = Instant::now();
    pool.tell_after(5 * MS, say(&sayer, 1));
    assert_eq!(said.recv_timeout(LONG), Ok(1));
    assert!(start.elapsed() >= 5 * MS);
    let timer = pool.tell_every(MS, move || say(&sayer, 2));
    for _ in 0..10 {
        assert_eq!(said.recv_timeout(LONG), Ok(2));
    }
    assert!(start.elapsed() >= 15 * MS);
    assert!(timer.cancel());
    end(&pool);
}

#[test]
fn a_timer_is_cancelled_or_fires_and_never_both() {
    let _watchdog = watchdog();
    let pool = pool(2, 1024, Overflow::Block);
    let cancelled: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let give = |number| pool.tell_after(number * MS / 100, Do::Return(1));
                    let timers: Vec<_> = (0..400).map(give).collect();
                    timers.iter().rev().filter(|timer| timer.cancel()).count() as u64
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // Those that were not cancelled have begun to fire: they are given, or meet a closed pool.
    let account = end(&pool);
    assert_eq!(cancelled + account.counts.completed + account.rejected, 800);
}

/// Sets a timer when it is dropped.
struct Echo(Option<Pool<Mute>>);

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            let _ = pool.tell_after(Duration::from_secs(3600), Echo(None));
        }
    }
}

struct Mute;

impl Actor for Mute {
    type Msg = Echo;
    type Reply = ();
    type Error = std::convert::Infallible;

    fn handle(&mut self, _: Echo, _: &mut Context<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn a_cancelled_timer_s_message_may_set_a_timer_when_it_is_dropped() {
    let _watchdog = watchdog();
    let pool = Pool::builder("echo").worker(WorkerSpec::general()).spawn(|_| Mute).unwrap();
    for _ in 0..8 {
        let echo = Echo(Some(pool.clone()));
        assert!(pool.tell_after(Duration::from_secs(3600), echo).cancel());
    }
    pool.shutdown(Drain::all()).unwrap();
}
