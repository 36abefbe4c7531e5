//! How a worker without tasks takes one from a sibling.

use std::sync::Arc;

use raddle_core::Health;

use super::WorkerThread;
use crate::Actor;
use crate::envelope::Envelope;

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
        let member = &routing.roster.workers()[position];
        // Who was set aside is given nothing, and takes nothing either.
        if !Arc::ptr_eq(&member.worker, &self.worker) || member.health == Health::Ejected {
            return None;
        }
        let first = fastrand::usize(..count);
        for index in (first..count).chain(0..first).take(LOOKED_AT) {
            let mailbox = &routing.mailboxes[index];
            let sibling = mailbox.worker();
            if sibling.id() == self.worker.id()
                || !mailbox.has_free()
                || sibling.capabilities() != self.worker.capabilities()
            {
                continue;
            }
            if let Some(envelope) = mailbox.steal() {
                self.recorder.adopt_work(sibling, envelope.size);
                self.recorder.adopt(sibling);
                return Some(envelope);
            }
        }
        None
    }
}
