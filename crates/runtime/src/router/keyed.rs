//! The way of a task with a key.

use std::time::{Duration, Instant};

use raddle_core::Reservation;
use raddle_strategies::{SelectError, reserve};
use raddle_sync::thread;

use super::Routed;
use super::dispatch::{Dispatch, Placed};
use crate::error::{Refusal, SendError};
use crate::keys::PartitionId;
use crate::mailbox::{Backoff, Full, Overflow};

/// Polls before a caller that waits for a key sleeps between two.
const POLLS: u32 = 64;
/// Polls before the policies that do not wait decide: a worker is closed for a moment before its
/// keys have moved.
const POLLS_WITHOUT_WAITING: u32 = 1024;
const NAP: Duration = Duration::from_micros(100);

impl<T: Routed> Dispatch<'_, T> {
    /// Sends a task to the worker that its key belongs to.
    ///
    /// If that worker is closed and still has tasks of the key, the caller waits for them as it
    /// would for room.
    #[inline(never)]
    pub(super) fn send_keyed(&self, hash: u64, task: T) -> Result<Placed, SendError<T>> {
        let Self { router, routing, .. } = *self;
        let capability = task.label().capability();
        let partition = match router.control.keys.find(capability, hash) {
            Some(partition) => partition,
            None => match router.control.create_key_table(capability, hash) {
                Ok(partition) => partition,
                Err(error) => return Err(SendError::new(error.into(), task)),
            },
        };
        if routing.strategy.routes_keys()
            && let Some(reservation) = self.bind_free(partition)
        {
            return self.put_keyed(reservation, partition, task);
        }
        let mut fresh = None;
        let mut wait = KeyWait::new(self.policy.overflow);
        loop {
            if let Some(owner) = router.control.keys.get(partition).bind() {
                let current = fresh.as_deref().unwrap_or(routing);
                let routing = match current.position_of(owner) {
                    Some(_) => current,
                    // Keys move after the roster with their new owner has been published.
                    None => fresh.insert(router.routing().load()),
                };
                if let Some(position) = routing.position_of(owner) {
                    let worker = &routing.roster.members()[position].worker;
                    if let Some(reservation) = Reservation::take(worker, position, capability) {
                        return Dispatch { routing, ..*self }.put_keyed(
                            reservation,
                            partition,
                            task,
                        );
                    }
                }
                router.control.release_key(partition, owner);
                // The owner is closed: its keys go to others, unless it still has tasks of them.
                if !router.control.move_keys() {
                    return Err(SendError::new(Refusal::Closed, task));
                }
                let now = router.routing().load();
                if now.roster.candidates(capability).is_empty() {
                    let error = SelectError::for_nobody(capability, &now.roster);
                    return Err(SendError::new(error.into(), task));
                }
                fresh = Some(now);
            }
            if !wait.wait() {
                return self.without_room(task);
            }
        }
    }

    /// Sends a task to the worker that its partition is bound to, or releases the partition.
    fn put_keyed(
        &self,
        reservation: Reservation<'_>,
        partition: PartitionId,
        mut task: T,
    ) -> Result<Placed, SendError<T>> {
        let Self { router, routing, .. } = *self;
        let (position, owner) = (reservation.position(), reservation.worker().id().short_id());
        let reservation = reservation.expecting(task.expected_duration());
        task.set_label(task.label().bound_to(Some(partition)));
        match router.put(routing, reservation, task, self.policy.overflow) {
            Ok(()) => Ok(Some(position)),
            Err(Full(mut task)) => {
                router.control.release_key(partition, owner);
                task.set_label(task.label().bound_to(None));
                self.without_room(task)
            }
        }
    }

    /// Binds a partition without tasks to the worker that the strategy picks.
    fn bind_free(&self, partition: PartitionId) -> Option<Reservation<'_>> {
        let Self { router, routing, .. } = *self;
        let free = router.control.keys.get(partition);
        if !free.is_free() {
            return None;
        }
        let profile = self.profile.key(u64::from(partition.index()));
        let reservation = reserve(&*routing.strategy, &profile, &routing.roster).ok()?;
        free.bind_free(reservation.worker().id().short_id()).then_some(reservation)
    }
}

/// The wait of a caller for a key's worker, for as long as the policy lets it wait for room.
struct KeyWait {
    /// `None` for a policy that does not wait.
    patience: Option<Duration>,
    since: Instant,
    backoff: Backoff,
}

impl KeyWait {
    fn new(overflow: Overflow) -> Self {
        let (patience, polls) = match overflow {
            Overflow::Block => (Some(Duration::MAX), POLLS),
            Overflow::BlockFor(limit) => (Some(limit), POLLS),
            _ => (None, POLLS_WITHOUT_WAITING),
        };
        Self { patience, since: Instant::now(), backoff: Backoff::new(0, polls) }
    }

    /// Waits for a moment; `false` if the caller must not wait any longer.
    fn wait(&mut self) -> bool {
        let polls = self.backoff.wait();
        let waits = self.patience.is_some_and(|patience| self.since.elapsed() < patience);
        if !polls && waits {
            thread::sleep(NAP);
        }
        waits || (polls && self.patience.is_none())
    }
}
