//! Pools on the thread of the test, under a virtual clock.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use common::ask_at;
use raddle_core::{Clock, Outcome, Priority, WorkerSpec};
use raddle_runtime::test::{self, TestPool, TestRuntime};
use raddle_runtime::{
    Actor, AskError, Backoff, Context, Drain, EventKind, Events, Handler, Hedge, OnRetired,
    Overflow, Pool, PoolBuilder, RestartLimit, Restarts, SpawnError, Supervisor,
    SupervisorEventKind, Watchdog,
};
use raddle_strategies::{Ejection, RoundRobin};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What an actor does, and what it returns: the number of its calls.
enum Do {
    Nothing,
    Sleep(Duration),
    Panic,
    Fail,
    Call(Box<dyn FnOnce() + Send>),
}

#[derive(Default)]
struct Obedient {
    calls: u64,
    /// Makes the actor not `Send`.
    _here: std::rc::Rc<()>,
}

impl Actor for Obedient {}

impl Handler<Do> for Obedient {
    type Reply = Result<u64, &'static str>;

    fn handle(&mut self, order: Do, _: &mut Context<'_, Self>) -> Self::Reply {
        self.calls += 1;
        match order {
            Do::Nothing => {}
            Do::Sleep(duration) => test::sleep(duration),
            Do::Panic => panic!("as told"),
            Do::Fail => return Err("as told"),
            Do::Call(call) => call(),
        }
        Ok(self.calls)
    }
}

type Answer = Result<u64, &'static str>;

fn builder(workers: usize) -> PoolBuilder<Do, Answer> {
    Pool::builder("test")
        .workers(workers, WorkerSpec::new("w"))
        .strategy(RoundRobin::new())
        .stealing(false)
}

fn spawn(builder: PoolBuilder<Do, Answer>) -> TestPool<Do, Answer> {
    TestPool::spawn(builder, |_| Obedient::default()).unwrap()
}

fn kinds(events: &mut Events) -> Vec<EventKind> {
    std::iter::from_fn(|| events.try_recv()).map(|event| event.kind).collect()
}

fn seconds(pool: &TestPool<Do, Answer>) -> f64 {
    pool.runtime().clock().now() as f64 / 1e9
}

#[test]
fn nothing_runs_and_no_time_passes_unless_the_test_says_so() {
    let pool = spawn(builder(2));
    for _ in 0..6 {
        pool.tell(Do::Nothing).unwrap();
    }
    assert_eq!((pool.account().counts.completed, pool.runtime().clock().now()), (0, 1));
    let mut steps = 0;
    while pool.account().counts.completed < 3 {
        assert!(pool.step());
        steps += 1;
    }
    assert!(steps < 12, "each step is short: {steps}");
    pool.run_until_idle();
    assert_eq!((pool.account().counts.completed, pool.runtime().clock().now()), (6, 1));
    assert!(!pool.step());
}

#[test]
fn timers_fire_at_their_times_and_no_period_is_missed() {
    let pool = spawn(builder(1));
    let (clock, times) = (pool.runtime().clock().clone(), Arc::new(AtomicU64::new(0)));
    let noted = Arc::clone(&times);
    let note = move || noted.store(clock.now(), Relaxed);
    pool.tell_after(HOUR, Do::Call(Box::new(note))).unwrap();
    let ticks = pool.tell_every(HOUR / 10, || Do::Nothing).unwrap();
    pool.advance(HOUR - Duration::from_nanos(1));
    assert_eq!((times.load(Relaxed), pool.account().counts.completed), (0, 9));
    pool.advance(Duration::from_nanos(1));
    assert_eq!(times.load(Relaxed), 1 + HOUR.as_nanos() as u64, "to the nanosecond");
    assert_eq!(pool.account().counts.completed, 11);
    ticks.cancel();
    pool.advance(24 * HOUR);
    assert_eq!(pool.account().counts.completed, 11);
}

#[test]
fn a_test_that_waits_lets_time_pass_until_the_reply_is_there() {
    let pool = spawn(builder(2));
    let asks: Vec<_> = (1..=4).map(|hours| pool.ask(Do::Sleep(hours * HOUR))).collect();
    let replies: Vec<_> = asks.into_iter().map(|ask| ask.wait().unwrap()).collect();
    assert_eq!(replies, [Ok(1), Ok(1), Ok(2), Ok(2)]);
    assert_eq!(seconds(&pool).round(), 6.0 * 3600.0, "each of the two for 1 + 3 and 2 + 4 hours");
    let mut late = pool.ask(Do::Sleep(HOUR));
    let before = pool.runtime().clock().now();
    assert!(matches!(late.wait_timeout(MS), Err(AskError::TimedOut)));
    assert_eq!(pool.runtime().clock().now() - before, MS.as_nanos() as u64);
}

#[test]
fn futures_are_awaited_as_by_an_executor() {
    let pool = spawn(builder(1));
    let runtime = pool.runtime();
    let sum = runtime.block_on(async {
        let first = pool.ask(Do::Sleep(SECOND)).await.unwrap().unwrap();
        first + pool.ask(Do::Nothing).await.unwrap().unwrap()
    });
    assert_eq!(sum, 3);
    let busy = pool.ask(Do::Sleep(HOUR));
    let expired = pool.task(Do::Nothing).timeout(SECOND).ask();
    let before = runtime.clock().now();
    assert!(matches!(runtime.block_on(expired), Err(AskError::Expired)));
    assert_eq!(runtime.clock().now() - before, SECOND.as_nanos() as u64);
    busy.wait().unwrap().unwrap();
    assert_eq!(pool.account().counts.get(Outcome::Expired), 1);
}

#[test]
fn deadlines_follow_the_clock() {
    let pool = spawn(builder(1));
    pool.tell(Do::Sleep(SECOND)).unwrap();
    let in_time = pool.task(Do::Nothing).timeout(SECOND + MS).ask();
    let late = pool.task(Do::Nothing).timeout(SECOND).ask();
    assert!(matches!(late.wait(), Err(AskError::Expired)));
    assert_eq!(in_time.wait().unwrap(), Ok(2));
}

#[test]
fn a_caller_waits_for_room_while_workers_go_on() {
    let pool = spawn(builder(1).mailbox(1, Overflow::Block));
    for _ in 0..5 {
        pool.tell(Do::Sleep(SECOND)).unwrap();
    }
    assert!(seconds(&pool) >= 3.0, "the last one found room when the third had ended");
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.completed, seconds(&pool).round()), (5, 5.0));
}

#[test]
fn the_watchdog_replaces_a_handler_that_hangs_a_thousand_times() {
    let pool = spawn(builder(1).watchdog(Watchdog::after(SECOND).max_lost(1_000)));
    let mut events = pool.subscribe();
    for hung in 1..=1_000 {
        pool.tell(Do::Sleep(HOUR)).unwrap();
        pool.advance(2 * SECOND);
        let replaced = [EventKind::Quarantined, EventKind::Replaced { generation: hung }];
        let known = kinds(&mut events);
        assert_eq!(known[..2], replaced);
        assert_eq!(pool.stats().lost_threads, hung as usize);
    }
    assert_eq!(pool.ask(Do::Nothing).wait().unwrap(), Ok(1));
    pool.advance(HOUR);
    let account = pool.shutdown(Drain::all()).unwrap();
    assert!(account.is_balanced());
    assert_eq!(account.counts.completed, 1_001);
}

#[test]
fn a_handler_that_waits_for_another_pool_does_not_hang() {
    let back = spawn(builder(1));
    let front = spawn(builder(1).watchdog(Watchdog::after(SECOND)));
    let mut events = front.subscribe();
    let pool = Pool::clone(&back);
    let call = move || assert_eq!(pool.ask(Do::Sleep(HOUR)).wait().unwrap(), Ok(1));
    assert_eq!(front.ask(Do::Call(Box::new(call))).wait().unwrap(), Ok(1));
    assert_eq!(seconds(&front).round(), 3600.0);
    assert_eq!(kinds(&mut events), []);
    assert_eq!(front.stats().balancer.workers[0].blocked.as_secs(), 3600);
}

#[test]
fn a_handler_that_waits_for_itself_is_told() {
    let pool = spawn(builder(1));
    let own = pool.downgrade();
    let call = move || {
        let error = own.upgrade().unwrap().ask(Do::Nothing).wait().unwrap_err();
        assert!(matches!(error, AskError::Deadlock { .. }));
    };
    assert_eq!(pool.ask(Do::Call(Box::new(call))).wait().unwrap(), Ok(1));
    assert!(seconds(&pool) < 1.0);
}

#[test]
fn restarts_wait_by_the_clock_and_the_others_go_on_meanwhile() {
    let backoff = Backoff { initial: HOUR, max: HOUR, jitter: 0.0 };
    let pool = spawn(builder(2).restarts(Restarts::default().backoff(backoff)));
    let mut events = pool.subscribe();
    for generation in 1..=2 {
        // The first restart of a row comes at once.
        ask_at(&pool, 0, Do::Panic).wait().unwrap_err();
        pool.run_until_idle();
        let panicked = EventKind::Panicked { message: "as told".into() };
        let first = (generation == 1).then_some(EventKind::Restarted { generation });
        assert_eq!(kinds(&mut events), [panicked].into_iter().chain(first).collect::<Vec<_>>());
    }
    for calls in 1..=4 {
        assert_eq!(pool.ask(Do::Nothing).wait().unwrap(), Ok(calls), "all by the other one");
    }
    pool.advance(HOUR - MS);
    assert_eq!(kinds(&mut events), []);
    pool.advance(MS);
    assert_eq!(kinds(&mut events), [EventKind::Restarted { generation: 2 }]);
}

#[test]
fn a_worker_that_fails_is_ejected_and_readmitted_on_time() {
    let ejection = Ejection::default().interval(SECOND).base_duration(10 * SECOND);
    let pool = spawn(builder(5).ejection(ejection));
    let mut events = pool.subscribe();
    let mut ejected = None;
    for round in 0..40 {
        for worker in 0..5 {
            let order = if worker == 0 && round < 10 { Do::Fail } else { Do::Nothing };
            pool.tell(order).unwrap();
        }
        pool.advance(SECOND / 10);
        if kinds(&mut events).iter().any(|kind| matches!(kind, EventKind::Ejected { .. })) {
            ejected = Some(seconds(&pool));
            break;
        }
    }
    let ejected = ejected.expect("the first worker fails always");
    let readmitted = loop {
        pool.advance(SECOND / 10);
        if kinds(&mut events).contains(&EventKind::Readmitted) {
            break seconds(&pool);
        }
    };
    assert!((9.8..11.2).contains(&(readmitted - ejected)), "{ejected} {readmitted}");
}

#[test]
fn a_hedge_is_sent_when_its_delay_is_over() {
    let pool = spawn(builder(2).hedge_budget(1.0));
    let reply = pool.ask(Do::Nothing).wait().unwrap();
    assert_eq!(reply, Ok(1));

    #[derive(Clone)]
    struct Slow(Arc<AtomicU64>);
    struct First;
    impl Actor for First {}
    impl Handler<Slow> for First {
        type Reply = u64;
        fn handle(&mut self, Slow(calls): Slow, _: &mut Context<'_, Self>) -> u64 {
            let call = calls.fetch_add(1, Relaxed);
            if call == 0 {
                test::sleep(HOUR);
            }
            call
        }
    }
    let hedged = Pool::builder("hedged").workers(2, WorkerSpec::general()).hedge_budget(1.0);
    let hedged = TestPool::spawn(hedged, |_| First).unwrap();
    let before = hedged.runtime().clock().now();
    let ask = hedged.task(Slow(Arc::default())).ask_hedged(Hedge::after(50 * MS));
    assert_eq!(ask.wait().unwrap(), 1);
    let took = Duration::from_nanos(hedged.runtime().clock().now() - before);
    assert_eq!((took, hedged.stats().hedges), (50 * MS, 1));
}

#[test]
fn workers_come_and_go() {
    let pool = spawn(builder(1));
    let added = pool.add_worker(WorkerSpec::new("more")).unwrap();
    pool.retire_worker(added).unwrap();
    pool.resize(4).unwrap();
    pool.run_until_idle();
    let names: Vec<_> = pool.stats().balancer.workers.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["w-0", "w-1", "w-2", "w-3"]);
    pool.resize(2).unwrap();
    pool.run_until_idle();
    assert_eq!(pool.stats().balancer.workers.len(), 2);
}

#[test]
fn a_shutdown_cancels_what_has_not_started_at_its_limit() {
    let pool = spawn(builder(1));
    pool.tell(Do::Sleep(5 * SECOND)).unwrap();
    pool.run_until_idle();
    (0..3).for_each(|_| pool.tell(Do::Nothing).unwrap());
    let late = pool.shutdown(Drain::within(SECOND)).unwrap_err();
    assert_eq!(late.workers, ["w-0"]);
    assert_eq!((seconds(&pool) * 10.0).round(), 11.0, "the limit and a tenth of a second");
    assert_eq!(pool.take_unfinished().len(), 3);
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.get(Outcome::Cancelled), account.counts.completed), (3, 1));
}

#[test]
fn a_supervisor_restarts_pools_by_the_clock() {
    let runtime = TestRuntime::enter();
    let supervisor = Supervisor::builder()
        .backoff(Backoff { initial: HOUR, max: HOUR, jitter: 0.0 })
        .child("obedient", || {
            builder(1)
                .restarts(Restarts::default().limit(RestartLimit { restarts: 0, within: HOUR }))
                .on_retired(OnRetired::Close)
                .spawn(|_| Obedient::default())
        })
        .start()
        .unwrap();
    let mut events = supervisor.subscribe();
    let fail = || {
        let pool = supervisor.pool::<Do, Answer>("obedient").unwrap();
        pool.ask(Do::Panic).wait().unwrap_err();
        runtime.run_until_idle();
    };
    fail(); // the first restart comes at once
    fail();
    assert!(supervisor.pool::<Do, Answer>("obedient").is_err(), "it restarts");
    runtime.advance(HOUR + SECOND);
    let pool = supervisor.pool::<Do, Answer>("obedient").unwrap();
    assert_eq!(pool.ask(Do::Nothing).wait().unwrap(), Ok(1));
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_recv()).map(|it| it.kind).collect();
    let restarted = |restarts| SupervisorEventKind::Restarted { restarts };
    let down = [SupervisorEventKind::Failed, SupervisorEventKind::Stopped];
    assert_eq!(kinds, [&down[..], &[restarted(1)], &down, &[restarted(2)]].concat());
    drop(pool);
    assert!(supervisor.shutdown(Drain::all()).is_complete());
}

#[test]
fn keys_and_priorities_are_kept() {
    let pool = spawn(builder(3));
    let order = Arc::new(AtomicU64::new(0));
    for number in 0..20 {
        let order = Arc::clone(&order);
        let call = move || assert_eq!(order.fetch_add(1, Relaxed), number);
        pool.task(Do::Call(Box::new(call))).key(7).tell().unwrap();
    }
    pool.run_until_idle();
    assert_eq!((order.load(Relaxed), pool.account().counts.completed), (20, 20));
    let one = spawn(builder(1));
    let first = Arc::new(AtomicU64::new(0));
    for (number, priority) in [(1, Priority::Low), (2, Priority::High)] {
        let first = Arc::clone(&first);
        let call = move || _ = first.compare_exchange(0, number, Relaxed, Relaxed);
        one.task(Do::Call(Box::new(call))).priority(priority).tell().unwrap();
    }
    one.run_until_idle();
    assert_eq!(first.load(Relaxed), 2);
}

#[test]
fn a_clock_of_its_own_is_refused() {
    let _runtime = TestRuntime::enter();
    let error = builder(1).clock(Clock::real()).spawn(|_| Obedient::default()).unwrap_err();
    assert!(matches!(error, SpawnError::Meaningless { option: "clock", .. }), "{error}");
}

#[test]
fn pools_have_threads_again_once_the_runtime_has_ended() {
    drop(spawn(builder(2)));
    let pool = builder(2).spawn(|_| Obedient::default()).unwrap();
    assert_eq!(pool.ask(Do::Nothing).wait().unwrap(), Ok(1));
}

#[test]
#[should_panic(expected = "waits for something that does not come")]
fn a_wait_in_vain_ends() {
    let pool = spawn(builder(1));
    assert_eq!(pool.subscribe().next(), None);
}

#[test]
fn a_panic_in_a_test_ends_its_pools() {
    let ended = std::panic::catch_unwind(|| {
        let pool = spawn(builder(2));
        pool.tell(Do::Sleep(HOUR)).unwrap();
        pool.run_until_idle();
        panic!("the test fails");
    });
    assert_eq!(*ended.unwrap_err().downcast::<&str>().unwrap(), "the test fails");
}

/// Puts the work off, or does not do it at all.
struct Later(Vec<raddle_runtime::Replier<u64>>);

impl Actor for Later {}

impl Handler<Option<u64>> for Later {
    type Reply = raddle_runtime::Deferred<u64>;

    fn handle(&mut self, number: Option<u64>, cx: &mut Context<'_, Self>) -> Self::Reply {
        let Some(number) = number else {
            cx.give_up("nothing to do");
            return raddle_runtime::Deferred::ready(0);
        };
        let (replier, deferred) = cx.defer();
        if number > 0 {
            self.0.push(replier);
        }
        (self.0.len() > 1).then(|| self.0.drain(..).for_each(|replier| replier.reply(number)));
        deferred
    }
}

#[test]
fn deferred_replies_come_when_they_are_sent() {
    let builder = Pool::builder("later").workers(1, WorkerSpec::general());
    let pool = TestPool::spawn(builder, |_| Later(Vec::new())).unwrap();
    let mut first = pool.ask(Some(1));
    pool.run_until_idle();
    assert!(first.try_recv().is_none());
    assert_eq!(pool.ask(Some(2)).wait().unwrap(), 2);
    assert_eq!(first.wait().unwrap(), 2);
    assert!(matches!(pool.ask(Some(0)).wait(), Err(AskError::Unanswered)));
    let late = pool.task(Some(3)).timeout(HOUR).ask();
    let before = pool.runtime().clock().now();
    assert!(matches!(late.wait(), Err(AskError::Expired)));
    assert_eq!(pool.runtime().clock().now() - before, HOUR.as_nanos() as u64);

    let mut test = Context::for_test();
    let mut cx = test.context();
    let _ = Later(Vec::new()).handle(None, &mut cx);
    assert_eq!((cx.gave_up(), cx.is_stopping()), (Some("nothing to do"), false));
}

/// Awaits, for as long as it is told to.
struct Awaits;

impl Actor for Awaits {}

impl raddle_runtime::AsyncHandler<Duration> for Awaits {
    type Reply = ();

    async fn handle(&mut self, duration: Duration, _: &mut raddle_runtime::AsyncContext<'_, Self>) {
        test::sleep_async(duration).await;
    }
}

#[test]
fn a_hung_await_is_dropped_at_its_limit_a_hundred_times() {
    let pool = TestPool::start(|| {
        let builder = Pool::builder("await").workers(1, WorkerSpec::general());
        builder.await_limit(SECOND).spawn_async(|_| Awaits)
    });
    let pool = pool.unwrap();
    pool.ask(SECOND / 2).wait().unwrap();
    let before = pool.runtime().clock().now();
    assert_eq!(before, 1 + SECOND.as_nanos() as u64 / 2);
    for hung in 1..=100 {
        let ask = pool.ask(24 * HOUR);
        assert!(ask.wait().is_err());
        let passed = pool.runtime().clock().now() - before;
        assert_eq!(passed, hung * SECOND.as_nanos() as u64, "each at its limit");
    }
    pool.ask(Duration::ZERO).wait().unwrap();
    let account = pool.shutdown(Drain::all()).unwrap();
    assert!(account.is_balanced());
    assert_eq!((account.counts.completed, account.counts.cancelled), (2, 100));
}
