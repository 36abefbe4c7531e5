use std::fmt;
use std::sync::{LazyLock, OnceLock};

use dashmap::DashMap;
use thiserror::Error;

/// An interned capability name: what a task needs and a worker offers.
///
/// A process knows at most [`Capability::MAX`] names. Interning takes a shard lock and may
/// allocate: do it once and keep the value, which is one byte and free to copy.
///
/// ```
/// use raddle_core::Capability;
///
/// let vision = Capability::intern("vision")?;
/// assert_eq!(Capability::intern("vision")?, vision);
/// assert_eq!(vision.name(), "vision");
/// # Ok::<(), raddle_core::CapabilityError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

/// Why a name could not be interned.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapabilityError {
    /// The name is empty.
    #[error("a capability name is empty, allowed is any other text")]
    Empty,
    /// All places are taken.
    #[error("no room for capability `{name}`: this process already knows {max} names, which is the limit", max = Capability::MAX)]
    Full {
        /// The name that was refused.
        name: String,
    },
}

impl From<std::convert::Infallible> for CapabilityError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The names. Shared by the whole process, the only thing that two pools share.
struct Names {
    ids: DashMap<Box<str>, Capability>,
    names: [OnceLock<Box<str>>; Capability::MAX],
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    ids: DashMap::new(),
    names: [const { OnceLock::new() }; Capability::MAX],
});

impl Capability {
    /// The number of names that a process can know.
    pub const MAX: usize = 128;

    /// The capability of this name, known from now on. Takes a shard lock; may allocate.
    ///
    /// # Errors
    /// When the name is empty, or new while [`Capability::MAX`] others are known.
    pub fn intern(name: &str) -> Result<Self, CapabilityError> {
        if name.is_empty() {
            return Err(CapabilityError::Empty);
        }
        if let Some(known) = NAMES.ids.get(name) {
            return Ok(*known);
        }
        // The entry locks the name's shard, so that one name is given one place; two names on
        // different shards are told apart by `OnceLock::set`.
        let entry = NAMES.ids.entry(name.into());
        let place = match entry {
            dashmap::Entry::Occupied(known) => return Ok(*known.get()),
            dashmap::Entry::Vacant(place) => place,
        };
        for (index, slot) in NAMES.names.iter().enumerate() {
            if slot.get().is_none() && slot.set(name.into()).is_ok() {
                return Ok(*place.insert(Self(index as u8)));
            }
        }
        Err(CapabilityError::Full { name: name.to_owned() })
    }

    /// The name. Wait-free.
    pub fn name(self) -> &'static str {
        NAMES.names[self.index()].get().map_or("", |name| name)
    }

    /// A dense number below [`Capability::MAX`], for tables by capability.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The capability of a dense number, interned or not; `None` when there can be none.
    pub fn from_index(index: usize) -> Option<Self> {
        (index < Self::MAX).then_some(Self(index as u8))
    }

    fn bit(self) -> u128 {
        1 << self.0
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capability({})", self.name())
    }
}

impl TryFrom<&str> for Capability {
    type Error = CapabilityError;
    fn try_from(name: &str) -> Result<Self, CapabilityError> {
        Self::intern(name)
    }
}

/// What a worker offers: a bit mask of names, or everything (`general`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet {
    names: u128,
    general: bool,
}

impl CapabilitySet {
    /// Serves every task, as a generalist.
    pub const GENERAL: Self = Self { names: 0, general: true };

    /// Serves no task that names a capability.
    pub const NONE: Self = Self { names: 0, general: false };

    /// This set and one name more.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self { names: self.names | capability.bit(), ..self }
    }

    /// Whether it serves tasks that name what it has not.
    pub fn is_general(self) -> bool {
        self.general
    }

    /// Whether this very capability is in the set.
    #[inline]
    pub fn names(self, capability: Capability) -> bool {
        self.names & capability.bit() != 0
    }

    /// Whether a task that names `capability`, or none, may be given to a worker of this set.
    #[inline]
    pub fn serves(self, capability: Option<Capability>) -> bool {
        self.general || capability.is_none_or(|capability| self.names(capability))
    }

    /// The names in the set, by the order of their interning. Allocates nothing.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..Capability::MAX as u8).map(Capability).filter(move |c| self.names(*c))
    }
}

impl Extend<Capability> for CapabilitySet {
    fn extend<I: IntoIterator<Item = Capability>>(&mut self, iter: I) {
        for capability in iter {
            *self = self.with(capability);
        }
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        let mut set = Self::NONE;
        set.extend(iter);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_serves_what_it_names_and_a_general_one_everything() {
        let (a, b) = (Capability::intern("set-a").unwrap(), Capability::intern("set-b").unwrap());
        let only_a: CapabilitySet = [a].into_iter().collect();
        assert!(only_a.serves(Some(a)) && only_a.serves(None) && !only_a.serves(Some(b)));
        assert!(CapabilitySet::GENERAL.serves(Some(b)) && !CapabilitySet::GENERAL.names(b));
        assert_eq!(only_a.with(b).iter().collect::<Vec<_>>().len(), 2);
        assert_eq!(only_a.with(a), only_a, "what it has already changes nothing");
    }

    #[test]
    fn a_capability_is_shown_by_its_name_and_found_by_its_number() {
        let shown = Capability::intern("shown").unwrap();
        assert_eq!(shown.to_string(), "shown");
        assert_eq!(Capability::from_index(shown.index()), Some(shown));
        let last = Capability::MAX - 1;
        assert_eq!(Capability::from_index(last).map(Capability::index), Some(last));
        assert_eq!(Capability::from_index(Capability::MAX), None);
    }

    #[test]
    fn an_empty_name_is_refused() {
        let error = Capability::intern("").unwrap_err();
        assert_eq!(error.to_string(), "a capability name is empty, allowed is any other text");
    }
}
