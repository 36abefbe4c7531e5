//! Runs of the user's pools under a seed, with schedules and faults at random.

mod choices;
mod faults;
mod quiet;
mod run;
mod shrink;

use std::fmt;
use std::time::{Duration, Instant};

use choices::Choices;
pub use faults::Faults;
use run::Outcome;
pub use run::Run;
pub(crate) use run::{after_handler, before_handler, note_pool};
use shrink::Shrinking;

/// Explores what pools do: runs a scenario many times, each under another seed, on the thread of the
/// test and under a virtual clock, as in a [`TestRuntime`](super::TestRuntime).
///
/// The seed decides which thread goes on, which [`Faults`] are injected into handlers, when workers come
/// and go, and what the scenario [draws](Run::choose). Threads are interrupted before each handler, when
/// they send a task, and where they wait. A run fails if
///
/// - the scenario, or a caller that it has spawned, panics;
/// - a wait never ends;
/// - afterwards, when every handler has returned and the pools are shut down, an account is not
///   balanced, a task is in flight, a retired worker has not left, or a thread has not ended.
///
/// A failure is shrunk to the shortest list of choices that still fails, and
/// [`replay`](Self::replay) repeats it byte for byte.
///
/// ```
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::test::{Explore, Faults};
/// use raddle_runtime::{Actor, AskError, Context, Handler, Pool};
///
/// struct Doubler;
///
/// impl Actor for Doubler {}
///
/// impl Handler<u64> for Doubler {
///     type Reply = u64;
///
///     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
///         2 * number
///     }
/// }
///
/// let explored = Explore::default().runs(20).faults(Faults::all()).check(|run| {
///     let doublers = Pool::builder("double").workers(3, WorkerSpec::new("w"));
///     let pool = doublers.spawn(|_| Doubler).unwrap();
///     let asks: Vec<_> = (0..10).map(|number| pool.ask(number)).collect();
///     for (number, ask) in (0..).zip(asks) {
///         match ask.wait() {
///             Ok(reply) => assert_eq!(reply, 2 * number),
///             Err(AskError::Panicked { .. }) => run.note("a fault"),
///             Err(error) => panic!("{error}"),
///         }
///     }
/// });
/// assert_eq!(explored.unwrap().runs, 20);
/// ```
#[derive(Clone, Debug)]
pub struct Explore {
    seed: u64,
    runs: u64,
    time: Duration,
    faults: Faults,
    patience: Duration,
}

impl Default for Explore {
    /// 100 runs from seed 0 on, without faults.
    fn default() -> Self {
        let patience = Duration::from_secs(20);
        Self { seed: 0, runs: 100, time: Duration::MAX, faults: Faults::none(), patience }
    }
}

/// What was explored without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// The number of runs.
    pub runs: u64,
    /// The number of choices in all of them.
    pub choices: u64,
}

/// A run that failed. Its `Debug` form is that of `Display`, for `unwrap`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The seed with which it failed first.
    pub seed: u64,
    /// Why.
    pub message: String,
    /// The shortest choices that were found with which a run fails.
    pub choices: Vec<u32>,
    /// The number of choices of the first run that failed.
    pub found_with: usize,
    /// The number of runs that shrinking has taken.
    pub shrunk_in: usize,
    /// What happened in the run with those choices: each step with its time and thread, each fault, and
    /// what the scenario has noted.
    pub log: String,
}

/// A repeated run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replay {
    /// What happened, as in a [`Failure`].
    pub log: String,
    /// Why the run failed, if it did.
    pub failure: Option<String>,
}

impl Explore {
    /// Sets the first seed; the others follow it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of runs.
    #[must_use]
    pub fn runs(mut self, runs: u64) -> Self {
        self.runs = runs;
        self
    }

    /// Sets for how long to explore by the machine's clock; without a limit by default. The last run is
    /// finished, and shrinking a failure takes up to five seconds more.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the faults that are injected.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Sets for how long, by the virtual clock, nothing but housekeeping may happen while the scenario
    /// waits, before that counts as forever; 20 seconds by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the scenario under each seed. It must spawn its pools itself, and decide by
    /// [`Run::choose`] alone what it does.
    ///
    /// # Errors
    /// The first failure, shrunk. What a failed run leaves behind that cannot end is leaked.
    pub fn check(&self, scenario: impl Fn(&Run)) -> Result<Explored, Failure> {
        let (begun, mut explored) = (Instant::now(), Explored { runs: 0, choices: 0 });
        for seed in (self.seed..).take(usize::try_from(self.runs).unwrap_or(usize::MAX)) {
            let Outcome { choices, failure, .. } = self.run(Choices::random(seed), &scenario);
            explored.runs += 1;
            explored.choices += choices.len() as u64;
            if begun.elapsed() >= self.time && failure.is_none() {
                break;
            }
            if failure.is_some() {
                return Err(self.shrunk(seed, choices, &scenario));
            }
        }
        Ok(explored)
    }

    /// Repeats the run with these choices.
    pub fn replay(&self, choices: &[u32], scenario: impl Fn(&Run)) -> Replay {
        let Outcome { log, failure, .. } = self.run(Choices::given(choices), &scenario);
        Replay { log, failure }
    }

    /// Repeats the run under this seed.
    pub fn replay_seed(&self, seed: u64, scenario: impl Fn(&Run)) -> Replay {
        let Outcome { log, failure, .. } = self.run(Choices::random(seed), &scenario);
        Replay { log, failure }
    }

    fn run(&self, choices: Choices, scenario: &dyn Fn(&Run)) -> Outcome {
        Run::of(choices, self.faults, self.patience, scenario)
    }

    fn shrunk(&self, seed: u64, first: Vec<u32>, scenario: &dyn Fn(&Run)) -> Failure {
        let found_with = first.len();
        let fails = |choices: &[u32]| {
            let outcome = self.run(Choices::given(choices), scenario);
            outcome.failure.is_some().then_some(outcome.choices)
        };
        let (choices, shrunk_in) = Shrinking::new(first, fails).shortest();
        let Outcome { log, failure, .. } = self.run(Choices::given(&choices), scenario);
        let message = failure.unwrap_or_else(|| {
            "the run fails once and then does not: it depends on more than its choices".to_owned()
        });
        Failure { seed, message, choices, found_with, shrunk_in, log }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, message, choices, found_with, shrunk_in, log } = self;
        writeln!(f, "{message}")?;
        writeln!(
            f,
            "found under seed {seed} with {found_with} choices; after {shrunk_in} more runs:"
        )?;
        writeln!(f, "Explore::replay(&{choices:?}, ..)")?;
        f.write_str(log)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}
