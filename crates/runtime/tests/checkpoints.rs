//! Tasks that run inside the handler of another, at its checkpoints. The clock is simulated: the tests
//! decide how long a task has waited.
mod common;

use std::ops::Deref;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{At, Gate, LONG, admitted, await_event, builder, end, id, so_far, watchdog, worker};
use raddle_core::{Clock, Health, Priority, VirtualTime, WorkerSpec};
use raddle_runtime::{
    Actor, Ask, AskError, Context, Drain, EventKind, Events, Handler, Pool, PoolBuilder,
    RestartPolicy, Restarts, RetireReason, StartError, TaskBuilder, Watchdog,
};

/// The default.
const QUANTUM: Duration = Duration::from_millis(1);
const SHORT: Duration = Duration::from_micros(10);

/// Runs its messages, and counts them.
#[derive(Default)]
struct Runner {
    calls: u64,
}

type Answer = Result<u64, &'static str>;
type Run = Box<dyn FnOnce(&mut Runner, &mut Context<'_, Runner>) -> Answer + Send>;

impl Actor for Runner {
    fn on_start(&mut self, cx: &mut Context<'_, Self>) -> Result<(), StartError> {
        cx.checkpoint(self);
        Ok(())
    }

    fn on_stop(&mut self, cx: &mut Context<'_, Self>) {
        cx.checkpoint(self);
    }
}

impl Handler<Run> for Runner {
    type Reply = Answer;

    fn handle(&mut self, run: Run, cx: &mut Context<'_, Self>) -> Answer {
        self.calls += 1;
        run(self, cx)
    }
}

fn run(run: impl FnOnce(&mut Runner, &mut Context<'_, Runner>) -> Answer + Send + 'static) -> Run {
    Box::new(run)
}

/// Returns the number of the actor's calls so far.
fn count() -> Run {
    run(|runner, _| Ok(runner.calls))
}

/// A pool, and the names of the tasks that it has run.
struct Test {
    pool: Pool<Run, Answer>,
    clock: Clock,
    time: VirtualTime,
    ran: Arc<Mutex<Vec<&'static str>>>,
    events: Events,
}

impl Deref for Test {
    type Target = Pool<Run, Answer>;

    fn deref(&self) -> &Self::Target {
        &self.pool
    }
}

impl Test {
    fn with(build: impl FnOnce(PoolBuilder<Run, Answer>) -> PoolBuilder<Run, Answer>) -> Self {
        let (clock, time) = Clock::simulated();
        let pool = build(builder(1).clock(clock.clone())).spawn(|_| Runner::default()).unwrap();
        Self { events: pool.subscribe(), pool, clock, time, ran: Arc::default() }
    }

    fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// A task that notes that it ran, and returns the number of calls.
    fn noting(&self, name: &'static str) -> TaskBuilder<'_, Run, Answer> {
        let ran = Arc::clone(&self.ran);
        self.task(run(move |runner, _| {
            ran.lock().unwrap().push(name);
            Ok(runner.calls)
        }))
    }

    fn short(&self, name: &'static str) -> Ask<Run, Answer> {
        admitted(self.noting(name).expected_duration(SHORT).ask())
    }

    fn long(&self, name: &'static str) -> Ask<Run, Answer> {
        admitted(self.noting(name).expected_duration(QUANTUM).ask())
    }

    fn ran(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.ran.lock().unwrap())
    }

    fn wait_a_quantum(&self) {
        self.time.advance(QUANTUM);
    }
}

/// A handler that keeps its worker busy and has checkpoints when the test says so.
struct Outer {
    go_on: Sender<()>,
    paused: Receiver<bool>,
    ask: Ask<Run, Answer>,
}

impl Outer {
    fn start(pool: &Pool<Run, Answer>) -> Self {
        Self::start_by(pool, Ok(0), |task| task)
    }

    fn start_by(
        pool: &Pool<Run, Answer>,
        answer: Answer,
        options: impl FnOnce(TaskBuilder<'_, Run, Answer>) -> TaskBuilder<'_, Run, Answer>,
    ) -> Self {
        let ((go_on, commands), (pauses, paused)) = (channel(), channel());
        let outer = run(move |runner, cx| {
            pauses.send(false).unwrap();
            while let Ok(()) = commands.recv() {
                cx.checkpoint(runner);
                pauses.send(cx.is_cancelled()).unwrap();
            }
            if answer == Err("panics") { panic!("outer") } else { answer }
        });
        let ask = admitted(options(pool.task(outer)).ask());
        paused.recv_timeout(LONG).unwrap();
        Self { go_on, paused, ask }
    }

    fn begin_checkpoint(&self) {
        self.go_on.send(()).unwrap();
    }

    /// Returns whether the handler sees that it is cancelled.
    fn end_checkpoint(&self) -> bool {
        self.paused.recv_timeout(LONG).expect("the checkpoint ends")
    }

    fn checkpoint(&self) -> bool {
        self.begin_checkpoint();
        self.end_checkpoint()
    }

    fn end(self) -> Result<Answer, AskError<Run>> {
        drop(self.go_on);
        self.ask.wait()
    }
}

#[test]
fn a_short_task_that_has_waited_for_a_quantum_runs_at_a_checkpoint() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    outer.checkpoint();
    let short = test.short("short");
    outer.checkpoint();
    test.time.advance(QUANTUM - Duration::from_nanos(1));
    outer.checkpoint();
    assert!(test.ran().is_empty(), "it has not waited for a quantum");
    test.time.advance(Duration::from_nanos(1));
    outer.checkpoint();
    assert_eq!(test.ran(), ["short"]);
    assert_eq!(short.wait().unwrap(), Ok(2), "on the same actor, and answered at once");
    outer.checkpoint();
    assert_eq!(outer.end().unwrap(), Ok(0));
    assert_eq!(end(&test).counts.completed, 2);
}

#[test]
fn the_quantum_is_a_setting() {
    let _watchdog = watchdog();
    let test = Test::with(|builder| builder.quantum(Duration::from_secs(2)));
    let outer = Outer::start(&test);
    let short = admitted(test.noting("short").expected_duration(QUANTUM).ask());
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(test.ran().is_empty());
    test.time.advance(Duration::from_secs(2));
    outer.checkpoint();
    assert!(short.wait().is_ok());
    assert!(outer.end().is_ok());
    end(&test);
}

#[test]
fn a_task_that_is_long_or_of_unknown_length_waits_for_the_handler() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let asks = [test.long("long"), admitted(test.noting("unknown").ask()), test.short("short")];
    let low = admitted(test.noting("low").priority(Priority::Low).expected_duration(SHORT).ask());
    test.wait_a_quantum();
    outer.checkpoint();
    assert_eq!(test.ran(), ["short"], "though it was sent last");
    assert!(outer.end().is_ok());
    assert!(asks.into_iter().all(|ask| ask.wait().is_ok()) && low.wait().is_ok());
    assert_eq!(test.ran(), ["long", "unknown", "low"]);
    end(&test);
}

#[test]
fn a_capability_s_mean_says_what_is_short() {
    let _watchdog = watchdog();
    let spec = WorkerSpec::new("w").capability("checkpoints-fast").capability("checkpoints-slow");
    let (clock, time) = Clock::simulated();
    let builder = Pool::builder("test").worker(spec).clock(clock.clone());
    let pool = builder.spawn(|_| Runner::default()).unwrap();
    let test = Test { events: pool.subscribe(), pool, clock, time, ran: Arc::default() };
    let slow = || test.noting("slow").capability("checkpoints-slow");
    let fast = || test.noting("fast").capability("checkpoints-fast");
    let outer = Outer::start(&test);
    let unknown = [admitted(slow().ask()), admitted(fast().ask())];
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(test.ran().is_empty(), "no mean is known");
    assert!(outer.end().is_ok());
    assert!(unknown.into_iter().all(|ask| ask.wait().is_ok()));
    for (capability, takes) in
        [("checkpoints-fast", SHORT), ("checkpoints-slow", 100 * QUANTUM)].repeat(20)
    {
        let time = test.time.clone();
        let task = test.task(run(move |_, _| {
            time.advance(takes);
            Ok(0)
        }));
        assert!(task.capability(capability).ask().wait().is_ok());
    }
    test.ran();
    let outer = Outer::start(&test);
    let asks = [
        admitted(slow().ask()),
        admitted(fast().ask()),
        admitted(fast().expected_duration(QUANTUM).ask()),
        admitted(slow().expected_duration(SHORT).ask()),
    ];
    test.wait_a_quantum();
    outer.checkpoint();
    assert_eq!(test.ran(), ["fast", "slow"], "the expected duration takes precedence");
    assert!(outer.end().is_ok());
    assert!(asks.into_iter().all(|ask| ask.wait().is_ok()));
    assert_eq!(test.ran(), ["slow", "fast"]);
    end(&test);
}

#[test]
fn control_messages_and_tasks_of_high_priority_run_whatever_their_length() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let with = |name, priority| admitted(test.noting(name).priority(priority).ask());
    let asks = [
        test.short("short"),
        with("high", Priority::High),
        with("high too", Priority::High),
        with("control", Priority::Control),
        with("control too", Priority::Control),
    ];
    outer.checkpoint();
    assert!(test.ran().is_empty(), "none has waited for a quantum");
    test.wait_a_quantum();
    outer.checkpoint();
    assert_eq!(test.ran(), ["control", "control too", "high", "high too", "short"]);
    assert!(asks.into_iter().all(|ask| ask.wait().is_ok()));
    assert!(outer.end().is_ok());
    end(&test);
}

#[test]
fn what_a_checkpoint_passes_over_keeps_its_place_in_its_lane() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let with = |name, priority| admitted(test.noting(name).priority(priority).ask());
    let mut asks = vec![test.long("normal 1"), test.long("normal 2")];
    test.wait_a_quantum();
    asks.extend([with("high 1", Priority::High), with("control 1", Priority::Control)]);
    // Takes all of them from their channels.
    outer.checkpoint();
    asks.extend([with("high 2", Priority::High), with("control 2", Priority::Control)]);
    asks.push(test.long("normal 3"));
    assert!(outer.end().is_ok());
    assert!(asks.into_iter().all(|ask| ask.wait().is_ok()));
    let expected =
        ["control 1", "control 2", "high 1", "high 2", "normal 1", "normal 2", "normal 3"];
    assert_eq!(test.ran(), expected);
    end(&test);
}

#[test]
fn however_many_long_tasks_wait_each_runs_in_its_turn() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let order = Arc::new(Mutex::new(Vec::new()));
    let send = |number| {
        let order = Arc::clone(&order);
        let task = test.task(run(move |_, _| {
            order.lock().unwrap().push(number);
            Ok(0)
        }));
        task.expected_duration(QUANTUM).tell().unwrap();
    };
    (0..50).for_each(send);
    for _ in 0..20 {
        test.wait_a_quantum();
        outer.checkpoint();
    }
    (50..100).for_each(send);
    assert!(outer.end().is_ok());
    end(&test);
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn no_task_with_a_key_runs_at_a_checkpoint_and_the_order_of_keys_is_kept() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start_by(&test, Ok(0), |task| task.key(1));
    let keyed = |name, key| admitted(test.noting(name).key(key).expected_duration(SHORT).ask());
    let mut asks = vec![keyed("1 a", 1), keyed("2 a", 2), test.short("free"), keyed("1 b", 1)];
    for _ in 0..3 {
        test.wait_a_quantum();
        outer.checkpoint();
    }
    assert_eq!(test.ran(), ["free"]);
    asks.push(keyed("1 c", 1));
    assert!(outer.end().is_ok());
    assert!(asks.into_iter().all(|ask| ask.wait().is_ok()));
    assert_eq!(test.ran(), ["1 a", "2 a", "1 b", "1 c"]);
    end(&test);
}

#[test]
fn a_task_at_a_checkpoint_has_no_checkpoints() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let (ran, time) = (Arc::clone(&test.ran), test.time.clone());
    let nested = test.task(run(move |runner, cx| {
        time.advance(QUANTUM - SHORT);
        cx.checkpoint(runner);
        ran.lock().unwrap().push("nested");
        Ok(runner.calls)
    }));
    let nested = admitted(nested.expected_duration(SHORT).ask());
    let short = test.short("short");
    test.wait_a_quantum();
    outer.checkpoint();
    assert_eq!(test.ran(), ["nested", "short"], "one after the other");
    assert_eq!((nested.wait().unwrap(), short.wait().unwrap()), (Ok(2), Ok(3)));
    assert!(outer.end().is_ok());
    end(&test);
}

#[test]
fn the_handler_gets_as_much_time_as_the_tasks_at_its_checkpoints() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let quarter = QUANTUM / 4;
    for _ in 0..20 {
        let time = test.time.clone();
        let task = test.task(run(move |_, _| {
            time.advance(quarter);
            Ok(0)
        }));
        task.expected_duration(quarter).tell().unwrap();
    }
    test.time.advance(10 * QUANTUM);
    let ended = || worker(&test, "w-0").counts.completed;
    for round in 1..=5 {
        outer.checkpoint();
        assert_eq!(ended(), 4 * round, "as many as fit into a quantum");
        outer.checkpoint();
        test.time.advance(QUANTUM - Duration::from_nanos(1));
        outer.checkpoint();
        assert_eq!(ended(), 4 * round, "the handler has not had its share");
        test.time.advance(Duration::from_nanos(1));
    }
    assert!(outer.end().is_ok());
    end(&test);
}

#[test]
fn short_tasks_wait_for_little_more_than_a_quantum_however_long_the_handler_takes() {
    let _watchdog = watchdog();
    let slice = QUANTUM / 20;
    for (checkpoints, expected) in [(true, QUANTUM + QUANTUM / 2), (false, 40 * QUANTUM)] {
        let test = Test::new();
        let (time, clock) = (test.time.clone(), test.clock.clone());
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let its = Arc::clone(&longest);
        let outer = run(move |runner, cx| {
            let pool = cx.pool::<Run>().unwrap();
            for number in 0..800 {
                time.advance(slice);
                if number % 4 == 0 {
                    let (time, clock, its) = (time.clone(), clock.clone(), Arc::clone(&its));
                    let sent = clock.now();
                    let short = pool.task(run(move |_, _| {
                        let waited = Duration::from_nanos(clock.now() - sent);
                        let mut longest = its.lock().unwrap();
                        *longest = waited.max(*longest);
                        time.advance(SHORT);
                        Ok(0)
                    }));
                    short.expected_duration(SHORT).tell().unwrap();
                }
                if checkpoints {
                    cx.checkpoint(runner);
                }
            }
            Ok(0)
        });
        assert!(test.ask(outer).wait().is_ok());
        end(&test);
        let longest = *longest.lock().unwrap();
        assert!(longest <= expected && longest >= expected / 2, "{checkpoints}: {longest:?}");
    }
}

#[test]
fn each_task_has_its_own_statistics() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start_by(&test, Err("no"), |task| task.expected_duration(9 * QUANTUM));
    test.wait_a_quantum();
    let time = test.time.clone();
    let inner = test.task(run(move |_, _| {
        time.advance(3 * SHORT);
        Ok(7)
    }));
    let inner = admitted(inner.expected_duration(SHORT).ask());
    let work = || worker(&test, "w-0").work_in_flight;
    assert_eq!(work(), (9 * QUANTUM + SHORT).as_nanos() as i64);
    test.wait_a_quantum();
    outer.checkpoint();
    assert_eq!(inner.wait().unwrap(), Ok(7));
    assert_eq!(work(), (9 * QUANTUM).as_nanos() as i64);
    let report = worker(&test, "w-0");
    assert_eq!((report.in_flight, report.counts.completed, report.counts.failed), (1, 1, 0));
    assert_eq!((report.busy, report.service.max, report.wait.max), (3 * SHORT, 3 * SHORT, QUANTUM));
    test.wait_a_quantum();
    assert_eq!(outer.end().unwrap(), Err("no"));
    let report = worker(&test, "w-0");
    assert_eq!((report.counts.completed, report.counts.failed), (1, 1));
    assert_eq!(report.busy, 3 * QUANTUM + 3 * SHORT, "its own time alone");
    assert_eq!((report.service.max, report.blocked), (3 * QUANTUM, Duration::ZERO));
    end(&test);
}

#[test]
fn selections_see_what_is_left_of_the_handler_and_not_the_task_at_its_checkpoint() {
    let _watchdog = watchdog();
    let test = Test::new();
    test.wait_a_quantum();
    let outer = Outer::start_by(&test, Ok(0), |task| task.expected_duration(9 * QUANTUM));
    let short = test.short("short");
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(short.wait().is_ok());
    test.wait_a_quantum();
    let ahead = Arc::new(Mutex::new(0));
    let probe = Probe(Arc::clone(&ahead));
    test.noting("last").strategy(&probe).tell().unwrap();
    assert_eq!(*ahead.lock().unwrap(), (7 * QUANTUM).as_nanos() as u64);
    assert!(outer.end().is_ok());
    end(&test);
}

/// Notes the work ahead of the only worker.
#[derive(Debug)]
struct Probe(Arc<Mutex<u64>>);

impl raddle_strategies::Strategy for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }
    fn pick(
        &self,
        _: &raddle_core::TaskProfile,
        candidates: &raddle_core::Candidates<'_>,
    ) -> usize {
        let now = candidates.roster().clock().now();
        *self.0.lock().unwrap() = candidates.signals().next().unwrap().work_ahead(now, None);
        0
    }
}

#[test]
fn a_task_that_expired_or_was_withdrawn_does_not_run_at_a_checkpoint() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let expiring = test.noting("expired").expected_duration(SHORT).timeout(QUANTUM);
    let expiring = admitted(expiring.ask());
    let withdrawn = test.noting("withdrawn").expected_duration(SHORT).cancel_on_drop().ask();
    drop(admitted(withdrawn));
    let short = test.short("short");
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(matches!(expiring.wait(), Err(AskError::Expired)));
    assert!(short.wait().is_ok() && outer.end().is_ok());
    assert_eq!(test.ran(), ["short"]);
    let counts = end(&test).counts;
    assert_eq!((counts.completed, counts.expired, counts.cancelled), (2, 1, 1));
}

fn panicking(test: &Test) -> Ask<Run, Answer> {
    let task = test.task(run(|_, _| panic!("inner")));
    admitted(task.expected_duration(SHORT).ask())
}

#[test]
fn a_panic_at_a_checkpoint_ends_that_task_and_then_the_actor() {
    let _watchdog = watchdog();
    let mut test = Test::new();
    let outer = Outer::start(&test);
    let (panics, short) = (panicking(&test), test.short("short"));
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(matches!(panics.wait(), Err(AskError::Panicked { message }) if message == "inner"));
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(test.ran().is_empty(), "the actor may be half changed");
    assert!(so_far(&mut test.events).is_empty(), "the handler goes on with it");
    assert_eq!(outer.end().unwrap(), Ok(0));
    assert_eq!(short.wait().unwrap(), Ok(1), "on a new actor");
    let panicked = EventKind::Panicked { message: "inner".to_owned() };
    await_event(&mut test.events, |kind| *kind == panicked);
    await_event(&mut test.events, |kind| *kind == EventKind::Restarted { generation: 1 });
    let counts = end(&test).counts;
    assert_eq!((counts.completed, counts.panicked), (2, 1));
}

#[test]
fn after_panics_of_both_tasks_the_actor_is_restarted_once() {
    let _watchdog = watchdog();
    let mut test = Test::new();
    let outer = Outer::start_by(&test, Err("panics"), |task| task);
    let panics = panicking(&test);
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(matches!(panics.wait(), Err(AskError::Panicked { message }) if message == "inner"));
    assert!(matches!(outer.end(), Err(AskError::Panicked { message }) if message == "outer"));
    let stops = run(|_, cx| {
        cx.stop();
        Ok(0)
    });
    assert!(test.ask(stops).wait().is_ok());
    assert_eq!(test.ask(count()).wait().unwrap(), Ok(1));
    let kinds: Vec<_> = so_far(&mut test.events).into_iter().map(|(_, kind)| kind).collect();
    let panicked = EventKind::Panicked { message: "outer".to_owned() };
    let restarted = |generation| EventKind::Restarted { generation };
    assert_eq!(kinds, [panicked, restarted(1), restarted(2)], "the last one has only stopped");
    let counts = end(&test).counts;
    assert_eq!((counts.completed, counts.panicked), (2, 2));
}

#[test]
fn panics_at_checkpoints_count_for_the_limit_of_restarts() {
    let _watchdog = watchdog();
    let mut test =
        Test::with(|builder| builder.restarts(Restarts::default().policy(RestartPolicy::Never)));
    let outer = Outer::start(&test);
    let (panics, short) = (panicking(&test), test.short("short"));
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(panics.wait().is_err());
    assert_eq!(outer.end().unwrap(), Ok(0));
    assert!(matches!(short.wait(), Err(AskError::Retired)));
    await_event(&mut test.events, |kind| matches!(kind, EventKind::Retired { .. }));
    let counts = end(&test).counts;
    assert_eq!((counts.completed, counts.panicked, counts.cancelled), (1, 1, 1));
}

#[test]
fn a_task_at_a_checkpoint_that_stops_the_actor_stops_it_after_the_handler() {
    let _watchdog = watchdog();
    let mut test = Test::new();
    let outer = Outer::start(&test);
    let stops = test.task(run(|_, cx| {
        cx.stop();
        Ok(0)
    }));
    let stops = admitted(stops.expected_duration(SHORT).ask());
    let short = test.short("short");
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(stops.wait().is_ok());
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(test.ran().is_empty());
    assert!(outer.end().is_ok());
    assert_eq!(short.wait().unwrap(), Ok(1), "on a new actor");
    await_event(&mut test.events, |kind| *kind == EventKind::Restarted { generation: 1 });
    assert_eq!(end(&test).counts.completed, 3);
}

/// The watchdog's limit, in simulated time.
const LIMIT: Duration = Duration::from_millis(4);

/// Sends the first worker a short task that passes the gate after `takes`.
fn gated(test: &Test, takes: Duration) -> (Gate, Ask<Run, Answer>) {
    let (gate, time) = (Gate::new(), test.time.clone());
    let held = gate.clone();
    let task = test.task(run(move |_, _| {
        time.advance(takes);
        held.pass();
        Ok(0)
    }));
    (gate, admitted(task.strategy(&At(0)).expected_duration(SHORT).ask()))
}

#[test]
fn the_watchdog_blames_each_task_for_its_own_time() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let builder = builder(2).clock(clock.clone()).watchdog(Watchdog::after(LIMIT).max_lost(0));
    let pool = builder.spawn(|_| Runner::default()).unwrap();
    let mut test = Test { events: pool.subscribe(), pool, clock, time, ran: Arc::default() };
    let outer = Outer::start_by(&test, Ok(0), |task| task.strategy(&At(0)));
    // The watchdog checks one after the other: what it finds at the second worker, it finds after it
    // has passed the first one.
    let witness = Outer::start_by(&test, Ok(0), |task| task.strategy(&At(1)));
    let (gate, inner) = gated(&test, 3 * QUANTUM);
    test.time.advance(3 * QUANTUM);
    outer.begin_checkpoint();
    gate.reached();
    let quarantined = |kind: &EventKind| *kind == EventKind::Quarantined;
    let recovered = |kind: &EventKind| *kind == EventKind::Recovered;
    assert_eq!(await_event(&mut test.events, quarantined).name, "w-1");
    assert_eq!(worker(&test, "w-0").health, Health::Active, "neither has had 4 ms");
    gate.open();
    outer.end_checkpoint();
    assert!(inner.wait().is_ok());
    test.time.advance(QUANTUM);
    assert!(witness.end().is_ok());
    assert_eq!(await_event(&mut test.events, recovered).name, "w-1");
    assert_eq!(worker(&test, "w-0").health, Health::Active);
    test.time.advance(SHORT);
    assert_eq!(await_event(&mut test.events, quarantined).name, "w-0", "its own time counts");
    assert!(outer.end().is_ok());
    assert_eq!(await_event(&mut test.events, recovered).name, "w-0");
    // A task that hangs at a checkpoint.
    let outer = Outer::start_by(&test, Ok(0), |task| task.strategy(&At(0)));
    let (gate, inner) = gated(&test, 3 * QUANTUM);
    test.time.advance(3 * QUANTUM);
    outer.begin_checkpoint();
    gate.reached();
    test.time.advance(2 * QUANTUM);
    assert_eq!(await_event(&mut test.events, quarantined).name, "w-0");
    gate.open();
    outer.end_checkpoint();
    assert_eq!(await_event(&mut test.events, recovered).name, "w-0", "the handler has had 3 ms");
    assert!(inner.wait().is_ok() && outer.end().is_ok());
    end(&test);
}

#[test]
fn a_task_that_hangs_at_a_checkpoint_costs_both_tasks_their_worker() {
    let _watchdog = watchdog();
    let mut test = Test::with(|builder| builder.watchdog(Watchdog::after(LIMIT)));
    let outer = Outer::start_by(&test, Ok(0), |task| task.key(7).expected_duration(9 * QUANTUM));
    let (gate, inner) = gated(&test, Duration::ZERO);
    let long = test.long("long");
    let keyed = admitted(test.noting("keyed").key(7).ask());
    test.wait_a_quantum();
    outer.begin_checkpoint();
    gate.reached();
    test.time.advance(2 * LIMIT);
    await_event(&mut test.events, |kind| *kind == EventKind::Replaced { generation: 1 });
    assert!(keyed.wait().is_ok(), "the key is free");
    assert!(long.wait().is_ok());
    let replaced = worker(&test, "w-0");
    assert_eq!((replaced.in_flight, replaced.work_in_flight), (0, 0));
    assert_eq!(replaced.counts.ended(), 2, "those that the new thread has run");
    test.ran();
    let busy = Outer::start(&test);
    let short = test.short("short");
    test.wait_a_quantum();
    gate.open();
    assert!(outer.end_checkpoint(), "it is cancelled");
    assert_eq!(inner.wait().unwrap(), Ok(0), "the late reply arrives");
    outer.checkpoint();
    assert!(test.ran().is_empty(), "the mailbox belongs to the other thread");
    assert_eq!(outer.end().unwrap(), Ok(0), "and so does the other one");
    await_event(&mut test.events, |kind| *kind == EventKind::Returned);
    busy.checkpoint();
    assert!(short.wait().is_ok() && busy.end().is_ok());
    let counts = end(&test).counts;
    assert_eq!((counts.admitted, counts.completed), (6, 6));
    assert_eq!(worker(&test, "w-0").counts.ended(), 4);
}

#[test]
fn a_handler_that_hangs_after_a_checkpoint_costs_its_own_task() {
    let _watchdog = watchdog();
    let mut test = Test::with(|builder| builder.watchdog(Watchdog::after(LIMIT)));
    let outer = Outer::start_by(&test, Ok(0), |task| task.expected_duration(9 * QUANTUM));
    let short = test.short("short");
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(short.wait().is_ok());
    test.time.advance(2 * LIMIT);
    await_event(&mut test.events, |kind| *kind == EventKind::Replaced { generation: 1 });
    let replaced = worker(&test, "w-0");
    assert_eq!((replaced.in_flight, replaced.work_in_flight), (0, 0));
    assert!(outer.end().is_ok());
    await_event(&mut test.events, |kind| *kind == EventKind::Returned);
    assert_eq!(end(&test).counts.completed, 2);
}

#[test]
fn the_time_that_a_task_at_a_checkpoint_waits_inside_raddle_is_not_its_own() {
    let _watchdog = watchdog();
    for watched in [false, true] {
        let limit = Watchdog::after(Duration::from_secs(10));
        let test = Test::with(|builder| if watched { builder.watchdog(limit) } else { builder });
        let other = common::pool(1, 4, raddle_runtime::Overflow::Block);
        let outer = Outer::start(&test);
        let (time, pool) = (test.time.clone(), test.pool.clone());
        let inner = test.task(run(move |_, _| {
            let asks = common::Do::call(move || {
                // A reply that comes at once is not waited for.
                while !worker(&pool, "w-0").is_blocked {
                    std::thread::yield_now();
                }
                time.advance(5 * QUANTUM);
            });
            assert!(other.ask(asks).wait().is_ok());
            end(&other);
            Ok(0)
        }));
        let inner = admitted(inner.expected_duration(SHORT).ask());
        test.wait_a_quantum();
        outer.checkpoint();
        assert!(inner.wait().is_ok() && outer.end().is_ok());
        let report = worker(&test, "w-0");
        assert_eq!((report.busy, report.blocked), (QUANTUM, 5 * QUANTUM), "{watched}");
        end(&test);
    }
}

#[test]
fn a_shutdown_while_a_task_runs_at_a_checkpoint_answers_every_asker() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let (gate, inner) = gated(&test, Duration::ZERO);
    let waiting = [test.long("passed over"), test.short("short")];
    // The second checkpoint finds the first task passed over.
    let first = test.short("first");
    test.wait_a_quantum();
    outer.begin_checkpoint();
    gate.reached();
    let error = test.shutdown(Drain::now()).unwrap_err();
    assert_eq!(error.workers, ["w-0"]);
    assert!(matches!(inner.wait(), Err(AskError::ShutDown)));
    for ask in waiting.into_iter().chain([first]) {
        assert!(matches!(ask.wait(), Err(AskError::Cancelled)));
    }
    assert_eq!(test.take_unfinished().len(), 3);
    gate.open();
    assert!(outer.end_checkpoint());
    let Outer { go_on, ask, .. } = outer;
    assert!(matches!(ask.wait(), Err(AskError::ShutDown)));
    drop(go_on);
    let counts = end(&test).counts;
    assert_eq!((counts.completed, counts.cancelled), (2, 3));
}

#[test]
fn a_shutdown_that_cancels_reaches_what_a_checkpoint_has_passed_over() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let waiting = [test.long("long"), test.long("long too")];
    test.wait_a_quantum();
    outer.checkpoint();
    thread::scope(|scope| {
        let ended = scope.spawn(|| test.shutdown(Drain::now()));
        for ask in waiting {
            assert!(matches!(ask.wait(), Err(AskError::Cancelled)));
        }
        assert!(test.noting("late").ask().wait().is_err());
        let Outer { go_on, ask, .. } = outer;
        assert!(matches!(ask.wait(), Err(AskError::ShutDown)));
        drop(go_on);
        let _ = ended.join().unwrap();
    });
    assert_eq!(test.take_unfinished().len(), 2);
    let counts = end(&test).counts;
    assert_eq!((counts.completed, counts.cancelled), (1, 2));
}

#[test]
fn a_drain_runs_what_is_left_at_checkpoints_and_after() {
    let _watchdog = watchdog();
    let test = Test::new();
    let outer = Outer::start(&test);
    let asks = [test.long("long"), test.short("short")];
    test.wait_a_quantum();
    thread::scope(|scope| {
        let ended = scope.spawn(|| test.shutdown(Drain::all()));
        while test.tell(count()).is_ok() {
            thread::yield_now();
        }
        outer.checkpoint();
        assert_eq!(test.ran(), ["short"]);
        assert!(outer.end().is_ok());
        assert!(asks.into_iter().all(|ask| ask.wait().is_ok()));
        assert!(ended.join().unwrap().is_ok());
    });
    end(&test);
}

#[test]
fn a_worker_that_is_retired_while_a_task_runs_at_a_checkpoint_ends_both_and_the_rest() {
    let _watchdog = watchdog();
    let mut test = Test::with(|builder| builder.worker(WorkerSpec::new("other")));
    let outer = Outer::start_by(&test, Ok(0), |task| task.strategy(&At(0)));
    let (gate, inner) = gated(&test, Duration::ZERO);
    let here = At(0);
    let waiting = [
        test.noting("long").strategy(&here).expected_duration(QUANTUM).ask(),
        test.noting("short").strategy(&here).expected_duration(SHORT).ask(),
    ];
    let waiting = waiting.map(admitted);
    test.wait_a_quantum();
    outer.begin_checkpoint();
    gate.reached();
    test.retire_worker(id(&test, "w-0")).unwrap();
    gate.open();
    outer.end_checkpoint();
    assert!(inner.wait().is_ok());
    assert_eq!(test.ran(), ["short"], "a retiring worker has checkpoints, too");
    assert!(outer.end().is_ok());
    assert!(waiting.into_iter().all(|ask| ask.wait().is_ok()));
    let retired = EventKind::Retired { reason: RetireReason::Requested };
    await_event(&mut test.events, |kind| *kind == retired);
    assert_eq!(end(&test).counts.completed, 4);
}

#[test]
fn an_idle_worker_steals_what_a_checkpoint_has_passed_over() {
    let _watchdog = watchdog();
    let test = Test::with(|builder| builder.worker(WorkerSpec::new("thief")).stealing(true));
    let outer =
        Outer::start_by(&test, Ok(0), |task| task.strategy(&At(0)).priority(Priority::Control));
    let busy =
        Outer::start_by(&test, Ok(0), |task| task.strategy(&At(1)).priority(Priority::Control));
    let here = At(0);
    let long = || admitted(test.noting("long").strategy(&here).expected_duration(QUANTUM).ask());
    let asks = [long(), long()];
    test.wait_a_quantum();
    outer.checkpoint();
    assert!(busy.end().is_ok());
    assert!(asks.into_iter().all(|ask| ask.wait().is_ok()), "the first worker is still busy");
    assert_eq!(worker(&test, "thief").counts.completed, 3);
    assert!(outer.end().is_ok());
    end(&test);
}

#[test]
fn tasks_of_many_callers_run_once_and_in_the_order_of_their_keys() {
    let _watchdog = watchdog();
    const CALLERS: u64 = 3;
    const TASKS: u64 = 600;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let quantum = Duration::from_micros(10);
    for workers in [1, 3] {
        let pool = builder(workers)
            .quantum(quantum)
            .stealing(true)
            .watchdog(Watchdog::after(LONG))
            .spawn(|_| Runner::default())
            .unwrap();
        let sums = thread::scope(|scope| {
            let callers = (0..CALLERS).map(|caller| {
                let pool = &pool;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed ^ caller);
                    let order: Arc<[Mutex<u64>; 4]> = Arc::default();
                    let mut sent = [0; 4];
                    for _ in 0..TASKS {
                        let long = random.u8(..16) == 0;
                        let key = random.bool().then(|| random.usize(..4));
                        let due = key.map(|key| (key, sent[key], Arc::clone(&order)));
                        let task = pool.task(run(move |runner, cx| {
                            if let Some((key, number, order)) = due {
                                let mut next = order[key].lock().unwrap();
                                assert_eq!(*next, number, "out of order");
                                *next += 1;
                            }
                            for _ in 0..if long { 20 } else { 0 } {
                                std::hint::black_box(runner.calls);
                                cx.checkpoint(runner);
                                thread::yield_now();
                            }
                            Ok(1)
                        }));
                        let expected = if long { 100 * quantum } else { quantum / 10 };
                        let task = task.expected_duration(expected);
                        let task = match (key, random.u8(..8)) {
                            (Some(key), _) => {
                                sent[key] += 1;
                                task.key((caller, key))
                            }
                            (None, 0) => task.priority(Priority::High),
                            (None, 1) => task.priority(Priority::Control),
                            (None, 2) => task.priority(Priority::Low),
                            _ => task,
                        };
                        task.tell().unwrap();
                    }
                    sent.iter().sum::<u64>()
                })
            });
            let callers: Vec<_> = callers.collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).sum::<u64>()
        });
        assert!(sums > 0);
        let counts = end(&pool).counts;
        assert_eq!((counts.completed, counts.panicked), (CALLERS * TASKS, 0));
    }
}
