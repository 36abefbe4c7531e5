use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{array, mem, ptr};

use raddle_core::{Candidates, Roster, TaskProfile};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};
use serde::Serialize;

use crate::Strategy;
use crate::report::nanoseconds;

/// Routes by one strategy and scores a second on the same traffic, without routing by it.
///
/// - **Rule:** the live strategy's. Each time, the shadow strategy is asked too, and both choices
///   are scored as the workers are at that moment: what is in flight at the chosen one, and the
///   *expected sojourn* there, `(q + 1) x mean`, with the mean of the worker's last latencies or,
///   where it has none, the pool's.
/// - **Cost:** that of both picks, and at most six additions to a cache line that few threads share;
///   wait-free where both are, allocates nothing.
/// - **Made for:** finding out on live traffic whether another strategy is worth a trial.
/// - **Traps:** the score says whose choices looked better *in the state that the live strategy
///   made*. The shadow's choices do not change that state, so herding is not seen: where all would
///   be sent to one worker, that worker stays idle and the choice looks best of all. A lower expected
///   sojourn is a reason to try the shadow strategy, not a measure of what it would gain. The
///   expectation takes a worker for a single server whose next tasks are like its last, and so
///   favours a strategy that goes by this very rule, as [`LatencyBased`](crate::LatencyBased) does.
///
/// A shadow strategy that panics when it is asked harms no live pick: it is counted in the report,
/// and it is not asked again. (Where panics abort the process, so does this one.)
///
/// What is kept is a score of the strategies, not a statistic of the workers: it begins anew with
/// each `Shadow`.
///
/// ```
/// use std::sync::Arc;
/// use raddle_core::{Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, LeastLoaded, RoundRobin, Shadow};
///
/// let shadow = Arc::new(Shadow::new(Arc::new(RoundRobin::new()), Arc::new(LeastLoaded::new())));
/// let balancer = Balancer::new(Arc::clone(&shadow));
/// let roster = Roster::builder().workers(3, WorkerSpec::general()).build()?;
/// let held = balancer.select(&TaskProfile::default(), &roster)?;
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
    scores: [Score; STRIPES],
    /// Of the shadow strategy, which is asked while there is none.
    panics: AtomicU64,
}

/// What two strategies would have done with the same tasks. Serialisable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShadowReport {
    /// Picks on which both strategies were asked.
    pub picks: u64,
    /// Of these, the picks on which both chose the same worker.
    pub agreed: u64,
    /// Panics of the shadow strategy: more than 0, and it is not asked any more.
    pub panics: u64,
    /// The strategy that routes.
    pub live: ShadowScore,
    /// The strategy that does not.
    pub shadow: ShadowScore,
}

/// How one strategy's choices looked when they were made. Serialisable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShadowScore {
    /// The strategy's name.
    pub strategy: &'static str,
    /// Tasks in flight at the chosen worker, before this one; the mean over all picks, 0 without.
    pub mean_in_flight: f64,
    /// Expected time from the pick to the end of the task; the mean over all picks, 0 without.
    ///
    /// No pick counts for more than an hour, and one for nothing while the pool has had no success
    /// yet.
    #[serde(rename = "mean_sojourn_ns", serialize_with = "nanoseconds")]
    pub mean_sojourn: Duration,
}

/// Cache lines over which threads spread their additions.
const STRIPES: usize = 16;
/// No expected sojourn counts for more nanoseconds: a sum of them then wraps after five million
/// such picks a stripe, or else once tasks have waited for 584 years in all.
const LONGEST: u64 = 3_600_000_000_000;

/// The sums of some threads' picks. Written by dispatchers, so on a cache line of its own.
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
    /// Routes by `live` and scores `shadow` beside it.
    pub fn new(live: Arc<dyn Strategy>, shadow: Arc<dyn Strategy>) -> Self {
        let scores = array::from_fn(|_| Score::default());
        Self { live, shadow, scores, panics: AtomicU64::new(0) }
    }

    /// The strategy that routes.
    pub fn live(&self) -> &Arc<dyn Strategy> {
        &self.live
    }

    /// What was scored so far. Wait-free, allocates nothing; while others pick, each figure is that
    /// of some moment within the reading.
    pub fn report(&self) -> ShadowReport {
        let count = |word: fn(&Score) -> &AtomicU64| -> u64 {
            self.scores.iter().map(|score| word(score).load(Relaxed)).sum()
        };
        let picks = count(|score| &score.picks);
        // Together the stripes may hold more than 64 bits can count.
        let mean = |word: fn(&Score) -> &AtomicU64| -> f64 {
            let words = self.scores.iter().map(|score| word(score).load(Relaxed) as f64);
            words.sum::<f64>() / picks.max(1) as f64
        };
        let nanos = |nanos: f64| Duration::from_nanos(nanos as u64);
        ShadowReport {
            picks,
            agreed: count(|score| &score.agreed),
            panics: self.panics.load(Relaxed),
            live: ShadowScore {
                strategy: self.live.name(),
                mean_in_flight: mean(|score| &score.live.in_flight),
                mean_sojourn: nanos(mean(|score| &score.live.sojourn)),
            },
            shadow: ShadowScore {
                strategy: self.shadow.name(),
                mean_in_flight: mean(|score| &score.shadow.in_flight),
                mean_sojourn: nanos(mean(|score| &score.shadow.sojourn)),
            },
        }
    }

    /// The shadow strategy's answer; `None` once it has panicked.
    fn ask_shadow<R>(&self, question: impl FnOnce(&dyn Strategy) -> R) -> Option<R> {
        if self.panics.load(Relaxed) > 0 {
            return None;
        }
        // What a panic leaves half done is not asked again, but by who is asking already.
        let answer = catch_unwind(AssertUnwindSafe(|| question(&*self.shadow)));
        answer
            .map_err(|payload| {
                self.panics.fetch_add(1, Relaxed);
                // It may panic when dropped: leaked, once a thread at the most.
                mem::forget(payload);
            })
            .ok()
    }

    /// Adds what both have picked to the score.
    fn score(&self, candidates: &Candidates<'_>, live: usize, shadow: usize) {
        let last = candidates.len() - 1;
        let (live, shadow) = (live.min(last), shadow.min(last));
        let score = &self.scores[stripe()];
        score.picks.fetch_add(1, Relaxed);
        score.agreed.fetch_add(u64::from(live == shadow), Relaxed);
        score.live.add(candidates, live);
        score.shadow.add(candidates, shadow);
    }
}

/// The calling thread's stripe: where a thread-local lies, hashed, is different for each thread,
/// and needs no numbers to be handed out.
fn stripe() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    let address = HERE.with(|here| ptr::from_ref(here).addr()) as u64;
    // The golden ratio of 64 bits: Knuth, The Art of Computer Programming, volume 3, 6.4.
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

    fn refresh(&self, roster: &Roster) {
        self.live.refresh(roster);
        self.ask_shadow(|shadow| shadow.refresh(roster));
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

    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        self.live.weights(roster)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{Always, picks, roster};
    use crate::{
        Balancer, BoundedHash, LatencyBased, LeastLoaded, Random, RoundRobin, WeightedRoundRobin,
    };
    use raddle_core::{Outcome, Reservation};
    use std::panic::panic_any;
    use std::thread;

    const MS: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_nanos(LONGEST);

    /// Panics at the question of this number, counted from 1, with a payload that does so too.
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
        fn refresh(&self, _: &Roster) {
            self.asked();
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
    fn what_a_pool_asks_is_answered_by_the_live_one() {
        let roster = roster(2);
        let hash = BoundedHash::new;
        for (shadow, steals, routes) in [
            (shadow(RoundRobin::new(), hash()), true, false),
            (shadow(hash(), Random), false, true),
        ] {
            assert_eq!((shadow.lets_steal(), shadow.routes_keys()), (steals, routes));
            assert_eq!(shadow.weights(&roster), None);
        }
    }

    #[test]
    fn it_routes_as_the_live_strategy_does_and_answers_in_its_name() {
        let roster = roster(3);
        let strategy = shadow(WeightedRoundRobin::new(), Always(0));
        let alone = WeightedRoundRobin::new();
        strategy.refresh(&roster);
        alone.refresh(&roster);
        let task = TaskProfile::default();
        assert_eq!(picks(&strategy, &task, &roster, 20), picks(&alone, &task, &roster, 20));
        assert_eq!(strategy.name(), "weighted_round_robin");
        assert_eq!(strategy.weights(&roster), alone.weights(&roster));
    }

    #[test]
    fn both_are_refreshed_and_either_may_read_ages() {
        let roster = roster(1);
        let (live, other) = (Arc::new(PanicsAt::default()), Arc::new(PanicsAt::default()));
        let both = shadow(Arc::clone(&live), Arc::clone(&other));
        both.refresh(&roster);
        assert_eq!([&live, &other].map(|strategy| strategy.1.load(Relaxed)), [1, 1]);
        assert!(!both.reads_age());
        assert!(shadow(LatencyBased::new(), Always(0)).reads_age());
        assert!(shadow(Always(0), LatencyBased::new()).reads_age());
    }

    #[test]
    fn each_choice_is_scored_by_what_it_meets() {
        let roster = roster(2);
        take(&roster, 0).finish(Outcome::Completed, MS);
        take(&roster, 1).finish(Outcome::Completed, 5 * MS);
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
            live: score(1.0, 2 * MS),        // of 2 and 0, and of 3 and 1 ms
            shadow: score(0.5, 15 * MS / 2), // of 0 and 1, and of 5 and 10 ms
        };
        assert_eq!(strategy.report(), expected);
    }

    #[test]
    fn who_has_no_mean_scores_the_pools() {
        let roster = roster(2);
        let strategy = shadow(Always(0), Always(1));
        pick(&strategy, &roster);
        let report = strategy.report();
        assert_eq!(report.live.mean_sojourn, Duration::ZERO, "nothing is known");
        take(&roster, 0).finish(Outcome::Completed, 4 * MS);
        pick(&strategy, &roster);
        let report = strategy.report();
        assert_eq!((report.live.mean_sojourn, report.shadow.mean_sojourn), (2 * MS, 2 * MS));
    }

    #[test]
    fn a_closed_or_very_slow_worker_does_not_spoil_the_sums() {
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
    fn to_agree_is_to_choose_the_same_worker() {
        let roster = roster(4);
        let rotations = shadow(RoundRobin::new(), RoundRobin::new());
        let half = shadow(RoundRobin::new(), Always(2));
        let beyond = shadow(Always(3), Always(usize::MAX));
        for strategy in [&rotations, &half, &beyond] {
            pick_often(strategy, &roster, 40);
        }
        let agreed = [&rotations, &half, &beyond].map(|strategy| strategy.report().agreed);
        assert_eq!(agreed, [40, 10, 40], "what is too high counts as the last");
    }

    #[test]
    fn a_shadow_that_panics_harms_nobody_and_is_not_asked_again() {
        let roster = roster(3);
        let broken = Arc::new(PanicsAt(5, AtomicU64::new(0)));
        let strategy = shadow(RoundRobin::new(), Arc::clone(&broken));
        let picked: Vec<_> = (0..9).map(|_| pick(&strategy, &roster)).collect();
        strategy.refresh(&roster);
        assert_eq!(picked, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert_eq!(broken.1.load(Relaxed), 5);
        let report = strategy.report();
        assert_eq!((report.picks, report.panics), (4, 1), "the fifth is not scored");

        let broken = Arc::new(PanicsAt(1, AtomicU64::new(0)));
        let strategy = shadow(RoundRobin::new(), Arc::clone(&broken));
        strategy.refresh(&roster);
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
    fn its_report_is_there_while_a_balancer_uses_it_and_can_be_serialised() {
        let roster = roster(2);
        let strategy = Arc::new(shadow(Always(0), LeastLoaded::new()));
        let balancer = Balancer::new(Arc::clone(&strategy));
        let held: Vec<_> =
            (0..3).map(|_| balancer.select(&TaskProfile::default(), &roster).unwrap()).collect();
        drop(held);
        let json = serde_json::to_value(strategy.report()).unwrap();
        assert_eq!((&json["picks"], &json["panics"]), (&3.into(), &0.into()));
        let live =
            serde_json::json!({"strategy": "always", "mean_in_flight": 1.0, "mean_sojourn_ns": 0});
        assert_eq!(json["live"], live);
        assert_eq!(json["shadow"]["strategy"], "least_loaded");
        assert_eq!(json["shadow"]["mean_in_flight"], 0.0);
    }
}
