//! How a worker without tasks takes one from a sibling.

use std::sync::Arc;

use raddle_core::internal::RecorderInternals;
use raddle_core::{Health, Worker};

use super::station::Station;
use crate::router::Routed;

/// The least queued work, in nanoseconds, for which a worker that has only just run out of tasks
/// steals: the cache lines that move with a task take a good part of that.
const WORTH_STEALING: u64 = 2_000;

/// Siblings checked in one search, from a random one on.
const CHECKED: usize = 32;

impl<T: Routed> Station<T> {
    /// Takes a task that may move from the mailbox of a worker with the same capabilities.
    pub(super) fn steal(&mut self) -> Option<T> {
        let routing = self.router.routing().load();
        let count = routing.inlets.len();
        let worker = &self.thread.worker;
        let stats = worker.stats();
        // A worker that is leaving takes no more work than it must, and one that fails at once is idle
        // because of that.
        if !routing.stealing || count < 2 || stats.is_closed() || stats.is_failing() {
            return None;
        }
        // A worker that has not joined may never do so: its account would be nobody's.
        let position = routing.position_of(self.short_id)?;
        let member = &routing.roster.members()[position];
        // An ejected worker is given nothing, and takes nothing either.
        if !Arc::ptr_eq(&member.worker, worker) || member.health == Health::Ejected {
            return None;
        }
        let (now, own_mean) = (self.thread.clock.now(), stats.recent_mean());
        let first = fastrand::usize(..count);
        for index in (first..count).chain(0..first).take(CHECKED) {
            let Some(mailbox) = routing.inlets[index].mailbox() else { continue };
            let sibling = mailbox.worker();
            if sibling.id() == worker.id()
                || !(self.inbox.is_eager() || is_worth_stealing(sibling, now))
                || sibling.stats().finishes_sooner_than(own_mean, now)
                || !mailbox.has_free()
                || sibling.capabilities() != worker.capabilities()
            {
                continue;
            }
            if let Some(task) = mailbox.steal() {
                self.thread.recorder.adopt_work(sibling, task.expected_duration());
                self.thread.recorder.adopt(sibling);
                return Some(task);
            }
        }
        None
    }
}

/// Whether the tasks of a worker wait for long enough, because of their number or because the running
/// one takes so long.
fn is_worth_stealing(worker: &Worker, now: u64) -> bool {
    let stats = worker.stats();
    let queued = stats.in_flight().saturating_sub(1).saturating_mul(stats.recent_mean());
    queued.max(stats.stalled_for(now)) >= WORTH_STEALING
}
