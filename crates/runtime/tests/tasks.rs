//! How a task ends: reply, failure, panic, deadline, dropped reply.
mod common;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use common::{Do, Gate, LONG, Obedient, Said, ask_at, by, end, hold, number, pool, watchdog};
use raddle_core::{Candidates, Clock, Health, TaskProfile, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, Context, Drain, EventKind, Handler, Overflow, Pool, Refusal,
};
use raddle_strategies::{JoinIdle, LeastLoaded, Strategy, StrategyName};

#[test]
fn a_reply_is_received_by_every_way_of_waiting() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    let is = |expected, reply: Result<Result<Said, _>, AskError<Do>>| {
        assert_eq!(reply.unwrap().map(|said| said.number), expected);
    };
    is(Ok(1), pool.ask(Do::Return(1)).wait());
    is(Ok(2), pool.ask(Do::Return(2)).wait_timeout(LONG));

    let gate = Gate::new();
    let mut ask = pool.ask(Do::Hold(gate.clone()));
    gate.reached();
    assert!(ask.try_recv().is_none(), "the handler is held");
    assert!(matches!(ask.wait_timeout(Duration::ZERO), Err(AskError::TimedOut)));
    gate.open();
    assert!(ask.wait_timeout(LONG).is_ok(), "waiting again is allowed");
    assert!(matches!(ask.try_recv(), Some(Err(AskError::Taken))));

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    is(Ok(3), runtime.block_on(async { pool.ask(Do::Return(3)).await }));
    is(Err("no"), pool.ask(Do::Fail("no")).wait());
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn a_panic_fails_its_task_alone() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    assert_eq!(number(pool.ask(Do::WhoAreYou)), 1);
    let gate = Gate::new();
    let held = pool.ask(Do::Hold(gate.clone()));
    gate.reached();
    let panicking = pool.ask(Do::Panic("oh"));
    let behind = pool.ask(Do::WhoAreYou);
    gate.open();
    assert!(held.wait().is_ok());
    let panicked = panicking.wait();
    assert!(
        matches!(&panicked, Err(AskError::Panicked { message }) if message == "oh"),
        "{panicked:?}"
    );
    assert_eq!(number(behind), 1, "the mailbox is kept and the actor restarted");
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.panicked, account.counts.completed), (1, 3));
    assert_eq!(pool.stats().balancer.workers[0].generation, 1);
}

#[test]
fn tasks_wait_while_failed_restarts_are_retried() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::general())
        .spawn(move |worker| {
            let generation = worker.generation();
            assert!(generation == 0 || generation > 3, "not now");
            Obedient::default()
        })
        .unwrap();
    let mut events = pool.subscribe();
    let panicked = pool.ask(Do::Panic("first")).wait();
    assert!(matches!(panicked, Err(AskError::Panicked { .. })), "{panicked:?}");
    assert_eq!(number(pool.ask(Do::Return(1))), 1);
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_recv()).map(|event| event.kind).collect();
    let failed = EventKind::StartFailed { message: "not now".into() };
    assert_eq!(
        kinds,
        [
            EventKind::Panicked { message: "first".into() },
            failed.clone(),
            failed.clone(),
            failed,
            EventKind::Restarted { generation: 4 },
        ]
    );
}

#[test]
fn a_task_past_its_deadline_does_not_run() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::general())
        .clock(clock)
        .spawn(|_| Obedient::default())
        .unwrap();
    let gate = hold(&pool, 0);
    let late = pool.task(Do::Return(1)).timeout(Duration::from_millis(5)).ask();
    let in_time = pool.task(Do::Return(2)).timeout(Duration::from_millis(500)).ask();
    let endless = pool.task(Do::Return(3)).timeout(Duration::MAX).ask();
    time.advance(Duration::from_millis(5));
    gate.open();
    assert!(matches!(late.wait(), Err(AskError::Expired)));
    assert!(in_time.wait().is_ok() && endless.wait().is_ok());
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.expired, account.counts.completed), (1, 3));
}

/// Replies with the time that its task has left.
struct Patient;

impl Actor for Patient {}

impl Handler<()> for Patient {
    type Reply = Option<Duration>;

    fn handle(&mut self, (): (), cx: &mut Context<'_, Self>) -> Option<Duration> {
        cx.remaining()
    }
}

#[test]
fn the_handler_sees_the_time_that_remains() {
    let _watchdog = watchdog();
    let (clock, _time) = Clock::simulated();
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::general())
        .clock(clock)
        .spawn(|_| Patient)
        .unwrap();
    assert_eq!(pool.ask(()).wait().unwrap(), None);
    let ask = pool.task(()).timeout(Duration::from_millis(5)).ask();
    assert_eq!(ask.wait().unwrap(), Some(Duration::from_millis(5)));
}

#[test]
fn dropping_a_reply_is_not_an_error() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    for _ in 0..100 {
        drop(pool.ask(Do::Return(1)).into_admitted().unwrap());
    }
    assert_eq!(pool.shutdown(Drain::all()).unwrap().counts.completed, 100);
}

#[test]
fn capabilities_route_tasks_and_unknown_ones_are_named() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .worker(WorkerSpec::new("eye").capability("tasks-vision"))
        .worker(WorkerSpec::new("ear").capability("tasks-speech"))
        .strategy(LeastLoaded::new())
        .spawn(|_| Obedient::default())
        .unwrap();
    for _ in 0..20 {
        let ask = pool.task(Do::WhoAreYou).capability("tasks-vision").ask();
        assert_eq!(by(ask).unwrap(), "eye");
    }
    let error = pool.task(Do::Return(9)).capability("tasks-smell").tell().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no capable worker: none that takes tasks names `tasks-smell` and none is general; \
         add one, or correct the name"
    );
    assert!(matches!(error.refusal(), Refusal::NoCapableWorker { .. }));
    assert!(matches!(error.into_message(), Do::Return(9)), "the message is returned");
    let error = pool.task(Do::Return(9)).capability("").ask().into_admitted().unwrap_err();
    assert_eq!(error.to_string(), "the task's capability cannot be used");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "a capability name is empty, allowed is any other text");
    assert_eq!(pool.account().rejected, 2);
}

#[test]
fn replacing_the_strategy_under_traffic_loses_no_task() {
    let _watchdog = watchdog();
    let pool = pool(3, 64, Overflow::Block);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let mut local = pool.local();
                scope.spawn(move || (0..5_000).for_each(|i| local.tell(Do::Return(i)).unwrap()))
            })
            .collect();
        let mut names = StrategyName::ALL.into_iter().cycle();
        while !senders.iter().all(|sender| sender.is_finished()) {
            pool.set_strategy(names.next().unwrap().build()).unwrap();
        }
    });
    pool.set_strategy(StrategyName::Random.build()).unwrap();
    assert_eq!(pool.stats().balancer.strategy, "random");
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.admitted, account.counts.completed), (15_000, 15_000));
}

#[test]
fn stats_report_each_worker() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    for sent in 0..10 {
        assert_eq!(number(pool.ask(Do::Return(sent))), sent);
    }
    let stats = pool.stats();
    assert_eq!((stats.name.as_str(), stats.balancer.strategy), ("test", "in_turn"));
    assert_eq!(stats.balancer.selections, 10);
    for (worker, name) in stats.balancer.workers.iter().zip(["w-0", "w-1"]) {
        assert_eq!((worker.name.as_str(), worker.health), (name, Health::Active));
        assert_eq!((worker.counts.completed, worker.in_flight, worker.share), (5, 0, 0.5));
        assert!(worker.mean_latency.unwrap() > Duration::ZERO);
        assert!(worker.service.p50 > Duration::ZERO && worker.service.p50 <= worker.service.max);
        assert!(worker.wait.max > Duration::ZERO);
    }
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(json["account"]["completed"], 10);
    assert_eq!(json["workers"][1]["counts"]["completed"], 5);
}

/// Remembers the first worker's peak latency.
#[derive(Debug, Default)]
struct ReadsPeakLatency(AtomicU64);

impl Strategy for ReadsPeakLatency {
    fn name(&self) -> &'static str {
        "reads-peak-latency"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let worker = candidates.worker(0);
        let peak = worker.stats().peak_latency(worker.clock().now());
        self.0.store(peak.unwrap_or(0), Relaxed);
        0
    }
}

#[test]
fn decaying_latencies_are_recorded_under_a_strategy_that_does_not_read_them() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    for _ in 0..2 {
        assert!(pool.ask(Do::WhoAreYou).wait().is_ok());
    }
    let reads = ReadsPeakLatency::default();
    assert!(pool.task(Do::WhoAreYou).strategy(&reads).ask().wait().is_ok());
    assert!(reads.0.load(Relaxed) >= 1);
}

#[test]
fn an_asker_with_its_reply_finds_the_worker_idle() {
    let _watchdog = watchdog();
    let pool = common::builder(4)
        .mailbox(1, Overflow::Reject)
        .strategy(JoinIdle::new())
        .spawn(|_| Obedient::default())
        .unwrap();
    let fill = |index: usize| {
        let gate = hold(&pool, index);
        (gate, ask_at(&pool, index, Do::WhoAreYou))
    };
    let others: Vec<_> = (0..3).map(fill).collect();
    for _ in 0..200 {
        let (gate, last) = fill(3);
        // This pick clears the idle bits, since no worker is idle.
        assert!(pool.tell(Do::WhoAreYou).unwrap_err().is_full());
        gate.open();
        by(last).unwrap();
        assert_eq!(by(pool.ask(Do::WhoAreYou)).expect("the idle worker is found"), "w-3");
    }
    others.iter().for_each(|(gate, _)| gate.open());
    end(&pool);
}
