use raddle_core::{Candidates, Signals, TaskProfile};

use crate::lowest::lowest;
use crate::{Strategy, retry};

/// Picks the candidate that is best at what the task needs.
///
/// - **Rule:** `argmax match x history x status`, ties at random.
///   - `match` is 2.0 for a worker that names the task's capability, 1.0 for one that serves it as
///     a generalist.
///   - `history` is the worker's decayed average for that capability (see
///     [`WorkerStats::history`](raddle_core::WorkerStats::history)): `h <- h x decay + x (1 -
///     decay)` with x = 1.5 for a fast success, 1.2 for a success, 0.5 for a failure.
///   - `status` is 0.5 for a busy worker, otherwise 1.0.
/// - **Retry:** one selection in 32 draws a candidate, and takes it if it is idle, matches as well as
///   the best, and its record [has expired](raddle_core::Signals::has_expired).
/// - **Use it for:** workers that differ in what they do well.
/// - **Cost:** O(n), wait-free: a cache line and a half per worker.
/// - **Weak points:** it distinguishes busy from idle, but not a queue of one from a queue of a
///   hundred: if every worker is busy, the best one gets everything. Keep its load below one, or
///   bound its mailbox.
#[derive(Clone, Copy, Debug, Default)]
pub struct CapabilityBest;

impl CapabilityBest {
    /// Creates the strategy. Set the decay and the fast threshold with
    /// [`Tracking`](raddle_core::Tracking), since the history belongs to the workers.
    pub fn new() -> Self {
        Self
    }

    /// Returns the score of a candidate for the task's capability; higher is better.
    #[inline]
    pub fn score(candidate: Signals<'_>) -> f32 {
        let fit = if candidate.names_capability() { 2.0 } else { 1.0 };
        let status = if candidate.in_flight() > 0 { 0.5 } else { 1.0 };
        fit * candidate.history() * status
    }
}

impl Strategy for CapabilityBest {
    fn name(&self) -> &'static str {
        "capability_best"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let best = lowest(candidates, cost);
        retry::or_one_that_is_due(candidates, task.submitted_at, best, |one, best| {
            one.names_capability() == best.names_capability()
        })
    }
}

/// Returns a number that falls as the [score](CapabilityBest::score) rises. The bits of floats that
/// are not negative have the floats' order, and doubling adds one to the exponent.
#[inline]
fn cost(candidate: Signals<'_>) -> u64 {
    const TWICE: u64 = 1 << (f32::MANTISSA_DIGITS - 1);
    let named = u64::from(candidate.names_capability()) * TWICE;
    let busy = u64::from(candidate.in_flight() > 0) * TWICE;
    u64::from(u32::MAX) - named + busy - u64::from(candidate.history().to_bits())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use raddle_core::{
        Capability, Completion, FastThreshold, Outcome, Reservation, Roster, Tracking, WorkerSpec,
    };
    use std::time::Duration;

    fn roster() -> (Roster, Capability) {
        let roster = Roster::builder()
            .worker(WorkerSpec::new("specialist").capability("best-x"))
            .worker(WorkerSpec::new("generalist"))
            .tracking(Tracking {
                fast: FastThreshold::Fixed(Duration::from_micros(10)),
                ..Tracking::default()
            })
            .build()
            .unwrap();
        (roster, Capability::intern("best-x").unwrap())
    }

    fn score(roster: &Roster, position: usize, capability: Option<Capability>) -> f64 {
        let candidates = roster.candidates(capability);
        CapabilityBest::score(candidates.signals_at(position).unwrap()).into()
    }

    #[test]
    fn scores_follow_the_rule() {
        let (roster, x) = roster();
        let x = Some(x);
        let [specialist, generalist] = [0, 1].map(|at| &roster.members()[at].worker);
        assert_eq!([score(&roster, 0, x), score(&roster, 1, x)], [2.0, 1.0]);
        assert_eq!(score(&roster, 0, None), 1.0);

        let mut expected = 1.0;
        let us = Duration::from_micros;
        for (outcome, took, sample) in [
            (Outcome::Completed, us(9), 1.5),
            (Outcome::Completed, us(10), 1.2),
            (Outcome::Failed, us(1), 0.5),
            (Outcome::Panicked, us(1), 0.5),
        ] {
            Reservation::take(specialist, 0, x).unwrap().finish(outcome, took);
            expected = expected * 0.9 + sample * 0.1;
            assert!((specialist.stats().history(x) - expected).abs() < 1e-12);
            assert!((score(&roster, 0, x) - 2.0 * expected).abs() < 1e-6);
        }
        assert_eq!(generalist.stats().history(x), 1.0);
        let expired = Completion { wait: 5, capability: x, ..Completion::new(Outcome::Expired) };
        Reservation::take(specialist, 0, x).unwrap().detach();
        specialist.record(&expired).unwrap();
        assert!((specialist.stats().history(x) - expected).abs() < 1e-12, "it was not run");
    }

    #[test]
    fn costs_are_in_the_order_of_scores() {
        let (roster, x) = roster();
        let [specialist, generalist] = [0, 1].map(|at| &roster.members()[at].worker);
        let candidates = roster.candidates(Some(x));
        fastrand::seed(7);
        for round in 0..200 {
            // Good and bad in turns, so that one's history comes to be more than twice the other's.
            let _busy = [(specialist, 40), (generalist, 20)].map(|(worker, turn)| {
                let reservation = Reservation::take(worker, 0, Some(x)).unwrap();
                let is_good = (round / turn % 2 == 0) != (fastrand::u8(..16) == 0);
                let outcome = if is_good { Outcome::Completed } else { Outcome::Failed };
                reservation.finish(outcome, Duration::from_micros(fastrand::u64(..12)));
                fastrand::bool().then(|| Reservation::take(worker, 0, Some(x)))
            });
            let [a, b] = [0, 1].map(|at| candidates.signals_at(at).unwrap());
            assert_eq!(
                CapabilityBest::score(a).total_cmp(&CapabilityBest::score(b)),
                cost(b).cmp(&cost(a)),
                "round {round}, seed 7"
            );
        }
    }

    #[test]
    fn a_busy_specialist_ties_with_an_idle_generalist() {
        let (roster, x) = roster();
        let specialist = &roster.members()[0].worker;
        let busy = Reservation::take(specialist, 0, Some(x)).unwrap();
        assert_eq!([score(&roster, 0, Some(x)), score(&roster, 1, Some(x))], [1.0, 1.0]);
        drop(busy);
        assert_eq!(score(&roster, 0, Some(x)), 2.0);
    }
}
