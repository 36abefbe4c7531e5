//! Workers that run reads side by side and writes alone.
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::signal::Signal;
use common::{At, InTurn, LONG, admitted, await_event, counted, end, so_far, watchdog, worker};
use raddle_core::{Clock, Priority, WorkerSpec};
use raddle_runtime::{
    Actor, Ask, AskError, AsyncContext, AsyncHandler, Drain, DropReason, EventKind, Pool,
    PoolBuilder, ReadWrite, SharedHandler,
};

/// A number that is read and written.
#[derive(Default)]
struct Register {
    value: u64,
    running: Arc<Running>,
}

/// What runs at the moment, on all workers.
#[derive(Default)]
struct Running {
    reads: AtomicUsize,
    writes: AtomicUsize,
}

/// What a message does while it has the register.
#[derive(Default)]
struct During {
    /// Waits for this.
    signal: Option<Signal>,
    /// Holds this meanwhile.
    held: Option<common::Counted>,
    panics: bool,
}

enum Access {
    Read(During),
    Write(u64, During),
}

use Access::{Read, Write};

impl ReadWrite for Access {
    fn is_read(&self) -> bool {
        matches!(self, Read(_))
    }
}

impl During {
    async fn pass(self) {
        if let Some(signal) = &self.signal {
            signal.wait().await;
        }
        drop(self.held);
        assert!(!self.panics, "as ordered");
    }
}

/// Counts what runs until it is dropped.
struct Counted<'c>(&'c AtomicUsize);

impl<'c> Counted<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Actor for Register {}

impl SharedHandler<Access> for Register {
    type Reply = u64;

    async fn handle(&self, access: Access, _: &mut AsyncContext<'_, Self>) -> u64 {
        let _counted = Counted::new(&self.running.reads);
        let Read(during) = access else { panic!("a write by `&self`") };
        during.pass().await;
        assert_eq!(self.running.writes.load(SeqCst), 0, "a write beside a read");
        self.value
    }
}

impl AsyncHandler<Access> for Register {
    type Reply = u64;

    async fn handle(&mut self, access: Access, _: &mut AsyncContext<'_, Self>) -> u64 {
        let counted = Counted::new(&self.running.writes);
        let Write(value, during) = access else { panic!("a read by `&mut self`") };
        let before = std::mem::replace(&mut self.value, value);
        during.pass().await;
        let beside = (self.running.reads.load(SeqCst), counted.0.load(SeqCst));
        assert_eq!(beside, (0, 1), "something beside a write");
        before
    }
}

fn builder(workers: usize) -> PoolBuilder<Access, u64> {
    Pool::builder("test")
        .workers(workers, WorkerSpec::new("w"))
        .strategy(InTurn::default())
        .stealing(false)
}

fn spawn(builder: PoolBuilder<Access, u64>) -> Pool<Access, u64> {
    builder.spawn_read_write(4, |_| Register::default()).unwrap()
}

fn read() -> Access {
    Read(During::default())
}

fn write(value: u64) -> Access {
    Write(value, During::default())
}

fn until(signal: &Signal) -> During {
    During { signal: Some(signal.clone()), ..During::default() }
}

fn value(ask: Ask<Access, u64>) -> u64 {
    ask.wait().unwrap()
}

#[test]
fn reads_run_side_by_side_and_a_write_waits_for_them_and_runs_alone() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (reads, writes) = (Signal::default(), Signal::default());
    let first = [(); 3].map(|()| pool.ask(Read(until(&reads))));
    reads.reached(3);
    let write = pool.ask(Write(7, until(&writes)));
    // A read behind the write waits for it, though a slot is free.
    let last = pool.ask(Read(During::default()));
    assert_eq!(worker(&pool, "w-0").in_flight, 5);
    reads.set();
    assert_eq!(first.map(value), [0; 3]);
    writes.reached(1);
    assert_eq!(worker(&pool, "w-0").in_flight, 2);
    writes.set();
    assert_eq!((value(write), value(last)), (0, 7));
    assert_eq!(end(&pool).counts.completed, 5);
}

#[test]
fn a_worker_with_a_write_is_not_idle_for_strategies() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2).strategy(raddle_strategies::LeastLoaded::new()));
    let signal = Signal::default();
    let held = pool.task(Write(1, until(&signal))).strategy(&At(0)).ask();
    signal.reached(1);
    // The other worker's actor is another one.
    assert!((0..100).all(|_| value(pool.ask(read())) == 0));
    assert_eq!(worker(&pool, "w-1").counts.completed, 100);
    signal.set();
    assert_eq!(value(held), 0);
    end(&pool);
}

#[test]
fn a_thousand_accesses_are_in_order() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let asks: Vec<_> = (0..1_000)
        .map(|number| (number, pool.ask(if number % 7 == 0 { write(number) } else { read() })))
        .collect();
    let mut expected = 0;
    for (number, ask) in asks {
        assert_eq!(value(ask), expected);
        if number % 7 == 0 {
            expected = number;
        }
    }
    end(&pool);
}

#[test]
fn a_dropped_write_restarts_the_actor_and_a_dropped_read_does_not() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(1).clock(clock));
    let mut events = pool.subscribe();
    let timeout = Duration::from_millis(5);
    assert_eq!(value(pool.ask(write(7))), 0);
    for writes in [false, true] {
        let (signal, (held, dropped)) = (Signal::default(), counted());
        let during = During { held: Some(held()), ..until(&signal) };
        let access = if writes { Write(8, during) } else { Read(during) };
        let ask = pool.task(access).timeout(timeout).ask();
        signal.reached(1);
        time.advance(timeout);
        assert!(matches!(ask.wait(), Err(AskError::Expired)));
        dropped.recv_timeout(LONG).unwrap();
        let reason = DropReason::Expired;
        await_event(&mut events, |kind| *kind == EventKind::Dropped { reason });
        if writes {
            await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
        }
        assert_eq!(value(pool.ask(read())), if writes { 0 } else { 7 });
        assert!(so_far(&mut events).is_empty());
    }
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.expired), (3, 2));
}

#[test]
fn panics_of_either_restart_the_actor() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    for writes in [false, true] {
        assert_eq!(value(pool.ask(write(7))), 0);
        let during = During { panics: true, ..During::default() };
        let ask = pool.ask(if writes { Write(8, during) } else { Read(during) });
        assert!(matches!(ask.wait(), Err(AskError::Panicked { .. })));
        assert_eq!(value(pool.ask(read())), 0, "a new actor");
        assert_eq!(value(pool.ask(write(0))), 0);
    }
    end(&pool);
}

#[test]
fn a_write_that_waits_expires_is_cancelled_and_may_be_stolen() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(2).clock(clock).stealing(true));
    let (signal, thief) = (Signal::default(), Signal::default());
    // Tasks for one worker are not stolen themselves.
    let held = pool.task(Read(until(&signal))).worker(worker(&pool, "w-0").id).ask();
    let busy = pool.task(Write(1, until(&thief))).worker(worker(&pool, "w-1").id).ask();
    signal.reached(1);
    thief.reached(1);
    let timeout = Duration::from_millis(5);
    let expires = pool.task(write(1)).strategy(&At(0)).timeout(timeout).ask();
    let stolen = pool.task(write(2)).strategy(&At(0)).ask();
    time.advance(timeout);
    assert!(matches!(expires.wait(), Err(AskError::Expired)));
    thief.set();
    assert_eq!(value(busy), 0);
    assert_eq!(value(stolen), 1, "by the other worker");
    let cancelled =
        pool.task(write(3)).strategy(&At(0)).priority(Priority::Control).cancel_on_drop();
    drop(admitted(cancelled.ask()));
    signal.set();
    assert_eq!(value(held), 0);
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.expired, counts.cancelled), (3, 1, 1));
}

#[test]
fn writes_of_a_key_and_those_of_others_are_each_run_once() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2));
    let asks: Vec<_> = (0..300_u64)
        .map(|number| {
            let access = if number % 3 == 0 { write(number) } else { read() };
            pool.task(access).key(number % 5).ask()
        })
        .collect();
    asks.into_iter().for_each(|ask| _ = value(ask));
    assert_eq!(end(&pool).counts.completed, 300);
}

#[test]
fn a_write_that_waits_again_stays_before_those_of_its_key_that_were_sent_later() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (of_key, of_none) = (Signal::default(), Signal::default());
    let first = pool.task(Read(until(&of_key))).key(7).ask();
    of_key.reached(1);
    let writes = [1, 2].map(|number| pool.task(write(number)).key(7).ask());
    // The worker takes it after it has found that the writes must wait for the key.
    let other = pool.ask(Read(until(&of_none)));
    of_none.reached(1);
    // Now the first write waits for the other read.
    of_key.set();
    assert_eq!(value(first), 0);
    of_none.set();
    assert_eq!(value(other), 0);
    assert_eq!(writes.map(value), [0, 1]);
    end(&pool);
}

#[test]
fn a_drain_waits_for_a_write_that_waits_and_a_shutdown_drops_it() {
    let _watchdog = watchdog();
    for drains in [true, false] {
        let pool = spawn(builder(1));
        let signal = Signal::default();
        let held = pool.ask(Read(until(&signal)));
        signal.reached(1);
        let waits = pool.ask(write(1));
        if drains {
            let ending = std::thread::spawn({
                let pool = pool.clone();
                move || end(&pool)
            });
            while pool.ask(read()).into_admitted().is_ok() {}
            signal.set();
            assert_eq!((value(held), value(waits)), (0, 0));
            ending.join().unwrap();
        } else {
            // Its threads may need longer than a shutdown waits for, on a busy machine.
            let _ = pool.shutdown(Drain::within(Duration::from_millis(1)));
            let account = end(&pool);
            assert!(matches!(held.wait(), Err(AskError::ShutDown)));
            assert!(matches!(waits.wait(), Err(AskError::Cancelled)));
            assert!(account.is_balanced());
        }
    }
}

/// A message that does not know what it is.
struct Unknown;

impl ReadWrite for Unknown {
    fn is_read(&self) -> bool {
        panic!("unknown")
    }
}

impl SharedHandler<Unknown> for Register {
    type Reply = bool;

    async fn handle(&self, _: Unknown, _: &mut AsyncContext<'_, Self>) -> bool {
        true
    }
}

impl AsyncHandler<Unknown> for Register {
    type Reply = bool;

    async fn handle(&mut self, _: Unknown, _: &mut AsyncContext<'_, Self>) -> bool {
        false
    }
}

#[test]
fn a_message_that_panics_when_it_is_asked_counts_as_a_write() {
    let _watchdog = watchdog();
    let pool = Pool::builder("unknown")
        .workers(1, WorkerSpec::general())
        .spawn_read_write(2, |_| Register::default())
        .unwrap();
    assert!(!pool.ask(Unknown).wait().unwrap());
    end(&pool);
}
