use raddle_core::Priority;
use raddle_core::internal::SizeClass;

/// One of the queues of a mailbox. Tasks of one lane run in the order in which they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Before all others, and unbounded.
    Control,
    /// [`Priority::High`].
    High,
    /// Tasks with a key, whatever their priority, so that the order of a key is kept, and tasks for
    /// one worker. Takes turns with [`Normal`](Self::Normal).
    Keyed,
    /// [`Priority::Normal`].
    Normal,
    /// [`Priority::Low`].
    Low,
    /// In a boosted mailbox: tasks of [`Keyed`](Self::Keyed), by [size class](SizeClass).
    KeyedTiny,
    KeyedShort,
    KeyedLong,
    KeyedHuge,
    /// In a boosted mailbox: normal tasks whose size is known.
    NormalTiny,
    NormalShort,
    NormalLong,
    NormalHuge,
}

impl Lane {
    /// All lanes, each at the index of its discriminant.
    pub const ALL: [Self; 13] = {
        let ([k0, k1, k2, k3], [n0, n1, n2, n3]) = (Self::KEYED, Self::NORMAL);
        [
            Self::Control,
            Self::High,
            Self::Keyed,
            Self::Normal,
            Self::Low,
            k0,
            k1,
            k2,
            k3,
            n0,
            n1,
            n2,
            n3,
        ]
    };
    const KEYED: [Self; SizeClass::COUNT] =
        [Self::KeyedTiny, Self::KeyedShort, Self::KeyedLong, Self::KeyedHuge];
    const NORMAL: [Self; SizeClass::COUNT] =
        [Self::NormalTiny, Self::NormalShort, Self::NormalLong, Self::NormalHuge];
    /// The lanes whose tasks any worker may run.
    pub(super) const FREE: [Self; 3] = [Self::High, Self::Normal, Self::Low];
    /// The same for a boosted mailbox, shorter tasks first.
    pub(super) const FREE_BOOSTED: [Self; 7] = {
        let [n0, n1, n2, n3] = Self::NORMAL;
        [Self::High, n0, n1, Self::Normal, n2, n3, Self::Low]
    };
    /// The lanes whose first tasks compete by their boosts.
    pub(super) const BOOSTED: [Self; 9] = {
        let ([k0, k1, k2, k3], [n0, n1, n2, n3]) = (Self::KEYED, Self::NORMAL);
        [Self::Normal, k0, k1, k2, k3, n0, n1, n2, n3]
    };

    /// Returns whether any worker may run the lane's tasks.
    pub fn is_free(self) -> bool {
        Self::FREE_BOOSTED.contains(&self)
    }

    /// Returns whether its tasks have keys, or stay with their worker for another reason.
    pub(super) fn is_keyed(self) -> bool {
        self == Self::Keyed || Self::KEYED.contains(&self)
    }

    /// Returns the lane of a boosted mailbox for a task of this lane and this size.
    pub fn sized(self, class: SizeClass) -> Self {
        match self {
            Self::Control | Self::High | Self::Low => self,
            _ if self.is_keyed() => Self::KEYED[class.index()],
            _ => Self::NORMAL[class.index()],
        }
    }

    /// Returns the size of the lane's tasks, if it is known.
    pub fn size(self) -> Option<SizeClass> {
        let index = self as usize;
        let sized = index.checked_sub(Self::KeyedTiny as usize)?;
        SizeClass::from_index(sized % SizeClass::COUNT)
    }

    /// Returns the lane whose turn the lane's tasks share: the one for all sizes.
    pub fn of_all_sizes(self) -> Self {
        match self.size() {
            None => self,
            Some(_) if self.is_keyed() => Self::Keyed,
            Some(_) => Self::Normal,
        }
    }

    /// Its index in [`BOOSTED`](Self::BOOSTED).
    pub(super) fn boosted(self) -> Option<usize> {
        match self {
            Self::Normal => Some(0),
            _ => {
                (self as usize).checked_sub(Self::KeyedTiny as usize - 1).filter(|index| *index > 0)
            }
        }
    }

    /// Returns the lane of a task.
    #[inline]
    pub fn of(priority: Priority, keyed: bool) -> Self {
        match priority {
            Priority::Control => Self::Control,
            _ if keyed => Self::Keyed,
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_lane_follows_from_priority_and_key() {
        assert_eq!(Lane::of(Priority::Control, true), Lane::Control);
        assert_eq!(Lane::of(Priority::High, true), Lane::Keyed);
        assert_eq!(Lane::of(Priority::High, false), Lane::High);
        assert_eq!(Lane::of(Priority::default(), false), Lane::Normal);
        assert_eq!(Lane::of(Priority::Low, false), Lane::Low);
    }
}
