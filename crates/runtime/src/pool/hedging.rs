use std::sync::Arc;
use std::time::Duration;

use raddle_core::{HistogramSnapshot, Roster, nanos};
use raddle_sync::Snapshot;
use raddle_sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use thiserror::Error;

/// When a second copy of a task is given to another worker, if there is no answer by then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge(When);

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    After(Duration),
    Quantile(f64),
}

/// A quantile that is none.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("hedging quantile is {0}, allowed is more than 0 and less than 1")]
pub struct HedgeError(f64);

impl Hedge {
    /// After a fixed time.
    pub fn after(delay: Duration) -> Self {
        Self(When::After(delay))
    }

    /// After the pool's own quantile of the time that tasks take, such as 0.95, as of the last
    /// second: the sum of that quantile of the time in the mailbox and of that in the handler,
    /// which is not less than the quantile of their sum in most distributions. None is sent while
    /// no task has been measured.
    ///
    /// # Errors
    /// Unless it is more than 0 and less than 1.
    pub fn at_quantile(quantile: f64) -> Result<Self, HedgeError> {
        let allowed = quantile > 0.0 && quantile < 1.0;
        if allowed { Ok(Self(When::Quantile(quantile))) } else { Err(HedgeError(quantile)) }
    }
}

/// The budget of a pool's hedges, and how long its tasks take.
pub(crate) struct Hedges {
    /// Hedges allowed, as a share of the tasks that asked for hedging.
    budget: f64,
    asked: AtomicU64,
    sent: AtomicU64,
    /// Whether anybody asked for a quantile.
    measured: AtomicBool,
    times: Snapshot<Times>,
}

#[derive(Default)]
struct Times {
    wait: HistogramSnapshot,
    service: HistogramSnapshot,
}

impl Hedges {
    pub(super) fn new(budget: f64) -> Self {
        Self {
            budget,
            asked: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            measured: AtomicBool::new(false),
            times: Snapshot::new(Arc::default()),
        }
    }

    /// A task asks for a hedge: after how many nanoseconds it may have one.
    pub(super) fn ask(&self, hedge: Hedge, roster: &Roster) -> Option<u64> {
        self.asked.fetch_add(1, Relaxed);
        match hedge.0 {
            When::After(delay) => Some(nanos(delay)),
            When::Quantile(quantile) => {
                if !self.measured.swap(true, Relaxed) {
                    self.measure(roster);
                }
                let times = self.times.load();
                Some(nanos(times.wait.quantile(quantile)? + times.service.quantile(quantile)?))
            }
        }
    }

    /// Takes one from the budget, if there is one. Lock-free.
    pub(super) fn spend(&self) -> bool {
        let allowed = (self.budget * self.asked.load(Relaxed) as f64) as u64;
        let spent = |sent| (sent < allowed).then_some(sent + 1);
        self.sent.fetch_update(Relaxed, Relaxed, spent).is_ok()
    }

    /// Gives one back that was not sent.
    pub(super) fn refund(&self) {
        self.sent.fetch_sub(1, Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Measures anew how long tasks take, where anybody asks for it.
    pub(super) fn refresh(&self, roster: &Roster) {
        if self.measured.load(Relaxed) {
            self.measure(roster);
        }
    }

    fn measure(&self, roster: &Roster) {
        let mut times = Times::default();
        for member in roster.members() {
            times.wait.merge(&member.worker.stats().wait().snapshot());
            times.service.merge(&member.worker.stats().service().snapshot());
        }
        self.times.store(Arc::new(times));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_a_share_of_what_was_asked_for() {
        let hedges = Hedges::new(0.1);
        let roster = Roster::builder().build().unwrap();
        let mut sent = 0;
        for asked in 1..=1_000u64 {
            assert_eq!(hedges.ask(Hedge::after(Duration::ZERO), &roster), Some(0));
            sent += u64::from(hedges.spend());
            assert_eq!(sent, asked / 10);
        }
        hedges.refund();
        assert!(hedges.spend() && !hedges.spend());
    }

    #[test]
    fn a_quantile_is_between_0_and_1_and_unknown_without_tasks() {
        for quantile in [0.0, 1.0, -1.0, f64::NAN] {
            let error = Hedge::at_quantile(quantile).unwrap_err();
            assert!(error.to_string().contains("more than 0 and less than 1"), "{error}");
        }
        let roster = Roster::builder().build().unwrap();
        assert_eq!(Hedges::new(1.0).ask(Hedge::at_quantile(0.5).unwrap(), &roster), None);
    }
}
