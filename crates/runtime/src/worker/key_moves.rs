//! How a worker's thread gives keys away and takes them over, together with their state.

use std::sync::Arc;

use super::life::{End, Lifecycle};
use super::station::Station;
use crate::keys::{Gain, Handover, PartitionId, Work};

impl<M: Send + 'static, R: Send + 'static> Station<M, R> {
    /// Whether the worker must [move keys](Self::move_keys) before its next task.
    pub(super) fn has_keys_to_move(&self) -> bool {
        let handover = self.handover.as_ref();
        handover.is_some_and(|handover| handover.is_due(|partition| self.loses(partition)))
    }

    /// Whether the worker must take keys over before it runs a keyed task.
    pub(super) fn has_gains(&self) -> bool {
        self.handover.as_ref().is_some_and(|handover| handover.has_gains())
    }

    /// Whether a partition must be given away now.
    fn loses(&self, partition: PartitionId) -> bool {
        let partition = self.router.control.keys.get(partition);
        // In a closing pool, state that no task waits for stays with its actor, for `on_stop`.
        partition.is_handed_over_by(self.short_id)
            && (!self.thread.worker.stats().is_closed() || partition.is_awaited())
    }

    /// Gives away and takes over what is due, and returns the clock's time afterwards. If nothing was due,
    /// the worker may be [drained](End::Drained).
    #[cold]
    #[inline(never)]
    pub(super) fn move_keys(&mut self, host: &mut dyn Lifecycle) -> Result<u64, End> {
        let mut moved = false;
        if let Some(handover) = self.handover.clone() {
            while let Some(work) = self.next_move(&handover, false) {
                self.hand_over(host, &handover, work)?;
                moved = true;
            }
        }
        let stats = self.thread.worker.stats();
        match !moved && stats.is_closed() && stats.in_flight() == 0 {
            true => Err(End::Drained),
            false => Ok(self.thread.clock.now()),
        }
    }

    /// Takes over what was handed over, and gives away what tasks of other workers wait for, or
    /// `everything`: the worker's actor ends.
    #[cold]
    pub(super) fn end_keys(
        &mut self,
        host: &mut dyn Lifecycle,
        everything: bool,
    ) -> Result<(), End> {
        let Some(handover) = self.handover.clone() else { return Ok(()) };
        let control = Arc::clone(&self.router.control);
        let goes = |partition| everything || control.keys.get(partition).is_awaited();
        for partition in handover.leave(goes) {
            control.release_key(partition, self.short_id);
        }
        // All of it: no task of the worker's own can begin any more.
        while let Some(work) = self.next_move(&handover, true) {
            self.hand_over(host, &handover, work)?;
        }
        control.close_handover(self.short_id);
        Ok(())
    }

    /// Takes what to do next: what is due, or `everything`.
    fn next_move(&self, handover: &Handover, everything: bool) -> Option<Work> {
        let lower = || self.inbox.mailbox().attention().lower();
        let due = |partition| everything || self.loses(partition);
        handover.next(self.thread.clock.now(), due, lower)
    }

    fn hand_over(
        &self,
        host: &mut dyn Lifecycle,
        handover: &Handover,
        work: Work,
    ) -> Result<(), End> {
        let control = &self.router.control;
        match work {
            Work::Gain(Gain { keys, state }) => {
                let taken = self.thread.in_hook(|| host.gain_keys(&keys, state))?;
                if handover.finish() && !taken {
                    control.lost_while_gained(self.short_id, keys);
                }
            }
            Work::Lose(batch) => {
                let keys = control.keys.keys_of(batch.partitions.iter().copied()).pop();
                let Some(keys) = keys else { unreachable!("a batch has a partition") };
                let state = self.thread.in_hook(|| host.lose_keys(&keys))?;
                if handover.finish()
                    && let Some(state) = control.hand_over(self.short_id, batch, state)
                    && !self.thread.in_hook(|| host.gain_keys(&keys, Some(state)))?
                {
                    control.lost_while_gained(self.short_id, keys);
                }
            }
        }
        Ok(())
    }
}
