//! Notices handlers that hang, and gives their workers to other threads.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Health, Member, SerialRecorder, Worker, nanos};

use super::Crew;
use super::membership::{Assignment, Membership, Reviews};
use crate::event::EventKind;
use crate::keys::PartitionId;
use crate::log;
use crate::worker::Revoked;

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
        let Membership { assignments, reviews, .. } = &mut *membership;
        for assignment in &mut *assignments {
            let hangs = assignment.lease.overdue(now, limit).is_some();
            if assignment.quarantined == hangs || assignment.lease.is_revoked() {
                continue;
            }
            assignment.quarantined = hangs;
            let worker = &assignment.worker;
            let kind = if hangs {
                self.change_health(worker, Health::Quarantined);
                self.hosts.move_free_tasks(worker.id().short_id());
                EventKind::Quarantined
            } else {
                self.reinstate(reviews.as_ref(), worker);
                EventKind::Recovered
            };
            events.push((Arc::clone(worker), kind));
        }
        for assignment in assignments {
            let replaced = self.replace_hung(assignment, now, limit, watchdog.max_lost);
            let worker = &assignment.worker;
            match replaced {
                Ok(true) => {
                    self.reinstate(reviews.as_ref(), worker);
                    let generation = worker.generation();
                    events.push((Arc::clone(worker), EventKind::Replaced { generation }));
                }
                Ok(false) => {}
                Err(error) => failures.push((Arc::clone(worker), error)),
            }
        }
        drop(membership);
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
            self.take_over(worker, revoked, now)
        } else if lease.is_revoked() {
            // The recorder was dropped with the closure of the thread that could not be spawned.
            worker.replace_recorder()
        } else {
            return Ok(false);
        };
        *assignment = self.spawn_thread(worker, recorder, None)?;
        Ok(true)
    }

    /// Takes a worker, and the account of the task that hangs there, from its thread.
    fn take_over(&self, worker: &Arc<Worker>, revoked: Revoked, now: u64) -> SerialRecorder {
        let mut recorder = worker.replace_recorder();
        recorder.mark_idle(now);
        if revoked.task {
            recorder.withdraw_running();
            self.router.adopt_running(worker, revoked.key.map(PartitionId));
        }
        worker.next_generation();
        recorder
    }

    /// Lets a quarantined worker take tasks again, unless it is still ejected.
    fn reinstate(&self, reviews: Option<&Reviews>, worker: &Worker) {
        let ejected = reviews.is_some_and(|reviews| reviews.detector.has_ejected(worker.id()));
        let next = if ejected { Health::Ejected } else { Health::Active };
        self.change_health(worker, next);
    }

    /// Changes a worker's health, unless it is draining: then it stays so.
    fn change_health(&self, worker: &Worker, now: Health) {
        let (roster, id) = (self.router.roster(), worker.id());
        let is_draining =
            |member: &Member| member.worker.id() == id && member.health == Health::Draining;
        if !roster.members().iter().any(is_draining) {
            self.router.set_health(id, now);
        }
    }
}
