//! Notices handlers that hang, and gives their workers to other threads.

use std::ops::RangeInclusive;
use std::sync::Arc;

use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Health, Worker, nanos};

use super::Crew;
use super::membership::{Assignment, Membership};
use crate::event::EventKind;
use crate::keys::PartitionId;
use crate::log;
use crate::worker::Revoked;

/// The watchdog checks this often per limit, ...
const CHECKS: u64 = 4;
/// ... but no more and no less often than this, in nanoseconds.
const INTERVAL: RangeInclusive<u64> = 500_000..=250_000_000;

impl Crew {
    /// Checks every worker's thread. Returns when to check again, in nanoseconds from now, if there
    /// is a watchdog.
    pub(super) fn watch(self: &Arc<Self>, now: u64) -> Option<u64> {
        let watchdog = self.settings.watchdog?;
        let limit = nanos(watchdog.limit);
        self.quarantine(now, limit);
        self.replace_hung(now, limit, watchdog.max_lost);
        Some((limit / CHECKS).clamp(*INTERVAL.start(), *INTERVAL.end()))
    }

    /// Sets aside the workers whose thread has not returned from the user's code within the limit,
    /// and reinstates those whose thread has returned since.
    fn quarantine(&self, now: u64, limit: u64) {
        let mut membership = self.membership.lock();
        let mut events = Vec::new();
        for index in 0..membership.assignments.len() {
            let assignment = &mut membership.assignments[index];
            let hangs = assignment.lease.overdue(now, limit).is_some();
            if assignment.quarantined == hangs || assignment.vacancy.is_some() {
                continue;
            }
            assignment.quarantined = hangs;
            let worker = Arc::clone(&assignment.worker);
            if hangs {
                let before = [Health::Active, Health::Ejected];
                self.change_health(&worker, &before, Health::Quarantined);
                self.hosts.move_free_tasks(worker.id().short_id());
                events.push((worker, EventKind::Quarantined));
            } else {
                self.reinstate(&membership, &worker);
                events.push((worker, EventKind::Recovered));
            }
        }
        drop(membership);
        self.announce_all(events);
    }

    /// Gives quarantined workers to new threads, while no more than `max_lost` are lost.
    fn replace_hung(self: &Arc<Self>, now: u64, limit: u64, max_lost: usize) {
        let mut membership = self.membership.lock();
        let mut events = Vec::new();
        for index in 0..membership.assignments.len() {
            let assignment = &mut membership.assignments[index];
            if let Some(stay) = assignment.lease.overdue(now, limit)
                && self.threads.lost() < max_lost
            {
                // Before the thread can notice, and return.
                self.threads.lose(assignment.thread);
                match assignment.lease.revoke(stay) {
                    Some(revoked) => self.take_over(assignment, revoked, now),
                    None => self.threads.keep(assignment.thread),
                }
            }
            if self.fill(&mut membership.assignments[index]) {
                let worker = Arc::clone(&membership.assignments[index].worker);
                self.reinstate(&membership, &worker);
                let generation = worker.generation();
                events.push((worker, EventKind::Replaced { generation }));
            }
        }
        drop(membership);
        self.announce_all(events);
    }

    fn announce_all(&self, events: Vec<(Arc<Worker>, EventKind)>) {
        for (worker, kind) in events {
            self.announcer.of_worker(&worker, kind);
        }
    }

    /// Lets a quarantined worker take tasks again, unless it is still ejected.
    fn reinstate(&self, membership: &Membership, worker: &Worker) {
        let reviews = membership.reviews.as_ref();
        let ejected = reviews.is_some_and(|reviews| reviews.detector.has_ejected(worker.id()));
        let next = if ejected { Health::Ejected } else { Health::Active };
        self.change_health(worker, &[Health::Quarantined], next);
    }

    /// Changes a worker's health if it is one of `before`: a draining worker stays so.
    fn change_health(&self, worker: &Worker, before: &[Health], now: Health) {
        let roster = self.router.roster();
        let id = worker.id();
        let mut members = roster.members().iter();
        if members.any(|member| member.worker.id() == id && before.contains(&member.health)) {
            self.router.set_health(id, now);
        }
    }

    /// Takes a worker, and the account of the task that hangs there, from its thread.
    fn take_over(&self, assignment: &mut Assignment, revoked: Revoked, now: u64) {
        let worker = &assignment.worker;
        let mut recorder = worker.replace_recorder();
        recorder.mark_idle(now);
        if revoked.task {
            recorder.withdraw_running();
            self.router.adopt_running(worker, revoked.key.map(PartitionId));
        }
        worker.next_generation();
        assignment.vacancy = Some(recorder);
    }

    /// Spawns a thread for a worker that has none. Returns whether it had none and has one now.
    fn fill(self: &Arc<Self>, assignment: &mut Assignment) -> bool {
        let Some(recorder) = assignment.vacancy.take() else { return false };
        match self.spawn_thread(&assignment.worker, recorder, None) {
            Ok(next) => {
                *assignment = next;
                true
            }
            Err(error) => {
                let worker = assignment.worker.name();
                log::error!(worker, %error, "no thread to replace one that hangs");
                // The recorder was dropped with the thread's closure.
                assignment.vacancy = Some(assignment.worker.replace_recorder());
                false
            }
        }
    }
}
