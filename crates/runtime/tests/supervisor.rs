//! A supervisor restarts failed pools as its strategy says, and shuts all down in order.
mod common;

use std::error::Error;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::{Answer, Do, Gate, InTurn, LONG, Obedient, ObedientPool, watchdog};
use raddle_core::WorkerSpec;
use raddle_runtime::Overflow::Block;
use raddle_runtime::{
    Actor, AskError, Backoff, ChildError, Context, Drain, Handler, OnRetired, Pool, Reply,
    RestartLimit, RestartPolicy, Restarts, RetireReason, ShutdownReport, SpawnError, StartError,
    SuperviseError, SupervisionStrategy, Supervisor, SupervisorBuilder, SupervisorEventKind,
    SupervisorEvents,
};

use SupervisorEventKind::{Failed, GaveUp, Restarted, StartFailed, Stopped};

/// What a patient actor does.
#[derive(Debug)]
enum Job {
    Return(u64),
    Panic,
    /// Sends a notice, and then runs until it is cancelled.
    UntilCancelled(Sender<()>),
}

struct Patient;

impl Actor for Patient {}

impl Handler<Job> for Patient {
    type Reply = u64;

    fn handle(&mut self, job: Job, cx: &mut Context<'_, Self>) -> u64 {
        match job {
            Job::Return(number) => number,
            Job::Panic => panic!("as requested"),
            Job::UntilCancelled(running) => {
                running.send(()).unwrap();
                while !cx.is_cancelled() {
                    std::thread::yield_now();
                }
                0
            }
        }
    }
}

/// A pool of two workers in rotation that closes itself at the first panic.
fn fragile<A, M, R>(make: fn() -> A) -> Result<Pool<M, R>, SpawnError>
where
    A: Handler<M, Reply = R>,
    M: Send + 'static,
    R: Reply,
{
    Pool::builder("fragile")
        .workers(2, WorkerSpec::new("w"))
        .strategy(InTurn::default())
        .mailbox(64, Block)
        .stealing(false)
        .restarts(Restarts::default().policy(RestartPolicy::Never))
        .on_retired(OnRetired::Close)
        .spawn(move |_| make())
}

fn obedient() -> Result<ObedientPool, SpawnError> {
    fragile(Obedient::default)
}

fn patient() -> Result<Pool<Job, u64>, SpawnError> {
    fragile(|| Patient)
}

/// Three children, and the names of those that were started so far.
fn three(strategy: SupervisionStrategy) -> (SupervisorBuilder, Arc<Mutex<Vec<&'static str>>>) {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let mut builder = Supervisor::builder().strategy(strategy);
    for name in ["a", "b", "c"] {
        let starts = Arc::clone(&starts);
        builder = builder.child(name, move || {
            starts.lock().unwrap().push(name);
            obedient()
        });
    }
    (builder, starts)
}

fn fail(supervisor: &Supervisor, child: &str) {
    let pool = supervisor.pool::<Do, Answer>(child).unwrap();
    let panicked = pool.ask(Do::Panic("as requested")).wait();
    assert!(matches!(panicked, Err(AskError::Panicked { .. })), "{panicked:?}");
}

/// Asserts that these are the next events.
#[track_caller]
fn expect(events: &mut SupervisorEvents, expected: &[(&str, SupervisorEventKind)]) {
    for (child, kind) in expected {
        let event = events.recv_timeout(LONG).expect("the event is sent");
        assert_eq!((event.child.as_str(), &event.kind), (*child, kind));
    }
}

fn restarted(restarts: u32) -> SupervisorEventKind {
    Restarted { restarts }
}

#[test]
fn one_for_one_restarts_only_the_failed_child() {
    let _watchdog = watchdog();
    let (builder, starts) = three(SupervisionStrategy::OneForOne);
    let supervisor = builder.start().unwrap();
    let mut events = supervisor.subscribe();
    let others = ["a", "c"].map(|name| supervisor.pool::<Do, Answer>(name).unwrap());
    fail(&supervisor, "b");
    expect(&mut events, &[("b", Failed), ("b", Stopped), ("b", restarted(1))]);
    assert_eq!(*starts.lock().unwrap(), ["a", "b", "c", "b"]);
    for pool in others {
        assert!(pool.ask(Do::Return(1)).wait().is_ok(), "the others are unchanged");
    }
    assert!(supervisor.pool::<Do, Answer>("b").unwrap().ask(Do::Return(1)).wait().is_ok());
    let report = supervisor.shutdown(Drain::all());
    assert!(report.is_complete());
    expect(&mut events, &[("c", Stopped), ("b", Stopped), ("a", Stopped)]);
    let b = report.child("b").unwrap();
    let counts = b.account.counts;
    assert_eq!(
        (b.restarts, counts.panicked, counts.completed),
        (1, 1, 1),
        "the counts of both its pools"
    );
    assert!(b.account.is_balanced());
}

#[test]
fn one_for_all_stops_all_last_first_and_restarts_all_first_first() {
    let _watchdog = watchdog();
    let (builder, starts) = three(SupervisionStrategy::OneForAll);
    let supervisor = builder.start().unwrap();
    let mut events = supervisor.subscribe();
    fail(&supervisor, "b");
    expect(
        &mut events,
        &[
            ("b", Failed),
            ("c", Stopped),
            ("b", Stopped),
            ("a", Stopped),
            ("a", restarted(1)),
            ("b", restarted(1)),
            ("c", restarted(1)),
        ],
    );
    assert_eq!(*starts.lock().unwrap(), ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn rest_for_one_spares_the_children_before_the_failed_one() {
    let _watchdog = watchdog();
    let (builder, starts) = three(SupervisionStrategy::RestForOne);
    let supervisor = builder.start().unwrap();
    let mut events = supervisor.subscribe();
    fail(&supervisor, "b");
    expect(
        &mut events,
        &[("b", Failed), ("c", Stopped), ("b", Stopped), ("b", restarted(1)), ("c", restarted(1))],
    );
    assert_eq!(*starts.lock().unwrap(), ["a", "b", "c", "b", "c"]);
}

#[test]
fn a_pool_that_its_user_shuts_down_is_restarted() {
    let _watchdog = watchdog();
    let supervisor = Supervisor::builder().child("a", obedient).start().unwrap();
    let mut events = supervisor.subscribe();
    supervisor.pool::<Do, Answer>("a").unwrap().shutdown(Drain::all()).unwrap();
    expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", restarted(1))]);
    assert!(supervisor.pool::<Do, Answer>("a").is_ok());
}

#[test]
fn at_the_limit_all_children_are_shut_down_last_first() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 2, within: Duration::from_secs(3600) };
    let (builder, _) = three(SupervisionStrategy::OneForOne);
    let supervisor = builder.limit(limit).start().unwrap();
    let mut events = supervisor.subscribe();
    let other = supervisor.pool::<Do, Answer>("c").unwrap();
    for restarts in 1..=2 {
        fail(&supervisor, "b");
        expect(&mut events, &[("b", Failed), ("b", Stopped), ("b", restarted(restarts))]);
    }
    fail(&supervisor, "a");
    let reason = RetireReason::LimitReached { restarts: 2, within: limit.within };
    expect(
        &mut events,
        &[("a", Failed), ("c", Stopped), ("b", Stopped), ("a", Stopped), ("a", GaveUp { reason })],
    );
    assert!(other.tell(Do::Return(1)).unwrap_err().is_closed());
    assert!(matches!(supervisor.pool::<Do, Answer>("c"), Err(ChildError::Ended)));
    let report = supervisor.shutdown(Drain::all());
    assert!(report.is_complete());
    assert_eq!(report.child("b").unwrap().account.counts.panicked, 2);
    drop(supervisor);
    assert_eq!(events.next(), None, "the subscription ends");
}

/// A child that starts, and then fails to restart once per word of the script: it panics with `no
/// disk` for `panic`, and otherwise returns the word as an error.
fn scripted(
    builder: SupervisorBuilder,
    name: &str,
    script: &'static [&'static str],
) -> SupervisorBuilder {
    let mut calls = 0;
    builder.child(name, move || {
        calls += 1;
        match script.get(calls.max(2) - 2) {
            Some(&"panic") if calls > 1 => panic!("no disk"),
            Some(word) if calls > 1 => Err(StartError::from(*word)),
            _ => Ok(obedient()?),
        }
    })
}

fn start_failed(message: &str) -> SupervisorEventKind {
    StartFailed { message: message.into() }
}

#[test]
fn a_start_that_fails_or_panics_is_retried() {
    let _watchdog = watchdog();
    let builder = scripted(Supervisor::builder(), "a", &["no net", "panic"]);
    let supervisor = builder.child("b", obedient).start().unwrap();
    let mut events = supervisor.subscribe();
    fail(&supervisor, "a");
    expect(
        &mut events,
        &[
            ("a", Failed),
            ("a", Stopped),
            ("a", start_failed("no net")),
            ("a", start_failed("no disk")),
            ("a", restarted(1)),
        ],
    );
    assert!(supervisor.pool::<Do, Answer>("a").unwrap().ask(Do::Return(1)).wait().is_ok());
}

#[test]
fn a_failed_start_affects_the_same_children_as_a_failure() {
    let _watchdog = watchdog();
    let tried = |strategy| {
        let builder = Supervisor::builder().strategy(strategy).child("a", obedient);
        let builder = scripted(builder, "b", &["no net"]).child("c", obedient);
        let supervisor = builder.start().unwrap();
        let mut events = supervisor.subscribe();
        fail(&supervisor, "a");
        while events.recv_timeout(LONG).unwrap().kind != start_failed("no net") {}
        (supervisor, events)
    };
    let (_all, mut events) = tried(SupervisionStrategy::OneForAll);
    expect(&mut events, &[("a", Stopped), ("a", restarted(2)), ("b", restarted(1))]);
    expect(&mut events, &[("c", restarted(1))]);
    let (_rest, mut events) = tried(SupervisionStrategy::RestForOne);
    expect(&mut events, &[("b", restarted(1)), ("c", restarted(1))]);
}

#[test]
fn failed_starts_count_towards_the_limit() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 2, within: Duration::from_secs(3600) };
    let builder = Supervisor::builder().limit(limit);
    let supervisor = scripted(builder, "a", &["x", "x", "x"]).start().unwrap();
    let mut events = supervisor.subscribe();
    fail(&supervisor, "a");
    let reason = RetireReason::LimitReached { restarts: 2, within: limit.within };
    expect(&mut events, &[("a", Failed), ("a", Stopped)]);
    expect(&mut events, &[("a", start_failed("x")), ("a", start_failed("x"))]);
    expect(&mut events, &[("a", GaveUp { reason })]);
}

#[test]
fn a_failed_first_start_shuts_down_the_children_before_it_and_is_named() {
    let _watchdog = watchdog();
    let (started, pools) = channel();
    let error = Supervisor::builder()
        .child("a", move || {
            let pool = obedient()?;
            started.send(pool.clone()).unwrap();
            Ok::<_, SpawnError>(pool)
        })
        .child("b", || Pool::builder("empty").spawn(|_| Obedient::default()))
        .start()
        .unwrap_err();
    assert_eq!(error.to_string(), "child `b` could not be started");
    assert_eq!(
        error.source().unwrap().to_string(),
        "pool `empty` has no worker; add one with `worker` or `workers`"
    );
    assert!(pools.recv().unwrap().tell(Do::Return(1)).unwrap_err().is_closed());
    assert!(pools.recv().is_err(), "the closures are gone");
}

#[test]
fn mistakes_in_builders_and_look_ups_are_named() {
    let _watchdog = watchdog();
    assert!(matches!(Supervisor::builder().start(), Err(SuperviseError::NoChildren)));
    let twice = Supervisor::builder().child("a", obedient).child("a", obedient);
    assert_eq!(
        twice.start().unwrap_err().to_string(),
        "two children are named `a`; names are unique within a supervisor"
    );
    let backoff = Backoff { jitter: 2.0, ..Backoff::default() };
    let error = Supervisor::builder().backoff(backoff).child("a", obedient).start().unwrap_err();
    assert_eq!(error.to_string(), "backoff jitter is 2; 0 to 1 is allowed");

    let builder = Supervisor::builder().child("a", obedient);
    let supervisor = builder.child("b", patient).start().unwrap();
    let error = supervisor.pool::<Do, Answer>("x").unwrap_err();
    assert_eq!(error.to_string(), "no child is named `x`; the children are a, b");
    let error = supervisor.pool::<Job, u64>("a").unwrap_err();
    assert!(
        error.to_string().starts_with("the pool of child `a` is not a raddle_runtime::"),
        "{error}"
    );
    assert!(supervisor.pool::<Job, u64>("b").is_ok());
    supervisor.shutdown(Drain::now());
    assert_eq!(supervisor.pool::<Do, Answer>("a").unwrap_err(), ChildError::Ended);
}

/// Keeps one worker of the pool busy until it is cancelled, with these numbers queued behind.
fn occupy(pool: &Pool<Job, u64>, numbers: [u64; 2]) {
    let (running, is_running) = channel();
    pool.tell(Job::UntilCancelled(running)).unwrap();
    is_running.recv().unwrap();
    for number in numbers {
        // The other worker has a turn in between.
        pool.ask(Job::Return(0)).wait().unwrap();
        pool.tell(Job::Return(number)).unwrap();
    }
}

/// Shuts down until every handler has noticed that it is cancelled; returns one report of it all.
fn shut_down(supervisor: &Supervisor, drain: Drain) -> ShutdownReport {
    let mut report = supervisor.shutdown(drain);
    while report.children.iter().any(|child| !child.ended) {
        let before = std::mem::replace(&mut report, supervisor.shutdown(Drain::all()));
        for (child, mut before) in report.children.iter_mut().zip(before.children) {
            child.unfinished.append(&mut before.unfinished);
        }
    }
    report
}

fn numbers(jobs: Vec<Job>) -> Vec<u64> {
    let number = |job| match job {
        Job::Return(number) => number,
        other => panic!("{other:?}"),
    };
    let mut numbers: Vec<_> = jobs.into_iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn messages_cancelled_by_a_restart_are_kept_until_taken() {
    let _watchdog = watchdog();
    let builder = Supervisor::builder().drain_within(Duration::ZERO);
    let supervisor = builder.child("a", patient).start().unwrap();
    let mut events = supervisor.subscribe();
    let take = || supervisor.take_unfinished::<Job>("a").unwrap();
    for (restarts, queued) in [(1, [3, 4]), (2, [5, 6])] {
        let pool = supervisor.pool::<Job, u64>("a").unwrap();
        occupy(&pool, queued);
        assert!(matches!(pool.ask(Job::Panic).wait(), Err(AskError::Panicked { .. })));
        expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", restarted(restarts))]);
        if restarts == 1 {
            let mut taken = take();
            while taken.len() < 2 {
                // Its handler may not have noticed yet that it is cancelled.
                std::thread::yield_now();
                taken.extend(take());
            }
            assert_eq!(numbers(taken), [3, 4]);
        }
    }
    let mut report = shut_down(&supervisor, Drain::all());
    assert!(!report.is_complete(), "messages are left");
    let error = report.take_unfinished::<u8>("a").unwrap_err();
    assert_eq!(error.to_string(), "the messages of child `a` are not of type u8");
    assert!(matches!(report.take_unfinished::<Job>("x"), Err(ChildError::NotFound { .. })));
    assert_eq!(numbers(report.take_unfinished("a").unwrap()), [5, 6]);
    assert!(report.is_complete());
    let account = report.child("a").unwrap().account;
    assert!(account.is_balanced());
    assert_eq!((account.counts.panicked, account.counts.cancelled), (2, 4));
}

#[test]
fn messages_cancelled_by_a_shutdown_are_returned_by_child_and_type() {
    let _watchdog = watchdog();
    let builder = Supervisor::builder().child("a", patient).child("b", patient);
    let supervisor = builder.child("c", obedient).start().unwrap();
    let pools = ["a", "b"].map(|name| supervisor.pool::<Job, u64>(name).unwrap());
    occupy(&pools[0], [1, 2]);
    occupy(&pools[1], [3, 4]);
    let mut report = shut_down(&supervisor, Drain::within(Duration::from_millis(20)));
    let names: Vec<_> = report.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(numbers(report.take_unfinished("a").unwrap()), [1, 2]);
    assert_eq!(numbers(report.take_unfinished("b").unwrap()), [3, 4]);
    assert!(report.take_unfinished::<Do>("c").unwrap().is_empty());
    assert!(report.is_complete());
    assert!(report.children.iter().all(|child| child.account.is_balanced()));
}

#[test]
fn a_shutdown_names_the_stuck_workers_and_can_be_called_again() {
    let _watchdog = watchdog();
    let builder = Supervisor::builder().child("a", obedient).child("b", obedient);
    let supervisor = builder.start().unwrap();
    let gate = Gate::new();
    let pool = supervisor.pool::<Do, Answer>("b").unwrap();
    pool.tell(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    assert!(pool.ask(Do::Return(1)).wait().is_ok());
    pool.tell(Do::Return(7)).unwrap();
    let mut report = supervisor.shutdown(Drain::within(Duration::from_millis(10)));
    assert!(!report.is_complete() && report.child("a").unwrap().is_complete());
    let stuck = report.child("b").unwrap();
    assert_eq!((stuck.running.as_slice(), stuck.ended), (["w-0".to_owned()].as_slice(), false));
    assert!(!stuck.account.is_balanced());
    let unfinished = report.take_unfinished("b").unwrap();
    assert!(matches!(unfinished[..], [Do::Return(7)]), "it was queued behind");
    gate.open();
    let report = supervisor.shutdown(Drain::all());
    assert!(report.is_complete());
    let counts = report.child("b").unwrap().account.counts;
    assert_eq!((counts.completed, counts.cancelled), (2, 1));
}

/// Stops in `on_stop` until a gate opens.
struct Lingering(Gate);

impl Actor for Lingering {
    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        self.0.pass();
    }
}

impl Handler<()> for Lingering {
    type Reply = ();

    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) {}
}

#[test]
fn a_shutdown_names_a_worker_that_is_stuck_in_a_hook() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let held = gate.clone();
    let start = move || {
        let held = held.clone();
        Pool::builder("lingering")
            .worker(WorkerSpec::new("w"))
            .spawn(move |_| Lingering(held.clone()))
    };
    let supervisor = Supervisor::builder().child("a", start).start().unwrap();
    let report = supervisor.shutdown(Drain::within(Duration::from_millis(10)));
    let stuck = report.child("a").unwrap();
    assert_eq!((stuck.running.as_slice(), stuck.ended), (["w".to_owned()].as_slice(), false));
    assert!(stuck.account.is_balanced());
    gate.reached();
    gate.open();
    assert!(supervisor.shutdown(Drain::all()).is_complete());
}

#[test]
fn a_restart_does_not_wait_for_a_stuck_handler_and_the_report_names_it() {
    let _watchdog = watchdog();
    let builder = Supervisor::builder().drain_within(Duration::ZERO);
    let supervisor = builder.child("a", obedient).start().unwrap();
    let mut events = supervisor.subscribe();
    let gate = Gate::new();
    let pool = supervisor.pool::<Do, Answer>("a").unwrap();
    let held = pool.ask(Do::Hold(gate.clone()));
    gate.reached();
    fail(&supervisor, "a");
    expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", restarted(1))]);
    let next = supervisor.pool::<Do, Answer>("a").unwrap();
    assert!(next.ask(Do::Return(1)).wait().is_ok());
    let report = supervisor.shutdown(Drain::all());
    let a = report.child("a").unwrap();
    assert_eq!((a.running.as_slice(), a.ended), (["w-0".to_owned()].as_slice(), false));
    assert_eq!(a.account.counts.admitted, 3);
    assert!(matches!(held.wait(), Err(AskError::ShutDown)));
    gate.open();
    // Its thread ends later, and is not waited for.
    while !supervisor.shutdown(Drain::all()).is_complete() {
        std::thread::yield_now();
    }
}

/// Sends a notice when it is dropped.
struct Mortal(Sender<()>);

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Actor for Mortal {}

impl Handler<()> for Mortal {
    type Reply = ();

    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) {}
}

#[test]
fn a_kept_handle_does_not_prevent_a_replaced_pool_from_ending() {
    let _watchdog = watchdog();
    let (dead, deaths) = channel();
    let mortal = move || {
        let dead = dead.clone();
        Pool::builder("mortal")
            .workers(2, WorkerSpec::general())
            .spawn(move |_| Mortal(dead.clone()))
    };
    let supervisor = Supervisor::builder()
        .strategy(SupervisionStrategy::OneForAll)
        .child("mortal", mortal)
        .child("a", obedient)
        .start()
        .unwrap();
    let mut events = supervisor.subscribe();
    let kept = supervisor.pool::<(), ()>("mortal").unwrap();
    fail(&supervisor, "a");
    while events.recv_timeout(LONG).unwrap().kind != restarted(1) {}
    assert_eq!(deaths.try_iter().count(), 2, "both workers ended before the next started");
    assert!(kept.tell(()).unwrap_err().is_closed());
    drop(supervisor);
    assert_eq!(deaths.try_iter().count(), 2);
}

#[test]
fn dropping_the_supervisor_runs_admitted_tasks_and_stops_the_children() {
    let _watchdog = watchdog();
    let (done, all_done) = channel();
    let supervisor = Supervisor::builder().child("a", obedient).start().unwrap();
    let mut events = supervisor.subscribe();
    let pool = supervisor.pool::<Do, Answer>("a").unwrap();
    for _ in 0..50 {
        let done = done.clone();
        pool.tell(Do::call(move || done.send(()).unwrap())).unwrap();
    }
    drop(supervisor);
    assert_eq!(all_done.try_iter().count(), 50);
    assert!(pool.tell(Do::Return(1)).unwrap_err().is_closed());
    expect(&mut events, &[("a", Stopped)]);
    assert_eq!(events.next(), None);
}

#[test]
fn a_shutdown_ends_a_long_backoff() {
    let _watchdog = watchdog();
    let hour = Duration::from_secs(3600);
    let builder = Supervisor::builder().backoff(Backoff { initial: hour, max: hour, jitter: 0.0 });
    let supervisor = scripted(builder, "a", &["x", "x"]).start().unwrap();
    let mut events = supervisor.subscribe();
    // The first restart in a row is immediate; the second comes after an hour.
    fail(&supervisor, "a");
    expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", start_failed("x"))]);
    let error = supervisor.pool::<Do, Answer>("a").unwrap_err();
    assert_eq!(error.to_string(), "child `a` is restarting");
    assert!(supervisor.shutdown(Drain::all()).is_complete());
}

#[test]
fn a_shutdown_does_not_wait_for_a_start_that_hangs_and_names_it() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let mut start_gate = None;
    let next_gate = gate.clone();
    let start = move || {
        if let Some(gate) = start_gate.replace(next_gate.clone()) {
            gate.pass();
        }
        obedient()
    };
    let supervisor = Supervisor::builder().child("a", start).start().unwrap();
    fail(&supervisor, "a");
    gate.reached();
    let report = supervisor.shutdown(Drain::now());
    assert_eq!(report.starting.as_deref(), Some("a"));
    assert!(!report.is_complete());
    gate.open();
    let report = supervisor.shutdown(Drain::all());
    assert_eq!(report.starting, None);
    assert!(report.is_complete(), "the pool that it started was shut down");
}

#[test]
fn a_start_or_a_handler_can_shut_the_supervisor_down() {
    let _watchdog = watchdog();
    let family: Arc<OnceLock<Supervisor>> = Arc::default();
    let (report, reports) = channel();
    let start = {
        let (family, report) = (Arc::clone(&family), report.clone());
        move || {
            if let Some(supervisor) = family.get() {
                report.send(supervisor.shutdown(Drain::all()).starting).unwrap();
            }
            obedient()
        }
    };
    let supervisor = Supervisor::builder().child("a", start).start().unwrap();
    let supervisor = family.get_or_init(|| supervisor);
    fail(supervisor, "a");
    assert_eq!(reports.recv().unwrap().as_deref(), Some("a"));
    assert!(supervisor.shutdown(Drain::all()).is_complete());

    let supervisor = Arc::new(Supervisor::builder().child("a", obedient).start().unwrap());
    let inner = Arc::clone(&supervisor);
    // The other worker is not waited for and may be running, too.
    let own = |running: Vec<String>| running.into_iter().find(|worker| worker == "w-0");
    let call = Do::call(move || {
        let child = inner.shutdown(Drain::all()).children.remove(0);
        report.send(own(child.running)).unwrap();
    });
    supervisor.pool::<Do, Answer>("a").unwrap().tell(call).unwrap();
    assert_eq!(reports.recv().unwrap().as_deref(), Some("w-0"), "it cannot wait for its own end");
    assert!(supervisor.shutdown(Drain::all()).is_complete());
}
