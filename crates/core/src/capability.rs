use std::fmt;
use std::sync::OnceLock;

use thiserror::Error;

/// An interned capability name: what a task needs and a worker offers.
///
/// A process can intern at most [`Capability::MAX`] names. Interning compares a name with those
/// before it: do it once and keep the value, which is one byte and free to copy.
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

/// Why a capability name could not be interned.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapabilityError {
    /// The name is empty.
    #[error("a capability name is empty, allowed is any other text")]
    Empty,
    /// The process has interned [`Capability::MAX`] other names.
    #[error(
        "no room for capability `{name}`: this process already knows {max} names, which is the \
         limit",
        max = Capability::MAX
    )]
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

/// The names interned by this process, from the first on: the only state that pools share.
static NAMES: [OnceLock<Box<str>>; Capability::MAX] = [const { OnceLock::new() }; Capability::MAX];

impl Capability {
    /// The maximum number of names in a process.
    pub const MAX: usize = 128;

    /// Returns the capability with this name, interning the name if it is new.
    ///
    /// A known name is found in at most [`Capability::MAX`] comparisons, wait-free. A new one is
    /// allocated, and waits while another thread stores one.
    ///
    /// # Errors
    /// When the name is empty, or new after [`Capability::MAX`] others.
    pub fn intern(name: &str) -> Result<Self, CapabilityError> {
        if name.is_empty() {
            return Err(CapabilityError::Empty);
        }
        // Of two threads that store the same name, one finds the other's in this slot.
        let found = NAMES.iter().position(|slot| **slot.get_or_init(|| name.into()) == *name);
        let index = found.ok_or_else(|| CapabilityError::Full { name: name.to_owned() })?;
        Ok(Self(index as u8))
    }

    /// Returns the name. Wait-free.
    pub fn name(self) -> &'static str {
        NAMES[self.index()].get().map_or("", |name| name)
    }

    /// Returns a dense index below [`Capability::MAX`], for tables by capability.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Returns the capability with this index, interned or not; `None` when `index` is not below
    /// [`Capability::MAX`].
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

/// The capabilities that a worker offers: a bit mask of names, and whether it is a generalist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet {
    names: u128,
    general: bool,
}

impl CapabilitySet {
    /// A generalist without names: serves every task.
    pub const GENERAL: Self = Self { names: 0, general: true };

    /// No names, and not a generalist: serves only tasks that name no capability.
    pub const EMPTY: Self = Self { names: 0, general: false };

    /// Returns this set with one more name.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self { names: self.names | capability.bit(), ..self }
    }

    /// Returns whether the set serves tasks that name a capability outside of it.
    pub fn is_general(self) -> bool {
        self.general
    }

    /// Returns whether the set names `capability`.
    #[inline]
    pub fn contains(self, capability: Capability) -> bool {
        self.names & capability.bit() != 0
    }

    /// Returns whether a worker with this set may serve a task that names `capability`, or none.
    #[inline]
    pub fn serves(self, capability: Option<Capability>) -> bool {
        self.general || capability.is_none_or(|capability| self.contains(capability))
    }

    /// Returns the names in the set, in the order of their interning. Allocates nothing.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..Capability::MAX as u8).map(Capability).filter(move |c| self.contains(*c))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        iter.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_serves_its_names_and_a_generalist_everything() {
        let (a, b) = (Capability::intern("set-a").unwrap(), Capability::intern("set-b").unwrap());
        let only_a: CapabilitySet = [a].into_iter().collect();
        assert!(only_a.serves(Some(a)) && only_a.serves(None) && !only_a.serves(Some(b)));
        assert!(CapabilitySet::GENERAL.serves(Some(b)) && !CapabilitySet::GENERAL.contains(b));
        assert_eq!(only_a.with(b).iter().collect::<Vec<_>>().len(), 2);
        assert_eq!(only_a.with(a), only_a, "a name that it has changes nothing");
    }

    #[test]
    fn a_capability_is_displayed_by_name_and_found_by_index() {
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
