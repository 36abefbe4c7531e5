use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{array, mem, ptr};

use raddle_core::{Candidates, Roster, TaskProfile};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Strategy, StrategyError};

/// Routes by one strategy and scores a second one on the same traffic.
///
/// - **Rule:** the live strategy decides. The shadow strategy is asked too, and both choices are
///   scored by the state of the workers at that moment: the tasks in flight at the chosen worker,
///   and the *expected sojourn* there, `(q + 1) x mean`, with the mean of the worker's last
///   latencies or, without any, the pool's.
/// - **Use it for:** finding out on live traffic whether another strategy is worth a trial.
/// - **Cost:** that of both picks, and at most six additions to a cache line that few threads
///   share. Wait-free if both are; allocates nothing.
/// - **Weak points:** the score tells whose choices looked better *in the state that the live
///   strategy created*. The shadow's choices do not change that state, so herding stays invisible:
///   a worker to which it would send everything remains idle and looks best. A lower expected
///   sojourn is a reason to try the shadow strategy, not a measure of what it would gain. The
///   expectation treats a worker as a single server whose next tasks are like its last, which
///   favours strategies that use this rule, such as [`LatencyBased`](crate::LatencyBased).
///
/// If the shadow strategy panics, the live pick is unaffected: the panic is counted in the report
/// and the shadow is not asked again. (If panics abort the process, this one does too.)
///
/// The score belongs to this `Shadow`, not to the workers: a new one starts from zero.
///
/// ```
/// use std::sync::Arc;
/// use raddle_core::{Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, LeastLoaded, RoundRobin, Shadow};
///
/// let shadow = Arc::new(Shadow::new(Arc::new(RoundRobin::new()), Arc::new(LeastLoaded::new())));
/// let balancer = Balancer::new(Arc::clone(&shadow))?;
/// let roster = Roster::builder().workers(3, WorkerSpec::general()).build()?;
/// let reservation = balancer.select(&TaskProfile::default(), &roster)?;
///
/// let report = shadow.report();
/// assert_eq!((report.live.strategy, report.shadow.strategy), ("round_robin", "least_loaded"));
/// assert_eq!(report.picks, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Shadow {
    live: Arc<dyn Strategy>,
    shadow: Arc<dyn Strategy>,
    /// Shared with what is prepared from this.
    scores: Arc<Scores>,
}

/// How two strategies would have handled the same tasks.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShadowReport {
    /// The picks for which both strategies were asked.
    pub picks: u64,
    /// The picks for which both chose the same worker.
    pub agreed: u64,
    /// Panics of the shadow strategy. If there is one, it is not asked any more.
    pub panics: u64,
    /// The strategy that routes.
    pub live: ShadowScore,
    /// The strategy that does not.
    pub shadow: ShadowScore,
}

/// How one strategy's choices looked when they were made.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShadowScore {
    /// The strategy's name.
    pub strategy: &'static str,
    /// The tasks in flight at the chosen worker before this one, averaged over all picks; 0
    /// without picks.
    pub mean_in_flight: f64,
    /// The expected time from the pick to the end of the task, averaged over all picks; 0 without
    /// picks.
    ///
    /// A pick counts for at most an hour, and for nothing before the pool's first success.
    #[cfg_attr(feature = "serde", serde(rename = "mean_sojourn_ns", with = "crate::nanoseconds"))]
    pub mean_sojourn: Duration,
}

/// Cache lines over which threads spread their additions.
const STRIPES: usize = 16;
/// The maximum expected sojourn that is counted, in nanoseconds. A stripe's sum wraps after five
/// million such picks, or once tasks have waited for 584 years in total.
const LONGEST: u64 = 3_600_000_000_000;

#[derive(Debug)]
struct Scores {
    stripes: [Score; STRIPES],
    /// Of the shadow strategy, which is asked as long as there are none.
    panics: AtomicU64,
}

/// The sums of some threads' picks. Dispatchers write them, so they have their own cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Score {
    picks: AtomicU64,
    agreed: AtomicU64,
    live: Sums,
    shadow: Sums,
}

#[derive(Debug, Default)]
struct Sums {
    in_flight: AtomicU64,
    sojourn: AtomicU64,
}

impl Sums {
    /// Scores the choice of the candidate at `index`.
    fn add(&self, candidates: &Candidates<'_>, index: usize) {
        let in_flight = candidates.worker(index).stats().in_flight();
        let mean = match candidates.signals_at(index).map_or(0, |signals| signals.recent_mean()) {
            0 => candidates.roster().baseline().mean().map_or(0, |mean| mean as u64),
            mean => mean,
        };
        let sojourn = mean.saturating_mul(in_flight.saturating_add(1)).min(LONGEST);
        self.in_flight.fetch_add(in_flight, Relaxed);
        self.sojourn.fetch_add(sojourn, Relaxed);
    }
}

impl Shadow {
    /// Creates a strategy that routes by `live` and scores `shadow` beside it.
    pub fn new(live: Arc<dyn Strategy>, shadow: Arc<dyn Strategy>) -> Self {
        let stripes = array::from_fn(|_| Score::default());
        Self { live, shadow, scores: Arc::new(Scores { stripes, panics: AtomicU64::new(0) }) }
    }

    /// Returns the strategy that routes.
    pub fn live(&self) -> &Arc<dyn Strategy> {
        &self.live
    }

    /// Returns the scores so far. Wait-free, allocates nothing. While other threads pick, each
    /// figure is from some moment during the call.
    pub fn report(&self) -> ShadowReport {
        let stripes = &self.scores.stripes;
        let count = |word: fn(&Score) -> &AtomicU64| -> u64 {
            stripes.iter().map(|score| word(score).load(Relaxed)).sum()
        };
        let picks = count(|score| &score.picks);
        // As a float, since the sum over all stripes may exceed 64 bits.
        let mean = |word: &dyn Fn(&Score) -> &AtomicU64| {
            let words = stripes.iter().map(|score| word(score).load(Relaxed) as f64);
            words.sum::<f64>() / picks.max(1) as f64
        };
        let score = |strategy: &dyn Strategy, sums: fn(&Score) -> &Sums| ShadowScore {
            strategy: strategy.name(),
            mean_in_flight: mean(&|score| &sums(score).in_flight),
            mean_sojourn: Duration::from_nanos(mean(&|score| &sums(score).sojourn) as u64),
        };
        ShadowReport {
            picks,
            agreed: count(|score| &score.agreed),
            panics: self.scores.panics.load(Relaxed),
            live: score(&*self.live, |score| &score.live),
            shadow: score(&*self.shadow, |score| &score.shadow),
        }
    }

    /// Returns the shadow strategy's answer; `None` once it has panicked.
    fn ask_shadow<R>(&self, question: impl FnOnce(&dyn Strategy) -> R) -> Option<R> {
        if self.scores.panics.load(Relaxed) > 0 {
            return None;
        }
        // Unwind safe: only threads that are already asking see what a panic left half done.
        let answer = catch_unwind(AssertUnwindSafe(|| question(&*self.shadow)));
        answer
            .map_err(|payload| {
                self.scores.panics.fetch_add(1, Relaxed);
                // Dropping the payload may panic again; at most one is leaked per thread.
                mem::forget(payload);
            })
            .ok()
    }

    fn score(&self, candidates: &Candidates<'_>, live: usize, shadow: usize) {
        let last = candidates.len() - 1;
        let (live, shadow) = (live.min(last), shadow.min(last));
        let score = &self.scores.stripes[stripe()];
        score.picks.fetch_add(1, Relaxed);
        score.agreed.fetch_add(u64::from(live == shadow), Relaxed);
        score.live.add(candidates, live);
        score.shadow.add(candidates, shadow);
    }
}

/// Returns the calling thread's stripe: the hashed address of a thread-local, which differs between
/// threads and needs no registration.
fn stripe() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    let address = HERE.with(|here| ptr::from_ref(here).addr()) as u64;
    // Multiplicative hashing by the golden ratio: Knuth, TAOCP, volume 3, 6.4.
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % STRIPES
}

impl Strategy for Shadow {
    fn name(&self) -> &'static str {
        self.live.name()
    }

    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let picked = self.live.pick(task, candidates);
        if let Some(shadow) = self.ask_shadow(|shadow| shadow.pick(task, candidates)) {
            self.score(candidates, picked, shadow);
        }
        picked
    }

    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        let live = self.live.prepare(roster);
        let shadow = self.ask_shadow(|shadow| shadow.prepare(roster)).flatten();
        if live.is_none() && shadow.is_none() {
            return None;
        }
        Some(Arc::new(Self {
            live: live.unwrap_or_else(|| Arc::clone(&self.live)),
            shadow: shadow.unwrap_or_else(|| Arc::clone(&self.shadow)),
            scores: Arc::clone(&self.scores),
        }))
    }

    fn validate(&self) -> Result<(), StrategyError> {
        self.live.validate()?;
        self.shadow.validate()
    }

    fn reads_age(&self) -> bool {
        self.live.reads_age() || self.shadow.reads_age()
    }

    fn lets_steal(&self) -> bool {
        self.live.lets_steal()
    }

    fn routes_keys(&self) -> bool {
        self.live.routes_keys()
    }

    fn tells_keys_apart(&self) -> bool {
        self.live.tells_keys_apart()
    }

    fn needs_tracking(&self) -> bool {
        self.live.needs_tracking() || self.shadow.needs_tracking()
    }

    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        self.live.weights(roster)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{Always, picks, roster};
    use crate::{Balancer, LatencyBased, LeastLoaded, Random, RoundRobin, WeightedRoundRobin};
    use raddle_core::{Outcome, Reservation};
    use std::panic::panic_any;
    use std::thread;

    const MS: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_nanos(LONGEST);

    /// Panics at the n-th question, counted from 1, with a payload that panics when dropped.
    #[derive(Debug, Default)]
    struct PanicsAt(u64, AtomicU64);

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    impl PanicsAt {
        fn asked(&self) {
            if self.1.fetch_add(1, Relaxed) + 1 == self.0 {
                panic_any(Bomb);
            }
        }
    }

    impl Strategy for PanicsAt {
        fn name(&self) -> &'static str {
            "panics"
        }
        fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
            self.asked();
            0
        }
        fn prepare(&self, _: &Roster) -> Option<Arc<dyn Strategy>> {
            self.asked();
            None
        }
    }

    fn shadow(live: impl Strategy + 'static, shadow: impl Strategy + 'static) -> Shadow {
        Shadow::new(Arc::new(live), Arc::new(shadow))
    }

    fn take(roster: &Roster, position: usize) -> Reservation<'_> {
        Reservation::take(&roster.members()[position].worker, position, None).unwrap()
    }

    fn pick(strategy: &Shadow, roster: &Roster) -> usize {
        strategy.pick(&TaskProfile::default(), &roster.candidates(None))
    }

    fn pick_often(strategy: &Shadow, roster: &Roster, times: usize) {
        picks(strategy, &TaskProfile::default(), roster, times);
    }

    #[test]
    fn it_routes_as_the_prepared_live_strategy_does_and_keeps_one_score() {
        let roster = roster(3);
        // A rotation starts at random: these two start alike.
        let rotation = || {
            fastrand::seed(7);
            WeightedRoundRobin::new()
        };
        let strategy = shadow(rotation(), Always(0));
        let prepared = strategy.prepare(&roster).unwrap();
        let alone = rotation().prepare(&roster).unwrap();
        let task = TaskProfile::default();
        assert_eq!(picks(&*prepared, &task, &roster, 20), picks(&*alone, &task, &roster, 20));
        assert_eq!((prepared.name(), strategy.report().picks), ("weighted_round_robin", 20));
        pick(&strategy, &roster);
        assert_eq!(strategy.report().picks, 21);
    }

    #[test]
    fn both_strategies_are_prepared_and_either_may_read_ages() {
        let roster = roster(1);
        let (live, other) = (Arc::new(PanicsAt::default()), Arc::new(PanicsAt::default()));
        let both = shadow(Arc::clone(&live), Arc::clone(&other));
        assert!(both.prepare(&roster).is_none());
        assert_eq!([&live, &other].map(|strategy| strategy.1.load(Relaxed)), [1, 1]);
        let scored = shadow(Always(0), WeightedRoundRobin::new());
        assert!(scored.prepare(&roster).is_some(), "the shadow strategy is prepared");
        assert!(!both.reads_age());
        assert!(shadow(LatencyBased::new(), Always(0)).reads_age());
        assert!(shadow(Always(0), LatencyBased::new()).reads_age());
    }

    #[test]
    fn both_strategies_are_validated() {
        let wrong = || WeightedRoundRobin::bounded(0.0, 1.0);
        assert!(shadow(Random, RoundRobin::new()).validate().is_ok());
        assert!(shadow(wrong(), Random).validate().is_err());
        assert!(shadow(Random, wrong()).validate().is_err());
    }

    #[test]
    fn each_choice_is_scored_by_the_state_it_meets() {
        let roster = roster(2);
        take(&roster, 0).finish(Outcome::Completed, MS);
        take(&roster, 1).finish(Outcome::Completed, 5 * MS);
        let means = [0, 1].map(|at| roster.members()[at].worker.stats().recent_mean());
        let [mean, other] = means.map(Duration::from_nanos);
        let strategy = shadow(Always(0), Always(1));
        let held = [take(&roster, 0), take(&roster, 0)];
        pick(&strategy, &roster);
        drop(held);
        let held = take(&roster, 1);
        pick(&strategy, &roster);
        drop(held);
        let score = |mean_in_flight, mean_sojourn| ShadowScore {
            strategy: "always",
            mean_in_flight,
            mean_sojourn,
        };
        let expected = ShadowReport {
            picks: 2,
            agreed: 0,
            panics: 0,
            live: score(1.0, 2 * mean), // of 2 and 0, and of three and one
            shadow: score(0.5, 3 * other / 2), // of 0 and 1, and of one and two
        };
        assert_eq!(strategy.report(), expected);
    }

    #[test]
    fn a_worker_without_a_mean_scores_the_pool_s() {
        let roster = roster(2);
        let strategy = shadow(Always(0), Always(1));
        pick(&strategy, &roster);
        let report = strategy.report();
        assert_eq!(report.live.mean_sojourn, Duration::ZERO, "nothing was measured");
        take(&roster, 0).finish(Outcome::Completed, 4 * MS);
        pick(&strategy, &roster);
        let report = strategy.report();
        assert_eq!((report.live.mean_sojourn, report.shadow.mean_sojourn), (2 * MS, 2 * MS));
    }

    #[test]
    fn a_closed_or_very_slow_worker_does_not_distort_the_sums() {
        let roster = roster(2);
        take(&roster, 0).finish(Outcome::Completed, MS);
        take(&roster, 1).finish(Outcome::Completed, 24 * HOUR);
        roster.members()[0].worker.close();
        let strategy = shadow(Always(0), Always(1));
        pick_often(&strategy, &roster, 10);
        let ShadowReport { live, shadow, .. } = strategy.report();
        assert_eq!((live.mean_in_flight, live.mean_sojourn), (0.0, MS));
        assert_eq!((shadow.mean_in_flight, shadow.mean_sojourn), (0.0, HOUR));
    }

    #[test]
    fn strategies_agree_if_they_choose_the_same_worker() {
        let roster = roster(4);
        // A rotation starts at random: these two start alike.
        let rotation = || {
            fastrand::seed(7);
            RoundRobin::new()
        };
        let rotations = shadow(rotation(), rotation());
        let half = shadow(RoundRobin::new(), Always(2));
        let beyond = shadow(Always(3), Always(usize::MAX));
        for strategy in [&rotations, &half, &beyond] {
            pick_often(strategy, &roster, 40);
        }
        let agreed = [&rotations, &half, &beyond].map(|strategy| strategy.report().agreed);
        assert_eq!(agreed, [40, 10, 40], "an index that is too high counts as the last");
    }

    #[test]
    fn a_panicking_shadow_is_not_asked_again() {
        let roster = roster(3);
        let broken = Arc::new(PanicsAt(5, AtomicU64::new(0)));
        let strategy = shadow(RoundRobin::new(), Arc::clone(&broken));
        let picked: Vec<_> = (0..9).map(|_| pick(&strategy, &roster)).collect();
        strategy.prepare(&roster);
        let in_turn: Vec<_> = (picked[0]..picked[0] + 9).map(|turn| turn % 3).collect();
        assert_eq!(picked, in_turn);
        assert_eq!(broken.1.load(Relaxed), 5);
        let report = strategy.report();
        assert_eq!((report.picks, report.panics), (4, 1), "the fifth is not scored");

        let broken = Arc::new(PanicsAt(1, AtomicU64::new(0)));
        let strategy = shadow(RoundRobin::new(), Arc::clone(&broken));
        strategy.prepare(&roster);
        pick(&strategy, &roster);
        assert_eq!((broken.1.load(Relaxed), strategy.report().panics), (1, 1));
    }

    #[test]
    fn picks_of_many_threads_are_all_scored() {
        let roster = roster(2);
        take(&roster, 0).finish(Outcome::Completed, MS);
        let strategy = shadow(Always(0), Always(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| pick_often(&strategy, &roster, 1_000));
            }
        });
        let report = strategy.report();
        assert_eq!((report.picks, report.agreed, report.panics), (4_000, 4_000, 0));
        assert_eq!((report.live.mean_sojourn, report.live.mean_in_flight), (MS, 0.0));
        assert_eq!(report.live, report.shadow);
    }

    #[test]
    fn a_balancer_s_shadow_can_be_reported_while_in_use() {
        let roster = roster(2);
        let strategy = Arc::new(shadow(Always(0), LeastLoaded::new()));
        let balancer = Balancer::new(Arc::clone(&strategy)).unwrap();
        let held: Vec<_> =
            (0..3).map(|_| balancer.select(&TaskProfile::default(), &roster).unwrap()).collect();
        drop(held);
        let report = strategy.report();
        assert_eq!((report.picks, report.panics), (3, 0));
        assert_eq!(report.live.mean_in_flight, 1.0);
        assert_eq!(report.shadow.mean_in_flight, 0.0);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_report_is_serialised_by_its_field_names() {
        let json = serde_json::to_value(shadow(Always(0), LeastLoaded::new()).report()).unwrap();
        assert_eq!((&json["picks"], &json["panics"]), (&0.into(), &0.into()));
        let live =
            serde_json::json!({"strategy": "always", "mean_in_flight": 0.0, "mean_sojourn_ns": 0});
        assert_eq!(json["live"], live);
        assert_eq!(json["shadow"]["strategy"], "least_loaded");
    }
}
