use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Candidates, Roster, TaskProfile, Worker, nanos};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::power_of_two::two_of_the_others;
use crate::{Strategy, StrategyError};

/// Wraps a strategy so that a new worker's share grows from a floor to that of the others.
///
/// - **Rule:** the inner strategy picks. A worker's *maturity* is the time since it became
///   [new](Worker::in_service_since), as a share of the ramp, at least the floor and at most 1. If
///   the picked worker is not mature, the less loaded of two random others is its rival, and the
///   picked worker keeps the task with the probability of its maturity over the rival's.
/// - **Source:** the ramp is that of Envoy's slow start. Weighing two maturities is our own: if
///   all workers are new, as when a pool starts, none is held back.
/// - **Use it for:** workers that start cold, with an empty cache, code that is not compiled yet or
///   connections to open.
/// - **Cost:** that of the inner strategy, and if no worker is new, two loads from lines that are
///   rarely written. Otherwise also a clock reading (unless the task carries the time), and for a
///   new worker two random numbers and two other workers' statistics. Wait-free.
/// - **Weak points:** a worker is new again after each restart of its actor, so one that panics
///   often never matures. If half of the workers are new, about half of what one of them passes on
///   goes to another new one. Passed-on tasks go by load alone, whatever the inner strategy does.
///   A task with a key stays with the worker that a strategy which
///   [routes keys](Strategy::routes_keys) picks, so a new worker has all of its keys at once. In pools,
///   other tasks with a key, and stolen tasks, do not go through a strategy.
///
/// No worker is starved: its share is at least the floor times its share under the inner strategy.
/// Reports show the inner strategy's [name](Strategy::name).
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
    ramp: Duration,
    floor: f64,
    /// The newest worker's time for which every worker was found to be mature.
    settled: AtomicU64,
}

impl<S: Strategy> SlowStart<S> {
    /// The default time for which a worker is new.
    pub const RAMP: Duration = Duration::from_secs(10);
    /// The default minimum maturity.
    pub const FLOOR: f64 = 0.1;

    /// Wraps `inner` with a ramp of [`RAMP`](Self::RAMP) from [`FLOOR`](Self::FLOOR).
    pub fn new(inner: S) -> Self {
        Self { inner, ramp: Self::RAMP, floor: Self::FLOOR, settled: AtomicU64::new(0) }
    }

    /// Sets for how long a worker is new, at most [`u64::MAX`] nanoseconds. Zero turns slow start
    /// off.
    #[must_use]
    pub fn ramp(mut self, ramp: Duration) -> Self {
        self.ramp = ramp;
        self
    }

    /// Sets the minimum maturity, above 0 and at most 1.
    #[must_use]
    pub fn floor(mut self, floor: f64) -> Self {
        self.floor = floor;
        self
    }

    /// Returns the wrapped strategy.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Returns a worker's maturity, from the floor to 1.
    fn maturity(&self, worker: &Worker, now: u64) -> f64 {
        let (age, ramp) = (now.saturating_sub(worker.in_service_since()), nanos(self.ramp));
        if age >= ramp { 1.0 } else { (age as f64 / ramp as f64).max(self.floor) }
    }

    /// Returns who gets the task while a worker may be new.
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
        if now.saturating_sub(newest) >= nanos(self.ramp) {
            self.settled.store(newest, Relaxed);
            return picked;
        }
        // The key returns to this worker once it is no longer new: passing its task on now would only
        // move the key twice.
        if task.key.is_some() && self.inner.routes_keys() {
            return picked;
        }
        let picked = picked.min(candidates.len() - 1);
        let maturity = self.maturity(candidates.worker(picked), now);
        if maturity >= 1.0 {
            return picked;
        }
        let Some(rival) = two_of_the_others(candidates, picked) else { return picked };
        let rivals = self.maturity(candidates.worker(rival), now);
        if fastrand::f64() * rivals < maturity { picked } else { rival }
    }
}

impl<S: Strategy> Strategy for SlowStart<S> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let picked = self.inner.pick(task, candidates);
        // Only a worker that becomes new raises this: as long as it stays the same, none has.
        let newest = candidates.roster().baseline().newest_since();
        if newest == self.settled.load(Relaxed) {
            return picked;
        }
        self.weigh(task, candidates, picked, newest)
    }

    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        let inner = self.inner.prepare(roster)?;
        let settled = AtomicU64::new(self.settled.load(Relaxed));
        Some(Arc::new(SlowStart { inner, ramp: self.ramp, floor: self.floor, settled }))
    }

    fn validate(&self) -> Result<(), StrategyError> {
        let (ramp, floor) = (self.ramp, self.floor);
        let within = ramp.as_nanos() <= u64::MAX.into();
        let shown = format_args!("{ramp:?}");
        StrategyError::unless(within, "slow_start", "ramp", shown, "at most 584 years")?;
        let within = 0.0 < floor && floor <= 1.0;
        StrategyError::unless(within, "slow_start", "floor", floor, "above 0 and at most 1")?;
        self.inner.validate()
    }

    fn reads_age(&self) -> bool {
        self.inner.reads_age()
    }

    fn lets_steal(&self) -> bool {
        self.inner.lets_steal()
    }

    fn routes_keys(&self) -> bool {
        self.inner.routes_keys()
    }

    fn tells_keys_apart(&self) -> bool {
        self.inner.tells_keys_apart()
    }

    fn needs_tracking(&self) -> bool {
        self.inner.needs_tracking()
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

    /// Returns a roster of some mature and then some new workers.
    fn scene(mature: usize, new: usize) -> (Roster, VirtualTime) {
        let (clock, time) = Clock::simulated();
        let roster = Roster::builder().workers(mature, WorkerSpec::general()).clock(clock);
        let roster = roster.build().unwrap();
        time.advance(RAMP);
        let specs: Vec<_> = (0..new).map(|index| WorkerSpec::new("new").numbered(index)).collect();
        (roster.with_workers(&specs).unwrap(), time)
    }

    /// Returns each worker's share as a multiple of the fair share.
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
    fn an_index_that_is_too_high_counts_as_the_last() {
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
    fn no_inner_strategy_overloads_or_starves_a_new_worker() {
        fastrand::seed(SEED);
        let (roster, _time) = scene(3, 1);
        let strategies: [&dyn Strategy; 3] = [
            &SlowStart::new(LatencyBased::new()),
            &SlowStart::new(CapabilityBest::new()),
            &SlowStart::new(WeightedRoundRobin::new()),
        ];
        for strategy in strategies {
            let share = shares(strategy, &roster)[3];
            assert!((share - 0.1).abs() < NOISE, "seed {SEED:#x}, {}: {share}", strategy.name());
        }
    }

    #[test]
    fn if_all_workers_are_new_the_inner_choice_stands() {
        let (roster, time) = scene(0, 4);
        let plain = Arc::new(RoundRobin::new());
        let slow = SlowStart::new(Arc::clone(&plain));
        let task = TaskProfile::default();
        for seconds in [0, 3, 7, 20] {
            time.advance(Duration::from_secs(seconds));
            // The two take turns in one rotation.
            let rotated = picks(&slow, &task, &roster, 100);
            assert_eq!(rotated, picks(&*plain, &task, &roster, 100));
        }
        let (alone, _time) = scene(0, 1);
        assert_eq!(picks(&slow, &task, &alone, 5), [0; 5]);
    }

    #[test]
    fn new_workers_get_less_even_if_half_are_new() {
        fastrand::seed(SEED);
        let (roster, _time) = scene(4, 4);
        let shares = shares(&SlowStart::new(Random::new()), &roster);
        // The floor, and what the other new workers pass on: 3 of 7 rivals are new.
        let expected = 0.1 + 0.9 * 3.0 / 7.0;
        for share in &shares[4..] {
            assert!((share - expected).abs() < 2.0 * NOISE, "seed {SEED:#x}: {shares:?}");
        }
    }

    #[test]
    fn a_restarted_or_readmitted_worker_is_new_again() {
        fastrand::seed(SEED);
        let (roster, time) = scene(4, 0);
        let strategy = SlowStart::new(Random::new());
        time.advance(RAMP);
        let share = |roster: &Roster| shares(&strategy, roster)[1];
        assert!((share(&roster) - 1.0).abs() < NOISE);
        assert_eq!(strategy.settled.load(Relaxed), 1, "it remembers that no worker is new");
        // On the same roster, without preparing it again.
        roster.members()[1].worker.next_generation();
        assert!(share(&roster) < 0.1 + NOISE);
        time.advance(RAMP);
        assert!((share(&roster) - 1.0).abs() < NOISE);
        let aside = roster.with_health(WorkerId(1), Health::Ejected).unwrap();
        let back = aside.with_health(WorkerId(1), Health::Active).unwrap();
        assert!(share(&back) < 0.1 + NOISE);
    }

    #[test]
    fn the_task_s_time_is_used_if_it_has_one() {
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
    fn a_clock_that_goes_back_starves_no_worker() {
        fastrand::seed(SEED);
        let (roster, time) = scene(3, 1);
        time.set(1);
        let shares = shares(&SlowStart::new(Random::new()), &roster);
        assert!(shares.iter().all(|share| (share - 1.0).abs() < NOISE), "{shares:?}");
    }

    #[test]
    fn a_prepared_slow_start_is_slow_too() {
        fastrand::seed(SEED);
        let (roster, _time) = scene(3, 1);
        let slow = SlowStart::new(WeightedRoundRobin::new()).floor(0.5);
        let share = shares(&*slow.prepare(&roster).unwrap(), &roster)[3];
        assert!((share - 0.5).abs() < NOISE, "seed {SEED:#x}: {share}");
        assert_eq!(slow.name(), "weighted_round_robin");
        assert!(SlowStart::new(Random::new()).prepare(&roster).is_none());
    }

    #[test]
    fn bounds_are_validated_and_picks_survive_their_violation() {
        let (roster, _time) = scene(3, 1);
        let plain = || SlowStart::new(Random::new());
        let refused = |strategy: SlowStart<Random>, expected: &str| {
            assert_eq!(strategy.validate().unwrap_err().to_string(), expected);
            shares(&strategy, &roster);
        };
        let floor =
            |floor| format!("floor of slow_start is {floor}, allowed is above 0 and at most 1");
        for value in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
            refused(plain().floor(value), &floor(value));
        }
        let ramp = Duration::MAX;
        let expected = format!("ramp of slow_start is {ramp:?}, allowed is at most 584 years");
        refused(plain().ramp(ramp), &expected);
        let inner = SlowStart::new(WeightedRoundRobin::bounded(2.0, 1.0));
        assert_eq!(inner.validate().unwrap_err().parameter, "weight floor");
        assert!(plain().validate().is_ok() && plain().floor(1.0).validate().is_ok());
        assert!(Balancer::new(plain().floor(0.0)).is_err());
    }

    #[test]
    fn without_a_ramp_no_worker_is_new() {
        fastrand::seed(SEED);
        let (roster, _time) = scene(3, 1);
        let shares = shares(&SlowStart::new(Random::new()).ramp(Duration::ZERO), &roster);
        assert!((shares[3] - 1.0).abs() < NOISE, "{shares:?}");
    }
}
