use std::time::Duration;

use raddle_core::{Candidates, Roster, TaskProfile, Worker, nanos};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Strategy;
use crate::power_of_two::two_of_the_others;

/// A strategy in which a new worker's share grows from a floor to that of the others.
///
/// - **Rule:** the inner strategy picks. A worker's *maturity* is the time since it became
///   [new](Worker::in_service_since) as a share of the ramp, at least the floor and at most 1. Should
///   the picked one not be mature, another candidate is found, the less loaded of two at random, and
///   the task is the new one's with a probability of its maturity over the other's.
/// - **Source:** the ramp is that of Envoy's slow start; to weigh two maturities is ours: workers that
///   are new together, as when a pool starts, are none of them held back, and the inner strategy's
///   choice stands.
/// - **Cost:** that of the inner strategy and, where nobody is new, two loads of lines that are seldom
///   written. While somebody is, a clock reading where the task does not tell the time, and for a pick
///   of a new worker two random numbers and a look at two others. Wait-free, allocates nothing.
/// - **Made for:** workers that start cold: an empty cache, code that is not compiled yet, connections
///   to be made.
/// - **Traps:** a worker is new again whenever its actor was made anew, so that one which panics often
///   is never mature. Where new workers are as many as the old ones, half of what one is not given
///   goes to other new ones. What is turned away goes by load alone, whatever the inner strategy goes
///   by. Tasks with a key, and those that an idle worker takes from others, go by no strategy.
///
/// A worker is never starved: its share is at least the floor times what the inner strategy gives it.
/// Reports have the inner strategy's [name](Strategy::name).
///
/// ```
/// use std::time::Duration;
/// use raddle_strategies::{LeastLoaded, SlowStart};
///
/// let strategy = SlowStart::new(LeastLoaded::new()).ramp(Duration::from_secs(30)).floor(0.05);
/// ```
#[derive(Debug)]
pub struct SlowStart<S> {
    inner: S,
    ramp: u64,
    floor: f64,
    /// The newest worker's time, as of which nobody was new any more.
    settled: AtomicU64,
}

impl<S: Strategy> SlowStart<S> {
    /// How long a worker is new, by default.
    pub const RAMP: Duration = Duration::from_secs(10);
    /// The least maturity, by default.
    pub const FLOOR: f64 = 0.1;

    /// Slow start over this strategy, of [`RAMP`](Self::RAMP) from [`FLOOR`](Self::FLOOR).
    pub fn new(inner: S) -> Self {
        Self { inner, ramp: nanos(Self::RAMP), floor: Self::FLOOR, settled: AtomicU64::new(0) }
    }

    /// Sets how long a worker is new.
    #[must_use]
    pub fn ramp(mut self, ramp: Duration) -> Self {
        self.ramp = nanos(ramp);
        self
    }

    /// Sets the least maturity.
    ///
    /// # Panics
    /// Unless it is above 0, as 0 would starve, and at most 1.
    #[must_use]
    pub fn floor(mut self, floor: f64) -> Self {
        assert!(
            0.0 < floor && floor <= 1.0,
            "slow start's floor is {floor}, allowed is above 0 and at most 1"
        );
        self.floor = floor;
        self
    }

    /// The strategy below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// From the floor to 1.
    fn maturity(&self, worker: &Worker, now: u64) -> f64 {
        let age = now.saturating_sub(worker.in_service_since());
        if age >= self.ramp { 1.0 } else { (age as f64 / self.ramp as f64).max(self.floor) }
    }

    /// Who is given the task while somebody may be new.
    #[cold]
    fn weigh(
        &self,
        task: &TaskProfile,
        candidates: &Candidates<'_>,
        picked: usize,
        newest: u64,
    ) -> usize {
        let now = match task.submitted_at {
            0 => candidates.roster().clock().now(),
            now => now,
        };
        if now.saturating_sub(newest) >= self.ramp {
            self.settled.store(newest, Relaxed);
            return picked;
        }
        let picked = picked.min(candidates.len() - 1);
        let maturity = self.maturity(candidates.worker(picked), now);
        if maturity >= 1.0 {
            return picked;
        }
        let Some(other) = two_of_the_others(candidates, picked) else { return picked };
        let others = self.maturity(candidates.worker(other), now);
        if fastrand::f64() * others < maturity { picked } else { other }
    }
}

impl<S: Strategy> Strategy for SlowStart<S> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let picked = self.inner.pick(task, candidates);
        // Raised by each worker that becomes new, and no other: where it is as it was, nobody has.
        let newest = candidates.roster().baseline().newest_since();
        if newest == self.settled.load(Relaxed) {
            return picked;
        }
        self.weigh(task, candidates, picked, newest)
    }

    fn refresh(&self, roster: &Roster) {
        self.inner.refresh(roster);
    }

    fn reads_age(&self) -> bool {
        self.inner.reads_age()
    }

    fn lets_steal(&self) -> bool {
        self.inner.lets_steal()
    }

    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        self.inner.weights(roster)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{Always, picks};
    use crate::{
        Balancer, CapabilityBest, LatencyBased, LeastLoaded, Random, RoundRobin, WeightedRoundRobin,
    };
    use raddle_core::{Clock, Health, VirtualTime, WorkerId, WorkerSpec};

    const SEED: u64 = 0x736c_6f77;
    const PICKS: usize = 20_000;
    const RAMP: Duration = Duration::from_secs(10);

    /// So many workers that are mature, and then so many that are new.
    fn scene(mature: usize, new: usize) -> (Roster, VirtualTime) {
        let (clock, time) = Clock::simulated();
        let roster = Roster::builder().workers(mature, WorkerSpec::general()).clock(clock);
        let roster = roster.build().unwrap();
        time.advance(RAMP);
        let specs: Vec<_> = (0..new).map(|index| WorkerSpec::new("new").numbered(index)).collect();
        (roster.with_workers(&specs).unwrap(), time)
    }

    /// Each one's share of the fair share.
    fn shares(strategy: &dyn Strategy, roster: &Roster) -> Vec<f64> {
        let workers = roster.members().len();
        let mut counts = vec![0; workers];
        let picks = picks(strategy, &TaskProfile::default(), roster, PICKS);
        picks.into_iter().for_each(|index| counts[index] += 1);
        counts.iter().map(|count| f64::from(*count) * workers as f64 / PICKS as f64).collect()
    }

    /// Five standard deviations of a share of about the fair one among four.
    const NOISE: f64 = 0.06;

    #[test]
    fn a_refresh_is_the_inner_ones() {
        #[derive(Debug, Default)]
        struct Refreshed(AtomicU64);

        impl Strategy for Refreshed {
            fn name(&self) -> &'static str {
                "refreshed"
            }
            fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
                0
            }
            fn refresh(&self, roster: &Roster) {
                self.0.store(roster.members().len() as u64, Relaxed);
            }
        }

        let strategy = SlowStart::new(Refreshed::default());
        strategy.refresh(&scene(3, 1).0);
        assert_eq!(strategy.inner.0.load(Relaxed), 4);
    }

    #[test]
    fn an_index_beyond_the_last_is_the_last() {
        fastrand::seed(SEED);
        let (roster, time) = scene(3, 1);
        time.advance(RAMP / 2);
        let picks =
            picks(&SlowStart::new(Always(usize::MAX)), &TaskProfile::default(), &roster, 1_000);
        let last = picks.iter().filter(|index| **index == 3).count();
        assert!((400..600).contains(&last), "seed {SEED:#x}, the last is new: {last}");
    }

    #[test]
    fn a_new_workers_share_grows_from_the_floor_to_the_fair_one() {
        fastrand::seed(SEED);
        let (roster, time) = scene(3, 1);
        let strategies: [&dyn Strategy; 3] = [
            &SlowStart::new(Random::new()),
            &SlowStart::new(RoundRobin::new()),
            &SlowStart::new(LeastLoaded::new()),
        ];
        for (seconds, expected) in [(0, 0.1), (1, 0.1), (3, 0.3), (9, 0.9), (10, 1.0), (99, 1.0)] {
            time.set(1 + nanos(RAMP) + nanos(Duration::from_secs(seconds)));
            for strategy in strategies {
                let shares = shares(strategy, &roster);
                let off = (shares[3] - expected).abs();
                let name = strategy.name();
                assert!(off < NOISE, "seed {SEED:#x}, {name} after {seconds} s: {shares:?}");
                assert!(shares[3] > 0.0 && shares[3] < 1.0 + NOISE);
                for old in &shares[..3] {
                    let off = (old - (4.0 - expected) / 3.0).abs();
                    assert!(off < NOISE, "seed {SEED:#x}, {name}: the others share the rest");
                }
            }
        }
    }

    #[test]
    fn no_strategy_gives_a_new_worker_more_than_its_share_or_nothing() {
        fastrand::seed(SEED);
        let (roster, _time) = scene(3, 1);
        let strategies: [&dyn Strategy; 3] = [
            &SlowStart::new(LatencyBased::new()),
            &SlowStart::new(CapabilityBest::new()),
            &SlowStart::new(WeightedRoundRobin::new()),
        ];
        for strategy in strategies {
            strategy.refresh(&roster);
            let share = shares(strategy, &roster)[3];
            assert!((share - 0.1).abs() < NOISE, "seed {SEED:#x}, {}: {share}", strategy.name());
        }
    }

    #[test]
    fn workers_that_are_new_together_are_picked_as_the_inner_strategy_says() {
        let (roster, time) = scene(0, 4);
        let (slow, plain) = (SlowStart::new(RoundRobin::new()), RoundRobin::new());
        let task = TaskProfile::default();
        for seconds in [0, 3, 7, 20] {
            time.advance(Duration::from_secs(seconds));
            assert_eq!(picks(&slow, &task, &roster, 100), picks(&plain, &task, &roster, 100));
        }
        let (alone, _time) = scene(0, 1);
        assert_eq!(picks(&slow, &task, &alone, 5), [0; 5]);
    }

    #[test]
    fn half_of_the_workers_may_be_new_and_get_less() {
        fastrand::seed(SEED);
        let (roster, _time) = scene(4, 4);
        let shares = shares(&SlowStart::new(Random::new()), &roster);
        // Of the fair share: the floor, and of the rest what 3 of 7 others are given back.
        let expected = 0.1 + 0.9 * 3.0 / 7.0;
        for share in &shares[4..] {
            assert!((share - expected).abs() < 2.0 * NOISE, "seed {SEED:#x}: {shares:?}");
        }
    }

    #[test]
    fn who_is_made_anew_or_comes_back_is_new_whatever_was_found_before() {
        fastrand::seed(SEED);
        let (roster, time) = scene(4, 0);
        let strategy = SlowStart::new(Random::new());
        time.advance(RAMP);
        let share = |roster: &Roster| shares(&strategy, roster)[1];
        assert!((share(&roster) - 1.0).abs() < NOISE);
        assert_eq!(strategy.settled.load(Relaxed), 1, "nobody is new, and it knows");
        // No refresh, and no other roster.
        roster.members()[1].worker.next_generation();
        assert!(share(&roster) < 0.1 + NOISE);
        time.advance(RAMP);
        assert!((share(&roster) - 1.0).abs() < NOISE);
        let aside = roster.with_health(WorkerId(1), Health::Ejected).unwrap();
        let back = aside.with_health(WorkerId(1), Health::Active).unwrap();
        assert!(share(&back) < 0.1 + NOISE);
    }

    #[test]
    fn the_time_is_the_tasks_where_it_has_one() {
        fastrand::seed(SEED);
        let (roster, time) = scene(3, 1);
        time.advance(10 * RAMP);
        let strategy = SlowStart::new(Random::new());
        let early = TaskProfile::default().submitted_at(1 + nanos(RAMP));
        let new =
            picks(&strategy, &early, &roster, PICKS).iter().filter(|index| **index == 3).count();
        assert!(new < PICKS / 20, "seed {SEED:#x}: {new}");
    }

    #[test]
    fn a_clock_that_goes_back_starves_nobody() {
        fastrand::seed(SEED);
        let (roster, time) = scene(3, 1);
        time.set(1);
        let shares = shares(&SlowStart::new(Random::new()), &roster);
        assert!(shares.iter().all(|share| (share - 1.0).abs() < NOISE), "{shares:?}");
    }

    #[test]
    fn it_answers_for_the_inner_strategy() {
        let (roster, _time) = scene(2, 0);
        let slow = SlowStart::new(WeightedRoundRobin::new());
        slow.refresh(&roster);
        assert_eq!(slow.name(), "weighted_round_robin");
        assert_eq!(slow.weights(&roster), slow.inner().weights(&roster));
        assert!(SlowStart::new(LatencyBased::new()).reads_age());
        assert!(SlowStart::new(Random::new()).lets_steal());
        assert!(!slow.reads_age() && !slow.lets_steal());
        let balancer = Balancer::new(slow);
        assert!(balancer.select(&TaskProfile::default(), &roster).is_ok());
    }

    #[test]
    #[should_panic(expected = "allowed is above 0 and at most 1")]
    fn a_floor_that_starves_is_refused() {
        let _ = SlowStart::new(Random::new()).floor(0.0);
    }

    #[test]
    fn without_a_ramp_nobody_is_new() {
        fastrand::seed(SEED);
        let (roster, _time) = scene(3, 1);
        let shares = shares(&SlowStart::new(Random::new()).ramp(Duration::ZERO), &roster);
        assert!((shares[3] - 1.0).abs() < NOISE, "{shares:?}");
    }
}
