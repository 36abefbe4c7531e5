//! Notices handlers that hang, and gives their workers to other threads.

use std::sync::Arc;

use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Health, Member, Worker, nanos};

use super::membership::{Membership, Tenure};
use super::shared::Shared;
use crate::Actor;
use crate::event::EventKind;
use crate::keys::Slot;
use crate::lease::Revoked;
use crate::worker::Beginning;

/// How often the watchdog looks, as a share of its limit.
const LOOKS: u64 = 4;
/// At least and at most so often, in nanoseconds.
const INTERVAL: std::ops::RangeInclusive<u64> = 500_000..=250_000_000;

impl<A: Actor> Shared<A> {
    /// Looks at every worker's thread; when to look again, in nanoseconds.
    pub(super) fn watch(self: &Arc<Self>, now: u64) -> Option<u64> {
        let watchdog = self.settings.watchdog?;
        let limit = nanos(watchdog.limit);
        let mut membership = self.membership();
        for index in 0..membership.tenures.len() {
            let tenure = &mut membership.tenures[index];
            let worker = Arc::clone(&tenure.worker);
            let Some(stay) = tenure.lease.overdue(now, limit) else {
                if tenure.quarantined && tenure.vacancy.is_none() {
                    tenure.quarantined = false;
                    self.reinstate(&mut membership, &worker);
                    self.tell_of(&worker, EventKind::Recovered);
                }
                continue;
            };
            if !tenure.quarantined {
                tenure.quarantined = true;
                let before = [Health::Active, Health::Ejected];
                self.change_health(&mut membership, &worker, &before, Health::Quarantined);
                self.tell_of(&worker, EventKind::Quarantined);
                self.move_free_tasks(worker.id().short_id());
            }
            let tenure = &mut membership.tenures[index];
            if self.threads.lost() < watchdog.max_lost {
                // Before it can know, and return.
                self.threads.lose(tenure.thread);
                match tenure.lease.revoke(stay) {
                    Some(revoked) => self.take_over(tenure, revoked, now),
                    None => self.threads.keep(tenure.thread),
                }
            }
        }
        for index in 0..membership.tenures.len() {
            if self.fill(&mut membership.tenures[index]) {
                let worker = Arc::clone(&membership.tenures[index].worker);
                self.reinstate(&mut membership, &worker);
                let generation = worker.generation();
                self.tell_of(&worker, EventKind::Replaced { generation });
            }
        }
        Some((limit / LOOKS).clamp(*INTERVAL.start(), *INTERVAL.end()))
    }

    /// Lets a worker that was set aside as hung take tasks again, unless it is to wait as ejected.
    fn reinstate(&self, membership: &mut Membership, worker: &Worker) {
        let reviews = membership.reviews.as_ref();
        let next = match reviews.is_some_and(|reviews| reviews.ejector.has_ejected(worker.id())) {
            true => Health::Ejected,
            false => Health::Active,
        };
        self.change_health(membership, worker, &[Health::Quarantined], next);
    }

    /// Changes a worker's health if it is one of these before: who is draining stays so.
    fn change_health(
        &self,
        membership: &mut Membership,
        worker: &Worker,
        before: &[Health],
        now: Health,
    ) {
        let routing = self.routing.load();
        let mut members = routing.roster.members().iter();
        let is_it = |member: &Member| member.worker.id() == worker.id();
        if members.any(|member| is_it(member) && before.contains(&member.health)) {
            self.publish_health(membership, worker.id(), now);
        }
    }

    /// Takes a worker, and the account of the task that hangs there, from its thread.
    fn take_over(&self, tenure: &mut Tenure, revoked: Revoked, now: u64) {
        let worker = &tenure.worker;
        let mut recorder = worker.replace_recorder();
        recorder.mark_idle(now);
        if revoked.task {
            // In this order: in flight for the pool is never too low.
            self.ledger.adopt();
            recorder.withdraw_running();
            worker.withdraw();
        }
        if let Some(slot) = revoked.slot {
            // Its order is given up with the task: the next one of the key may be run.
            self.release_key(Slot(slot), worker.id().short_id());
        }
        worker.next_generation();
        tenure.vacancy = Some(recorder);
    }

    /// Spawns the thread that a worker lacks; whether it lacked one and has it now.
    fn fill(self: &Arc<Self>, tenure: &mut Tenure) -> bool {
        let Some(recorder) = tenure.vacancy.take() else { return false };
        let routing = self.routing.load();
        let Some(position) = routing.position_of(tenure.worker.id().short_id()) else {
            return false;
        };
        let mailbox = &routing.mailboxes[position];
        match self.spawn_thread(mailbox, recorder, Beginning::Again) {
            Ok(next) => {
                *tenure = next;
                true
            }
            Err(error) => {
                let worker = tenure.worker.name();
                tracing::error!(worker, %error, "no thread to take over from one that hangs");
                // The recorder went with the thread that was not made.
                tenure.vacancy = Some(tenure.worker.replace_recorder());
                false
            }
        }
    }

    /// Moves the tasks of a worker that are free to other workers with room.
    fn move_free_tasks(&self, seat: u16) {
        let routing = self.routing.load();
        let Some(position) = routing.position_of(seat) else { return };
        let mailbox = &routing.mailboxes[position];
        // Not more than are there now: some may come back.
        for _ in 0..mailbox.len() {
            let Some(envelope) = mailbox.steal() else { return };
            if let Err(envelope) = self.relocate(mailbox.worker(), envelope) {
                // No other has room: it waits here, first in turn.
                mailbox.hold(envelope);
                mailbox.wake();
                return;
            }
        }
    }
}
