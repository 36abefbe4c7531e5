use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use raddle_core::{Capability, hash};

use super::partitions::index_of;

/// Keys that move from one worker to another: those of some partitions of one capability.
///
/// The pool does not know which keys there are. Ask for each with [`contains`](Self::contains).
#[derive(Clone, PartialEq, Eq)]
pub struct MovedKeys {
    capability: Option<Capability>,
    /// The partitions of the capability.
    count: usize,
    /// One bit for each.
    bits: Arc<[u64]>,
}

impl MovedKeys {
    /// The keys of these of the capability's `count` partitions.
    pub(crate) fn new(capability: Option<Capability>, count: usize, partitions: &[u32]) -> Self {
        let mut bits = vec![0; count.div_ceil(64)];
        for index in partitions {
            bits[*index as usize / 64] |= 1 << (index % 64);
        }
        Self { capability, count, bits: bits.into() }
    }

    /// Returns whether this key is one of them. The key must hash like the one that is passed to
    /// [`TaskBuilder::key`](crate::TaskBuilder::key), as `"a"` and `String::from("a")` do. Takes as long
    /// as hashing the key.
    pub fn contains(&self, key: &(impl Hash + ?Sized)) -> bool {
        let index = index_of(hash::of(key), self.count) as usize;
        self.bits[index / 64] >> (index % 64) & 1 == 1
    }

    /// Returns the capability that the tasks of these keys ask for. Keys that are equal, of tasks with
    /// different capabilities, may belong to different workers.
    pub fn capability(&self) -> Option<Capability> {
        self.capability
    }

    /// Returns the number of partitions that these keys are in.
    pub fn partitions(&self) -> usize {
        self.bits.iter().map(|bits| bits.count_ones() as usize).sum()
    }
}

impl fmt::Debug for MovedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MovedKeys")
            .field("capability", &self.capability)
            .field("partitions", &self.partitions())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_contained_if_its_partition_is() {
        let index = |key: &str| index_of(hash::of(key), 1024);
        let keys = MovedKeys::new(None, 1024, &[index("a"), index("b")]);
        assert!(keys.contains("a") && keys.contains(&String::from("b")));
        assert_eq!((keys.partitions(), keys.capability()), (2, None));
        let others = (0..1_000_u32).filter(|key| keys.contains(key)).count();
        assert!(others < 20, "{others} of 1000 keys are in 2 of 1024 partitions");
        assert!(!MovedKeys::new(None, 4096, &[]).contains("a"));
    }
}
