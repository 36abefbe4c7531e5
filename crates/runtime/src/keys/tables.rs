use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::OnceLock;

use raddle_core::{Capability, Health, Roster};
use raddle_strategies::rendezvous::owner;

use super::partitions::{Partition, Partitions, ShortId};

/// The partitions of a pool's keys, a table for each capability that tasks with keys name: not
/// every worker serves every capability. A table is made when the first such task is given.
#[derive(Debug)]
pub(crate) struct KeyTables(Box<[OnceLock<Partitions>]>);

/// A table, and a partition of it: `table << 16 | partition`, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) NonZeroU32);

impl Slot {
    fn new(table: usize, partition: Partition) -> Self {
        // Tables are 129, partitions 1024: the sum is far from its limit.
        Self(NonZeroU32::MIN.saturating_add(((table as u32) << 16) | partition.number()))
    }

    fn table(self) -> usize {
        ((self.0.get() - 1) >> 16) as usize
    }

    fn partition(self) -> Partition {
        Partition::of_number((self.0.get() - 1) & 0xffff)
    }
}

/// The seat of no worker: owns the partitions that nobody can serve.
const NOBODY: ShortId = ShortId::MAX;

fn table(capability: Option<Capability>) -> usize {
    capability.map_or(Capability::MAX, Capability::index)
}

impl KeyTables {
    pub(crate) fn new() -> Self {
        Self((0..=Capability::MAX).map(|_| OnceLock::new()).collect())
    }

    /// Makes the table of a capability, by the roster of the moment, unless nobody serves it. To
    /// be called by who keeps the roster from changing meanwhile.
    pub(crate) fn make(&self, capability: Option<Capability>, roster: &Roster) {
        let owners = Owners::of(roster, capability);
        if !owners.0.is_empty() {
            self.0[table(capability)].get_or_init(|| {
                Partitions::new(Partitions::DEFAULT_COUNT, |partition| owners.short_id(partition))
            });
        }
    }

    fn partitions(&self, slot: Slot) -> &Partitions {
        let Some(partitions) = self.0[slot.table()].get() else {
            unreachable!("a slot comes of a table that was made")
        };
        partitions
    }

    /// What a strategy that routes keys is asked for: all keys of a slot are one to it, so that one
    /// that is in its first choice is where it would be without a strategy.
    pub(crate) fn key_of(slot: Slot) -> u64 {
        u64::from(slot.partition().number())
    }

    /// Where a key belongs; `None` when the tasks of its capability have no table yet.
    #[inline]
    pub(crate) fn slot(&self, capability: Option<Capability>, key: u64) -> Option<Slot> {
        let table = table(capability);
        let partitions = self.0[table].get()?;
        Some(Slot::new(table, partitions.partition_of(key)))
    }

    /// As [`Partitions::bind`].
    #[inline]
    pub(crate) fn bind(&self, slot: Slot) -> Option<ShortId> {
        self.partitions(slot).bind(slot.partition())
    }

    /// As [`Partitions::is_free`].
    #[inline]
    pub(crate) fn is_free(&self, slot: Slot) -> bool {
        self.partitions(slot).is_free(slot.partition())
    }

    /// As [`Partitions::bind_free`].
    #[inline]
    pub(crate) fn bind_free(&self, slot: Slot, owner: ShortId) -> bool {
        self.partitions(slot).bind_free(slot.partition(), owner)
    }

    /// As [`Partitions::may_run`].
    #[inline]
    pub(crate) fn may_run(&self, slot: Slot, seat: ShortId) -> bool {
        self.partitions(slot).may_run(slot.partition(), seat)
    }

    /// As [`Partitions::release`].
    #[inline]
    #[must_use = "the new owner is to be woken"]
    pub(crate) fn release(&self, slot: Slot, seat: ShortId) -> Option<ShortId> {
        self.partitions(slot).release(slot.partition(), seat)
    }

    /// Gives every partition to its owner by this roster. Returns whether all are theirs or on
    /// their way; if not, it is to be called again.
    pub(crate) fn reassign(&self, roster: &Roster) -> bool {
        self.each(roster, |partitions, owners| {
            partitions.reassign(|partition| owners.short_id(partition))
        })
    }

    /// The same for keys that a strategy routes: they stay where they are, but for those whose
    /// worker takes no more tasks, and those whose owner joined, from position `joined` on.
    pub(crate) fn reassign_few(&self, roster: &Roster, joined: usize) -> bool {
        let joined = roster.members().get(joined..).unwrap_or_default();
        let joined: HashSet<_> =
            joined.iter().map(|member| member.worker.id().short_id()).collect();
        self.each(roster, |partitions, owners| {
            let seats: HashSet<_> = owners.0.iter().map(|(seat, ..)| *seat).collect();
            partitions.reassign_from(|partition, at| {
                let stays = seats.contains(&at);
                if stays && joined.is_empty() {
                    return at;
                }
                let owner = owners.short_id(partition);
                if stays && !joined.contains(&owner) { at } else { owner }
            })
        })
    }

    /// Whether this is so of every table.
    fn each(&self, roster: &Roster, is_so: impl Fn(&Partitions, &Owners) -> bool) -> bool {
        let mut all = true;
        for (index, table) in self.0.iter().enumerate() {
            let Some(partitions) = table.get() else { continue };
            all &= is_so(partitions, &Owners::of(roster, Capability::from_index(index)));
        }
        all
    }

    /// Whether any partition is this worker's, or is to be.
    pub(crate) fn mention(&self, seat: ShortId) -> bool {
        self.0.iter().filter_map(OnceLock::get).any(|partitions| partitions.mentions(seat))
    }
}

/// The workers that may own keys of a capability: a passing quarantine moves none.
struct Owners(Vec<(ShortId, u32, u32)>);

impl Owners {
    fn of(roster: &Roster, capability: Option<Capability>) -> Self {
        let members = roster.members().iter().filter(|member| {
            member.health != Health::Draining && member.worker.capabilities().serves(capability)
        });
        let owner = |member: &raddle_core::Member| {
            let id = member.worker.id();
            (id.short_id(), id.0, member.worker.weight())
        };
        Self(members.map(owner).collect())
    }

    fn short_id(&self, partition: usize) -> ShortId {
        let candidates = self.0.iter().map(|(_, id, weight)| (*id, *weight));
        owner(partition as u64, candidates).map_or(NOBODY, |index| self.0[index].0)
    }
}
