use std::num::NonZeroU32;

use raddle_core::{Capability, TaskProfile};

use crate::keys::PartitionId;
use crate::mailbox::Lane;

/// What a task is routed by, in one word: bits 0 to 31 the partition of its key, 0 for none; bits
/// 32 to 39 its [`Lane`]; from bit 40 its capability's index plus one, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(u64);

const LANE: u32 = 32;
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
        Lane::ALL[(self.0 >> LANE & 0xff) as usize]
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
                let partition = Some(PartitionId(NonZeroU32::MAX));
                let bound = label.bound_to(partition);
                assert_eq!((bound.lane(), bound.capability()), (lane, capability));
                assert_eq!((bound.partition(), bound.bound_to(None)), (partition, label));
            }
        }
    }
}
