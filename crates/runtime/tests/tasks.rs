//! What becomes of a task: reply, failure, panic, deadline, dropped reply.
mod common;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use common::{Do, Gate, Obedient, Said, pool, watchdog};
use raddle_core::{Candidates, Clock, Health, TaskProfile, WorkerSpec};
use raddle_runtime::{Actor, AskError, Context, Drain, EventKind, Overflow, Pool, SendError};
use raddle_strategies::{LeastLoaded, Strategy, StrategyName};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn an_ask_is_answered_in_every_way_of_waiting() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    let said = |reply: Result<Said, _>| reply.map(|said| said.number);
    assert_eq!(said(pool.ask(Do::Return(1)).unwrap().wait()), Ok(1));
    assert_eq!(said(pool.ask(Do::Return(2)).unwrap().wait_timeout(LONG)), Ok(2));

    let gate = Gate::new();
    let mut reply = pool.ask(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    assert!(reply.try_recv().is_none(), "the handler is held");
    assert_eq!(said(reply.wait_timeout(Duration::ZERO)), Err(AskError::TimedOut));
    gate.open();
    assert!(reply.wait_timeout(LONG).is_ok(), "it may be waited for again");
    assert_eq!(reply.try_recv(), Some(Err(AskError::Taken)));

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(async { pool.ask(Do::Return(3)).unwrap().await });
    assert_eq!(said(answer), Ok(3));
    assert_eq!(said(pool.ask(Do::Fail("no")).unwrap().wait()), Err(AskError::Failed("no")));
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn a_panic_fails_its_task_alone() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    assert_eq!(pool.ask(Do::WhoAreYou).unwrap().wait().unwrap().number, 1);
    let gate = Gate::new();
    let held = pool.ask(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    let panicking = pool.ask(Do::Panic("oh")).unwrap();
    let behind = pool.ask(Do::WhoAreYou).unwrap();
    gate.open();
    assert!(held.wait().is_ok());
    let message = "oh".to_owned();
    assert_eq!(panicking.wait(), Err(AskError::Panicked { message }));
    let behind = behind.wait().unwrap();
    assert_eq!(behind.number, 1, "the mailbox was kept, the actor made anew");
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.panicked, account.counts.completed), (1, 3));
    assert_eq!(pool.stats().balancer.workers[0].generation, 1);
}

#[test]
fn an_actor_that_cannot_be_made_anew_is_tried_again_and_its_tasks_wait() {
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
    assert!(pool.ask(Do::Panic("first")).unwrap().wait().is_err());
    assert_eq!(pool.ask(Do::Return(1)).unwrap().wait().unwrap().number, 1);
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_next()).map(|event| event.kind).collect();
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
fn a_task_past_its_deadline_is_not_run() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::general())
        .clock(clock)
        .spawn(|_| Obedient::default())
        .unwrap();
    let gate = Gate::new();
    pool.tell(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    let late = pool.task(Do::Return(1)).timeout(Duration::from_millis(5)).ask().unwrap();
    let fine = pool.task(Do::Return(2)).timeout(Duration::from_millis(500)).ask().unwrap();
    let endless = pool.task(Do::Return(3)).timeout(Duration::MAX).ask().unwrap();
    time.advance(Duration::from_millis(5));
    gate.open();
    assert_eq!(late.wait(), Err(AskError::Expired));
    assert!(fine.wait().is_ok() && endless.wait().is_ok());
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.expired, account.counts.completed), (1, 3));
}

struct Patient;
impl Actor for Patient {
    type Msg = ();
    type Reply = Option<Duration>;
    type Error = std::convert::Infallible;
    fn handle(&mut self, (): (), cx: &mut Context<'_>) -> Result<Self::Reply, Self::Error> {
        Ok(cx.remaining())
    }
}

#[test]
fn the_handler_sees_what_remains() {
    let _watchdog = watchdog();
    let (clock, _time) = Clock::simulated();
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::general())
        .clock(clock)
        .spawn(|_| Patient)
        .unwrap();
    assert_eq!(pool.ask(()).unwrap().wait(), Ok(None));
    let reply = pool.task(()).timeout(Duration::from_millis(5)).ask().unwrap();
    assert_eq!(reply.wait(), Ok(Some(Duration::from_millis(5))));
}

#[test]
fn a_dropped_reply_is_no_error() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    for _ in 0..100 {
        drop(pool.ask(Do::Return(1)).unwrap());
    }
    assert_eq!(pool.shutdown(Drain::all()).unwrap().counts.completed, 100);
}

#[test]
fn capabilities_route_and_unknown_ones_are_named() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .worker(WorkerSpec::new("eye").capability("tasks-vision"))
        .worker(WorkerSpec::new("ear").capability("tasks-speech"))
        .strategy(LeastLoaded::new())
        .spawn(|_| Obedient::default())
        .unwrap();
    for _ in 0..20 {
        let reply = pool.task(Do::WhoAreYou).capability("tasks-vision").ask().unwrap();
        assert_eq!(reply.wait().unwrap().by, "eye");
    }
    let error = pool.task(Do::Return(9)).capability("tasks-smell").tell().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no capable worker: none that takes tasks names `tasks-smell` and none is general; \
         add one, or correct the name"
    );
    assert!(matches!(error, SendError::NoCapableWorker { .. }));
    assert!(matches!(error.into_message(), Do::Return(9)), "the message is handed back");
    let error = pool.task(Do::Return(9)).capability("").ask().unwrap_err();
    assert_eq!(error.to_string(), "a capability name is empty, allowed is any other text");
    assert_eq!(pool.account().rejected, 2);
}

#[test]
fn the_strategy_is_swapped_under_traffic_and_nothing_is_lost() {
    let _watchdog = watchdog();
    let pool = pool(3, 64, Overflow::Block);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let mut handle = pool.local();
                scope.spawn(move || (0..5_000).for_each(|i| handle.tell(Do::Return(i)).unwrap()))
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
fn stats_tell_each_worker() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    for number in 0..10 {
        pool.ask(Do::Return(number)).unwrap().wait().unwrap();
    }
    let stats = pool.stats();
    assert_eq!((stats.name.as_str(), stats.balancer.strategy), ("test", "round_robin"));
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
struct LooksAtThePeak(AtomicU64);

impl Strategy for LooksAtThePeak {
    fn name(&self) -> &'static str {
        "looks-at-the-peak"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let worker = candidates.worker(0);
        let peak = worker.stats().peak_latency(worker.clock().now());
        self.0.store(peak.unwrap_or(0), Relaxed);
        0
    }
}

/// Whatever strategy was there before: one that reads the decaying latencies finds them.
#[test]
fn ends_are_dated_under_every_strategy() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    let looks = LooksAtThePeak::default();
    for _ in 0..2 {
        assert!(pool.ask(Do::WhoAreYou).unwrap().wait().is_ok());
    }
    let task = pool.task(Do::WhoAreYou).strategy(&looks);
    assert!(task.ask().unwrap().wait().is_ok());
    assert!(looks.0.load(Relaxed) >= 1);
}

#[test]
fn who_was_answered_finds_the_worker_idle() {
    let _watchdog = watchdog();
    let pool = common::builder(4)
        .mailbox(1, Overflow::Reject)
        .strategy(raddle_strategies::JoinIdle::new())
        .spawn(|_| Obedient::default())
        .unwrap();
    let fill = |index: usize| {
        let gate = common::hold(&pool, index);
        (gate, common::ask_at(&pool, index, Do::WhoAreYou))
    };
    let others: Vec<_> = (0..3).map(fill).collect();
    for _ in 0..200 {
        let (gate, last) = fill(3);
        // This finds that nobody is idle, and nobody is listed so from here on.
        assert!(matches!(pool.tell(Do::WhoAreYou), Err(SendError::Full(_))));
        gate.open();
        common::by(last).unwrap();
        let next = pool.ask(Do::WhoAreYou).expect("the idle one is found");
        assert_eq!(common::by(next).unwrap(), "w-3");
    }
    others.iter().for_each(|(gate, _)| gate.open());
    common::end(&pool);
}
