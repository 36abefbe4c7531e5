use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::OnceLock;

use raddle_core::{Capability, Roster, Worker};
use raddle_strategies::rendezvous::owner;

use super::moved::MovedKeys;
use super::partitions::{Partition, Partitions, ShortId};

/// The partitions of a pool's keys: one table for each capability that tasks with keys name, since
/// not every worker serves every capability. A table is created at the first such task.
#[derive(Debug)]
pub(crate) struct KeyTables {
    tables: Box<[OnceLock<Partitions>]>,
    /// Of each table.
    partitions: NonZeroU32,
    /// Whether the state of keys is handed over.
    hands_over: bool,
}

/// A partition that moves from one worker to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) partition: PartitionId,
    pub(crate) from: ShortId,
    pub(crate) to: ShortId,
}

/// A partition of one of the tables: `table << 16 | index`, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionId(pub(crate) NonZeroU32);

impl PartitionId {
    pub(crate) fn new(table: usize, index: u32) -> Self {
        // 129 tables of 4096 partitions: far from the limit.
        Self(NonZeroU32::MIN.saturating_add(((table as u32) << 16) | index))
    }

    pub(crate) fn table(self) -> usize {
        ((self.0.get() - 1) >> 16) as usize
    }

    /// The partition's index in its table. A strategy that routes keys gets it as the key: all keys
    /// of a partition are one key to it, and its first choice is the owner without a strategy.
    pub(crate) fn index(self) -> u32 {
        (self.0.get() - 1) & 0xffff
    }
}

/// Owns the partitions that no worker can serve.
pub(crate) const NOBODY: ShortId = ShortId::MAX;

fn table(capability: Option<Capability>) -> usize {
    capability.map_or(Capability::MAX, Capability::index)
}

/// Which keys move when the roster has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reassign<'a> {
    /// All keys whose owner by rendezvous hashing is another worker.
    All,
    /// Only keys whose worker takes no more tasks, and keys whose owner is one of these new workers.
    /// For a strategy that routes keys itself.
    Few { joined: &'a [ShortId] },
}

impl KeyTables {
    pub(crate) fn new(partitions: NonZeroU32, hands_over: bool) -> Self {
        let tables = (0..=Capability::MAX).map(|_| OnceLock::new()).collect();
        Self { tables, partitions, hands_over }
    }

    pub(crate) fn hands_over(&self) -> bool {
        self.hands_over
    }

    /// The keys of some partitions, apart for each capability.
    pub(crate) fn keys_of(&self, partitions: impl Iterator<Item = PartitionId>) -> Vec<MovedKeys> {
        let mut by_table = BTreeMap::<usize, Vec<u32>>::new();
        for partition in partitions {
            by_table.entry(partition.table()).or_default().push(partition.index());
        }
        let count = self.partitions.get() as usize;
        let keys = |(table, indices): (usize, Vec<u32>)| {
            MovedKeys::new(Capability::from_index(table), count, &indices)
        };
        by_table.into_iter().map(keys).collect()
    }

    /// Creates the table of a capability for this roster, unless no worker serves it. The caller
    /// keeps the roster from changing meanwhile.
    pub(crate) fn create(&self, capability: Option<Capability>, roster: &Roster) {
        let owners = Owners::of(roster, capability);
        if !owners.0.is_empty() {
            self.tables[table(capability)].get_or_init(|| {
                let partitions =
                    Partitions::new(self.partitions, |index| owners.of_partition(index));
                if self.hands_over { partitions.handing_over() } else { partitions }
            });
        }
    }

    /// The partition of a key; `None` if the capability has no table yet.
    #[inline]
    pub(crate) fn find(&self, capability: Option<Capability>, key: u64) -> Option<PartitionId> {
        let table = table(capability);
        let partitions = self.tables[table].get()?;
        Some(PartitionId::new(table, partitions.index_of(key)))
    }

    #[inline]
    pub(crate) fn get(&self, id: PartitionId) -> Partition<'_> {
        let Some(partitions) = self.tables[id.table()].get() else {
            unreachable!("an id is created with its table")
        };
        partitions.get(id.index())
    }

    /// Reassigns the partitions by this roster, and passes each that moves to `moved`. Returns whether all
    /// are with their owners or moving there; if not, this must be called again later.
    pub(crate) fn reassign(
        &self,
        roster: &Roster,
        which: Reassign<'_>,
        mut moved: impl FnMut(Move),
    ) -> bool {
        let joined: HashSet<_> = match which {
            Reassign::All => HashSet::new(),
            Reassign::Few { joined } => joined.iter().copied().collect(),
        };
        let mut all = true;
        for (number, table) in self.tables.iter().enumerate() {
            let Some(partitions) = table.get() else { continue };
            let owners = Owners::of(roster, Capability::from_index(number));
            let serving = owners.short_ids();
            let owner = |index, current| {
                let may_stay = matches!(which, Reassign::Few { .. }) && serving.contains(&current);
                if may_stay && joined.is_empty() {
                    return current;
                }
                let owner = owners.of_partition(index);
                if may_stay && !joined.contains(&owner) { current } else { owner }
            };
            all &= partitions.reassign_each(owner, |index, from, to| {
                moved(Move { partition: PartitionId::new(number, index as u32), from, to });
            });
        }
        all
    }

    /// Whether any partition belongs to this worker or is moving to it.
    pub(crate) fn mention(&self, worker: ShortId) -> bool {
        self.tables.iter().filter_map(OnceLock::get).any(|partitions| partitions.mentions(worker))
    }
}

/// The workers that may own keys of a capability: the short id, the hash of the name to which keys
/// belong, and the weight. A quarantine is temporary and moves no keys.
struct Owners(Vec<(ShortId, u64, u32)>);

impl Owners {
    fn of(roster: &Roster, capability: Option<Capability>) -> Self {
        let members = roster.members().iter().filter(|member| {
            member.health.takes_tasks() && member.worker.capabilities().serves(capability)
        });
        let owner = |worker: &Worker| (worker.id().short_id(), worker.name_hash(), worker.weight());
        Self(members.map(|member| owner(&member.worker)).collect())
    }

    fn short_ids(&self) -> HashSet<ShortId> {
        self.0.iter().map(|(short_id, ..)| *short_id).collect()
    }

    fn of_partition(&self, index: usize) -> ShortId {
        let candidates = self.0.iter().map(|(_, name, weight)| (*name, *weight));
        owner(index as u64, candidates).map_or(NOBODY, |owner| self.0[owner].0)
    }
}
