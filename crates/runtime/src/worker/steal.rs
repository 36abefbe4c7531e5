//! How a worker without tasks takes one from a sibling.

use std::sync::Arc;

use raddle_core::internal::RecorderInternals;
use raddle_core::{Health, Worker};

use super::WorkerThread;
use crate::Actor;
use crate::envelope::Envelope;

/// Who has had nothing for a moment only takes a task from a sibling with at least so much work before
/// it, in nanoseconds: the cache lines that move with it take a good part of that.
const WORTH_TAKING: u64 = 2_000;

/// Siblings looked at in one search, from a random one on.
const LOOKED_AT: usize = 32;

impl<A: Actor> WorkerThread<A> {
    /// Takes a task that is free to move from the mailbox of a worker with the same capabilities.
    pub(super) fn steal(&mut self) -> Option<Envelope<A>> {
        let routing = self.shared.routing.load();
        let count = routing.mailboxes.len();
        let stats = self.worker.stats();
        // Who is to end takes no more work than it must, and who fails at once is idle for that.
        if !routing.stealing || count < 2 || stats.is_closed() || stats.is_failing() {
            return None;
        }
        // Who is not a member yet may never be one: its account would be nobody's.
        let position = routing.position_of(self.seat)?;
        let member = &routing.roster.members()[position];
        // Who was set aside is given nothing, and takes nothing either.
        if !Arc::ptr_eq(&member.worker, &self.worker) || member.health == Health::Ejected {
            return None;
        }
        let (now, own_mean) = (self.clock.now(), stats.recent_mean());
        let first = fastrand::usize(..count);
        for index in (first..count).chain(0..first).take(LOOKED_AT) {
            let mailbox = &routing.mailboxes[index];
            let sibling = mailbox.worker();
            if sibling.id() == self.worker.id()
                || !(self.inbox.is_eager() || is_worth_taking(sibling, now))
                || sibling.stats().finishes_sooner_than(own_mean, now)
                || !mailbox.has_free()
                || sibling.capabilities() != self.worker.capabilities()
            {
                continue;
            }
            if let Some(envelope) = mailbox.steal() {
                self.recorder.adopt_work(sibling, envelope.expected_duration);
                self.recorder.adopt(sibling);
                return Some(envelope);
            }
        }
        None
    }
}

/// Whether the tasks of a worker have to wait for long enough: by their number, or as the one that
/// runs takes so long.
fn is_worth_taking(worker: &Worker, now: u64) -> bool {
    let stats = worker.stats();
    let work = stats.in_flight().saturating_sub(1).saturating_mul(stats.recent_mean());
    work.max(stats.stalled_for(now)) >= WORTH_TAKING
}
