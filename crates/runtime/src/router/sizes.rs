//! The size classes of a boosted pool's tasks.

use std::num::NonZeroU32;

use raddle_core::internal::SizeClass;
use raddle_core::{Baseline, MailboxOrder, TaskProfile};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::routed::Routed;
use crate::keys::Partitions;

pub(crate) struct Sizes {
    boosted: bool,
    /// The mean service time in nanoseconds, as of one of the workers within the last second; 0 if
    /// none has computed it yet.
    mean: AtomicU64,
}

impl Sizes {
    pub(super) fn new(order: MailboxOrder) -> Self {
        Self { boosted: order == MailboxOrder::Boost, mean: AtomicU64::new(0) }
    }

    pub(crate) fn set_mean(&self, mean: u64) {
        // Relaxed: a size is an estimate.
        self.mean.store(mean, Relaxed);
    }

    /// Puts a task without a key into the lane of its size, if that is known.
    ///
    /// A task that says nothing about its size stays in the normal lane, so a plain `tell` pays
    /// nothing for this.
    #[inline(always)]
    pub(super) fn sort<T: Routed>(&self, task: &mut T, profile: &TaskProfile, known: &Baseline) {
        let says_something = profile.expected_duration != 0 || profile.capability.is_some();
        if says_something && self.boosted {
            self.put_into_its_lane(task, profile, known);
        }
    }

    #[cold]
    fn put_into_its_lane<T: Routed>(&self, task: &mut T, profile: &TaskProfile, known: &Baseline) {
        if let Some(class) = self.of(profile, known) {
            task.set_label(task.label().sized(class));
        }
    }

    /// The class of a task: by the duration that it states, or else by what was learned of its
    /// capability. `None` if nothing is known, or no mailbox would use it.
    pub(super) fn of(&self, profile: &TaskProfile, known: &Baseline) -> Option<SizeClass> {
        let class = || SizeClass::of_task(profile, known, self.mean.load(Relaxed));
        self.boosted.then(class).flatten()
    }

    pub(super) fn are_used(&self) -> bool {
        self.boosted
    }

    /// The number of partitions of the pool's keys.
    pub(super) fn partitions(&self) -> NonZeroU32 {
        if self.boosted { Partitions::BOOSTED_COUNT } else { Partitions::DEFAULT_COUNT }
    }
}
