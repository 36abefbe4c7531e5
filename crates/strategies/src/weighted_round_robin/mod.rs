mod schedule;
mod table;

use raddle_core::{Candidates, Roster, TaskProfile, Worker};

use crate::Strategy;
use crate::sequences::Sequences;
use table::Table;

/// Rotation in proportion to weights, smooth.
///
/// - **Rule:** a worker's weight is its [own](raddle_core::WorkerSpec::weight) times its
///   measured performance, `success rate / mean latency` relative to the pool's mean of that,
///   kept between a floor and a cap; 1 while it has no data. [`fixed`](Self::fixed) leaves the
///   performance out. The order is nginx's smooth one: weights 5, 1, 1 give `aabacaa`.
/// - **Cost:** O(1), wait-free: one `fetch_add` and four loads. Exception: the first selection
///   from a roster that [`refresh`](Strategy::refresh) has not seen works out the schedule,
///   O(n x turns), and allocates. The runtime refreshes before it publishes a roster.
/// - **Made for:** mixed pools; fair with quality.
/// - **Traps:** blind to queues between two refreshes: call `refresh` about once a second (the
///   runtime does). A weight of 0 is the least share, not none.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    /// Bounds of the performance factor; `None` for fixed weights.
    bounds: Option<(f64, f64)>,
    sequences: Sequences,
    table: Table,
}

impl WeightedRoundRobin {
    /// The least factor by which performance changes a weight, by default.
    pub const FLOOR: f64 = 0.1;
    /// The greatest.
    pub const CAP: f64 = 10.0;

    /// Weights that follow performance, between [`FLOOR`](Self::FLOOR) and [`CAP`](Self::CAP).
    pub fn new() -> Self {
        Self::bounded(Self::FLOOR, Self::CAP)
    }

    /// Weights that follow performance, within a floor and a cap.
    ///
    /// # Panics
    /// Unless `0 < floor <= 1 <= cap` and the cap is finite.
    pub fn bounded(floor: f64, cap: f64) -> Self {
        assert!(
            0.0 < floor && floor <= 1.0 && 1.0 <= cap && cap.is_finite(),
            "weight bounds are {floor} and {cap}, allowed is 0 < floor <= 1 <= cap"
        );
        Self { bounds: Some((floor, cap)), sequences: Sequences::new(), table: Table::new() }
    }

    /// The workers' own weights and nothing else.
    pub fn fixed() -> Self {
        Self { bounds: None, ..Self::new() }
    }

    /// The weights of some workers by this rule, in their order.
    fn weigh<'w>(&self, workers: impl Iterator<Item = &'w Worker>) -> Vec<f64> {
        let (own, performance): (Vec<f64>, Vec<Option<f64>>) =
            workers.map(|worker| (f64::from(worker.weight()), performance(worker))).unzip();
        let Some((floor, cap)) = self.bounds else {
            return own;
        };
        let measured = performance.iter().flatten().count();
        let pool = performance.iter().flatten().sum::<f64>() / measured.max(1) as f64;
        let factor = |performance: Option<f64>| match performance {
            Some(performance) if pool > 0.0 => (performance / pool).clamp(floor, cap),
            _ => 1.0,
        };
        own.iter().zip(performance).map(|(own, performance)| own * factor(performance)).collect()
    }
}

/// Successes a nanosecond of service; `None` without data.
fn performance(worker: &Worker) -> Option<f64> {
    let mean = worker.stats().latencies().mean()?;
    Some(worker.stats().success_rate() / mean.max(1) as f64)
}

impl Default for WeightedRoundRobin {
    fn default() -> Self {
        Self::new()
    }
}

impl Strategy for WeightedRoundRobin {
    fn name(&self) -> &'static str {
        "weighted_round_robin"
    }

    #[inline]
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let sequence = self.sequences.next(candidates);
        if let Some(turn) = self.table.turn(candidates, sequence) {
            return turn;
        }
        if !self.table.is_for(candidates.roster().version()) {
            self.refresh(candidates.roster());
        }
        // Plain rotation while another thread works out the schedule.
        let turn = self.table.turn(candidates, sequence);
        turn.unwrap_or((sequence % candidates.len() as u64) as usize)
    }

    fn refresh(&self, roster: &Roster) {
        let schedules: Vec<Vec<u32>> = roster
            .groups()
            .map(|candidates| {
                let weights = self.weigh(candidates.iter().map(|worker| &**worker));
                schedule::smooth_order(&schedule::turns(&weights)).collect()
            })
            .collect();
        self.table.write(roster.version(), &schedules);
    }

    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        Some(self.weigh(roster.members().iter().map(|member| &*member.worker)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{picks, roster};
    use raddle_core::{Outcome, Reservation, WorkerSpec};
    use std::time::Duration;

    fn shares(strategy: &WeightedRoundRobin, roster: &Roster) -> Vec<f64> {
        strategy.refresh(roster);
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

    #[test]
    fn fixed_weights_are_kept_without_a_refresh() {
        let specs = [("a", 5), ("b", 1), ("c", 1)];
        let roster = specs
            .into_iter()
            .fold(Roster::builder(), |builder, (name, weight)| {
                builder.worker(WorkerSpec::new(name).weight(weight))
            })
            .build()
            .unwrap();
        let task = TaskProfile::default();
        for strategy in [WeightedRoundRobin::fixed(), WeightedRoundRobin::new()] {
            assert_eq!(picks(&strategy, &task, &roster, 7), [0, 0, 1, 0, 2, 0, 0], "aabacaa");
        }
        let fewer = roster.without_worker(roster.members()[0].worker.id()).unwrap();
        assert_eq!(picks(&WeightedRoundRobin::fixed(), &task, &fewer, 4), [0, 1, 0, 1]);
    }

    #[test]
    fn while_another_thread_works_out_the_schedule_the_workers_take_turns() {
        let strategy = WeightedRoundRobin::new();
        strategy.table.occupy();
        let picks = picks(&strategy, &TaskProfile::default(), &roster(3), 7);
        assert_eq!(picks, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn where_nothing_succeeds_any_more_all_have_their_own_weight() {
        let roster = roster(2);
        finish_on(&roster, 0, Outcome::Completed, 1, 20);
        // Until its rate, over its mean, is less than the least of numbers.
        finish_on(&roster, 1, Outcome::Failed, 1, 12_000);
        // What a failure is taken for is known from one who has left.
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
        let shares = shares(&strategy, &roster);
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
        (0..2).for_each(|position| finish_on(&roster, position, Outcome::Completed, 2, 100));
        assert!((shares(&strategy, &roster)[0] - 0.5).abs() < 0.01);
        finish_on(&roster, 0, Outcome::Failed, 1, 100);
        let fallen = shares(&strategy, &roster)[0];
        assert!((0.02..0.1).contains(&fallen), "at its floor, not starved: {fallen}");
        finish_on(&roster, 0, Outcome::Completed, 2, 200);
        assert!((shares(&strategy, &roster)[0] - 0.5).abs() < 0.01);
    }

    #[test]
    #[should_panic(expected = "allowed is 0 < floor <= 1 <= cap")]
    fn bounds_that_exclude_one_are_refused() {
        WeightedRoundRobin::bounded(2.0, 3.0);
    }
}
