//! Failing pools are started anew as the strategy says, and all are ended in order.
mod common;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::{Do, Gate, Obedient, watchdog};
use raddle_core::WorkerSpec;
use raddle_runtime::Overflow::Block;
use raddle_runtime::{
    Actor, Backoff, ChildError, Context, Drain, OnRetired, Pool, RestartLimit, RestartPolicy,
    Restarts, RetireReason, SendError, ShutdownReport, SpawnError, StartError, SuperviseError,
    SupervisionStrategy, Supervisor, SupervisorBuilder, SupervisorEventKind, SupervisorEvents,
};
use raddle_strategies::RoundRobin;

use SupervisorEventKind::{Failed, GaveUp, Restarted, StartFailed, Stopped};

const LONG: Duration = Duration::from_secs(30);

/// What the actor of these tests does.
#[derive(Debug)]
enum Job {
    Return(u64),
    Panic,
    /// Runs until a shutdown is out of time; says when it does.
    UntilCancelled(Sender<()>),
}

struct Patient;

impl Actor for Patient {
    type Msg = Job;
    type Reply = u64;
    type Error = ();

    fn handle(&mut self, job: Job, cx: &mut Context<'_>) -> Result<u64, ()> {
        match job {
            Job::Return(number) => return Ok(number),
            Job::Panic => panic!("as asked for"),
            Job::UntilCancelled(running) => {
                running.send(()).map_err(drop)?;
                while !cx.is_cancelled() {
                    std::thread::yield_now();
                }
            }
        }
        Ok(0)
    }
}

/// A pool that fails at the first panic, of two workers in rotation.
fn fragile<A: Actor>(make: fn() -> A) -> Result<Pool<A>, SpawnError> {
    Pool::builder("fragile")
        .workers(2, WorkerSpec::new("w"))
        .strategy(RoundRobin::new())
        .mailbox(64, Block)
        .stealing(false)
        .restarts(Restarts::default().policy(RestartPolicy::Never))
        .on_retired(OnRetired::Close)
        .spawn(move |_| make())
}

fn obedient() -> Result<Pool<Obedient>, SpawnError> {
    fragile(Obedient::default)
}

fn patient() -> Result<Pool<Patient>, SpawnError> {
    fragile(|| Patient)
}

/// Three children, and who was started so far.
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
    let pool = supervisor.pool::<Obedient>(child).unwrap();
    assert!(pool.ask(Do::Panic("as asked for")).unwrap().wait().is_err());
}

/// The next events, as many as are expected.
#[track_caller]
fn expect(events: &mut SupervisorEvents, expected: &[(&str, SupervisorEventKind)]) {
    for (child, kind) in expected {
        let event = events.recv_timeout(LONG).expect("an event");
        assert_eq!((event.child.as_str(), &event.kind), (*child, kind));
    }
}

fn restarted(restarts: u32) -> SupervisorEventKind {
    Restarted { restarts }
}

#[test]
fn one_for_one_restarts_the_failed_one_alone() {
    let _watchdog = watchdog();
    let (builder, starts) = three(SupervisionStrategy::OneForOne);
    let supervisor = builder.start().unwrap();
    let mut events = supervisor.subscribe();
    let others = ["a", "c"].map(|name| supervisor.pool::<Obedient>(name).unwrap());
    fail(&supervisor, "b");
    expect(&mut events, &[("b", Failed), ("b", Stopped), ("b", restarted(1))]);
    assert_eq!(*starts.lock().unwrap(), ["a", "b", "c", "b"]);
    for pool in others {
        assert!(pool.ask(Do::Return(1)).unwrap().wait().is_ok(), "they are as they were");
    }
    assert!(supervisor.pool::<Obedient>("b").unwrap().ask(Do::Return(1)).unwrap().wait().is_ok());
    let report = supervisor.shutdown(Drain::all());
    assert!(report.is_complete());
    expect(&mut events, &[("c", Stopped), ("b", Stopped), ("a", Stopped)]);
    let b = report.child("b").unwrap();
    let counts = b.account.counts;
    assert_eq!((b.restarts, counts.panicked, counts.completed), (1, 1, 1), "of both its pools");
    assert!(b.account.is_balanced());
}

#[test]
fn one_for_all_ends_all_from_the_last_and_starts_all_from_the_first() {
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
fn rest_for_one_spares_those_before_the_failed_one() {
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
fn a_pool_that_its_user_shuts_down_is_started_anew() {
    let _watchdog = watchdog();
    let supervisor = Supervisor::builder().child("a", obedient).start().unwrap();
    let mut events = supervisor.subscribe();
    supervisor.pool::<Obedient>("a").unwrap().shutdown(Drain::all()).unwrap();
    expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", restarted(1))]);
    assert!(supervisor.pool::<Obedient>("a").is_ok());
}

#[test]
fn at_the_limit_everything_is_shut_down_from_the_last() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 2, within: Duration::from_secs(3600) };
    let (builder, _) = three(SupervisionStrategy::OneForOne);
    let supervisor = builder.limit(limit).start().unwrap();
    let mut events = supervisor.subscribe();
    let other = supervisor.pool::<Obedient>("c").unwrap();
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
    assert!(matches!(other.tell(Do::Return(1)), Err(SendError::Closed(_))));
    assert!(matches!(supervisor.pool::<Obedient>("c"), Err(ChildError::Ended)));
    let report = supervisor.shutdown(Drain::all());
    assert!(report.is_complete());
    assert_eq!(report.child("b").unwrap().account.counts.panicked, 2);
    drop(supervisor);
    assert_eq!(events.next(), None, "and the subscription ends");
}

/// A child that starts as the script says, after its first start: each of its words is a failure.
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
fn a_start_that_errs_or_panics_is_tried_again() {
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
    assert!(supervisor.pool::<Obedient>("a").unwrap().ask(Do::Return(1)).unwrap().wait().is_ok());
}

#[test]
fn a_start_that_fails_affects_those_that_its_failure_does() {
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
fn failing_starts_reach_the_limit() {
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
fn a_first_start_that_fails_ends_those_before_and_is_named() {
    let _watchdog = watchdog();
    let (started, pools) = channel();
    let error = Supervisor::builder()
        .child("a", move || {
            let pool = obedient()?;
            started.send(pool.clone()).unwrap();
            Ok::<_, SpawnError>(pool)
        })
        .child("b", || Pool::<Obedient>::builder("empty").spawn(|_| Obedient::default()))
        .start()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "child `b` could not be started: pool `empty` has no worker; add one with `worker` or \
         `workers`"
    );
    let error = pools.recv().unwrap().tell(Do::Return(1)).unwrap_err();
    assert!(matches!(error, SendError::Closed(_)));
    assert!(pools.recv().is_err(), "the closures are gone");
}

#[test]
fn mistakes_in_the_description_and_in_look_ups_are_named() {
    let _watchdog = watchdog();
    assert!(matches!(Supervisor::builder().start(), Err(SuperviseError::NoChildren)));
    let twice = Supervisor::builder().child("a", obedient).child("a", obedient);
    assert_eq!(
        twice.start().unwrap_err().to_string(),
        "two children are named `a`; names are unique within a supervisor"
    );
    let backoff = Backoff { jitter: 2.0, ..Backoff::default() };
    let error = Supervisor::builder().backoff(backoff).child("a", obedient).start().unwrap_err();
    assert_eq!(error.to_string(), "backoff jitter is 2, allowed are 0 to 1");

    let builder = Supervisor::builder().child("a", obedient);
    let supervisor = builder.child("b", patient).start().unwrap();
    let error = supervisor.pool::<Obedient>("x").unwrap_err();
    assert_eq!(error.to_string(), "no child is named `x`; the children are a, b");
    let error = supervisor.pool::<Patient>("a").unwrap_err();
    assert!(error.to_string().starts_with("child `a` does not run actors of type"), "{error}");
    assert!(supervisor.pool::<Patient>("b").is_ok());
    supervisor.shutdown(Drain::now());
    assert_eq!(supervisor.pool::<Obedient>("a").unwrap_err(), ChildError::Ended);
}

/// Lets one worker of the pool run until it is cancelled, and queues these numbers behind.
fn occupy(pool: &Pool<Patient>, numbers: [u64; 2]) {
    let (running, is_running) = channel();
    pool.tell(Job::UntilCancelled(running)).unwrap();
    is_running.recv().unwrap();
    for number in numbers {
        // The other worker's turn.
        pool.ask(Job::Return(0)).unwrap().wait().unwrap();
        pool.tell(Job::Return(number)).unwrap();
    }
}

/// Shuts down, again where a handler was slow to see that it is cancelled; one report of all.
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
fn messages_that_a_restart_cancels_are_kept_until_they_are_taken() {
    let _watchdog = watchdog();
    let builder = Supervisor::builder().drain_within(Duration::ZERO);
    let supervisor = builder.child("a", patient).start().unwrap();
    let mut events = supervisor.subscribe();
    let take = || supervisor.take_unfinished::<Job>("a").unwrap();
    for (restarts, queued) in [(1, [3, 4]), (2, [5, 6])] {
        let pool = supervisor.pool::<Patient>("a").unwrap();
        occupy(&pool, queued);
        assert!(pool.ask(Job::Panic).unwrap().wait().is_err());
        expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", restarted(restarts))]);
        if restarts == 1 {
            let mut taken = take();
            while taken.len() < 2 {
                // Its handler may be slow to see that it is cancelled.
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
fn what_a_shutdown_cancels_comes_back_by_child_and_type() {
    let _watchdog = watchdog();
    let builder = Supervisor::builder().child("a", patient).child("b", patient);
    let supervisor = builder.child("c", obedient).start().unwrap();
    let pools = ["a", "b"].map(|name| supervisor.pool::<Patient>(name).unwrap());
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
fn a_shutdown_names_who_is_stuck_and_may_be_called_again() {
    let _watchdog = watchdog();
    let builder = Supervisor::builder().child("a", obedient).child("b", obedient);
    let supervisor = builder.start().unwrap();
    let gate = Gate::new();
    let pool = supervisor.pool::<Obedient>("b").unwrap();
    pool.tell(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    pool.ask(Do::Return(1)).unwrap().wait().unwrap();
    pool.tell(Do::Return(7)).unwrap();
    let report = supervisor.shutdown(Drain::within(Duration::from_millis(10)));
    assert!(!report.is_complete() && report.child("a").unwrap().is_complete());
    let stuck = report.child("b").unwrap();
    assert_eq!((stuck.running.as_slice(), stuck.ended), (["w-0".to_owned()].as_slice(), false));
    assert!(!stuck.account.is_balanced());
    gate.open();
    let mut report = supervisor.shutdown(Drain::all());
    let unfinished = report.take_unfinished("b").unwrap();
    assert!(matches!(unfinished[..], [Do::Return(7)]), "it was queued behind");
    assert!(report.is_complete());
    let counts = report.child("b").unwrap().account.counts;
    assert_eq!((counts.completed, counts.cancelled), (2, 1));
}

/// Waits at its end until a gate opens.
struct Lingering(Gate);

impl Actor for Lingering {
    type Msg = ();
    type Reply = ();
    type Error = ();

    fn handle(&mut self, (): (), _: &mut Context<'_>) -> Result<(), ()> {
        Ok(())
    }

    fn on_stop(&mut self, _: &raddle_core::Worker) {
        self.0.pass();
    }
}

#[test]
fn a_shutdown_names_who_is_stuck_in_a_hook() {
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
    let pool = supervisor.pool::<Obedient>("a").unwrap();
    let held = pool.ask(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    fail(&supervisor, "a");
    expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", restarted(1))]);
    let next = supervisor.pool::<Obedient>("a").unwrap();
    assert!(next.ask(Do::Return(1)).unwrap().wait().is_ok());
    let report = supervisor.shutdown(Drain::all());
    let a = report.child("a").unwrap();
    assert_eq!((a.running.as_slice(), a.ended), (["w-0".to_owned()].as_slice(), false));
    assert_eq!(a.account.counts.admitted, 3);
    gate.open();
    assert!(held.wait().is_ok());
    // Its thread ends after it has answered, and is not waited for.
    while !supervisor.shutdown(Drain::all()).is_complete() {
        std::thread::yield_now();
    }
}

/// Tells when it is dropped.
struct Mortal(Sender<()>);

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Actor for Mortal {
    type Msg = ();
    type Reply = ();
    type Error = ();

    fn handle(&mut self, (): (), _: &mut Context<'_>) -> Result<(), ()> {
        Ok(())
    }
}

#[test]
fn a_handle_that_is_kept_does_not_keep_a_replaced_pool_from_ending() {
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
    let kept = supervisor.pool::<Mortal>("mortal").unwrap();
    fail(&supervisor, "a");
    while events.recv_timeout(LONG).unwrap().kind != restarted(1) {}
    assert_eq!(deaths.try_iter().count(), 2, "both workers ended before the next started");
    assert!(matches!(kept.tell(()), Err(SendError::Closed(()))));
    drop(supervisor);
    assert_eq!(deaths.try_iter().count(), 2);
}

#[test]
fn dropping_it_runs_what_was_admitted_and_ends_everything() {
    let _watchdog = watchdog();
    let (done, all_done) = channel();
    let supervisor = Supervisor::builder().child("a", obedient).start().unwrap();
    let mut events = supervisor.subscribe();
    let pool = supervisor.pool::<Obedient>("a").unwrap();
    for _ in 0..50 {
        let done = done.clone();
        pool.tell(Do::Call(Box::new(move || done.send(()).unwrap()))).unwrap();
    }
    drop(supervisor);
    assert_eq!(all_done.try_iter().count(), 50);
    assert!(matches!(pool.tell(Do::Return(1)), Err(SendError::Closed(_))));
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
    // The first restart of a row comes at once, the second after an hour.
    fail(&supervisor, "a");
    expect(&mut events, &[("a", Failed), ("a", Stopped), ("a", start_failed("x"))]);
    let error = supervisor.pool::<Obedient>("a").unwrap_err();
    assert_eq!(error.to_string(), "child `a` is being started anew");
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
            hold(&gate);
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
    assert!(report.is_complete(), "what it started was shut down");
}

/// Is where a handler would be.
fn hold(gate: &Gate) {
    let pool = common::pool(1, 1, Block);
    pool.ask(Do::Hold(gate.clone())).unwrap().wait().unwrap();
}

#[test]
fn a_start_or_a_handler_may_shut_the_supervisor_down() {
    let _watchdog = watchdog();
    let family: Arc<OnceLock<Supervisor>> = Arc::default();
    let (told, reports) = channel();
    let start = {
        let (family, told) = (Arc::clone(&family), told.clone());
        move || {
            if let Some(supervisor) = family.get() {
                told.send(supervisor.shutdown(Drain::all()).starting).unwrap();
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
    // The other worker may run still, too, as nobody waits for it.
    let own = |running: Vec<String>| running.into_iter().find(|worker| worker == "w-0");
    let shut_down = move || told.send(own(inner.shutdown(Drain::all()).children.remove(0).running));
    let call = Do::Call(Box::new(move || shut_down().unwrap()));
    supervisor.pool::<Obedient>("a").unwrap().tell(call).unwrap();
    assert_eq!(reports.recv().unwrap().as_deref(), Some("w-0"), "it cannot wait for its own end");
    assert!(supervisor.shutdown(Drain::all()).is_complete());
}
