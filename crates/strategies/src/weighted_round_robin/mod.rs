mod schedule;

use std::sync::Arc;

use raddle_core::{Candidates, Roster, TaskProfile, Worker};

use crate::sequences::Sequences;
use crate::{Strategy, StrategyError};

/// Rotates through the candidates in proportion to their weights, smoothly.
///
/// - **Rule:** a worker's weight is its [own](raddle_core::WorkerSpec::weight) times its measured
///   performance, `success rate / mean latency` relative to the pool's mean of that, kept between
///   a floor and a cap. The performance counts if it differs by more than three standard errors
///   from the pool's, and there are at least eight latencies: noise overloads workers. A smaller
///   difference counts in part, if all workers' performances differ by more than chance explains.
///   [`fixed`](Self::fixed) ignores the performance. The order is nginx's smooth one, from a random
///   turn on: weights 5, 1, 1 give `aabacaa`.
/// - **Use it for:** pools of mixed workers that must all get their share.
/// - **Cost:** O(1), wait-free: one `fetch_add` on a cache line that all callers share, and a few
///   loads. [Preparing](Strategy::prepare) a roster is O(n log n) for each group of
///   candidates.
/// - **Weak points:** ignores queues, and sees performance only when it is prepared again, about
///   once a second. A weight of 0 means the smallest share, not none.
///
/// The rotation is computed when a roster is prepared, which pools do before they publish it. From
/// a roster that was not prepared it selects a worker at random in proportion to the workers' own
/// weights (0 counts as 1), in O(n).
#[derive(Debug)]
pub struct WeightedRoundRobin {
    /// Bounds of the factor by which performance changes a weight; `None` for fixed weights.
    bounds: Option<(f64, f64)>,
    /// Shared with what is prepared from this, so that the rotation continues.
    sequences: Sequences,
    /// Computed by [`Strategy::prepare`].
    rotation: Option<Rotation>,
}

/// A rotation computed for one roster.
#[derive(Debug)]
struct Rotation {
    /// Identifies the roster.
    version: u64,
    /// The order of turns in each group of candidates.
    schedules: Box<[Box<[u32]>]>,
}

impl WeightedRoundRobin {
    /// The default lower bound of the factor by which performance changes a weight.
    pub const FLOOR: f64 = 0.1;
    /// The default upper bound.
    pub const CAP: f64 = 10.0;

    /// Creates a rotation whose weights follow performance between [`FLOOR`](Self::FLOOR) and
    /// [`CAP`](Self::CAP).
    pub fn new() -> Self {
        Self::bounded(Self::FLOOR, Self::CAP)
    }

    /// Creates a rotation whose weights follow performance between a floor, above 0 and at most 1,
    /// and a finite cap, at least 1.
    pub fn bounded(floor: f64, cap: f64) -> Self {
        Self { bounds: Some((floor, cap)), ..Self::fixed() }
    }

    /// Creates a rotation by the workers' own weights alone.
    pub fn fixed() -> Self {
        Self { bounds: None, sequences: Sequences::new(), rotation: None }
    }

    /// Returns the weights of some workers, in their order.
    fn weigh<'w>(&self, workers: impl Iterator<Item = &'w Worker>) -> Vec<f64> {
        let (own, measured): (Vec<f64>, Vec<Option<Performance>>) =
            workers.map(|worker| (f64::from(worker.weight()), Performance::of(worker))).unzip();
        let Some((floor, cap)) = self.bounds else {
            return own;
        };
        let count = measured.iter().flatten().count();
        let pool = measured.iter().flatten().map(|it| it.rate).sum::<f64>() / count.max(1) as f64;
        let squares = measured.iter().flatten().map(|it| it.error * it.error).sum::<f64>();
        let error = (squares / count.max(1) as f64).sqrt();
        let deviations = measured.iter().flatten().map(|it| (it.rate / pool - 1.0).powi(2));
        let spread = deviations.sum::<f64>() / count.saturating_sub(1).max(1) as f64;
        // If no rates differ, `max` makes 0 of a quotient that is not a number.
        let real = (1.0 - SPREAD_BY_CHANCE * error * error / spread).max(0.0);
        let factor = |measured: Option<Performance>| match measured {
            // Unlike `clamp`, this does not panic on bounds that were never validated.
            Some(measured) if pool > 0.0 => measured.factor(pool, error, real).max(floor).min(cap),
            _ => 1.0,
        };
        own.iter().zip(measured).map(|(own, measured)| own * factor(measured)).collect()
    }
}

impl Default for WeightedRoundRobin {
    fn default() -> Self {
        Self::new()
    }
}

/// How a worker has performed, and how certain that is.
#[derive(Clone, Copy)]
struct Performance {
    /// Successes per nanosecond of service.
    rate: f64,
    /// The standard error of the rate, as a share of it.
    error: f64,
}

/// The fewest latencies by which a worker is judged.
const FEWEST: usize = 8;
/// A deviation from the pool of up to this many standard errors counts as chance. With 16 equal workers,
/// exponential tasks and load 0.9, 0 results in 1.63 times random's mean and 3 in 0.55.
const BY_CHANCE: f64 = 3.0;
/// How much of the variance between workers counts as chance, in variances of a measured rate. In
/// `docs/scenarios/unequal.toml` 2 results in a mean of 39 ms, 3 in 45, and without this it was 244.
/// With 1.5, rare long tasks made the mean 1.12 times random's at load 0.9.
const SPREAD_BY_CHANCE: f64 = 2.0;

impl Performance {
    /// Returns the performance of a worker; `None` with too little data.
    fn of(worker: &Worker) -> Option<Self> {
        let (latencies, success_rate) = (worker.stats().latencies(), worker.stats().success_rate());
        let (_, count) = latencies.sum_and_count();
        if count < FEWEST.min(latencies.window()) as u64 {
            return None;
        }
        let rate = success_rate / latencies.mean()?.max(1) as f64;
        Some(Self { rate, error: latencies.relative_error().unwrap_or(0.0) })
    }

    /// Returns the rate as a multiple of the `pool`'s. If it differs by no more than chance, the
    /// difference counts only in part: `real` is the part of the variance between all workers that
    /// chance does not explain (James and Stein, *Estimation with quadratic loss*, 1961). The `error`
    /// is the pool's, since the worker's own is itself uncertain: a hundred latencies without one of
    /// the rare long tasks look alike.
    fn factor(self, pool: f64, error: f64, real: f64) -> f64 {
        let factor = self.rate / pool;
        let by_chance = BY_CHANCE * factor * error.max(self.error);
        if (factor - 1.0).abs() > by_chance { factor } else { 1.0 + real * (factor - 1.0) }
    }
}

/// Draws a candidate at random in proportion to the workers' own weights. O(n), wait-free.
#[cold]
fn draw(candidates: &Candidates<'_>) -> usize {
    let weights = candidates.weights();
    let weight = |entry: &(u64, u32)| u64::from(entry.1.max(1));
    let mut left = fastrand::u64(..weights.iter().map(weight).sum::<u64>().max(1));
    let drawn = weights.iter().position(|entry| {
        let is_drawn = left < weight(entry);
        left = left.saturating_sub(weight(entry));
        is_drawn
    });
    drawn.unwrap_or(0)
}

impl Strategy for WeightedRoundRobin {
    fn name(&self) -> &'static str {
        NAME
    }

    #[inline]
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        if let Some(rotation) = &self.rotation
            && candidates.roster().version() == rotation.version
            && let Some(schedule) = rotation.schedules.get(candidates.group())
        {
            let sequence = self.sequences.next(candidates);
            let turn = sequence.checked_rem(schedule.len() as u64).unwrap_or(0) as usize;
            return schedule.get(turn).map_or(0, |index| *index as usize);
        }
        draw(candidates)
    }

    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        let schedule = |candidates: Candidates<'_>| {
            let weights = self.weigh(candidates.iter().map(|worker| &**worker));
            let mut turns = schedule::turns(&weights);
            // A closed worker's turns belong to the others, in their proportions.
            for (turns, worker) in turns.iter_mut().zip(candidates.iter()) {
                *turns *= u32::from(!worker.stats().is_closed());
            }
            schedule::smooth_order(&turns).collect()
        };
        let schedules = roster.groups().map(schedule).collect();
        let rotation = Some(Rotation { version: roster.version(), schedules });
        Some(Arc::new(Self { bounds: self.bounds, sequences: self.sequences.clone(), rotation }))
    }

    fn validate(&self) -> Result<(), StrategyError> {
        let Some((floor, cap)) = self.bounds else { return Ok(()) };
        let within = 0.0 < floor && floor <= 1.0;
        StrategyError::unless(within, NAME, "weight floor", floor, "above 0 and at most 1")?;
        let within = 1.0 <= cap && cap.is_finite();
        StrategyError::unless(within, NAME, "weight cap", cap, "a finite number of at least 1")
    }

    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        Some(self.weigh(roster.members().iter().map(|member| &*member.worker)))
    }
}

const NAME: &str = "weighted_round_robin";

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{picks, roster};
    use raddle_core::{Capability, Outcome, Reservation, WorkerSpec};
    use std::time::Duration;

    fn from_the_start(strategy: WeightedRoundRobin) -> WeightedRoundRobin {
        WeightedRoundRobin { sequences: Sequences::starting_at(0), ..strategy }
    }

    fn prepared(strategy: &WeightedRoundRobin, roster: &Roster) -> Arc<dyn Strategy> {
        strategy.prepare(roster).unwrap()
    }

    fn shares(strategy: &dyn Strategy, roster: &Roster) -> Vec<f64> {
        let picks = picks(strategy, &TaskProfile::default(), roster, 10_000);
        let mut shares = vec![0.0; roster.members().len()];
        picks.into_iter().for_each(|pick| shares[pick] += 1.0 / 10_000.0);
        shares
    }

    fn finish_on(roster: &Roster, position: usize, outcome: Outcome, millis: u64, times: usize) {
        let worker = &roster.members()[position].worker;
        for _ in 0..times {
            let reservation = Reservation::take(worker, position, None).unwrap();
            reservation.finish(outcome, Duration::from_millis(millis));
        }
    }

    fn weighted(weights: &[u32]) -> Roster {
        let specs = weights.iter().zip('a'..);
        let add = |builder: raddle_core::RosterBuilder, (weight, name): (&u32, char)| {
            builder.worker(WorkerSpec::new(name.to_string()).weight(*weight))
        };
        specs.fold(Roster::builder(), add).build().unwrap()
    }

    #[test]
    fn the_prepared_order_is_smooth() {
        let roster = weighted(&[5, 1, 1]);
        let task = TaskProfile::default();
        for strategy in [WeightedRoundRobin::fixed(), WeightedRoundRobin::new()].map(from_the_start)
        {
            let prepared = prepared(&strategy, &roster);
            assert_eq!(picks(&*prepared, &task, &roster, 7), [0, 0, 1, 0, 2, 0, 0], "aabacaa");
        }
        let fewer = roster.without_worker(roster.members()[0].worker.id()).unwrap();
        let prepared = prepared(&from_the_start(WeightedRoundRobin::fixed()), &fewer);
        assert_eq!(picks(&*prepared, &task, &fewer, 4), [0, 1, 0, 1]);
    }

    #[test]
    fn the_rotation_continues_when_it_is_prepared_again() {
        let (roster, task) = (weighted(&[5, 1, 1]), TaskProfile::default());
        let strategy = from_the_start(WeightedRoundRobin::fixed());
        let first = prepared(&strategy, &roster);
        assert_eq!(picks(&*first, &task, &roster, 3), [0, 0, 1]);
        let second = prepared(&strategy, &roster);
        assert_eq!(picks(&*second, &task, &roster, 3), [0, 2, 0]);
        let third = second.prepare(&roster).unwrap();
        assert_eq!(picks(&*third, &task, &roster, 2), [0, 0]);
    }

    #[test]
    fn each_group_has_its_own_rotation() {
        let [x, y] = ["wrr-x", "wrr-y"].map(|name| Capability::intern(name).unwrap());
        let roster = Roster::builder()
            .worker(WorkerSpec::new("a").weight(2).capability("wrr-x"))
            .worker(WorkerSpec::new("b").weight(1).capability("wrr-x").capability("wrr-y"))
            .build()
            .unwrap();
        let prepared = prepared(&from_the_start(WeightedRoundRobin::fixed()), &roster);
        for _ in 0..2 {
            let task = |capability| TaskProfile::default().capability(capability);
            assert_eq!(picks(&*prepared, &task(y), &roster, 1), [0]);
            assert_eq!(picks(&*prepared, &task(x), &roster, 3), [0, 1, 0]);
        }
    }

    #[test]
    fn an_unprepared_roster_is_served_at_random_by_own_weights() {
        fastrand::seed(0x0077_7272);
        let roster = weighted(&[6, 3, 0]);
        let strategy = WeightedRoundRobin::new();
        let stale = prepared(&strategy, &roster.with_workers(&[WorkerSpec::new("z")]).unwrap());
        for strategy in [&strategy as &dyn Strategy, &*stale] {
            let shares = shares(strategy, &roster);
            for (share, expected) in shares.iter().zip([0.6, 0.3, 0.1]) {
                assert!((share - expected).abs() < 0.025, "seed 0x777272: {shares:?}");
            }
        }
    }

    #[test]
    fn without_any_success_all_have_their_own_weight() {
        let roster = roster(2);
        finish_on(&roster, 0, Outcome::Completed, 1, 20);
        // Until its rate over its mean is less than the smallest float.
        finish_on(&roster, 1, Outcome::Failed, 1, 12_000);
        // The failure penalty is still known from the worker that left.
        let roster = roster.without_worker(roster.members()[0].worker.id()).unwrap();
        assert!(roster.members()[0].worker.stats().latencies().mean().is_some());
        assert_eq!(WeightedRoundRobin::new().weights(&roster), Some(vec![1.0]));
    }

    #[test]
    fn fixed_weights_do_not_follow_performance() {
        let roster = roster(2);
        finish_on(&roster, 0, Outcome::Completed, 1, 20);
        finish_on(&roster, 1, Outcome::Completed, 4, 20);
        assert_eq!(WeightedRoundRobin::fixed().weights(&roster), Some(vec![1.0, 1.0]));
    }

    #[test]
    fn weights_follow_performance_within_their_bounds() {
        let roster = roster(3);
        finish_on(&roster, 0, Outcome::Completed, 1, 20);
        finish_on(&roster, 1, Outcome::Completed, 4, 20);
        let strategy = WeightedRoundRobin::new();
        let shares = shares(&*prepared(&strategy, &roster), &roster);
        // Performances 1 and 1/4 a ms, mean 5/8: factors 1.6 and 0.4, and 1 without data.
        for (share, factor) in shares.iter().zip([1.6, 0.4, 1.0]) {
            assert!((share - factor / 3.0).abs() < 0.01, "{shares:?}");
        }
        assert_eq!(strategy.weights(&roster).unwrap()[2], 1.0);
        let tight = WeightedRoundRobin::bounded(0.5, 1.5).weights(&roster).unwrap();
        assert_eq!(tight, [1.5, 0.5, 1.0]);
    }

    #[test]
    fn a_failing_worker_falls_and_recovers() {
        let roster = roster(2);
        let strategy = WeightedRoundRobin::new();
        let shares = |strategy| shares(&*prepared(strategy, &roster), &roster);
        (0..2).for_each(|position| finish_on(&roster, position, Outcome::Completed, 2, 100));
        assert!((shares(&strategy)[0] - 0.5).abs() < 0.01);
        finish_on(&roster, 0, Outcome::Failed, 1, 100);
        let fallen = shares(&strategy)[0];
        assert!((0.02..0.1).contains(&fallen), "at its floor, not starved: {fallen}");
        finish_on(&roster, 0, Outcome::Completed, 2, 200);
        assert!((shares(&strategy)[0] - 0.5).abs() < 0.01);
    }

    #[test]
    fn bounds_that_exclude_one_are_refused_and_still_pick() {
        let roster = roster(2);
        (0..2).for_each(|position| finish_on(&roster, position, Outcome::Completed, 2, 10));
        let nan = f64::NAN;
        for (floor, cap) in
            [(2.0, 3.0), (0.0, 3.0), (nan, 1.0), (0.5, 0.9), (0.5, nan), (-7.0, -8.0)]
        {
            let strategy = WeightedRoundRobin::bounded(floor, cap);
            let error = strategy.validate().unwrap_err().to_string();
            assert!(error.contains("of weighted_round_robin is"), "{error}");
            let prepared = prepared(&strategy, &roster);
            assert!(
                picks(&*prepared, &TaskProfile::default(), &roster, 9).iter().all(|at| *at < 2)
            );
        }
        let strategy = WeightedRoundRobin::bounded(0.5, f64::INFINITY);
        let error = strategy.validate().unwrap_err().to_string();
        let expected = "weight cap of weighted_round_robin is inf, \
                        allowed is a finite number of at least 1";
        assert_eq!(error, expected);
    }
}
