//! Notices handlers that hang, and gives their workers to other threads.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{SerialRecorder, Worker, nanos};

use super::Crew;
use super::membership::Assignment;
use crate::event::EventKind;
use crate::keys::PartitionId;
use crate::lease::{Revoked, SerialLease};
use crate::log;

/// The watchdog checks this often per limit, ...
const CHECKS: u64 = 4;
/// ... but no more and no less often than this, in nanoseconds.
const INTERVAL: RangeInclusive<u64> = 500_000..=250_000_000;

impl Crew {
    /// Checks every worker's thread. Returns the clock's time of the next check, if there is a
    /// watchdog.
    pub(super) fn watch(self: &Arc<Self>, now: u64) -> Option<u64> {
        let watchdog = self.settings.watchdog?;
        let limit = nanos(watchdog.limit);
        let (mut events, mut failures) = (Vec::new(), Vec::new());
        let mut membership = self.membership.lock();
        for assignment in &mut membership.assignments {
            let hangs = assignment.lease.overdue(now, limit).is_some();
            let waits = !hangs && assignment.lease.is_waiting();
            if assignment.quarantined == hangs || waits || assignment.lease.is_revoked() {
                continue;
            }
            assignment.quarantined = hangs;
            let kind = if hangs { EventKind::Quarantined } else { EventKind::Recovered };
            events.push((Arc::clone(&assignment.worker), kind));
        }
        drop(membership);
        if !events.is_empty() {
            self.publish_health();
            for (worker, _) in events.iter().filter(|(_, kind)| *kind == EventKind::Quarantined) {
                self.hosts.move_free_tasks(worker.id().short_id());
            }
        }
        let (known, mut membership) = (events.len(), self.membership.lock());
        for assignment in &mut membership.assignments {
            let replaced = self.replace_hung(assignment, now, limit, watchdog.max_lost);
            let worker = Arc::clone(&assignment.worker);
            match replaced {
                Ok(true) => {
                    let generation = worker.generation();
                    events.push((worker, EventKind::Replaced { generation }));
                }
                Ok(false) => {}
                Err(error) => failures.push((worker, error)),
            }
        }
        drop(membership);
        if events.len() > known {
            self.publish_health();
        }
        for (worker, kind) in events {
            self.announcer.of_worker(&worker, kind);
        }
        for (worker, error) in failures {
            log::error!(worker = worker.name(), %error, "no thread to replace one that hangs");
        }
        let interval = (limit / CHECKS).clamp(*INTERVAL.start(), *INTERVAL.end());
        Some(now.saturating_add(interval))
    }

    /// Gives a worker whose thread hangs to a new thread, while no more than `max_lost` are lost.
    /// Returns whether it did; an error if no thread could be created.
    fn replace_hung(
        self: &Arc<Self>,
        assignment: &mut Assignment,
        now: u64,
        limit: u64,
        max_lost: usize,
    ) -> io::Result<bool> {
        let Assignment { worker, lease, thread, .. } = &*assignment;
        let recorder = if let Some(stay) = lease.overdue(now, limit)
            && let Some(revoked) = self.threads.lose(*thread, max_lost, || lease.revoke(stay))
        {
            self.take_over(worker, lease, revoked, now)
        } else if lease.is_revoked() {
            // The recorder was dropped with the closure of the thread that could not be spawned.
            worker.replace_recorder()
        } else {
            return Ok(false);
        };
        *assignment = self.spawn_thread(worker, recorder, None)?;
        Ok(true)
    }

    /// Takes a worker, and the account of the task that hangs there, from its thread; also that of the
    /// task at whose checkpoint it hangs, and of those that run beside it.
    fn take_over(
        &self,
        worker: &Arc<Worker>,
        lease: &SerialLease,
        revoked: Revoked,
        now: u64,
    ) -> SerialRecorder {
        let mut recorder = worker.replace_recorder();
        recorder.mark_idle(now);
        if revoked.task {
            recorder.withdraw_running();
            self.router.adopt_running(worker, revoked.key.map(PartitionId));
        }
        for paused in revoked.paused.into_iter().chain(lease.revoked_slots()) {
            worker.withdraw_work_of(paused.expected_duration);
            self.router.adopt_running(worker, paused.key.map(PartitionId));
        }
        self.router.revoke_handover(worker.id().short_id());
        worker.next_generation();
        recorder
    }
}
