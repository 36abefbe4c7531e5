//! Tasks that are sent after a delay or periodically.
mod common;

use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Counted, Do, LONG, Obedient, ObedientPool, await_event, builder, counted, end, hold, key_of,
    pool, watchdog,
};
use raddle_core::{Clock, VirtualTime, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, Context, Drain, EventKind, Handler, OnRetired, OptionError, Overflow, Pool,
    Refusal, RestartPolicy, Restarts, Supervisor, SupervisorEventKind,
};
use raddle_sync::atomic::{AtomicU32, Ordering::Relaxed};

const MS: Duration = Duration::from_millis(1);

/// A pool of one worker with a simulated clock, and the numbers that its tasks send.
struct Timed {
    pool: ObedientPool,
    time: VirtualTime,
    sent: Receiver<u32>,
    sender: Sender<u32>,
}

/// Sent when every task that was due has run.
const UP_TO_DATE: u32 = u32::MAX;

impl Timed {
    fn new() -> Self {
        let (clock, time) = Clock::simulated();
        let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
        let (sender, sent) = channel();
        Self { pool, time, sent, sender }
    }

    fn send(&self, number: u32) -> Do {
        send(&self.sender, number)
    }

    /// Advances the clock by some milliseconds, which the pool may also wait for by the machine's
    /// clock, and returns the numbers sent since the last call.
    fn after(&self, passed: Duration) -> Vec<u32> {
        self.time.advance(passed);
        // The last one that is due; since it is new, the pool reads its clock.
        self.pool.tell_after(Duration::ZERO, self.send(UP_TO_DATE)).unwrap();
        let next = || self.sent.recv_timeout(LONG).expect("timers fire");
        std::iter::from_fn(|| Some(next()).filter(|sent| *sent != UP_TO_DATE)).collect()
    }
}

fn send(sender: &Sender<u32>, number: u32) -> Do {
    let sender = sender.clone();
    Do::call(move || {
        let _ = sender.send(number);
    })
}

#[test]
fn a_delayed_task_is_sent_once_and_not_early() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let timer = timed.pool.tell_after(10 * MS, timed.send(1)).unwrap();
    assert_eq!(timed.after(9 * MS), []);
    assert!(timer.is_active());
    assert_eq!(timed.after(MS), [1]);
    assert!(!timer.is_active() && !timer.cancel(), "it has fired");
    assert_eq!(timed.after(100 * MS), []);
    assert_eq!(end(&timed.pool).counts.admitted, 4);
}

#[test]
fn a_cancelled_task_is_not_sent() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let timers =
        [1, 2, 3].map(|number| timed.pool.tell_after(10 * MS, timed.send(number)).unwrap());
    assert!(timers[1].clone().cancel(), "a clone is a handle of the same timer");
    assert!(!timers[1].cancel() && !timers[1].is_active(), "it can be cancelled once");
    drop(timers);
    assert_eq!(timed.after(20 * MS), [1, 3], "dropping a handle cancels nothing");
    end(&timed.pool);
}

#[test]
fn a_periodic_task_keeps_its_schedule_until_it_is_cancelled() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let sender = timed.sender.clone();
    let count = AtomicU32::new(0);
    let timer = timed.pool.tell_every(10 * MS, move || send(&sender, count.fetch_add(1, Relaxed)));
    let timer = timer.unwrap();
    assert_eq!(timed.after(9 * MS), []);
    assert_eq!(timed.after(MS), [0]);
    assert_eq!(timed.after(10 * MS), [1]);
    assert_eq!(timed.after(35 * MS), [2], "missed times are skipped");
    assert_eq!(timed.after(4 * MS), []);
    assert_eq!(timed.after(MS), [3], "the next one is on time");
    assert!(timer.is_active() && timer.cancel());
    assert_eq!(timed.after(100 * MS), []);
    end(&timed.pool);
}

#[test]
fn a_periodic_task_survives_a_panic_while_its_message_is_created() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let sender = timed.sender.clone();
    let count = AtomicU32::new(0);
    let timer = timed.pool.tell_every(MS, move || {
        let number = count.fetch_add(1, Relaxed);
        assert!(number != 1, "oh");
        send(&sender, number)
    });
    timer.unwrap();
    let sent: Vec<_> = (0..4).flat_map(|_| timed.after(MS)).collect();
    assert_eq!(sent, [0, 2, 3]);
    end(&timed.pool);
}

#[test]
fn tasks_are_sent_by_due_time_and_then_in_the_order_they_were_scheduled() {
    let _watchdog = watchdog();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let timed = Timed::new();
    let mut expected: Vec<_> = (0..1000).map(|entry| (random.u32(1..50), entry)).collect();
    let mut timers = Vec::new();
    for (delay, entry) in &expected {
        timers.push(timed.pool.tell_after(*delay * MS, timed.send(*entry)).unwrap());
    }
    expected.retain(|_| {
        let timer = timers.remove(0);
        let stays = random.u8(..4) > 0;
        stays || !timer.cancel()
    });
    expected.sort_unstable();
    let mut sent = Vec::new();
    for _ in 0..10 {
        sent.extend(timed.after(5 * MS));
    }
    assert_eq!(sent, expected.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>());
    end(&timed.pool);
}

#[test]
fn a_delayed_task_keeps_its_key_and_timeout() {
    let _watchdog = watchdog();
    let (sender, by) = channel();
    let pool = common::pool(2, 64, Overflow::Block);
    for name in ["w-0", "w-1"] {
        let key = key_of(&pool, name);
        let sender = sender.clone();
        let report = Do::with(move |cx| {
            let _ = sender.send((cx.worker().name().to_owned(), cx.remaining()));
        });
        pool.task(report).key(key).timeout(LONG).tell_after(MS).unwrap();
        let (by, remaining) = by.recv_timeout(LONG).unwrap();
        assert_eq!(by, name);
        assert!(remaining.is_some_and(|left| left <= LONG));
    }
    end(&pool);
}

#[test]
fn a_delayed_task_that_is_refused_is_counted_and_passed_to_the_callback() {
    let _watchdog = watchdog();
    let (sender, rejected) = channel();
    let pool = builder(1)
        // A timer does not wait for room even so.
        .mailbox(1, Overflow::Block)
        .on_rejected(move |order, refusal| {
            let _ = sender.send(matches!((order, refusal), (Do::Return(7), Refusal::Full)));
        })
        .spawn(|_| Obedient::default())
        .unwrap();
    let gate = hold(&pool, 0);
    pool.tell(Do::Return(1)).unwrap();
    pool.tell_after(MS, Do::Return(7)).unwrap();
    assert_eq!(rejected.recv_timeout(LONG), Ok(true));
    let every = pool.tell_every(MS, || Do::Return(7)).unwrap();
    assert_eq!([rejected.recv_timeout(LONG), rejected.recv_timeout(LONG)], [Ok(true), Ok(true)]);
    every.cancel();
    gate.open();
    let account = end(&pool);
    assert!(account.rejected >= 3);
    assert_eq!(account.counts.completed, 2);
}

#[test]
fn a_shutdown_ends_all_timers_and_hands_their_messages_back() {
    let _watchdog = watchdog();
    let (make, dropped) = counted();
    let Timed { pool, time, sent, sender } = Timed::new();
    let periodic = make();
    let timers = [
        pool.tell_after(10 * MS, send(&sender, 1)).unwrap(),
        pool.tell_after(LONG, send(&sender, 2)).unwrap(),
        pool.tell_every(10 * MS, move || {
            let _ = &periodic;
            send(&sender, 3)
        })
        .unwrap(),
    ];
    let account = end(&pool);
    assert_eq!(dropped.try_iter().count(), 1, "the closure is dropped");
    assert!(timers.iter().all(|timer| !timer.is_active() && !timer.cancel()));
    assert!(timers.iter().all(|timer| timer.take_message().is_none()), "it was handed back");
    time.advance(Duration::from_secs(3600));
    assert_eq!(pool.shutdown(Drain::all()).unwrap(), account);
    assert_eq!((account.counts.admitted, account.rejected), (0, 0), "they never were tasks");
    for message in pool.take_unfinished() {
        let Do::Call(send) = message else { panic!("not one of the messages") };
        send();
    }
    let mut sent: Vec<_> = sent.try_iter().collect();
    sent.sort_unstable();
    assert_eq!(sent, [1, 2]);
}

#[test]
fn a_pool_that_closes_itself_ends_its_timers() {
    let _watchdog = watchdog();
    let pool = builder(1)
        .restarts(Restarts::default().policy(RestartPolicy::Never))
        .on_retired(OnRetired::Close)
        .spawn(|_| Obedient::default())
        .unwrap();
    let timer = pool.tell_after(LONG, Do::Return(7)).unwrap();
    let mut events = pool.subscribe();
    pool.tell(Do::stop()).unwrap();
    await_event(&mut events, |kind| *kind == EventKind::Failed);
    assert!(!timer.is_active() && timer.take_message().is_none());
    assert!(matches!(pool.take_unfinished()[..], [Do::Return(7)]));
}

#[test]
fn a_supervisor_hands_back_what_a_restarted_pool_had_not_sent() {
    let _watchdog = watchdog();
    let spawn = || {
        let restarts = Restarts::default().policy(RestartPolicy::Never);
        let builder = builder(1).restarts(restarts).on_retired(OnRetired::Close);
        builder.spawn(|_| Obedient::default())
    };
    let supervisor = Supervisor::builder().child("timed", spawn).start().unwrap();
    let pool: ObedientPool = supervisor.pool("timed").unwrap();
    let timer = pool.tell_after(LONG, Do::Return(7)).unwrap();
    let mut events = supervisor.subscribe();
    pool.tell(Do::stop()).unwrap();
    let restarted = SupervisorEventKind::Restarted { restarts: 1 };
    while events.recv_timeout(LONG).unwrap().kind != restarted {}
    assert!(!timer.is_active());
    let unfinished: Vec<Do> = supervisor.take_unfinished("timed").unwrap();
    assert!(matches!(unfinished[..], [Do::Return(7)]));
    supervisor.shutdown(Drain::all());
}

#[test]
fn a_closed_pool_refuses_timers_and_returns_what_they_would_send() {
    let _watchdog = watchdog();
    let pool = pool(1, 64, Overflow::Block);
    pool.shutdown(Drain::all()).unwrap();
    let error = pool.tell_after(MS, Do::Return(7)).unwrap_err();
    assert!(error.is_closed());
    assert!(matches!(error.into_message(), Do::Return(7)));
    let error = pool.tell_every(MS, || Do::Return(8)).unwrap_err();
    assert!(error.is_closed());
    assert!(matches!(error.into_message()(), Do::Return(8)));
    assert_eq!(pool.account().rejected, 1, "without a message, nothing was refused");
}

#[test]
fn a_timer_returns_its_message_once_instead_of_sending_it() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let timer = timed.pool.tell_after(10 * MS, Do::Return(7)).unwrap();
    assert!(matches!(timer.take_message(), Some(Do::Return(7))));
    assert!(!timer.is_active() && timer.take_message().is_none() && !timer.cancel());
    let fired = timed.pool.tell_after(10 * MS, timed.send(1)).unwrap();
    assert_eq!(timed.after(10 * MS), [1]);
    assert!(fired.take_message().is_none(), "it was sent");
    let periodic = timed.pool.tell_every(10 * MS, || Do::Return(7)).unwrap();
    assert!(periodic.take_message().is_none() && !periodic.is_active());
    assert_eq!(end(&timed.pool).counts.admitted, 2);
}

#[test]
fn a_cancelled_timer_drops_what_it_holds_at_once() {
    let _watchdog = watchdog();
    let (make, dropped) = counted();
    let pool = pool(1, 64, Overflow::Block);
    let hold = |counted: Counted| Do::call(move || drop(counted));
    let timers: Vec<_> = (0..8).map(|_| pool.tell_after(LONG, hold(make())).unwrap()).collect();
    assert!(timers[0].cancel());
    assert_eq!(dropped.try_iter().count(), 1);
    let held = make();
    let periodic = pool.tell_every(LONG, move || {
        let _ = &held;
        Do::Return(7)
    });
    assert!(periodic.unwrap().cancel());
    assert_eq!(dropped.try_iter().count(), 1);
    end(&pool);
    drop(pool.take_unfinished());
    assert_eq!(dropped.try_iter().count(), 7);
}

#[test]
fn a_period_that_is_too_short_is_refused_with_the_closure() {
    let _watchdog = watchdog();
    let pool = pool(1, 64, Overflow::Block);
    for period in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(99)] {
        let error = pool.tell_every(period, || Do::Return(7)).unwrap_err();
        assert_eq!(*error.refusal(), Refusal::Options(OptionError::Period(period)));
        let source = error.source().unwrap().to_string();
        assert_eq!(source, format!("period is {period:?}; at least 100µs is allowed"));
        assert!(matches!(error.into_message()(), Do::Return(7)));
    }
    let timer = pool.tell_every(Duration::from_micros(100), || Do::Return(7)).unwrap();
    assert!(timer.cancel());
    end(&pool);
}

#[test]
fn timers_also_fire_by_the_machines_clock() {
    let _watchdog = watchdog();
    let pool = pool(1, 64, Overflow::Block);
    let (sender, sent) = channel();
    let start = Instant::now();
    pool.tell_after(5 * MS, send(&sender, 1)).unwrap();
    assert_eq!(sent.recv_timeout(LONG), Ok(1));
    assert!(start.elapsed() >= 5 * MS);
    let timer = pool.tell_every(MS, move || send(&sender, 2)).unwrap();
    for _ in 0..10 {
        assert_eq!(sent.recv_timeout(LONG), Ok(2));
    }
    assert!(start.elapsed() >= 15 * MS);
    assert!(timer.cancel());
    end(&pool);
}

#[test]
fn a_timer_either_fires_or_is_cancelled_and_never_both() {
    let _watchdog = watchdog();
    let pool = pool(2, 1024, Overflow::Block);
    let cancelled: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let schedule =
                        |number| pool.tell_after(number * MS / 100, Do::Return(1)).unwrap();
                    let timers: Vec<_> = (0..400).map(schedule).collect();
                    timers.iter().rev().filter(|timer| timer.cancel()).count() as u64
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // The others have begun to fire: their tasks run, or are handed back by the closed pool.
    let completed = end(&pool).counts.completed;
    assert_eq!(cancelled + completed + pool.take_unfinished().len() as u64, 800);
}

/// Sets a timer when it is dropped.
struct Echo(Option<Pool<Self, ()>>);

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            let _ = pool.tell_after(Duration::from_secs(3600), Echo(None));
        }
    }
}

struct Mute;

impl Actor for Mute {}

impl Handler<Echo> for Mute {
    type Reply = ();

    fn handle(&mut self, _: Echo, _: &mut Context<'_, Self>) {}
}

#[test]
fn the_message_of_a_cancelled_timer_can_set_a_timer_when_it_is_dropped() {
    let _watchdog = watchdog();
    let pool = Pool::builder("echo").worker(WorkerSpec::general()).spawn(|_| Mute).unwrap();
    for _ in 0..8 {
        let echo = Echo(Some(pool.clone()));
        assert!(pool.tell_after(Duration::from_secs(3600), echo).unwrap().cancel());
    }
    pool.shutdown(Drain::all()).unwrap();
}

#[test]
fn a_pool_on_a_simulated_clock_notices_at_once_when_it_moves() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    timed.pool.tell_after(Duration::from_secs(3600), timed.send(1)).unwrap();
    // The housekeeper sleeps by now, or will.
    let begun = Instant::now();
    for hours in 0..50 {
        timed.time.advance(Duration::from_secs(3600));
        assert_eq!(timed.sent.recv_timeout(LONG), Ok(1));
        if hours < 49 {
            timed.pool.tell_after(Duration::from_secs(3600), timed.send(1)).unwrap();
        }
    }
    // Each would take up to a second if it waited by the machine's clock.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    end(&timed.pool);
}

#[test]
fn a_thread_that_waits_for_a_reply_notices_a_deadline_by_a_simulated_clock() {
    let _watchdog = watchdog();
    let timed = Timed::new();
    let gate = hold(&timed.pool, 0);
    let ask = timed.pool.task(timed.send(1)).timeout(Duration::from_secs(3600)).ask();
    let asker = thread::spawn(move || ask.wait().map(drop));
    timed.time.advance(Duration::from_secs(3600));
    assert!(matches!(asker.join().unwrap(), Err(AskError::Expired)));
    gate.open();
    end(&timed.pool);
}
