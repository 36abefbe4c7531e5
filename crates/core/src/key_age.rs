use std::num::NonZeroU8;

/// How lately a worker was given a task with the same key, in eighths of the about 512 keys that it
/// remembers: 0 for one of the latest 64, and so on; 8 for a key that it does not remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyAge(
    /// Plus one: 0 is an age that is not known.
    NonZeroU8,
);

impl KeyAge {
    /// The age of one of the latest keys.
    pub const LATEST: Self = Self(NonZeroU8::MIN);
    /// The age of a key that the worker does not remember.
    pub const UNSEEN: Self = Self(NonZeroU8::new(9).unwrap());
    /// The number of ages.
    pub const COUNT: usize = 9;

    /// Returns the age, below [`COUNT`](Self::COUNT).
    #[inline]
    pub fn index(self) -> usize {
        // Here, so that unpacking what is not used costs nothing.
        usize::from(self.0.get() - 1).min(Self::COUNT - 1)
    }

    /// Returns the age of a key after which `later` others of its set came; at most
    /// [`UNSEEN`](Self::UNSEEN).
    #[inline]
    pub(crate) fn after(later: u32) -> Self {
        Self(NonZeroU8::MIN.saturating_add(later as u8))
    }

    /// Returns an age in four bits; 0 for `None`.
    #[inline]
    pub fn pack(age: Option<Self>) -> u64 {
        age.map_or(0, |age| u64::from(age.0.get()))
    }

    /// Returns what was [packed](Self::pack) into the lowest four bits; other bits are ignored.
    #[inline]
    pub fn unpack(bits: u64) -> Option<Self> {
        NonZeroU8::new((bits & 0xf) as u8).map(Self)
    }
}
