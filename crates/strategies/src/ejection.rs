use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use raddle_core::{Counts, Health, Roster, WorkerId, nanos};
use thiserror::Error;

/// When a worker is an outlier, and for how long it is then set aside.
///
/// - **Rule:** at each review, a worker that has run at least so many tasks since the one before is
///   an outlier when more than a share of them failed (or panicked), or, where that is asked for,
///   when their mean time was more than a factor above the median of the workers' means. It is set
///   aside for a first time, times the number of its ejections in a row, up to a longest. A row ends
///   with a review that the worker passes. At most a share of the pool is set aside at a time, the
///   worst first; the rest stays.
/// - **Source:** Envoy's outlier detection (failure percentage, time times the number of ejections,
///   greatest share of the cluster), Finagle's failure accrual; the median for the slow ones is ours.
/// - **Cost:** none on a task's way. A review is O(n log n) and allocates; a change is a new roster.
/// - **Made for:** a worker that fails at once, which a strategy that reads queues or latencies
///   takes for the best one there is, and which random and rotation do not see at all.
/// - **Traps:** a failure that is the task's and not the worker's counts as the worker's. A worker
///   that has too few tasks in an interval is never judged. Where workers serve unlike tasks, a
///   specialist of long ones is slow by nature: leave slowness off. What is in the worker's mailbox
///   stays there, and tasks with a key that is its own still go to it.
///
/// The parameters are checked by [`validate`](Self::validate), which [`OutlierDetector::new`] calls.
///
/// ```
/// use std::time::Duration;
/// use raddle_strategies::Ejection;
///
/// let ejection = Ejection::default().failure_share(0.2).slower_than(4.0);
/// assert!(ejection.validate().is_ok());
/// assert_eq!(ejection.interval(), Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    interval: Duration,
    failure_share: f64,
    least_tasks: u64,
    slowness: Option<f64>,
    first: Duration,
    longest: Duration,
    share: f64,
}

/// A parameter of an [`Ejection`] that is out of its bounds.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum EjectionError {
    /// Reviews without a pause.
    #[error("ejection interval is 0, allowed is a time of more than 0")]
    Interval,
    /// No share, or one that nothing exceeds.
    #[error("ejecting above a failure share of {0}, allowed is at least 0 and below 1")]
    FailureShare(f64),
    /// Workers that did nothing cannot be judged.
    #[error("ejecting after 0 tasks, allowed is at least 1")]
    LeastTasks,
    /// A factor by which half of the pool would be slow.
    #[error("ejecting workers slower by a factor of {0}, allowed is a finite one above 1")]
    Slowness(f64),
    /// The first time is longer than the longest.
    #[error("first ejection takes {first:?}, allowed is at most the longest, {longest:?}")]
    Times {
        /// The first time that was asked for.
        first: Duration,
        /// The longest.
        longest: Duration,
    },
    /// No share of the pool.
    #[error("share of the pool to eject is {0}, allowed is above 0 and at most 1")]
    Share(f64),
}

impl Default for Ejection {
    /// Reviewed each second: more than half of at least 5 tasks failed; set aside for 1 s to 30 s;
    /// at most half of the pool. Slowness is not looked at.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            failure_share: 0.5,
            least_tasks: 5,
            slowness: None,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            share: 0.5,
        }
    }
}

impl Ejection {
    /// How often there is to be a review.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Sets how often there is a review, more than 0; each second by default.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the share of failures above which a worker is an outlier, at least 0 and below 1; 0.5 by
    /// default.
    #[must_use]
    pub fn failure_share(mut self, share: f64) -> Self {
        self.failure_share = share;
        self
    }

    /// Sets how many tasks a worker must have run since the last review to be judged, at least 1; 5
    /// by default. Tasks that expired or were cancelled say nothing of the worker.
    #[must_use]
    pub fn least_tasks(mut self, tasks: u64) -> Self {
        self.least_tasks = tasks;
        self
    }

    /// Makes a worker an outlier, too, whose mean time since the last review is above this factor
    /// times the median of the means of the workers that are in service and do not fail; more than
    /// 1, and off by default. Of an even number the lower median counts, so that of two workers the
    /// slower one can be found.
    #[must_use]
    pub fn slower_than(mut self, factor: f64) -> Self {
        self.slowness = Some(factor);
        self
    }

    /// Sets for how long a worker is set aside: `first` times the number of its ejections in a row,
    /// up to `longest`; 1 s and 30 s by default. It comes back at the first review after that.
    #[must_use]
    pub fn times(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Sets which share of the pool may be set aside at a time, above 0 and at most 1; 0.5 by
    /// default. Of the workers that are not draining, quarantined ones apart; rounded down, but one
    /// at least where there are two. With 1 all may be: then none counts as ejected
    /// ([`Candidates`](raddle_core::Candidates)), as some service beats none.
    #[must_use]
    pub fn at_most(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// The first that is out of its bounds.
    pub fn validate(&self) -> Result<(), EjectionError> {
        if self.interval.is_zero() {
            return Err(EjectionError::Interval);
        }
        if !(0.0..1.0).contains(&self.failure_share) {
            return Err(EjectionError::FailureShare(self.failure_share));
        }
        if self.least_tasks == 0 {
            return Err(EjectionError::LeastTasks);
        }
        if let Some(factor) = self.slowness
            && !(factor > 1.0 && factor.is_finite())
        {
            return Err(EjectionError::Slowness(factor));
        }
        if self.first > self.longest {
            return Err(EjectionError::Times { first: self.first, longest: self.longest });
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(EjectionError::Share(self.share));
        }
        Ok(())
    }

    /// How many of so many workers may be set aside at a time.
    fn allowed(&self, workers: usize) -> usize {
        match workers {
            0 | 1 => 0,
            _ => ((self.share * workers as f64) as usize).max(1),
        }
    }

    /// For how many nanoseconds the ejection with this number in a row lasts.
    fn lasts(&self, in_a_row: u32) -> u64 {
        nanos(self.first.saturating_mul(in_a_row).min(self.longest))
    }
}

/// Sets outliers aside and takes them back, from review to review.
///
/// It is asked from time to time, off every task's way, and answers with another roster where there
/// is something to change. A pool of `raddle-runtime` does that itself
/// (`PoolBuilder::ejection`); a proxy calls [`review`](Self::review) once an interval:
///
/// ```
/// use std::time::Duration;
/// use raddle_core::{Clock, Health, Outcome, Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, Ejection, OutlierDetector, RoundRobin};
///
/// let (clock, time) = Clock::simulated(); // a proxy leaves this out, and has the machine's
/// let mut roster = Roster::builder().workers(3, WorkerSpec::new("up")).clock(clock.clone()).build()?;
/// let balancer = Balancer::new(RoundRobin::new());
/// let mut ejector = OutlierDetector::new(Ejection::default())?;
/// for second in 0..3 {
///     // The traffic of a second, of all threads. One of the targets refuses every request.
///     for _ in 0..60 {
///         let taken = balancer.select(&TaskProfile::default(), &roster)?;
///         let fails = taken.worker().name() == "up-1";
///         let outcome = if fails { Outcome::Failed } else { Outcome::Completed };
///         taken.finish(outcome, Duration::from_millis(1));
///     }
///     time.advance(Duration::from_secs(1));
///     // Once a second: where threads share the roster, publish this one to them (by `arc-swap`).
///     if let Some(next) = ejector.review(&roster, clock.now()) {
///         roster = next;
///     }
///     for decision in ejector.decisions() {
///         println!("after {second} s, {}: {}", decision.worker, decision.verdict);
///     }
/// }
/// let health: Vec<_> = roster.members().iter().map(|member| member.health).collect();
/// assert_eq!(health, [Health::Active, Health::Active, Health::Active]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OutlierDetector {
    settings: Ejection,
    records: HashMap<WorkerId, Record>,
    decisions: Vec<Decision>,
}

/// What a review decided of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The worker.
    pub worker: WorkerId,
    /// What was decided.
    pub verdict: Verdict,
}

/// What a review decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The worker is set aside.
    Ejected(EjectionReason),
    /// Its time is over: it takes tasks again.
    Readmitted,
}

/// Why a worker is an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EjectionReason {
    /// Too many of its tasks failed.
    Failing {
        /// Tasks that failed or panicked since the last review.
        failures: u64,
        /// Tasks run since then.
        tasks: u64,
    },
    /// Its tasks took too long.
    Slow {
        /// The mean time of its tasks since the last review.
        mean: Duration,
        /// The median of the means of the workers that do not fail.
        median: Duration,
    },
}

/// What is known of a worker from earlier reviews.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// As of the last review.
    totals: Totals,
    /// The clock when the worker may come back; `None` while it is not set aside.
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

    /// Since then. Counts are read while others raise them, and so may seem to have gone back.
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

/// A worker in service that has done enough to be judged.
struct Judged {
    worker: WorkerId,
    done: Totals,
}

impl OutlierDetector {
    /// An ejector that has seen nothing yet.
    ///
    /// # Errors
    /// When a parameter is out of its bounds.
    pub fn new(settings: Ejection) -> Result<Self, EjectionError> {
        settings.validate()?;
        Ok(Self { settings, records: HashMap::new(), decisions: Vec::new() })
    }

    /// What it goes by.
    pub fn settings(&self) -> &Ejection {
        &self.settings
    }

    /// Judges the workers by what they have done since the last review, at the clock's `now`. The
    /// roster with outliers set aside and others taken back, `None` where nothing changes.
    ///
    /// A worker is judged from the second review on that lists it, and after it has come back, by
    /// what it does from then on. One that is draining or quarantined is left alone, and what it has
    /// to wait for as ejected goes on meanwhile. One that it has set aside and finds active it sets
    /// aside again.
    ///
    /// O(n log n), allocates; takes no lock.
    pub fn review(&mut self, roster: &Roster, now: u64) -> Option<Roster> {
        self.decisions.clear();
        let (judged, workers, aside) = self.take_stock(roster, now);
        self.forget_strangers(roster);
        let room = self.settings.allowed(workers).saturating_sub(aside);
        let outliers = self.outliers(&judged);
        let found: HashSet<_> = outliers.iter().map(|(worker, _)| *worker).collect();
        for passed in judged.iter().filter(|judged| !found.contains(&judged.worker)) {
            self.record(passed.worker).in_a_row = 0;
        }
        for (worker, outlier) in outliers.into_iter().take(room) {
            let in_a_row = self.record(worker).in_a_row.saturating_add(1);
            let until = now.saturating_add(self.settings.lasts(in_a_row));
            let record = self.record(worker);
            (record.in_a_row, record.until) = (in_a_row, Some(until));
            self.decisions.push(Decision { worker, verdict: Verdict::Ejected(outlier) });
        }
        self.publish(roster)
    }

    /// What the last review decided.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Whether it has set this worker aside and not taken it back yet, whatever else befell the
    /// worker since: who ends a quarantine is to make it [`Health::Ejected`] then, not active.
    pub fn has_ejected(&self, worker: WorkerId) -> bool {
        self.records.get(&worker).is_some_and(|record| record.until.is_some())
    }

    fn record(&mut self, worker: WorkerId) -> &mut Record {
        self.records.entry(worker).or_default()
    }

    /// Forgets the workers that are gone, when each that is there has its record. Ids are not given
    /// again.
    fn forget_strangers(&mut self, roster: &Roster) {
        if self.records.len() > roster.members().len() {
            let members: HashSet<_> =
                roster.members().iter().map(|member| member.worker.id()).collect();
            self.records.retain(|id, _| members.contains(id));
        }
    }

    /// Takes those back whose time is over, and notes what each worker has done so far. Who is to
    /// be judged; and of how many workers how many are set aside.
    fn take_stock(&mut self, roster: &Roster, now: u64) -> (Vec<Judged>, usize, usize) {
        let least = self.settings.least_tasks;
        let (mut judged, mut workers, mut aside) = (Vec::new(), 0, 0);
        for member in roster.members() {
            let (worker, stats) = (member.worker.id(), member.worker.stats());
            let totals = Totals::new(stats.counts(), nanos(stats.busy_time()));
            let known = self.records.contains_key(&worker);
            let record = self.record(worker);
            let done = totals.since(std::mem::replace(&mut record.totals, totals));
            workers += usize::from(matches!(member.health, Health::Active | Health::Ejected));
            match record.until {
                _ if member.health == Health::Draining => {}
                Some(until) if until > now => aside += 1,
                Some(_) if member.health == Health::Quarantined => aside += 1,
                Some(_) => {
                    record.until = None;
                    self.decisions.push(Decision { worker, verdict: Verdict::Readmitted });
                }
                None if member.health == Health::Active && known && done.tasks >= least => {
                    judged.push(Judged { worker, done });
                }
                None => {}
            }
        }
        (judged, workers, aside)
    }

    /// The outliers, the worst first: those that fail before those that are slow.
    fn outliers(&self, judged: &[Judged]) -> Vec<(WorkerId, EjectionReason)> {
        let limit = self.settings.failure_share;
        let (mut failing, rest): (Vec<_>, Vec<_>) =
            judged.iter().partition(|judged| judged.done.failure_share() > limit);
        failing.sort_by(|a, b| descending(a.done.failure_share(), b.done.failure_share()));
        let failing = failing.into_iter().map(|Judged { worker, done }| {
            (*worker, EjectionReason::Failing { failures: done.failures, tasks: done.tasks })
        });
        failing.chain(self.slow(rest)).collect()
    }

    /// The slow ones among those that do not fail, whose times say nothing; the slowest first.
    fn slow(&self, mut rest: Vec<&Judged>) -> Vec<(WorkerId, EjectionReason)> {
        let Some(factor) = self.settings.slowness else { return Vec::new() };
        let mut means: Vec<_> = rest.iter().map(|judged| judged.done.mean()).collect();
        means.sort_unstable();
        let Some(&median) = means.get(means.len().saturating_sub(1) / 2) else { return Vec::new() };
        rest.retain(|judged| judged.done.mean() as f64 > factor * median as f64);
        rest.sort_by_key(|judged| std::cmp::Reverse(judged.done.mean()));
        let slow = |judged: &Judged| EjectionReason::Slow {
            mean: Duration::from_nanos(judged.done.mean()),
            median: Duration::from_nanos(median),
        };
        rest.into_iter().map(|judged| (judged.worker, slow(judged))).collect()
    }

    /// The roster as it is to be, if it is not yet.
    fn publish(&self, roster: &Roster) -> Option<Roster> {
        let readmitted = |id| {
            let verdict = Decision { worker: id, verdict: Verdict::Readmitted };
            self.decisions.contains(&verdict)
        };
        let changes = roster.members().iter().filter_map(|member| {
            let id = member.worker.id();
            match member.health {
                Health::Active if self.has_ejected(id) => Some((id, Health::Ejected)),
                Health::Ejected if readmitted(id) => Some((id, Health::Active)),
                _ => None,
            }
        });
        changes.fold(None, |next, (id, health)| {
            next.as_ref().unwrap_or(roster).with_health(id, health).ok()
        })
    }
}

fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

impl fmt::Display for EjectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing { failures, tasks } => write!(f, "{failures} of {tasks} tasks failed"),
            Self::Slow { mean, median } => {
                write!(f, "tasks took {mean:?} in the mean, where the median is {median:?}")
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ejected(outlier) => write!(f, "ejected: {outlier}"),
            Self::Readmitted => f.write_str("readmitted"),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Balancer, Random};
    use proptest::prelude::*;
    use raddle_core::{Clock, Outcome, Reservation, TaskProfile, VirtualTime, WorkerSpec};

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    /// Workers, an ejector and a clock, with a review each second.
    struct Scene {
        roster: Roster,
        ejector: OutlierDetector,
        clock: Clock,
        time: VirtualTime,
    }

    impl Scene {
        /// All workers have been listed in a review.
        fn new(workers: usize, settings: Ejection) -> Self {
            let (clock, time) = Clock::simulated();
            let roster = Roster::builder().workers(workers, WorkerSpec::general());
            let roster = roster.clock(clock.clone()).build().unwrap();
            let ejector = OutlierDetector::new(settings).unwrap();
            let mut scene = Self { roster, ejector, clock, time };
            assert_eq!(scene.review(), []);
            scene
        }

        /// So many tasks of the worker at a position end like this.
        fn run(&self, position: usize, tasks: usize, outcome: Outcome, took: Duration) {
            let worker = &self.roster.members()[position].worker;
            for _ in 0..tasks {
                Reservation::take(worker, position, None).unwrap().finish(outcome, took);
            }
        }

        fn good(&self, position: usize, tasks: usize) {
            self.run(position, tasks, Outcome::Completed, MS);
        }

        fn bad(&self, position: usize, tasks: usize) {
            self.run(position, tasks, Outcome::Failed, Duration::ZERO);
        }

        /// What is decided now, by the workers' numbers.
        fn review(&mut self) -> Vec<(u32, Verdict)> {
            if let Some(next) = self.ejector.review(&self.roster, self.clock.now()) {
                self.roster = next;
            }
            let decisions = self.ejector.decisions().iter();
            decisions.map(|decision| (decision.worker.0, decision.verdict)).collect()
        }

        /// What is decided a second later.
        fn next_review(&mut self) -> Vec<(u32, Verdict)> {
            self.time.advance(S);
            self.review()
        }

        fn set(&mut self, id: u32, health: Health) {
            self.roster = self.roster.with_health(WorkerId(id), health).unwrap();
        }

        fn health(&self) -> Vec<Health> {
            self.roster.members().iter().map(|member| member.health).collect()
        }
    }

    fn failing(failures: u64, tasks: u64) -> Verdict {
        Verdict::Ejected(EjectionReason::Failing { failures, tasks })
    }

    use Health::{Active, Draining, Ejected, Quarantined};
    use Verdict::Readmitted;

    #[test]
    fn who_fails_is_set_aside_within_an_interval_and_comes_back() {
        let mut scene = Scene::new(4, Ejection::default());
        (0..4).for_each(|position| scene.good(position, 10));
        scene.bad(2, 11);
        assert_eq!(scene.next_review(), [(2, failing(11, 21))]);
        assert_eq!(failing(11, 21).to_string(), "ejected: 11 of 21 tasks failed");
        assert_eq!(scene.health(), [Active, Active, Ejected, Active]);
        assert_eq!(scene.roster.candidates(None).len(), 3);
        assert_eq!(scene.next_review(), [(2, Readmitted)]);
        assert_eq!(scene.health(), [Active; 4]);
        assert_eq!(scene.next_review(), [], "what it did before is no reason any more");
    }

    #[test]
    fn as_many_failures_as_allowed_are_fine_and_panics_count_as_failures() {
        let mut scene = Scene::new(2, Ejection::default().failure_share(0.2));
        scene.good(0, 8);
        scene.bad(0, 2);
        assert_eq!(scene.next_review(), []);
        scene.good(0, 7);
        scene.bad(0, 1);
        scene.run(0, 2, Outcome::Panicked, MS);
        assert_eq!(scene.next_review(), [(0, failing(3, 10))]);
    }

    #[test]
    fn too_few_tasks_say_nothing_nor_do_those_that_were_not_run() {
        let mut scene = Scene::new(3, Ejection::default());
        for _ in 0..5 {
            scene.bad(1, 4);
            scene.run(1, 10, Outcome::Expired, Duration::ZERO);
            scene.run(1, 10, Outcome::Cancelled, Duration::ZERO);
            assert_eq!(scene.next_review(), []);
        }
        scene.bad(1, 5);
        assert_eq!(scene.next_review(), [(1, failing(5, 5))]);
    }

    #[test]
    fn what_was_before_the_first_review_says_nothing() {
        let (clock, time) = Clock::simulated();
        let roster = Roster::builder().workers(2, WorkerSpec::general());
        let mut scene = Scene {
            roster: roster.clock(clock.clone()).build().unwrap(),
            ejector: OutlierDetector::new(Ejection::default()).unwrap(),
            clock,
            time,
        };
        scene.bad(0, 100);
        assert_eq!(scene.review(), []);
        scene.good(0, 10);
        assert_eq!(scene.next_review(), []);
        assert_eq!(scene.roster.members()[0].worker.stats().counts().failed, 100);
    }

    #[test]
    fn it_stays_longer_each_time_in_a_row_up_to_the_longest() {
        let mut scene = Scene::new(2, Ejection::default().times(2 * S, 5 * S));
        let mut stays = Vec::new();
        for _ in 0..4 {
            scene.bad(0, 5);
            assert_eq!(scene.next_review(), [(0, failing(5, 5))]);
            stays.push((1..).find(|_| scene.next_review() == [(0, Readmitted)]).unwrap());
        }
        assert_eq!(stays, [2, 4, 5, 5]);
        scene.good(0, 4);
        assert_eq!(scene.next_review(), [], "too little to end the row");
        scene.good(0, 5);
        assert_eq!(scene.next_review(), []);
        scene.bad(0, 5);
        scene.next_review();
        assert_eq!((1..).find(|_| scene.next_review() == [(0, Readmitted)]), Some(2));
    }

    #[test]
    fn no_more_than_the_share_is_set_aside_and_the_worst_first() {
        let mut scene = Scene::new(5, Ejection::default().times(10 * S, 10 * S));
        for position in 0..5 {
            scene.good(position, 4 - position);
            scene.bad(position, 8 + position);
        }
        let decided = scene.next_review();
        assert_eq!(decided, [(4, failing(12, 12)), (3, failing(11, 12))]);
        (0..5).for_each(|position| scene.bad(position, 10));
        assert_eq!(scene.next_review(), [], "there is no room for more");
        assert_eq!(scene.health(), [Active, Active, Active, Ejected, Ejected]);
    }

    #[test]
    fn of_two_one_may_be_set_aside_and_one_alone_never() {
        let mut scene = Scene::new(2, Ejection::default().at_most(0.1));
        (0..2).for_each(|position| scene.bad(position, 10));
        assert_eq!(scene.next_review().len(), 1);
        let mut alone = Scene::new(1, Ejection::default().at_most(1.0));
        alone.bad(0, 10);
        assert_eq!(alone.next_review(), []);
    }

    #[test]
    fn where_all_may_be_set_aside_and_are_all_take_tasks() {
        let mut scene = Scene::new(3, Ejection::default().at_most(1.0));
        (0..3).for_each(|position| scene.bad(position, 10));
        assert_eq!(scene.next_review().len(), 3);
        assert_eq!(scene.health(), [Ejected; 3]);
        assert_eq!(scene.roster.candidates(None).len(), 3, "some service beats none");
    }

    #[test]
    fn a_slow_one_is_found_by_the_median_where_that_is_asked_for() {
        let slow = |mean, median| Verdict::Ejected(EjectionReason::Slow { mean, median });
        let run = |settings| {
            let mut scene = Scene::new(4, settings);
            for (position, took) in [2, 31, 1, 3].into_iter().enumerate() {
                scene.run(position, 10, Outcome::Completed, took * MS);
            }
            scene.next_review()
        };
        assert_eq!(run(Ejection::default()), []);
        assert_eq!(run(Ejection::default().slower_than(15.0)), [(1, slow(31 * MS, 2 * MS))]);
        assert_eq!(run(Ejection::default().slower_than(15.5)), []);
        let mut two = Scene::new(2, Ejection::default().slower_than(3.0));
        two.good(0, 10);
        two.run(1, 10, Outcome::Completed, 4 * MS);
        assert_eq!(two.next_review(), [(1, slow(4 * MS, MS))]);
    }

    #[test]
    fn those_who_fail_fast_make_nobody_slow() {
        let mut scene = Scene::new(5, Ejection::default().slower_than(2.0));
        (0..3).for_each(|position| scene.bad(position, 10));
        (3..5).for_each(|position| scene.good(position, 10));
        let decided = scene.next_review();
        assert_eq!(decided, [(0, failing(10, 10)), (1, failing(10, 10))]);
    }

    #[test]
    fn the_draining_and_the_quarantined_are_left_alone() {
        let mut scene = Scene::new(4, Ejection::default());
        scene.set(0, Draining);
        scene.set(1, Quarantined);
        (0..3).for_each(|position| scene.bad(position, 10));
        assert_eq!(scene.next_review(), [(2, failing(10, 10))]);
        assert_eq!(scene.health(), [Draining, Quarantined, Ejected, Active]);
        // Whichever befalls the one that is set aside, its time does not undo it.
        scene.set(2, Quarantined);
        assert!(scene.ejector.has_ejected(WorkerId(2)));
        assert_eq!(scene.next_review(), []);
        assert_eq!(scene.health()[2], Quarantined);
        scene.set(2, Active);
        assert_eq!(scene.next_review(), [(2, Readmitted)]);
        scene.bad(2, 10);
        scene.next_review();
        scene.set(2, Draining);
        for _ in 0..3 {
            assert_eq!((scene.next_review(), scene.health()[2]), (vec![], Draining));
        }
    }

    #[test]
    fn who_is_quarantined_beyond_its_time_still_counts_as_set_aside() {
        let mut scene = Scene::new(3, Ejection::default());
        scene.bad(0, 10);
        assert_eq!(scene.next_review(), [(0, failing(10, 10))]);
        scene.set(0, Quarantined);
        for _ in 0..3 {
            scene.bad(1, 10);
            assert_eq!(scene.next_review(), [], "one of three may be");
        }
    }

    #[test]
    fn who_is_made_active_before_its_time_is_set_aside_again() {
        let mut scene = Scene::new(3, Ejection::default().times(3 * S, 3 * S));
        scene.bad(1, 10);
        scene.next_review();
        scene.set(1, Active);
        assert_eq!(scene.next_review(), [], "it is no new ejection");
        assert_eq!(scene.health(), [Active, Ejected, Active]);
        assert!(scene.ejector.review(&scene.roster, scene.clock.now()).is_none());
    }

    #[test]
    fn workers_come_and_go_and_what_is_known_of_the_others_stays() {
        let mut scene = Scene::new(3, Ejection::default().times(2 * S, 2 * S));
        scene.bad(1, 10);
        scene.next_review();
        scene.roster = scene.roster.without_worker(WorkerId(0)).unwrap();
        scene.roster = scene.roster.with_workers(&[WorkerSpec::new("new")]).unwrap();
        scene.bad(2, 10);
        assert_eq!(scene.next_review(), [], "one who is new is looked at first");
        assert_eq!(scene.ejector.records.len(), 3);
        assert_eq!(scene.health(), [Ejected, Active, Active]);
        scene.bad(2, 10);
        assert_eq!(scene.next_review(), [(1, Readmitted), (3, failing(10, 10))]);
        let counts = scene.roster.members()[0].worker.stats().counts();
        assert_eq!((counts.admitted, counts.failed), (10, 10), "counts survive");
    }

    #[test]
    fn a_clock_that_goes_back_ends_no_ejection_early() {
        let mut scene = Scene::new(3, Ejection::default());
        scene.time.advance(100 * S);
        scene.bad(1, 10);
        assert_eq!(scene.next_review().len(), 1);
        scene.time.set(5);
        assert_eq!((scene.review(), scene.health()[1]), (vec![], Ejected));
    }

    #[test]
    fn each_bound_is_checked_and_named() {
        let fine = Ejection::default();
        assert_eq!((fine.interval(), fine.every(5 * S).interval()), (S, 5 * S));
        let second = Duration::from_secs(2);
        let named = |wrong: Ejection, part: &str| {
            let error = OutlierDetector::new(wrong).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("allowed"), "{error}");
        };
        named(fine.every(Duration::ZERO), "interval is 0");
        named(fine.least_tasks(0), "0 tasks");
        named(fine.times(second, S), "2s");
        for share in [-0.1, 1.0, f64::NAN] {
            named(fine.failure_share(share), "failure share");
        }
        for factor in [1.0, f64::INFINITY, f64::NAN] {
            named(fine.slower_than(factor), "slower");
        }
        for share in [0.0, 1.1, f64::NAN] {
            named(fine.at_most(share), "share of the pool");
        }
    }

    /// The share of the traffic that a worker which fails at once is given, by random choice.
    fn share_of_the_failing_one(seconds: usize) -> f64 {
        const A_SECOND: usize = 100;
        fastrand::seed(0x656a_6563_7465);
        let mut scene = Scene::new(4, Ejection::default());
        let balancer = Balancer::new(Random::new());
        for _ in 0..seconds {
            for _ in 0..A_SECOND {
                let taken = balancer.select(&TaskProfile::default(), &scene.roster).unwrap();
                let outcome =
                    if taken.position() == 0 { Outcome::Failed } else { Outcome::Completed };
                taken.finish(outcome, MS);
            }
            scene.next_review();
        }
        let failed = scene.roster.members()[0].worker.stats().counts().failed;
        failed as f64 / (seconds * A_SECOND) as f64
    }

    #[test]
    fn it_is_asked_ever_less_often() {
        // A second of each: 1 aside, 2 aside and so on to 30, of which it has a fourth.
        let share = share_of_the_failing_one(500);
        assert!(share < 0.02, "{share}");
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_who_is_ejected_comes_back(
            workers in 1usize..9,
            share in 0.01f64..=1.0,
            rounds in prop::collection::vec(prop::collection::vec(0usize..12, 8), 1..20),
        ) {
            let mut scene = Scene::new(workers, Ejection::default().at_most(share));
            let (mut out, mut back) = (0, 0);
            for failures in rounds {
                for (position, failures) in failures.into_iter().take(workers).enumerate() {
                    scene.bad(position, failures);
                    scene.good(position, 5);
                }
                for (_, verdict) in scene.next_review() {
                    match verdict {
                        Verdict::Ejected(_) => out += 1,
                        Readmitted => back += 1,
                    }
                }
                let aside = scene.health().iter().filter(|health| **health == Ejected).count();
                let bound = if workers < 2 { 0 } else { ((share * workers as f64) as usize).max(1) };
                prop_assert!(aside <= bound);
                prop_assert_eq!(out - back, aside);
            }
            for _ in 0..31 {
                back += scene.next_review().len();
            }
            prop_assert_eq!(out, back);
            prop_assert!(scene.health().iter().all(|health| *health == Active));
        }
    }
}
