use std::num::NonZeroU32;

use raddle_core::internal::SizeClass;
use raddle_core::{Capability, KeyAge, TaskProfile};

use crate::keys::PartitionId;
use crate::mailbox::Lane;

/// What a task is routed by, in one word: bits 0 to 31 the partition of its key, 0 for none; bits
/// 32 to 35 its [`Lane`]; bits 36 to 39 the [packed](KeyAge::pack) age of its key; from bit 40 its
/// capability's index plus one, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(u64);

const LANE: u32 = 32;
const AGE: u32 = 36;
const FOUR_BITS: u64 = 0xf;
const CAPABILITY: u32 = 40;

impl Label {
    /// The label of a task whose key, if any, is not bound to a partition yet.
    #[inline]
    pub(crate) fn of(profile: &TaskProfile) -> Self {
        let lane = Lane::of(profile.priority, profile.key.is_some());
        let capability = profile.capability.map_or(0, |capability| capability.index() as u64 + 1);
        Self((lane as u64) << LANE | capability << CAPABILITY)
    }

    /// The lane in which the task waits.
    #[inline]
    pub(crate) fn lane(self) -> Lane {
        let lane = self.0 >> LANE & FOUR_BITS;
        // Most tasks are in this one: the comparison is cheaper than the table.
        if lane == Lane::Normal as u64 { Lane::Normal } else { Lane::ALL[lane as usize] }
    }

    /// This label, in the lane of tasks that stay with their worker.
    pub(crate) fn pinned(self) -> Self {
        let lane = if self.lane() == Lane::Control { Lane::Control } else { Lane::Keyed };
        Self(self.0 & !(FOUR_BITS << LANE) | (lane as u64) << LANE)
    }

    /// The age of the task's key when its worker was selected, if that is known.
    #[inline]
    pub(crate) fn key_age(self) -> Option<KeyAge> {
        KeyAge::unpack(self.0 >> AGE)
    }

    pub(crate) fn with_key_age(self, age: Option<KeyAge>) -> Self {
        Self(self.0 & !(FOUR_BITS << AGE) | KeyAge::pack(age) << AGE)
    }

    /// This label, in the lane of a boosted mailbox for tasks of this size.
    pub(crate) fn sized(self, class: SizeClass) -> Self {
        let lane = self.lane().sized(class) as u64;
        Self(self.0 & !(FOUR_BITS << LANE) | lane << LANE)
    }

    /// The capability that the task asked for.
    #[inline]
    pub(crate) fn capability(self) -> Option<Capability> {
        Capability::from_index((self.0 >> CAPABILITY).checked_sub(1)? as usize)
    }

    /// The partition of the task's key, once it is bound.
    #[inline]
    pub(crate) fn partition(self) -> Option<PartitionId> {
        NonZeroU32::new(self.0 as u32).map(PartitionId)
    }

    /// This label, bound to `partition` or to none.
    pub(crate) fn bound_to(self, partition: Option<PartitionId>) -> Self {
        let partition = partition.map_or(0, |partition| u64::from(partition.0.get()));
        Self(self.0 & !u64::from(u32::MAX) | partition)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use raddle_core::Priority;

    use super::*;

    #[test]
    fn a_label_round_trips() {
        let last = Capability::from_index(Capability::MAX - 1);
        let lanes = [
            (Priority::Control, false, Lane::Control),
            (Priority::High, false, Lane::High),
            (Priority::High, true, Lane::Keyed),
            (Priority::Normal, false, Lane::Normal),
            (Priority::Low, false, Lane::Low),
        ];
        for capability in [None, Capability::from_index(0), last] {
            for (priority, keyed, lane) in lanes {
                let mut profile = TaskProfile::default().priority(priority);
                profile.capability = capability;
                profile.key = keyed.then_some(7);
                let label = Label::of(&profile);
                assert_eq!((label.lane(), label.capability()), (lane, capability));
                assert_eq!(label.partition(), None);
                for class in (0..4).filter_map(SizeClass::from_index) {
                    let sized = label.sized(class);
                    let has_size = matches!(lane, Lane::Keyed | Lane::Normal);
                    assert_eq!(sized.lane().size(), has_size.then_some(class));
                    assert_eq!(sized.lane().is_free(), lane.is_free());
                    assert_eq!((sized.sized(class), sized.capability()), (sized, capability));
                }
                let pinned = label.pinned();
                assert!(!pinned.lane().is_free() && pinned.partition().is_none());
                assert_eq!((pinned.pinned(), pinned.capability()), (pinned, capability));
                let partition = Some(PartitionId(NonZeroU32::MAX));
                let bound = label.bound_to(partition);
                assert_eq!((bound.lane(), bound.capability()), (lane, capability));
                assert_eq!((bound.partition(), bound.bound_to(None)), (partition, label));
                assert_eq!(bound.key_age(), None);
                for age in [None, Some(KeyAge::LATEST), Some(KeyAge::UNSEEN)] {
                    let aged = bound.with_key_age(age);
                    assert_eq!((aged.lane(), aged.capability()), (lane, capability));
                    assert_eq!((aged.partition(), aged.key_age()), (partition, age));
                    assert_eq!(aged.with_key_age(None), bound);
                }
            }
        }
    }
}
