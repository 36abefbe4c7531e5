//! Runs a model in many schedules.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use raddle_loom_tests::message;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Number of schedules in which a random thread takes each step.
const RANDOM: usize = 1_000;
/// Number of schedules by random priorities, which find bugs that need a long delay of one thread.
const BY_PRIORITY: usize = 2_000;
/// Changes of priority per schedule.
const DEPTH: usize = 3;

/// Runs a model in schedules drawn from a seed, and prints the seed.
///
/// # Panics
/// If the model fails.
pub fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::default();
    let seed = run(&executions, model).unwrap_or_else(|(seed, panic)| {
        panic!("{name}: fails with seed {seed}: {}", message(&*panic));
    });
    let executions = executions.load(Relaxed);
    print(format_args!("{name}: {executions} schedules of seed {seed}"));
    assert_eq!(executions, RANDOM + BY_PRIORITY, "{name}: not every schedule ran");
}

/// Runs a model over a planted bug, and checks that it fails with a message that contains
/// `expected`.
///
/// # Panics
/// If the model does not fail, or fails for another reason.
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
    print(format_args!("{name}: fails in schedule {executions} of seed {seed}"));
}

/// Returns the seed, and after a failure also the panic payload.
fn run(
    executions: &Arc<AtomicUsize>,
    model: impl Fn() + Send + Sync + 'static,
) -> Result<u64, (u64, Box<dyn Any + Send>)> {
    let set = std::env::var("SHUTTLE_RANDOM_SEED").ok();
    let seed = set.map_or_else(
        || fastrand::Rng::new().u64(..1 << 32),
        |seed| seed.parse().expect("SHUTTLE_RANDOM_SEED is a number"),
    );
    let model = Arc::new(model);
    let by = |scheduler: Box<dyn Scheduler + Send>| {
        let (model, executions) = (Arc::clone(&model), Arc::clone(executions));
        let counted = move || {
            executions.fetch_add(1, Relaxed);
            // Random choices must repeat; all threads of a model share this one's generator.
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

/// Prints past the test harness, which captures output: capturing hides shuttle's reports of the
/// expected failures of twins.
fn print(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{what}");
}
