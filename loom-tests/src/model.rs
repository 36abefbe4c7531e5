use std::any::Any;
use std::cell::Cell;
use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};
use std::time::Instant;

use loom::model::Builder;
use raddle_core::{
    Clock, Finished, Outcome, Recorder, Reservation, Roster, Tracking, Worker, WorkerSpec,
};
use raddle_runtime::mailbox::{self, Inbox, Lane, Mailbox, Overflow, WaitStrategy};

/// Runs a model in every way that `preemptions` an execution allow, which must be more than one:
/// a model without a choice checks nothing. `LOOM_MAX_PREEMPTIONS` overrides the bound.
#[track_caller]
pub fn explore(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let run = Run::new(name, preemptions);
    run.check(model);
    let executions = run.executions();
    println!("{name}: {executions} executions");
    assert!(executions > 1, "{name}: explored one execution only");
    run.report("");
}

/// Runs a model over a planted bug, and checks that it fails with a message that has `expected` in
/// it.
#[track_caller]
pub fn fails_with(
    name: &str,
    preemptions: usize,
    expected: &str,
    model: impl Fn() + Send + Sync + 'static,
) {
    let run = Run::new(name, preemptions);
    let result = quietly(|| catch_unwind(AssertUnwindSafe(|| run.check(model))));
    let executions = run.executions();
    let Err(panic) = result else {
        panic!("{name}: {executions} executions did not find the planted bug");
    };
    let message = message(&*panic);
    assert!(message.contains(expected), "{name}: failed for another reason: {message}");
    println!("{name}: fails in execution {executions}");
    run.report(expected);
}

/// Calls `fails` without a message of the panics in it. loom's threads are all of this one.
fn quietly<R>(fails: impl FnOnce() -> R) -> R {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                hook(info);
            }
        }));
    });
    QUIET.set(true);
    let result = fails();
    QUIET.set(false);
    result
}

/// One model, being explored.
struct Run<'n> {
    name: &'n str,
    file: &'static str,
    builder: Builder,
    executions: Arc<AtomicUsize>,
    begun: Instant,
}

impl<'n> Run<'n> {
    #[track_caller]
    fn new(name: &'n str, preemptions: usize) -> Self {
        let mut builder = Builder::new();
        builder.preemption_bound.get_or_insert(preemptions);
        // loom reports success when it stops at a cap.
        (builder.max_duration, builder.max_permutations) = (None, None);
        let file = Location::caller().file();
        Self { name, file, builder, executions: Arc::default(), begun: Instant::now() }
    }

    fn check(&self, model: impl Fn() + Send + Sync + 'static) {
        let executions = Arc::clone(&self.executions);
        self.builder.check(move || {
            executions.fetch_add(1, Relaxed);
            // Random choices must repeat: the generator is the thread's own, and loom has one thread.
            fastrand::seed(7);
            model();
        });
    }

    fn executions(&self) -> usize {
        self.executions.load(Relaxed)
    }

    /// Adds a line to the report of `cargo xtask loom`, where one is asked for: the file, the model,
    /// its bound, its executions, its milliseconds, and why it failed if it was to.
    fn report(&self, failed_with: &str) {
        let Some(path) = env::var_os("RADDLE_LOOM_REPORT") else { return };
        let file = Path::new(self.file).file_stem().expect("a source file").display();
        let Self { name, builder, .. } = self;
        let bound = builder.preemption_bound.expect("every model has a bound");
        let (executions, millis) = (self.executions(), self.begun.elapsed().as_millis());
        let line = format!("{file}\t{name}\t{bound}\t{executions}\t{millis}\t{failed_with}\n");
        // At once, as others add theirs.
        let mut report = OpenOptions::new().append(true).create(true).open(path).expect("a file");
        report.write_all(line.as_bytes()).expect("room for a line");
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("not a text")
}

/// A roster of so many generalists, without the thousands of atomics that tracking keeps.
///
/// # Panics
/// Never: the roster is a valid one.
pub fn roster(workers: usize) -> Roster {
    Roster::builder()
        .workers(workers, WorkerSpec::general())
        .tracking(Tracking { enabled: false, ..Tracking::default() })
        .clock(Clock::simulated().0)
        .build()
        .expect("a valid roster")
}

/// The worker of a roster of one.
pub fn worker() -> Arc<Worker> {
    Arc::clone(&roster(1).workers()[0].worker)
}

/// The mailbox of a worker, with its worker's end.
///
/// For all threads at once: a model of a mailbox is to clone none, as each clone takes the lock of
/// each of its channels, and so has as many choices more.
pub fn mailbox<T>(worker: &Arc<Worker>, capacity: usize) -> (Arc<Mailbox<T>>, Inbox<T>) {
    let mailbox = mailbox::bounded(Arc::clone(worker), capacity);
    let inbox = mailbox.inbox(WaitStrategy::Park, Arc::default());
    (Arc::new(mailbox), inbox)
}

/// Puts a task by this policy; `false` when it was not admitted. What makes room goes to `shed`.
pub fn put<T>(mailbox: &Mailbox<T>, task: T, overflow: &Overflow, shed: impl FnMut(T)) -> bool {
    put_in(mailbox, Lane::Normal, task, overflow, shed)
}

/// The same into this lane.
pub fn put_in<T>(
    mailbox: &Mailbox<T>,
    lane: Lane,
    task: T,
    overflow: &Overflow,
    shed: impl FnMut(T),
) -> bool {
    Reservation::take(mailbox.worker(), 0, None)
        .is_some_and(|place| mailbox.put(place, lane, task, overflow, shed).is_ok())
}

/// The next task; waits for one. `None` when the worker may go.
pub fn next<T>(inbox: &mut Inbox<T>, recorder: &mut Recorder) -> Option<T> {
    loop {
        if let Some(task) = inbox.try_next() {
            return Some(task);
        }
        if !inbox.wait(recorder) {
            return None;
        }
    }
}

/// Takes and ends tasks until the worker may go.
pub fn work<T>(inbox: &mut Inbox<T>, recorder: &mut Recorder) -> Vec<T> {
    let mut taken = Vec::new();
    while let Some(task) = next(inbox, recorder) {
        recorder.end(&completed());
        taken.push(task);
    }
    taken
}

/// The end of a task that took no time.
pub fn completed() -> Finished {
    Finished::new(Outcome::Completed)
}

/// Tasks in flight and tasks ended, in sum. Where tasks move from one worker to the next in this
/// order, none is missed: one that has left the former is seen with the latter.
pub fn tasks_of(workers: &[&Worker]) -> u64 {
    let in_flight: u64 = workers.iter().map(|worker| worker.stats().in_flight()).sum();
    in_flight + workers.iter().map(|worker| worker.stats().counts().ended()).sum::<u64>()
}

/// Checks that nothing is in flight and that so many tasks were admitted and ended, in sum.
///
/// # Panics
/// When it is not so.
pub fn assert_settled(workers: &[&Worker], tasks: usize) {
    let (mut admitted, mut ended) = (0, 0);
    for worker in workers {
        let counts = worker.stats().counts();
        (admitted, ended) = (admitted + counts.admitted, ended + counts.ended());
    }
    let tasks = tasks as u64;
    assert_eq!((admitted, ended), (tasks, tasks), "not every task is accounted for, once");
    for worker in workers {
        assert_eq!(worker.stats().in_flight(), 0, "in flight at the end");
    }
}
