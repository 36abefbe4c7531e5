//! Numbers that a user can pass: those out of bounds are refused with the bounds, and no others panic,
//! abort or loop.
mod common;

use std::error::Error;
use std::time::Duration;

use common::{Do, LONG, Obedient, admitted, builder, end, number, pool, watchdog};
use raddle_core::{Roster, RosterError, WorkerSpec};
use raddle_runtime::{
    Actor, Backoff, CoDel, Context, Drain, Handler, Hedge, MembershipError, Overflow, Pool,
    PoolBuilder, RestartLimit, Restarts, SpawnError, Watchdog,
};
use raddle_strategies::{Ejection, RoundRobin, SlowStart};

const ENDLESS: Duration = Duration::MAX;

#[test]
fn a_mailbox_capacity_out_of_bounds_is_refused_with_the_bounds() {
    let max = PoolBuilder::<Do, common::Answer>::MAX_MAILBOX;
    for capacity in [0, max + 1, usize::MAX] {
        let builder = builder(1).mailbox(capacity, Overflow::Block);
        let error = builder.spawn(|_| Obedient::default()).unwrap_err();
        assert!(matches!(error, SpawnError::Mailbox(given) if given == capacity), "{error:?}");
        let expected = format!("mailbox capacity is {capacity}; 1 to {max} are allowed");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

/// Receives messages of this many bytes.
struct Sink<const BYTES: usize>;

impl<const BYTES: usize> Actor for Sink<BYTES> {}

impl<const BYTES: usize> Handler<Box<[u8; BYTES]>> for Sink<BYTES> {
    type Reply = ();
    fn handle(&mut self, _: Box<[u8; BYTES]>, _: &mut Context<'_, Self>) {}
}

impl<const BYTES: usize> Handler<[u8; BYTES]> for Sink<BYTES> {
    type Reply = ();
    fn handle(&mut self, _: [u8; BYTES], _: &mut Context<'_, Self>) {}
}

/// No machine has as much memory as some of these.
const MEBIBYTE: usize = 1 << 20;
type Large = [u8; 64 * MEBIBYTE];

#[test]
fn a_mailbox_that_cannot_be_allocated_is_refused_with_its_size() {
    let builder: PoolBuilder<Large, ()> = Pool::builder("large");
    let capacity = PoolBuilder::<Large, ()>::MAX_MAILBOX;
    let builder = builder.workers(1, WorkerSpec::new("w")).mailbox(capacity, Overflow::Block);
    let error = builder.spawn(|_| Sink::<{ 64 * MEBIBYTE }>).unwrap_err();
    let SpawnError::MailboxMemory { capacity: given, bytes, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*given, capacity);
    assert!(*bytes >= (capacity as u128) << 26, "{bytes}");
    assert!(error.source().is_some() && error.to_string().contains("bounded"), "{error}");
}

#[test]
fn an_unbounded_mailbox_admits_every_task_and_keeps_its_order() {
    let _watchdog = watchdog();
    let pool = builder(1).mailbox_unbounded().spawn(|_| Obedient::default()).unwrap();
    let gate = common::hold(&pool, 0);
    let asks: Vec<_> = (0..5_000).map(|number| admitted(pool.ask(Do::Return(number)))).collect();
    gate.open();
    for (expected, ask) in (0..).zip(asks) {
        assert_eq!(number(ask), expected);
    }
    assert_eq!(end(&pool).counts.completed, 5_001);
}

#[test]
fn more_workers_than_a_pool_can_tell_apart_are_refused() {
    let _watchdog = watchdog();
    let max = Roster::MAX_WORKERS;
    for workers in [max + 1, usize::MAX] {
        let error = builder(workers).spawn(|_| Obedient::default()).unwrap_err();
        assert!(matches!(error, SpawnError::Roster(RosterError::TooManyWorkers(_))), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("{workers} workers were requested; at most {max} are allowed")
        );
    }
    let pool = pool(1, 4, Overflow::Block);
    for workers in [max + 1, usize::MAX] {
        let error = pool.resize(workers).unwrap_err();
        assert!(matches!(error, MembershipError::Spawn(SpawnError::Roster(_))), "{error:?}");
        assert!(error.to_string().contains("at most 65535 are allowed"), "{error}");
    }
    assert_eq!(common::names(&pool), ["w-0"]);
    end(&pool);
}

#[test]
fn workers_whose_mailboxes_cannot_be_allocated_are_refused() {
    let _watchdog = watchdog();
    // 64 MiB for each worker, of which a quarter is touched.
    let builder: PoolBuilder<[u8; 16 << 10], ()> = Pool::builder("large");
    let builder = builder.workers(1, WorkerSpec::new("w")).mailbox(4096, Overflow::Block);
    let pool = builder.spawn(|_| Sink::<{ 16 << 10 }>).unwrap();
    let error = pool.resize(60_000).unwrap_err();
    let is_memory = |error: &MembershipError| {
        matches!(error, MembershipError::Spawn(SpawnError::MailboxMemory { capacity: 4096, .. }))
    };
    assert!(is_memory(&error), "{error:?}");
    assert_eq!(common::names(&pool), ["w-0"]);
    pool.resize(2).unwrap();
    end(&pool);
}

#[test]
fn endless_times_are_endless() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 3, within: ENDLESS };
    let backoff = Backoff { initial: ENDLESS, max: ENDLESS, jitter: 1.0 };
    let ejection =
        Ejection::default().interval(ENDLESS).base_duration(ENDLESS).max_duration(ENDLESS);
    let pool = builder(2)
        .mailbox(4, Overflow::BlockFor(ENDLESS))
        .codel(CoDel::new(ENDLESS, ENDLESS))
        .restarts(Restarts::default().limit(limit).backoff(backoff))
        .watchdog(Watchdog::after(ENDLESS).max_lost(usize::MAX))
        .ejection(ejection)
        .hedge_budget(1.0)
        .spawn(|_| Obedient::default())
        .unwrap();
    let task = || pool.task(Do::Return(7)).timeout(ENDLESS).expected_duration(ENDLESS);
    assert_eq!(number(admitted(task().ask())), 7);
    assert_eq!(number(admitted(task().key(1).ask())), 7);
    let mut ask = admitted(task().ask());
    assert_eq!(ask.wait_timeout(ENDLESS).unwrap().unwrap().number, 7);
    let timer = task().tell_after(ENDLESS).unwrap();
    let every = pool.tell_every(ENDLESS, || Do::Return(1)).unwrap();
    assert!(timer.is_active() && every.is_active());
    let mut events = pool.subscribe();
    pool.add_worker(WorkerSpec::new("next").weight(u32::MAX)).unwrap();
    assert!(events.recv_timeout(ENDLESS).is_some());
    hedge_after_an_endless_time();
    pool.set_strategy(SlowStart::new(RoundRobin::new()).ramp(LONG)).unwrap();
    let error = pool.set_strategy(SlowStart::new(RoundRobin::new()).ramp(ENDLESS)).unwrap_err();
    assert!(error.to_string().contains("at most 584 years"), "{error}");
    assert!(pool.shutdown(Drain::within(ENDLESS)).unwrap().is_balanced());
}

fn hedge_after_an_endless_time() {
    let builder: PoolBuilder<Box<[u8; 1]>, ()> = Pool::builder("hedged");
    let pool = builder.workers(2, WorkerSpec::new("w")).spawn(|_| Sink::<1>).unwrap();
    pool.task(Box::new([0])).ask_hedged(Hedge::after(ENDLESS)).wait().unwrap();
    assert_eq!(pool.stats().hedges, 0);
}

#[test]
fn a_quantum_out_of_bounds_is_refused_with_the_bounds() {
    let _watchdog = watchdog();
    let allowed = [Duration::from_micros(10), Duration::from_secs(10)];
    for quantum in allowed {
        end(&builder(1).quantum(quantum).spawn(|_| Obedient::default()).unwrap());
    }
    let [shortest, longest] = allowed;
    let nano = Duration::from_nanos(1);
    for quantum in [Duration::ZERO, shortest - nano, longest + nano, ENDLESS] {
        let error = builder(1).quantum(quantum).spawn(|_| Obedient::default()).unwrap_err();
        assert!(matches!(error, SpawnError::Quantum(given) if given == quantum), "{error:?}");
        let expected = format!("the quantum is {quantum:?}; 10us to 10s are allowed");
        assert_eq!(error.to_string(), expected);
    }
}
