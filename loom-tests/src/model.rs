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
use raddle_core::{SerialRecorder, Worker};
use raddle_runtime::mailbox::{self, Inbox, Mailbox, WaitStrategy};

use crate::{completed, message, roster};

/// Explores every execution of a model with up to `preemptions` preemptions, which must be more
/// than one execution: a model without a choice checks nothing. `LOOM_MAX_PREEMPTIONS` overrides
/// the bound.
///
/// # Panics
/// If the model fails, or has only one execution.
#[track_caller]
pub fn explore(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    Run::new(name, preemptions).explore(model);
}

/// Explores a model like [`explore`], but ignores `LOOM_MAX_PREEMPTIONS`, for a model that would
/// take too long with a larger bound.
#[track_caller]
pub fn explore_no_deeper(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut run = Run::new(name, preemptions);
    run.builder.preemption_bound = Some(preemptions);
    run.explore(model);
}

/// Runs a model over a planted bug, and checks that it fails with a message that contains
/// `expected`.
///
/// # Panics
/// If the model does not fail, or fails for another reason.
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

/// Calls `fails` without printing its panics. All of loom's threads run on this one.
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

/// The exploration of one model.
struct Run<'n> {
    name: &'n str,
    file: &'static str,
    builder: Builder,
    executions: Arc<AtomicUsize>,
    started: Instant,
}

impl<'n> Run<'n> {
    #[track_caller]
    fn new(name: &'n str, preemptions: usize) -> Self {
        let mut builder = Builder::new();
        builder.preemption_bound.get_or_insert(preemptions);
        // No caps: loom reports success when it reaches one.
        (builder.max_duration, builder.max_permutations) = (None, None);
        // Resetting what is known about a worker takes some steps for each capability.
        builder.max_branches = 10_000;
        let file = Location::caller().file();
        Self { name, file, builder, executions: Arc::default(), started: Instant::now() }
    }

    fn explore(&self, model: impl Fn() + Send + Sync + 'static) {
        self.check(model);
        let (name, executions) = (self.name, self.executions());
        println!("{name}: {executions} executions");
        assert!(executions > 1, "{name}: explored only one execution");
        self.report("");
    }

    fn check(&self, model: impl Fn() + Send + Sync + 'static) {
        let executions = Arc::clone(&self.executions);
        self.builder.check(move || {
            executions.fetch_add(1, Relaxed);
            // Random choices must repeat; all of loom's threads share this thread's generator.
            fastrand::seed(7);
            model();
        });
    }

    fn executions(&self) -> usize {
        self.executions.load(Relaxed)
    }

    /// Adds a line to the report that `cargo xtask loom` requests: file, model, bound, executions,
    /// milliseconds, and the reason of an expected failure.
    fn report(&self, failed_with: &str) {
        let Some(path) = env::var_os("RADDLE_LOOM_REPORT") else { return };
        let file = Path::new(self.file).file_stem().expect("a source file").display();
        let Self { name, builder, .. } = self;
        let bound = builder.preemption_bound.expect("every model has a bound");
        let (executions, millis) = (self.executions(), self.started.elapsed().as_millis());
        let line = format!("{file}\t{name}\t{bound}\t{executions}\t{millis}\t{failed_with}\n");
        // In one write, as other test processes append too.
        let mut report = OpenOptions::new().append(true).create(true).open(path).expect("a file");
        report.write_all(line.as_bytes()).expect("room for a line");
    }
}

/// Returns the only worker of a roster.
pub fn worker() -> Arc<Worker> {
    Arc::clone(&roster(1).members()[0].worker)
}

/// Creates the mailbox of a worker, and the worker's end of it.
///
/// The mailbox is shared by all threads. Models must not clone it: every clone locks every channel,
/// and multiplies the executions.
pub fn mailbox<T>(worker: &Arc<Worker>, capacity: usize) -> (Arc<Mailbox<T>>, Inbox<T>) {
    let mailbox = mailbox::bounded(Arc::clone(worker), capacity);
    let inbox = mailbox.inbox(WaitStrategy::Park, Arc::default());
    (Arc::new(mailbox), inbox)
}

/// Waits for the next task; returns `None` when the worker may end.
pub fn next<T>(inbox: &mut Inbox<T>, recorder: &mut SerialRecorder) -> Option<T> {
    loop {
        if let Some(task) = inbox.try_next() {
            return Some(task);
        }
        if !inbox.wait(recorder) {
            return None;
        }
    }
}

/// Takes and ends tasks until the worker may end.
pub fn work<T>(inbox: &mut Inbox<T>, recorder: &mut SerialRecorder) -> Vec<T> {
    let mut taken = Vec::new();
    while let Some(task) = next(inbox, recorder) {
        recorder.end(&completed());
        taken.push(task);
    }
    taken
}
