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
use raddle_core::{Recorder, Worker};
use raddle_runtime::mailbox::{self, Inbox, Mailbox, WaitStrategy};

use crate::{completed, message, roster};

/// Runs a model in every way that `preemptions` an execution allow, which must be more than one:
/// a model without a choice checks nothing. `LOOM_MAX_PREEMPTIONS` overrides the bound.
#[track_caller]
pub fn explore(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    Run::new(name, preemptions).explore(model);
}

/// The same whatever `LOOM_MAX_PREEMPTIONS` says, of a model that takes too long with one more.
#[track_caller]
pub fn explore_no_deeper(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut run = Run::new(name, preemptions);
    run.builder.preemption_bound = Some(preemptions);
    run.explore(model);
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

    fn explore(&self, model: impl Fn() + Send + Sync + 'static) {
        self.check(model);
        let (name, executions) = (self.name, self.executions());
        println!("{name}: {executions} executions");
        assert!(executions > 1, "{name}: explored one execution only");
        self.report("");
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

/// The worker of a roster of one.
pub fn worker() -> Arc<Worker> {
    Arc::clone(&roster(1).members()[0].worker)
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
