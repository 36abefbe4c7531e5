use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use loom::model::Builder;
use raddle_core::{Clock, Roster, Tracking, Worker, WorkerSpec};

/// Runs a model in every way that `preemptions` an execution allow, which must be more than one:
/// a model without a choice checks nothing. `LOOM_MAX_PREEMPTIONS` overrides the bound.
pub fn explore(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::default();
    run(preemptions, &executions, model);
    let executions = executions.load(Relaxed);
    println!("{name}: {executions} executions");
    assert!(executions > 1, "{name}: explored one execution only");
}

/// Runs a model over a planted bug, and checks that it fails with a message that has `expected` in
/// it.
pub fn fails_with(
    name: &str,
    preemptions: usize,
    expected: &str,
    model: impl Fn() + Send + Sync + 'static,
) {
    let executions = Arc::default();
    let result =
        quietly(|| catch_unwind(AssertUnwindSafe(|| run(preemptions, &executions, model))));
    let executions = executions.load(Relaxed);
    let Err(panic) = result else {
        panic!("{name}: {executions} executions did not find the planted bug");
    };
    let message = message(&*panic);
    assert!(message.contains(expected), "{name}: failed for another reason: {message}");
    println!("{name}: fails in execution {executions}");
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

fn run(
    preemptions: usize,
    executions: &Arc<AtomicUsize>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    // loom reports success when it stops at a cap.
    (builder.max_duration, builder.max_permutations) = (None, None);
    let executions = Arc::clone(executions);
    builder.check(move || {
        executions.fetch_add(1, Relaxed);
        // Random choices must repeat: the generator is the thread's own, and loom has one thread.
        fastrand::seed(7);
        model();
    });
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
