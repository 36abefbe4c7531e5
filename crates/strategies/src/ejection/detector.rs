use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::Duration;

use raddle_core::{Counts, Health, Roster, WorkerId, nanos};

use super::decision::{Decision, EjectionReason, Verdict};
use super::settings::{Ejection, EjectionError};

/// Decides from review to review which workers to eject and which to readmit.
///
/// It only decides; the caller applies the decisions to its roster. A pool of `raddle-runtime` does
/// both itself (`PoolBuilder::ejection`). A proxy calls [`review`](Self::review) once per interval,
/// off the path of its tasks, and then applies the [`changes`](Self::changes):
///
/// ```
/// use std::time::Duration;
/// use raddle_core::{Clock, Health, Outcome, Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, Ejection, OutlierDetector, RoundRobin};
///
/// let (clock, time) = Clock::simulated(); // real programs leave this out
/// let mut roster = Roster::builder().workers(3, WorkerSpec::new("up")).clock(clock.clone()).build()?;
/// let balancer = Balancer::new(RoundRobin::new())?;
/// let mut detector = OutlierDetector::new(Ejection::default())?;
/// let mut ejections = 0;
/// for second in 0..3 {
///     // A second's traffic. One of the targets refuses every request.
///     for _ in 0..60 {
///         let taken = balancer.select(&TaskProfile::default(), &roster)?;
///         let fails = taken.worker().name() == "up-1";
///         let outcome = if fails { Outcome::Failed } else { Outcome::Completed };
///         taken.finish(outcome, Duration::from_millis(1));
///     }
///     time.advance(Duration::from_secs(1));
///     for decision in detector.review(&roster, clock.now()) {
///         println!("after {second} s, {}: {}", decision.worker, decision.verdict);
///     }
///     // If threads share the roster, publish the result to them.
///     for (worker, health) in detector.changes(&roster) {
///         ejections += usize::from(health == Health::Ejected);
///         roster = roster.with_health(worker, health)?;
///     }
/// }
/// assert_eq!(ejections, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OutlierDetector {
    settings: Ejection,
    pub(super) records: HashMap<WorkerId, Record>,
    decisions: Vec<Decision>,
}

/// What earlier reviews know about a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    /// At the last review.
    totals: Totals,
    /// The clock when the worker may return; `None` while it is not ejected.
    until: Option<u64>,
    in_a_row: u32,
}

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    tasks: u64,
    failures: u64,
    busy: u64,
}

impl Totals {
    fn new(counts: Counts, busy: u64) -> Self {
        let failures = counts.failed + counts.panicked;
        Self { tasks: counts.completed + failures, failures, busy }
    }

    /// Returns the difference to earlier totals. Counts are read while workers raise them, so they
    /// may seem to have decreased.
    fn since(self, then: Self) -> Self {
        Self {
            tasks: self.tasks.saturating_sub(then.tasks),
            failures: self.failures.saturating_sub(then.failures),
            busy: self.busy.saturating_sub(then.busy),
        }
    }

    fn failure_share(self) -> f64 {
        self.failures as f64 / self.tasks.max(1) as f64
    }

    fn mean(self) -> u64 {
        self.busy / self.tasks.max(1)
    }
}

/// A worker in service that has done enough to be judged, and what it has done.
type Judged = (WorkerId, Totals);

impl OutlierDetector {
    /// Creates a detector that has seen nothing yet.
    ///
    /// # Errors
    /// If a parameter is outside its bounds.
    pub fn new(settings: Ejection) -> Result<Self, EjectionError> {
        settings.validate()?;
        Ok(Self { settings, records: HashMap::new(), decisions: Vec::new() })
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Ejection {
        &self.settings
    }

    /// Judges the workers by what they have done since the last review and returns the decisions.
    /// `now` is the time of the roster's clock.
    ///
    /// A worker is judged from the second review on that lists it, and after its return by what it
    /// does from then on. Only active workers are judged; for an ejected worker
    /// the ejection's time continues meanwhile.
    ///
    /// O(n log n), allocates, takes no lock.
    pub fn review(&mut self, roster: &Roster, now: u64) -> &[Decision] {
        self.decisions.clear();
        let (judged, room) = self.take_stock(roster, now);
        self.forget_strangers(roster);
        let outliers = self.outliers(&judged);
        let found: HashSet<_> = outliers.iter().map(|(worker, _)| *worker).collect();
        for (passed, _) in judged.iter().filter(|(worker, _)| !found.contains(worker)) {
            self.record(*passed).in_a_row = 0;
        }
        for (worker, reason) in outliers.into_iter().take(room) {
            let in_a_row = self.record(worker).in_a_row.saturating_add(1);
            let until = now.saturating_add(self.settings.duration(in_a_row));
            let record = self.record(worker);
            (record.in_a_row, record.until) = (in_a_row, Some(until));
            self.decisions.push(Decision { worker, verdict: Verdict::Ejected(reason) });
        }
        &self.decisions
    }

    /// Returns the decisions of the last review.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Returns the changes of health that make `roster` agree with the decisions so far. An ejected
    /// worker that was made active early is ejected again, without a new decision; a worker that is
    /// draining, quarantined or restarting does not change.
    pub fn changes(&self, roster: &Roster) -> Vec<(WorkerId, Health)> {
        let change = |worker, health| match health {
            Health::Active if self.has_ejected(worker) => Some((worker, Health::Ejected)),
            Health::Ejected if self.has_readmitted(worker) => Some((worker, Health::Active)),
            _ => None,
        };
        let members = roster.members().iter();
        members.filter_map(|member| change(member.worker.id(), member.health)).collect()
    }

    /// Returns whether this worker is ejected and not readmitted yet, even if it was quarantined
    /// or restarted since. Whoever ends that must then make it [`Health::Ejected`], not active.
    pub fn has_ejected(&self, worker: WorkerId) -> bool {
        self.records.get(&worker).is_some_and(|record| record.until.is_some())
    }

    fn has_readmitted(&self, worker: WorkerId) -> bool {
        self.decisions.contains(&Decision { worker, verdict: Verdict::Readmitted })
    }

    fn record(&mut self, worker: WorkerId) -> &mut Record {
        self.records.entry(worker).or_default()
    }

    /// Removes the records of workers that have left. Ids are never reused.
    fn forget_strangers(&mut self, roster: &Roster) {
        // Every member has its record by now.
        if self.records.len() > roster.members().len() {
            let members: HashSet<_> =
                roster.members().iter().map(|member| member.worker.id()).collect();
            self.records.retain(|id, _| members.contains(id));
        }
    }

    /// Reads all statistics, and readmits the workers whose ejection is over. Returns the workers to
    /// be judged, and how many may be ejected.
    fn take_stock(&mut self, roster: &Roster, now: u64) -> (Vec<Judged>, usize) {
        let min_tasks = self.settings.min_tasks;
        let (mut judged, mut workers, mut ejected) = (Vec::new(), 0, 0);
        for member in roster.members() {
            let (worker, stats) = (member.worker.id(), member.worker.stats());
            let totals = Totals::new(stats.counts(), nanos(stats.busy_time()));
            let known = self.records.contains_key(&worker);
            let record = self.record(worker);
            let done = totals.since(mem::replace(&mut record.totals, totals));
            workers += usize::from(matches!(member.health, Health::Active | Health::Ejected));
            match record.until {
                _ if member.health == Health::Draining => {}
                Some(until) if until > now => ejected += 1,
                Some(_) if matches!(member.health, Health::Quarantined | Health::Restarting) => {
                    ejected += 1;
                }
                Some(_) => {
                    record.until = None;
                    self.decisions.push(Decision { worker, verdict: Verdict::Readmitted });
                }
                None if member.health == Health::Active && known && done.tasks >= min_tasks => {
                    judged.push((worker, done));
                }
                None => {}
            }
        }
        (judged, self.settings.allowed(workers).saturating_sub(ejected))
    }

    /// Returns the outliers, the worst first: those that fail before those that are slow.
    fn outliers(&self, judged: &[Judged]) -> Vec<(WorkerId, EjectionReason)> {
        let limit = self.settings.failure_share;
        let (mut failing, rest): (Vec<_>, Vec<_>) =
            judged.iter().copied().partition(|(_, done)| done.failure_share() > limit);
        failing.sort_by(|(_, a), (_, b)| b.failure_share().total_cmp(&a.failure_share()));
        let failing = failing.into_iter().map(|(worker, done)| {
            (worker, EjectionReason::Failing { failures: done.failures, tasks: done.tasks })
        });
        failing.chain(self.slow(rest)).collect()
    }

    /// Returns the slow workers, the slowest first, among those that do not fail: the times of
    /// failing workers mean nothing.
    fn slow(&self, mut rest: Vec<Judged>) -> Vec<(WorkerId, EjectionReason)> {
        let Some(factor) = self.settings.latency_factor else { return Vec::new() };
        let mut means: Vec<_> = rest.iter().map(|(_, done)| done.mean()).collect();
        means.sort_unstable();
        let Some(&median) = means.get(means.len().saturating_sub(1) / 2) else { return Vec::new() };
        rest.retain(|(_, done)| done.mean() as f64 > factor * median as f64);
        rest.sort_by_key(|(_, done)| Reverse(done.mean()));
        let slow = |done: Totals| EjectionReason::Slow {
            mean: Duration::from_nanos(done.mean()),
            median: Duration::from_nanos(median),
        };
        rest.into_iter().map(|(worker, done)| (worker, slow(done))).collect()
    }
}
