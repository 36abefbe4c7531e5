//! The way of a task with a key.

use std::time::{Duration, Instant};

use raddle_core::internal::SizeClass;
use raddle_core::{Clock, Reservation};
use raddle_strategies::{SelectError, reserve};
use raddle_sync::{thread, time};

use super::Routed;
use super::dispatch::{Dispatch, Sent};
use crate::blocking;
use crate::deadline::NEVER;
use crate::error::{Refusal, SendError};
use crate::keys::PartitionId;
use crate::mailbox::{Backoff, NoRoom, Overflow, Unsent};

/// Polls before a caller that waits for a key sleeps between two.
const POLLS: u32 = 64;
/// Polls before the policies that do not wait decide: a worker is closed for a moment before its
/// keys have moved.
const POLLS_WITHOUT_WAITING: u32 = 1024;
/// The class of a task that stays with its worker and of which nothing is known: that of tasks of about the mean.
pub(super) const UNKNOWN: SizeClass = SizeClass::from_index(1).unwrap();
const NAP: Duration = Duration::from_micros(100);

impl<T: Routed> Dispatch<'_, T> {
    /// Sends a task to the worker that its key belongs to.
    ///
    /// If that worker is closed and still has tasks of the key, the caller waits for them as it
    /// would for room, or dispatches the task again later.
    #[inline(never)]
    pub(super) fn send_keyed(&self, hash: u64, task: T) -> Result<Sent<T>, SendError<T>> {
        let Self { router, routing, .. } = *self;
        let capability = task.label().capability();
        let partition = match router.control.keys.find(capability, hash) {
            Some(partition) => partition,
            None => match router.control.create_key_table(capability, hash) {
                Ok(partition) => partition,
                Err(error) => return Err(SendError::new(error.into(), task)),
            },
        };
        let own = router.sizes.of(&self.profile, routing.roster.baseline()).unwrap_or(UNKNOWN);
        if routing.strategy.routes_keys()
            && let Some(reservation) = self.bind_free(partition, hash, own)
        {
            return self.put_keyed(reservation, partition, hash, own, task);
        }
        let mut fresh = None;
        let mut wait = KeyWait::new(self.policy.overflow, &router.clock, task.deadline());
        loop {
            if let Some((owner, class)) = router.control.keys.get(partition).bind(own) {
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
                            hash,
                            class,
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
            if self.in_line && self.policy.overflow.waits() {
                if !wait.backoff.wait() {
                    return Ok(Sent::KeyMoves(task));
                }
            } else if let Err(why) = wait.wait() {
                return self.unsent(Unsent { task, why });
            }
        }
    }

    /// Sends a task to the worker that its partition is bound to, or releases the partition.
    fn put_keyed(
        &self,
        reservation: Reservation<'_>,
        partition: PartitionId,
        hash: u64,
        class: SizeClass,
        mut task: T,
    ) -> Result<Sent<T>, SendError<T>> {
        let router = self.router;
        let owner = reservation.worker().id().short_id();
        let reservation = reservation.expecting(task.expected_duration()).noting_key(hash);
        let label = task.label().with_key_age(reservation.key_age()).bound_to(Some(partition));
        task.set_label(if router.sizes.are_used() { label.sized(class) } else { label });
        match self.put(reservation, task) {
            Ok(sent) => Ok(sent),
            Err(mut unsent) => {
                router.control.release_key(partition, owner);
                unsent.task.set_label(unsent.task.label().bound_to(None));
                self.unsent(unsent)
            }
        }
    }

    /// Binds a partition without tasks to the worker that the strategy picks.
    fn bind_free(
        &self,
        partition: PartitionId,
        hash: u64,
        class: SizeClass,
    ) -> Option<Reservation<'_>> {
        let Self { router, routing, .. } = *self;
        let free = router.control.keys.get(partition);
        if !free.is_free() {
            return None;
        }
        let tells_apart = routing.strategy.tells_keys_apart();
        let key = if tells_apart { hash } else { u64::from(partition.index()) };
        let profile = self.profile.key(key);
        let reservation = reserve(&*routing.strategy, &profile, &routing.roster).ok()?;
        free.bind_free(reservation.worker().id().short_id(), class).then_some(reservation)
    }
}

/// The wait of a caller for a key's worker, for as long as the policy lets it wait for room.
struct KeyWait<'a> {
    /// `None` for a policy that does not wait.
    patience: Option<Duration>,
    since: Instant,
    clock: &'a Clock,
    deadline: u64,
    backoff: Backoff,
}

impl<'a> KeyWait<'a> {
    fn new(overflow: Overflow, clock: &'a Clock, deadline: u64) -> Self {
        let (patience, polls) = match overflow {
            Overflow::Block => (Some(Duration::MAX), POLLS),
            Overflow::BlockFor(limit) => (Some(limit), POLLS),
            _ => (None, POLLS_WITHOUT_WAITING),
        };
        let backoff = Backoff::new(0, polls);
        Self { patience, since: time::now(), clock, deadline, backoff }
    }

    /// Waits for a moment.
    ///
    /// # Errors
    /// If the caller must not wait any longer.
    fn wait(&mut self) -> Result<(), NoRoom> {
        let polls = self.backoff.wait();
        let Some(patience) = self.patience else {
            return if polls { Ok(()) } else { Err(NoRoom::Full) };
        };
        if time::now() - self.since >= patience {
            return Err(NoRoom::Full);
        }
        if self.deadline != NEVER && self.clock.now() >= self.deadline {
            return Err(NoRoom::Expired);
        }
        if !polls {
            blocking::waiting(|| thread::sleep(NAP));
        }
        Ok(())
    }
}
