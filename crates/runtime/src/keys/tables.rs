use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::OnceLock;

use raddle_core::{Capability, Health, Roster, WorkerId};
use raddle_strategies::rendezvous::owner;

use super::partitions::{Partition, Partitions, ShortId};

/// The partitions of a pool's keys: one table for each capability that tasks with keys name, since
/// not every worker serves every capability. A table is created at the first such task.
#[derive(Debug)]
pub(crate) struct KeyTables(Box<[OnceLock<Partitions>]>);

/// A partition of one of the tables: `table << 16 | index`, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionId(pub(crate) NonZeroU32);

impl PartitionId {
    fn new(table: usize, index: u32) -> Self {
        // 129 tables of 1024 partitions: far from the limit.
        Self(NonZeroU32::MIN.saturating_add(((table as u32) << 16) | index))
    }

    fn table(self) -> usize {
        ((self.0.get() - 1) >> 16) as usize
    }

    /// The partition's index in its table. A strategy that routes keys gets it as the key: all keys
    /// of a partition are one key to it, and its first choice is the owner without a strategy.
    pub(crate) fn index(self) -> u32 {
        (self.0.get() - 1) & 0xffff
    }
}

/// Owns the partitions that no worker can serve.
const NOBODY: ShortId = ShortId::MAX;

fn table(capability: Option<Capability>) -> usize {
    capability.map_or(Capability::MAX, Capability::index)
}

/// Which keys move when the roster has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reassign {
    /// All keys whose owner by rendezvous hashing is another worker.
    All,
    /// Only keys whose worker takes no more tasks, and keys whose owner is a new worker: one at this
    /// position or behind it. For a strategy that routes keys itself.
    Few { joined: usize },
}

impl KeyTables {
    pub(crate) fn new() -> Self {
        Self((0..=Capability::MAX).map(|_| OnceLock::new()).collect())
    }

    /// Creates the table of a capability for this roster, unless no worker serves it. The caller
    /// keeps the roster from changing meanwhile.
    pub(crate) fn create(&self, capability: Option<Capability>, roster: &Roster) {
        let owners = Owners::of(roster, capability);
        if !owners.0.is_empty() {
            self.0[table(capability)].get_or_init(|| {
                Partitions::new(Partitions::DEFAULT_COUNT, |index| owners.of_partition(index))
            });
        }
    }

    /// The partition of a key; `None` if the capability has no table yet.
    #[inline]
    pub(crate) fn find(&self, capability: Option<Capability>, key: u64) -> Option<PartitionId> {
        let table = table(capability);
        let partitions = self.0[table].get()?;
        Some(PartitionId::new(table, partitions.index_of(key)))
    }

    #[inline]
    pub(crate) fn get(&self, id: PartitionId) -> Partition<'_> {
        let Some(partitions) = self.0[id.table()].get() else {
            unreachable!("an id is created with its table")
        };
        partitions.get(id.index())
    }

    /// Reassigns the partitions by this roster. Returns whether all are with their owners or moving
    /// there; if not, this must be called again later.
    pub(crate) fn reassign(&self, roster: &Roster, which: Reassign) -> bool {
        let joined: HashSet<_> = match which {
            Reassign::All => HashSet::new(),
            Reassign::Few { joined } => {
                let joined = roster.members().get(joined..).unwrap_or_default();
                joined.iter().map(|member| member.worker.id().short_id()).collect()
            }
        };
        let mut all = true;
        for (index, table) in self.0.iter().enumerate() {
            let Some(partitions) = table.get() else { continue };
            let owners = Owners::of(roster, Capability::from_index(index));
            let serving = owners.short_ids();
            all &= partitions.reassign(|index, current| {
                let may_stay = matches!(which, Reassign::Few { .. }) && serving.contains(&current);
                if may_stay && joined.is_empty() {
                    return current;
                }
                let owner = owners.of_partition(index);
                if may_stay && !joined.contains(&owner) { current } else { owner }
            });
        }
        all
    }

    /// Whether any partition belongs to this worker or is moving to it.
    pub(crate) fn mention(&self, worker: ShortId) -> bool {
        self.0.iter().filter_map(OnceLock::get).any(|partitions| partitions.mentions(worker))
    }
}

/// The workers that may own keys of a capability, and their weights. A quarantine is temporary and
/// moves no keys.
struct Owners(Vec<(WorkerId, u32)>);

impl Owners {
    fn of(roster: &Roster, capability: Option<Capability>) -> Self {
        let members = roster.members().iter().filter(|member| {
            member.health != Health::Draining && member.worker.capabilities().serves(capability)
        });
        Self(members.map(|member| (member.worker.id(), member.worker.weight())).collect())
    }

    fn short_ids(&self) -> HashSet<ShortId> {
        self.0.iter().map(|(id, _)| id.short_id()).collect()
    }

    fn of_partition(&self, index: usize) -> ShortId {
        let candidates = self.0.iter().map(|(id, weight)| (id.0, *weight));
        owner(index as u64, candidates).map_or(NOBODY, |owner| self.0[owner].0.short_id())
    }
}
