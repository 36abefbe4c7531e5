//! Running a model in many schedules.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use raddle_loom_tests::message;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Schedules in which each step is of a random thread.
const RANDOM: usize = 1_000;
/// Schedules by random priorities, which find what takes a thread that is held up for long.
const BY_PRIORITY: usize = 2_000;
/// Changes of priority in one of those.
const DEPTH: usize = 3;

/// Runs a model in schedules drawn from a seed, which is printed.
pub fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::default();
    let seed = run(&executions, model).unwrap_or_else(|(seed, panic)| {
        panic!("{name}: fails with seed {seed}: {}", message(&*panic));
    });
    let executions = executions.load(Relaxed);
    tell(format_args!("{name}: {executions} schedules of seed {seed}"));
    assert_eq!(executions, RANDOM + BY_PRIORITY, "{name}: not every schedule was run");
}

/// Runs a model over a planted bug, and checks that it fails with a message that has `expected` in
/// it.
pub fn fails_with(name: &str, expected: &str, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::default();
    let result = run(&executions, model);
    let executions = executions.load(Relaxed);
    let (seed, panic) = match result {
        Ok(seed) => panic!("{name}: {executions} schedules of seed {seed} did not find the bug"),
        Err(failure) => failure,
    };
    let message = message(&*panic);
    assert!(message.contains(expected), "{name}: failed for another reason: {message}");
    tell(format_args!("{name}: fails in schedule {executions} of seed {seed}"));
}

/// The seed, and in a failure what the model panicked with.
fn run(
    executions: &Arc<AtomicUsize>,
    model: impl Fn() + Send + Sync + 'static,
) -> Result<u64, (u64, Box<dyn Any + Send>)> {
    let given = std::env::var("SHUTTLE_RANDOM_SEED").ok();
    let seed = given.map_or_else(
        || fastrand::Rng::new().u64(..1 << 32),
        |seed| seed.parse().expect("SHUTTLE_RANDOM_SEED is a number"),
    );
    let model = Arc::new(model);
    let by = |scheduler: Box<dyn Scheduler + Send>| {
        let (model, executions) = (Arc::clone(&model), Arc::clone(executions));
        let counted = move || {
            executions.fetch_add(1, Relaxed);
            // Random choices must repeat, and all threads of a model are this one.
            fastrand::seed(7);
            model();
        };
        catch_unwind(AssertUnwindSafe(|| Runner::new(scheduler, Config::new()).run(counted)))
            .map_err(|panic| (seed, panic))
    };
    by(Box::new(RandomScheduler::new_from_seed(seed, RANDOM)))?;
    by(Box::new(PctScheduler::new_from_seed(seed, DEPTH, BY_PRIORITY)))?;
    Ok(seed)
}

/// Prints past the test harness, which keeps what a test prints until it fails: of what shuttle says at
/// each failure nobody wants to see that of a twin.
fn tell(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{what}");
}
