use std::sync::Arc;

use raddle_core::{Candidates, KeyAge, Roster, Signals, TaskProfile};

use crate::least_work::Work;
use crate::lowest::{Lowest, lowest};
use crate::{Strategy, retry};

/// Picks the candidate with the least work ahead of it, where a key that is not at hand counts as the
/// work that it costs.
///
/// - **Rule:** `argmin (work + cost x (q + 1))`, ties at random.
///   - `work` is as for [`LeastWork`](crate::LeastWork), and `q` the number of tasks in flight.
///   - `cost` depends on how lately the worker was given a task with the key, its
///     [age](raddle_core::WorkerStats::key_age) there: it is by how much longer the successes with
///     keys of that age [took](raddle_core::Baseline::cold_costs) than those with the latest keys,
///     of the same capability. It is measured, and 0 until then.
///   - The cost counts once for the task itself, and once for each task in flight: during the time in
///     which those are served about as many arrive, which all wait for it too.
///   - A worker that fails more often than not counts as if it did not remember the key.
/// - **Source:** the routers of LLM servers, which weigh the cached prefix of a prompt against
///   queues (NVIDIA Dynamo, SGLang). That the price is measured and grows with the queue is our own.
/// - **Use it for:** workers that cache, compile or load something by key, where each can serve any
///   key at a cost. A key is at as many workers as its tasks are worth. Without a cost this is
///   `LeastWork`, for tasks of any key.
/// - **Cost:** O(n), wait-free: that of `LeastWork`; and, if the key is not at hand there, a second
///   pass, which looks up the key at the workers that could win, at three cache lines each.
/// - **Weak points:** a worker remembers about 512 keys. If it keeps many more, this does not know
///   about most, and [`BoundedHash`](crate::BoundedHash) is better. A mean over all keys prices
///   each: if the keys with many tasks are those with short ones, the price is too high.
///   Reservations that are [detached](raddle_core::Reservation::detach) teach no cost. The weak
///   points of `LeastWork`.
///
/// In a pool of `raddle-runtime`, the strategy picks the worker for a partition, one of a thousand
/// groups of keys, whenever no task of the partition is unfinished, by the key of the task that is
/// sent then. Tasks of the partition's other keys follow it.
///
/// Workers remember keys once the strategy has been [prepared](Strategy::prepare) for them, as a pool
/// does, and a balancer when it is [refreshed](crate::Balancer::refresh). Until then, and for tasks
/// without a key, this is `LeastWork`.
#[derive(Clone, Copy, Debug, Default)]
pub struct WarmFirst;

impl WarmFirst {
    /// Creates the strategy.
    pub fn new() -> Self {
        Self
    }
}

/// Returns the candidate with the lowest price, of which `least` has the least work.
fn cheapest(
    key: u64,
    costs: [u64; KeyAge::COUNT],
    candidates: &Candidates<'_>,
    work: &Work,
    least: usize,
) -> usize {
    let cost = |index: usize, signals: &Signals<'_>| {
        let age = match candidates.worker(index).stats().key_age(key) {
            Some(age) if !signals.is_failing() => age,
            _ => KeyAge::UNSEEN,
        };
        // A closed worker's price is above all others, too.
        costs[age.index()].saturating_mul(signals.in_flight().saturating_add(1))
    };
    let Some(signals) = candidates.signals_at(least) else { return least };
    let extra = cost(least, &signals);
    if extra == 0 {
        return least;
    }
    let mut cheapest = Lowest::of(least, work.ahead(signals).saturating_add(extra));
    let mut index = 0;
    candidates.signals().for_each(|signals| {
        let work = work.ahead(signals);
        if work <= cheapest.score && index != least {
            cheapest.enter(index, work.saturating_add(cost(index, &signals)));
        }
        index += 1;
    });
    cheapest.index
}

impl Strategy for WarmFirst {
    fn name(&self) -> &'static str {
        "warm_first"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let work = Work::of(task, candidates);
        let least = lowest(candidates, |signals| work.ahead(signals));
        let best = task.key.map_or(least, |key| {
            let costs = candidates.roster().baseline().cold_costs(task.capability);
            cheapest(key, costs, candidates, &work, least)
        });
        retry::or_one_that_is_due(candidates, work.now(), best, |one, _| one.is_failing())
    }

    /// Lets the workers remember keys. Returns `None`.
    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        roster.members().iter().for_each(|member| member.worker.stats().remember_keys());
        None
    }

    fn reads_age(&self) -> bool {
        true
    }

    fn routes_keys(&self) -> bool {
        true
    }

    /// Workers keep keys, not partitions of them: by partition, the mean in a pool of eight was 13 %
    /// longer at a cold cost of ten times the service time (`cargo bench -p raddle-benches --bench
    /// warm`).
    fn tells_keys_apart(&self) -> bool {
        true
    }

    fn needs_tracking(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{picks, roster};
    use raddle_core::{Outcome, Reservation};

    const COLD: u64 = 1_000;

    fn task(key: u64) -> TaskProfile {
        TaskProfile::default().key(key).submitted_at(1)
    }

    /// Ends a task with a key at the worker at `position`.
    fn run(roster: &Roster, position: usize, key: u64, outcome: Outcome, service: u64) {
        let worker = &roster.members()[position].worker;
        let reservation = Reservation::take(worker, position, None).unwrap().noting_key(key);
        reservation.finish(outcome, Duration::from_nanos(service));
    }

    /// Returns a prepared roster of three workers whose tasks take 100, and [`COLD`] more with a
    /// key that is new. Key 7 has run at the last.
    fn learned() -> Roster {
        let roster = roster(3);
        assert!(WarmFirst.prepare(&roster).is_none());
        for key in 100..200 {
            run(&roster, 0, key, Outcome::Completed, 100 + COLD);
            (0..2).for_each(|_| run(&roster, 0, key, Outcome::Completed, 100));
        }
        run(&roster, 2, 7, Outcome::Completed, 100 + COLD);
        roster
    }

    fn queue(roster: &Roster, position: usize, tasks: usize) -> Vec<Reservation<'_>> {
        let worker = &roster.members()[position].worker;
        let take = |_| Reservation::take(worker, position, None).unwrap().expecting(100);
        (0..tasks).map(take).collect()
    }

    #[test]
    fn a_key_stays_where_it_ran_until_the_queue_there_costs_more_than_a_cold_key() {
        let roster = learned();
        let costs = roster.baseline().cold_costs(None);
        assert_eq!(costs[KeyAge::UNSEEN.index()].abs_diff(COLD) / 10, 0, "{costs:?}");
        assert_eq!(picks(&WarmFirst, &task(7), &roster, 9), [2; 9]);
        let shorter = queue(&roster, 2, 9);
        assert_eq!(picks(&WarmFirst, &task(7), &roster, 9), [2; 9], "900 of work");
        let longer = queue(&roster, 2, 2);
        assert!(!picks(&WarmFirst, &task(7), &roster, 9).contains(&2), "1,100 of work");
        // With a task each, a cold key costs twice as much.
        let _others = [0, 1].map(|position| queue(&roster, position, 1));
        assert_eq!(picks(&WarmFirst, &task(7), &roster, 9), [2; 9], "1,100, or 100 + 2,000");
        drop((shorter, longer));
    }

    #[test]
    fn a_key_that_no_worker_knows_goes_to_the_least_work() {
        let roster = learned();
        let _busy = [queue(&roster, 0, 2), queue(&roster, 2, 1)];
        assert_eq!(picks(&WarmFirst, &task(8), &roster, 9), [1; 9]);
        assert_eq!(picks(&WarmFirst, &TaskProfile::default().submitted_at(1), &roster, 9), [1; 9]);
    }

    #[test]
    fn of_several_workers_that_know_the_key_each_gets_its_share() {
        fastrand::seed(0x7761_726d);
        let roster = learned();
        run(&roster, 1, 7, Outcome::Completed, 100);
        let picks = picks(&WarmFirst, &task(7), &roster, 3_000);
        let of = |position| picks.iter().filter(|pick| **pick == position).count();
        assert!(of(0) == 0 && of(1).abs_diff(of(2)) < 400, "{} and {}", of(1), of(2));
    }

    #[test]
    fn a_worker_that_fails_is_not_warm_and_one_that_is_closed_gets_nothing() {
        let roster = learned();
        (0..20).for_each(|_| run(&roster, 2, 7, Outcome::Failed, 1));
        assert!(!picks(&WarmFirst, &task(7), &roster, 50).contains(&2));
        let roster = learned();
        roster.members()[2].worker.close();
        assert!(!picks(&WarmFirst, &task(7), &roster, 50).contains(&2));
    }

    #[test]
    fn a_restarted_worker_has_forgotten_its_keys() {
        let roster = learned();
        roster.members()[2].worker.next_generation();
        let _busy = queue(&roster, 2, 1);
        assert!(!picks(&WarmFirst, &task(7), &roster, 50).contains(&2));
    }

    #[test]
    fn unprepared_workers_remember_nothing_and_least_work_decides() {
        let roster = roster(2);
        run(&roster, 0, 7, Outcome::Completed, 100);
        assert_eq!(roster.members()[0].worker.stats().key_age(7), None);
        let _busy = queue(&roster, 0, 1);
        assert_eq!(picks(&WarmFirst, &task(7), &roster, 9), [1; 9]);
    }
}
