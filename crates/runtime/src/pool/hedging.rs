use std::sync::Arc;

use raddle_core::{HistogramSnapshot, Roster, TaskProfile, WorkerId, nanos};
use raddle_sync::Snapshot;
use raddle_sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::desk::Job;
use crate::envelope::Envelope;
use crate::hedge::{Hedge, When};
use crate::panics::Contained;
use crate::reply::{Asker, NoReply, ReplySender, SharedReply};
use crate::router::Router;

use super::options::Picker;
use super::timers::Slot;

/// The second copy of a hedged task, until it is sent.
pub(super) struct Copy<M, R> {
    pub(super) router: Arc<Router<Envelope<M, R>>>,
    pub(super) hedges: Arc<Hedges>,
    pub(super) race: Arc<SharedReply<R>>,
    /// The worker that has the task.
    pub(super) first: WorkerId,
    pub(super) msg: Slot<Contained<M>>,
    pub(super) profile: TaskProfile,
    pub(super) picker: Picker<'static>,
    pub(super) deadline: u64,
}

impl<M: Send + 'static, R: Send + 'static> Job for Copy<M, R> {
    /// Sends the copy to another worker, if it is still wanted and the budget allows it.
    fn run(&self) {
        let Self { router, hedges, race, first, .. } = self;
        let Some(msg) = self.msg.take() else { return };
        if race.has_withdrawn() || !hedges.spend() {
            return;
        }
        if !race.copies.join() {
            hedges.refund();
            return;
        }
        let profile = self.profile.submitted_at(router.clock.now());
        let reply = Some(ReplySender::Shared(Arc::clone(race)));
        let copy = Envelope::new(msg.into_inner(), reply, &profile, self.deadline);
        if let Err(copy) = router.send_copy(self.picker.own(), &profile, *first, copy) {
            hedges.refund();
            // The copy never was a task. If the other one has ended too, the asker is answered here.
            let Envelope { reply, .. } = copy;
            drop(reply.and_then(|reply| reply.send(Err(NoReply::Cancelled))));
        }
    }

    fn abandon(&self) {
        drop(self.msg.take());
    }
}

/// The budget of a pool's hedges, and the time that its tasks take.
pub(crate) struct Hedges {
    /// Copies allowed, as a share of the tasks that asked for hedging.
    budget: f64,
    asked: AtomicU64,
    sent: AtomicU64,
    /// Whether any task asked for a quantile.
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

    /// Counts a task that asks for hedging. Returns after how many nanoseconds its copy is due.
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

    /// Takes a copy from the budget, if there is one left. Lock-free.
    pub(super) fn spend(&self) -> bool {
        let allowed = (self.budget * self.asked.load(Relaxed) as f64) as u64;
        let spent = |sent| (sent < allowed).then_some(sent + 1);
        self.sent.fetch_update(Relaxed, Relaxed, spent).is_ok()
    }

    /// Returns a copy that was not sent to the budget.
    pub(super) fn refund(&self) {
        self.sent.fetch_sub(1, Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Measures how long tasks take, if any task has asked for a quantile.
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_budget_is_a_share_of_the_hedged_tasks() {
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
    fn a_quantile_must_be_between_0_and_1_and_is_unknown_without_tasks() {
        for quantile in [0.0, 1.0, -1.0, f64::NAN] {
            let error = Hedge::at_quantile(quantile).validate(true).unwrap_err();
            assert!(error.to_string().contains("more than 0 and less than 1"), "{error}");
        }
        let roster = Roster::builder().build().unwrap();
        assert_eq!(Hedges::new(1.0).ask(Hedge::at_quantile(0.5), &roster), None);
    }
}
