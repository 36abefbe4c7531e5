//! Which worker owns each partition of the keys, and how a partition is handed over under traffic.

use std::num::NonZeroU32;

use raddle_core::internal::SizeClass;
use raddle_strategies::rendezvous::mix;
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The low 16 bits of a worker's id, which no two members of a roster share. They are given to
/// another worker once no partition [mentions](Partitions::mentions) them.
pub type ShortId = u16;

/// The most tasks of a partition that may be bound to one worker at once.
pub const MAX_BOUND_TASKS: u16 = (1 << TASK_BITS) - 1;

const TASK_BITS: u32 = 15;

/// The worker that runs the tasks of each partition, and how many it has.
///
/// When a partition is reassigned, new tasks go to the new owner at once, which defers them until
/// the old owner's last one has ended. The tasks of a partition are thus run by one worker at a
/// time, and in the order in which they were bound.
///
/// # Handing over
/// Where the state of keys is [handed over](Self::handing_over), a partition that moves has one task more
/// than it was bound: the hand-over itself, which counts as the old owner's last task. It is
/// [due](Partition::is_handed_over_by) when the others have ended. The old owner's thread then gives the
/// state away and [releases](Partition::release) the hand-over, and only that lets the new owner run.
///
/// Eight bytes per partition. Neighbouring partitions share cache lines.
#[derive(Debug)]
pub struct Partitions {
    /// A [`State`] each, changed by read-modify-writes only: a plain store would end the release
    /// sequences that [`Partition::may_run`] relies on.
    words: Box<[AtomicU64]>,
    hands_over: bool,
}

/// One of the [`Partitions`].
#[derive(Clone, Copy, Debug)]
pub struct Partition<'p> {
    word: &'p AtomicU64,
    hands_over: bool,
}

/// `from:16 | to:16 | class:2 | old:15 | new:15`, from the top.
///
/// - Settled, `from == to`: `old` tasks are bound to the owner, and `new` is 0.
/// - Moving, `from != to`: `old` tasks, at least one, are bound to `from`, `new` ones to `to`. The
///   step that lowers `old` to 0 also settles the partition at `to`.
///
/// `class` is the [`SizeClass`] of all bound tasks, that of the first; 0 without tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    from: ShortId,
    to: ShortId,
    class: u8,
    old: u16,
    new: u16,
}

impl State {
    fn settled(owner: ShortId, tasks: u16) -> Self {
        Self { from: owner, to: owner, class: 0, old: tasks, new: 0 }
    }

    fn of(word: u64) -> Self {
        let field = |shift: u32| (word >> shift) as u16;
        let tasks = |shift: u32| field(shift) & MAX_BOUND_TASKS;
        let class = (word >> (2 * TASK_BITS) & 3) as u8;
        Self { from: field(48), to: field(32), class, old: tasks(TASK_BITS), new: tasks(0) }
    }

    fn word(self) -> u64 {
        let field = |field: u16, shift: u32| u64::from(field) << shift;
        let class = u64::from(self.class) << (2 * TASK_BITS);
        let tasks = field(self.old, TASK_BITS) | field(self.new, 0);
        field(self.from, 48) | field(self.to, 32) | class | tasks
    }

    fn is_settled(self) -> bool {
        self.from == self.to
    }

    /// Whether no task is bound; a moving partition has at least one.
    fn is_free(self) -> bool {
        self.is_settled() && self.old == 0
    }

    /// The count of the tasks bound to `worker`, which is `from` or `to`.
    fn tasks_of(&mut self, worker: ShortId) -> &mut u16 {
        if worker == self.from { &mut self.old } else { &mut self.new }
    }

    /// Whether the only task is that of the hand-over, where there is one.
    fn is_handing_over(self) -> bool {
        !self.is_settled() && self.old == 1
    }

    /// Whether no task but that of a hand-over is bound.
    fn is_unbound(self, hands_over: bool) -> bool {
        self.is_free() || hands_over && self.is_handing_over() && self.new == 0
    }

    /// This state with one more task, of this class if it is the first; `None` if the count is full.
    fn bound(mut self, class: SizeClass, hands_over: bool) -> Option<Self> {
        if self.is_unbound(hands_over) {
            self.class = class.index() as u8;
        }
        let tasks = self.tasks_of(self.to);
        *tasks = Some(*tasks + 1).filter(|tasks| *tasks <= MAX_BOUND_TASKS)?;
        Some(self)
    }

    /// This state with one task of `worker` less; `None` if it has none.
    fn released(mut self, worker: ShortId) -> Option<Self> {
        if worker != self.from && worker != self.to {
            return None;
        }
        let tasks = self.tasks_of(worker);
        *tasks = tasks.checked_sub(1)?;
        let handed_over = !self.is_settled() && self.old == 0;
        if handed_over {
            self = Self { from: self.to, old: self.new, new: 0, ..self };
        }
        if self.is_free() {
            self.class = 0;
        }
        Some(self)
    }

    /// This state, settled at `owner` or moving there; `None` if it already is, or if it is moving
    /// to another worker that has tasks of it.
    fn reassigned(self, owner: ShortId) -> Option<Self> {
        if self.to == owner || (!self.is_settled() && self.new > 0) {
            return None;
        }
        let moving = Self { to: owner, ..self };
        Some(if self.old == 0 { Self::settled(owner, 0) } else { moving })
    }

    /// This state, moving to `owner`, with the hand-over as one more task of the old owner; `None` if it
    /// already moves, or is there, or the count is full.
    fn handed_over(self, owner: ShortId) -> Option<Self> {
        let moves = self.is_settled() && self.to != owner && self.old < MAX_BOUND_TASKS;
        moves.then_some(Self { to: owner, old: self.old + 1, ..self })
    }
}

impl Partitions {
    /// The number of partitions of a pool: eight kilobytes. Each of ten equal workers has 102 of
    /// them, with a standard deviation of 10.
    pub const DEFAULT_COUNT: NonZeroU32 = NonZeroU32::new(1024).unwrap();

    /// The number of partitions of a pool with boosted mailboxes: 32 kilobytes. The fewer partitions
    /// there are, the more tasks wait in the lane of another's size: with 1024 for four workers at
    /// 79 % load, boosts lowered the 99th percentile by 15 % where they could by 25 %.
    pub const BOOSTED_COUNT: NonZeroU32 = NonZeroU32::new(4096).unwrap();

    /// Creates `count` partitions, each settled at its `owner`. Allocates.
    pub fn new(count: NonZeroU32, mut owner: impl FnMut(usize) -> ShortId) -> Self {
        let word = |index| AtomicU64::new(State::settled(owner(index), 0).word());
        Self { words: (0..count.get() as usize).map(word).collect(), hands_over: false }
    }

    /// These partitions, which hand over the state of their keys when they move.
    pub fn handing_over(self) -> Self {
        Self { hands_over: true, ..self }
    }

    /// Returns the index of the partition of a key; keys are spread evenly even if they are alike.
    /// Wait-free.
    #[inline]
    pub fn index_of(&self, key: u64) -> u32 {
        index_of(key, self.words.len())
    }

    /// Returns the partition at an index.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn get(&self, index: u32) -> Partition<'_> {
        Partition { word: &self.words[index as usize], hands_over: self.hands_over }
    }

    /// Reassigns each partition to its `owner`, which is passed the partition's index and the worker
    /// that it belongs to or is moving to. A partition without tasks moves at once, any other when
    /// its tasks have ended. Returns whether every partition is where it should be or moving there;
    /// one that is still moving elsewhere is left, and this must be called again later. Lock-free.
    ///
    /// Each partition that moves, and not back to its old owner, is passed to `moved`: its index, the old
    /// owner and the new one. Where
    /// state is [handed over](Self::handing_over), the old owner must then be told of the hand-over, whose
    /// task must be released.
    ///
    /// Only one thread may call this at a time.
    pub fn reassign_each(
        &self,
        mut owner: impl FnMut(usize, ShortId) -> ShortId,
        mut moved: impl FnMut(usize, ShortId, ShortId),
    ) -> bool {
        let mut all = true;
        for (index, word) in self.words.iter().enumerate() {
            let mut is_assigned = true;
            let mut next = 0;
            // Relaxed, as in `bind`.
            let reassigned = word.fetch_update(Relaxed, Relaxed, |word| {
                let state = State::of(word);
                next = owner(index, state.to);
                let reassigned = match self.hands_over {
                    true => state.handed_over(next),
                    false => state.reassigned(next),
                };
                is_assigned = reassigned.is_some() || state.to == next;
                reassigned.map(State::word)
            });
            if let Ok(before) = reassigned.map(State::of)
                && before.from != next
            {
                moved(index, before.from, next);
            }
            all &= is_assigned;
        }
        all
    }

    /// [`reassign_each`](Self::reassign_each), whatever moves.
    #[cfg(any(test, loom, shuttle))]
    pub fn reassign(&self, owner: impl FnMut(usize, ShortId) -> ShortId) -> bool {
        self.reassign_each(owner, |_, _, _| {})
    }

    /// Returns whether any partition belongs to this worker or is moving to it: until then the worker
    /// must stay. Wait-free.
    ///
    /// For the thread that reassigns: once `false`, it stays so until that thread reassigns a
    /// partition to the worker, or a caller with a reservation there binds a free one.
    pub fn mentions(&self, worker: ShortId) -> bool {
        self.words.iter().any(|word| {
            // Acquire pairs with the Release in `release`: what the worker's tasks did precedes the
            // worker's end.
            let state = State::of(word.load(Acquire));
            state.from == worker || state.to == worker
        })
    }
}

/// The index of a key's partition among `count`.
#[inline]
pub(super) fn index_of(key: u64, count: usize) -> u32 {
    // The upper half, scaled instead of divided: Lemire, Fast Random Integer Generation in an Interval,
    // 2019.
    let scaled = (mix(key) >> 32) * count as u64;
    (scaled >> 32) as u32
}

impl Partition<'_> {
    /// Counts one more task, and returns the worker that must run it and the class of the partition's
    /// tasks, which is `class` if it has no other; `None` if that worker has [`MAX_BOUND_TASKS`] of
    /// this partition. Lock-free.
    ///
    /// Every bound task must be [released](Self::release), however it ends.
    #[inline]
    pub fn bind(self, class: SizeClass) -> Option<(ShortId, SizeClass)> {
        // Relaxed: the task itself is published by the channel. As a read-modify-write it continues
        // the release sequence of the last `release`, which `may_run` reads from.
        let bound = |word| State::of(word).bound(class, self.hands_over).map(State::word);
        let before = State::of(self.word.fetch_update(Relaxed, Relaxed, bound).ok()?);
        let of_others = SizeClass::from_index(usize::from(before.class));
        let has_others = !before.is_unbound(self.hands_over);
        Some((before.to, of_others.filter(|_| has_others).unwrap_or(class)))
    }

    /// Returns whether no task is bound. Wait-free.
    #[inline]
    pub fn is_free(self) -> bool {
        // Relaxed: a hint, which `bind_free` verifies.
        State::of(self.word.load(Relaxed)).is_free()
    }

    /// Assigns the partition to `owner` and counts its first task, of this class, in one step; returns
    /// `false`, without effect, if the partition has tasks or has just had one. Wait-free.
    ///
    /// The caller holds a [reservation](raddle_core::Reservation) at the owner, which therefore
    /// cannot leave: it leaves when nothing is in flight there, and its partitions are reassigned
    /// then.
    #[inline]
    pub fn bind_free(self, owner: ShortId, class: SizeClass) -> bool {
        let before = self.word.load(Relaxed);
        let bound = State { class: class.index() as u8, ..State::settled(owner, 1) }.word();
        // Relaxed, as in `bind`: the owner calls `may_run`, which acquires what the releases of
        // earlier owners published.
        State::of(before).is_free()
            && self.word.compare_exchange(before, bound, Relaxed, Relaxed).is_ok()
    }

    /// Returns whether the worker may run its tasks of this partition now. Wait-free.
    ///
    /// For a worker that has received such a task and not released it yet. Once `true`, it stays so
    /// until that worker has released the last of them.
    #[inline]
    pub fn may_run(self, worker: ShortId) -> bool {
        // Acquire pairs with the Release in `release`: what the last owner's tasks did to the key's
        // state precedes what the next owner's do.
        State::of(self.word.load(Acquire)).from == worker
    }

    /// Returns whether only the hand-over keeps the partition at this worker, which runs no task of it any
    /// more. Wait-free.
    pub fn is_handed_over_by(self, worker: ShortId) -> bool {
        // Relaxed: the worker's own thread has run its tasks, and is woken when another has ended them.
        let state = State::of(self.word.load(Relaxed));
        state.from == worker && state.is_handing_over()
    }

    /// Returns whether the worker to which the partition moves has tasks of it already. Wait-free.
    pub fn is_awaited(self) -> bool {
        // Relaxed: a hint. Of a closed pool, no worker gets more tasks.
        let state = State::of(self.word.load(Relaxed));
        !state.is_settled() && state.new > 0
    }

    /// Takes a task that was bound to `worker` off the count, whether it ran or not. Returns the
    /// new owner if this handed the partition over: it may have deferred tasks and must be woken. Returns
    /// `worker` if only the hand-over is left, for which it must be woken. Lock-free.
    ///
    /// For a task that ran, call this on the thread that ran it, afterwards.
    #[inline]
    #[must_use = "the worker must be woken"]
    pub fn release(self, worker: ShortId) -> Option<ShortId> {
        // Release pairs with the Acquire in `may_run` and in `mentions`.
        let released = |word| State::of(word).released(worker).map(State::word);
        match self.word.fetch_update(Release, Relaxed, released) {
            Ok(before) => {
                let State { from, to, old, .. } = State::of(before);
                match old {
                    1 if from != to && from == worker => Some(to),
                    2 if from != to && from == worker && self.hands_over => Some(from),
                    _ => None,
                }
            }
            Err(word) => {
                let state = State::of(word);
                debug_assert!(false, "worker {worker} has no task to release: {state:?}");
                None
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: NonZeroU32 = NonZeroU32::MIN;
    const P: u32 = 0;

    fn class(index: usize) -> SizeClass {
        SizeClass::from_index(index).unwrap()
    }

    /// Binds a task of the first class; returns its worker.
    fn bind_one(partitions: &Partitions) -> Option<ShortId> {
        partitions.get(P).bind(class(0)).map(|(worker, _)| worker)
    }

    fn state(partitions: &Partitions, index: u32) -> State {
        State::of(partitions.get(index).word.load(Relaxed))
    }

    fn bind(partitions: &Partitions, tasks: u16) {
        (0..tasks).for_each(|_| assert!(bind_one(partitions).is_some()));
    }

    #[test]
    fn a_state_survives_packing() {
        let state = State { from: 1, to: 0xfffe, class: 2, old: 0x4000, new: 0x7fff };
        assert_eq!(state.word(), 0x0001_fffe_a000_7fff);
        assert_eq!(State::of(state.word()), state);
    }

    #[test]
    fn a_partition_without_tasks_moves_at_once() {
        let partitions = Partitions::new(ONE, |_| 3);
        assert!(partitions.reassign(|_, _| 5));
        assert_eq!(state(&partitions, P), State::settled(5, 0));
        assert!(!partitions.mentions(3) && partitions.mentions(5));
    }

    #[test]
    fn new_tasks_wait_for_the_old_owner() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 2);
        assert!(partitions.reassign(|_, _| 5));
        assert_eq!(bind_one(&partitions), Some(5));
        assert!(partitions.get(P).may_run(3) && !partitions.get(P).may_run(5));
        assert_eq!(partitions.get(P).release(3), None);
        assert!(partitions.get(P).may_run(3) && partitions.mentions(3));
        assert_eq!(partitions.get(P).release(3), Some(5));
        assert!(partitions.get(P).may_run(5) && !partitions.mentions(3));
        assert_eq!(state(&partitions, P), State::settled(5, 1));
        assert_eq!(partitions.get(P).release(5), None);
        assert_eq!(state(&partitions, P), State::settled(5, 0));
    }

    #[test]
    fn a_partition_without_tasks_can_be_bound_to_any_worker() {
        let partitions = Partitions::new(ONE, |_| 3);
        assert!(partitions.get(P).is_free() && partitions.get(P).bind_free(5, class(0)));
        assert_eq!(state(&partitions, P), State::settled(5, 1));
        assert!(
            !partitions.get(P).is_free() && !partitions.get(P).bind_free(7, class(0)),
            "it has a task"
        );
        assert_eq!(bind_one(&partitions), Some(5), "the next ones follow");
        assert!(partitions.reassign(|_, _| 7));
        assert_eq!((partitions.get(P).release(5), partitions.get(P).release(5)), (None, Some(7)));
        assert!(partitions.get(P).bind_free(3, class(0)) && partitions.get(P).may_run(3));
        assert!(
            partitions.reassign(|_, _| 5) && !partitions.get(P).bind_free(5, class(0)),
            "it is moving"
        );
        assert_eq!(partitions.get(P).release(3), Some(5));
        assert!(partitions.get(P).bind_free(5, class(0)), "also to its owner");
    }

    #[test]
    fn reassigning_passes_index_and_current_owner() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        assert!(partitions.reassign(|index, at| at + 2 + index as ShortId));
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, class: 0, old: 1, new: 0 });
        assert!(partitions.reassign(|_, at| at), "left where it is moving");
        bind(&partitions, 1);
        assert!(!partitions.reassign(|_, at| at + 2));
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, class: 0, old: 1, new: 1 });
    }

    #[test]
    fn a_deferred_task_may_end_without_running() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        assert!(partitions.reassign(|_, _| 5));
        bind(&partitions, 1);
        assert_eq!(partitions.get(P).release(5), None);
        assert!(partitions.get(P).may_run(3), "its task has not ended");
        assert_eq!(partitions.get(P).release(3), Some(5));
        assert_eq!(state(&partitions, P), State::settled(5, 0));
    }

    #[test]
    fn a_partition_that_is_moving_elsewhere_is_left_for_later() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        assert!(partitions.reassign(|_, _| 5));
        assert!(partitions.reassign(|_, _| 5), "it is moving there");
        let back = |_, _, _| panic!("it has not left");
        assert!(partitions.reassign_each(|_, _| 3, back), "if it has no task there yet");
        assert_eq!(state(&partitions, P), State::settled(3, 1));
        assert!(partitions.reassign(|_, _| 7) && partitions.reassign(|_, _| 5), "or go elsewhere");
        assert_eq!(bind_one(&partitions), Some(5));
        assert!(!partitions.reassign(|_, _| 7));
        assert!(!partitions.reassign(|_, _| 3), "not back either");
        assert_eq!(partitions.get(P).release(3), Some(5));
        assert_eq!(partitions.get(P).release(5), None);
        assert!(partitions.reassign(|_, _| 7));
        assert_eq!(state(&partitions, P), State::settled(7, 0));
    }

    #[test]
    fn a_full_count_refuses_and_leaves_the_other_alone() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, MAX_BOUND_TASKS);
        assert_eq!(bind_one(&partitions), None);
        assert_eq!(state(&partitions, P), State::settled(3, MAX_BOUND_TASKS));
        assert!(partitions.reassign(|_, _| 5));
        bind(&partitions, MAX_BOUND_TASKS);
        assert_eq!(bind_one(&partitions), None);
        assert_eq!(
            state(&partitions, P),
            State { from: 3, to: 5, class: 0, old: MAX_BOUND_TASKS, new: MAX_BOUND_TASKS }
        );
        assert_eq!(partitions.get(P).release(5), None);
        assert_eq!(bind_one(&partitions), Some(5), "there is room again");
        let handed_over =
            (0..MAX_BOUND_TASKS).filter(|_| partitions.get(P).release(3).is_some()).count();
        assert_eq!((handed_over, state(&partitions, P)), (1, State::settled(5, MAX_BOUND_TASKS)));
        assert_eq!(bind_one(&partitions), None);
    }

    #[test]
    fn a_hand_over_is_the_old_owners_last_task() {
        let partitions = Partitions::new(ONE, |_| 3).handing_over();
        let partition = partitions.get(P);
        let moves = |owner| {
            let mut moved = None;
            let all =
                partitions.reassign_each(|_, _| owner, |_, from, to| moved = Some((from, to)));
            (all, moved)
        };
        assert_eq!(moves(5), (true, Some((3, 5))), "also without tasks, it does not move at once");
        assert!(partition.is_handed_over_by(3) && !partition.is_handed_over_by(5));
        assert_eq!(partition.bind(class(2)), Some((5, class(2))), "the first of its tasks");
        assert!(!partition.may_run(5) && !partition.is_free() && !partition.bind_free(7, class(0)));
        assert_eq!(moves(7), (false, None), "not before it has been handed over");
        assert_eq!(moves(3), (false, None), "nor back");
        assert_eq!(moves(5), (true, None));
        assert_eq!(partition.release(3), Some(5));
        assert!(partition.may_run(5));
        assert_eq!(moves(7), (true, Some((5, 7))));
        assert!(!partition.is_handed_over_by(5), "it has a task");
        assert_eq!(partition.bind(class(0)), Some((7, class(2))), "of the class of the others");
        assert_eq!(partition.release(5), Some(5), "only the hand-over is left");
        assert!(partition.is_handed_over_by(5));
        assert_eq!((partition.release(5), partition.release(7)), (Some(7), None));
        assert_eq!(state(&partitions, P), State::settled(7, 0));
        bind(&partitions, MAX_BOUND_TASKS);
        assert_eq!(moves(3), (false, None), "there is no room for the hand-over yet");
        assert_eq!((partition.release(7), moves(3)), (None, (true, Some((7, 3)))));
    }

    #[test]
    fn similar_keys_are_spread_evenly() {
        let partitions = Partitions::new(Partitions::DEFAULT_COUNT, |_| 0);
        let count = partitions.words.len();
        let keys: [fn(u64) -> u64; 4] =
            [|i| i, |i| i << 40, |i| i.reverse_bits(), |i| i.wrapping_mul(1 << 32 | 1)];
        for key in keys {
            let mut found = vec![0u64; count];
            (0..100 * count as u64).for_each(|i| found[partitions.index_of(key(i)) as usize] += 1);
            // Each is 100 with a deviation of 10.
            assert!(found.iter().all(|found| (40..160).contains(found)), "{found:?}");
        }
    }

    #[test]
    fn a_single_partition_has_every_key() {
        let partitions = Partitions::new(ONE, |_| 0);
        assert!([0, 1, u64::MAX].into_iter().all(|key| partitions.index_of(key) == P));
    }

    #[test]
    #[should_panic(expected = "worker 4 has no task to release")]
    #[cfg(debug_assertions)]
    fn releasing_a_task_of_another_worker_panics_in_debug_builds() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        let _ = partitions.get(P).release(4);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Bind(u32, usize),
        BindFree(u32, ShortId, usize),
        /// One of the partition's tasks ends.
        Release(u32, prop::sample::Index),
        Reassign([ShortId; COUNT as usize]),
    }

    const COUNT: u32 = 3;
    const WORKERS: ShortId = 4;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..COUNT, 0..SizeClass::COUNT).prop_map(|(p, class)| Step::Bind(p, class)),
            2 => (0..COUNT, 0..WORKERS, 0..SizeClass::COUNT)
                .prop_map(|(p, worker, class)| Step::BindFree(p, worker, class)),
            4 => (0..COUNT, any::<prop::sample::Index>()).prop_map(|(p, task)| Step::Release(p, task)),
            1 => prop::array::uniform3(0..WORKERS).prop_map(Step::Reassign),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// A partition that remembers the owner of each task, in the order in which they were bound.
    #[derive(Clone, Debug)]
    struct Model {
        tasks: Vec<ShortId>,
        from: ShortId,
        to: ShortId,
        /// Of all tasks.
        class: usize,
    }

    impl Model {
        fn bind(&mut self, class: usize) {
            if self.tasks.is_empty() {
                self.class = class;
            }
            self.tasks.push(self.to);
        }

        fn settle(&mut self) {
            if self.tasks.is_empty() {
                self.class = 0;
            }
            if !self.tasks.contains(&self.from) {
                self.from = self.to;
            }
        }

        fn release(&mut self, task: usize) -> (ShortId, Option<ShortId>) {
            let (worker, moving) = (self.tasks.remove(task), self.from != self.to);
            self.settle();
            (worker, (moving && self.from == self.to).then_some(self.to))
        }

        fn reassign(&mut self, owner: ShortId) -> bool {
            if self.from == self.to || self.tasks_of(self.to) == 0 {
                self.to = owner;
                self.settle();
            }
            self.to == owner
        }

        fn tasks_of(&self, worker: ShortId) -> u16 {
            self.tasks.iter().filter(|owner| **owner == worker).count() as u16
        }
    }

    fn check(partitions: &Partitions, models: &[Model]) -> Result<(), TestCaseError> {
        for (partition, model) in (0..).zip(models) {
            for worker in (0..WORKERS).filter(|worker| model.tasks.contains(worker)) {
                // The property that all this is for: only the owner of the oldest task may run.
                let first = model.tasks[0] == worker;
                prop_assert_eq!(partitions.get(partition).may_run(worker), first, "{:?}", model);
            }
            let old = model.tasks_of(model.from);
            let new = model.tasks.len() as u16 - old;
            let expected =
                State { from: model.from, to: model.to, class: model.class as u8, old, new };
            prop_assert_eq!(state(partitions, partition), expected);
        }
        for worker in 0..WORKERS {
            let mentioned = models.iter().any(|model| model.from == worker || model.to == worker);
            prop_assert_eq!(partitions.mentions(worker), mentioned);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn partitions_agree_with_lists_of_their_tasks(steps in steps()) {
            let partitions = Partitions::new(COUNT.try_into().unwrap(), |index| index as ShortId);
            let mut models: Vec<_> =
                (0..COUNT as ShortId).map(|worker| Model { tasks: vec![], from: worker, to: worker, class: 0 }).collect();
            for step in steps {
                match step {
                    Step::Bind(partition, own) => {
                        let model = &mut models[partition as usize];
                        model.bind(own);
                        let bound = partitions.get(partition).bind(class(own));
                        prop_assert_eq!(bound, Some((model.to, class(model.class))));
                    }
                    Step::BindFree(partition, worker, own) => {
                        let model = &mut models[partition as usize];
                        let free = model.tasks.is_empty();
                        prop_assert_eq!(partitions.get(partition).is_free(), free);
                        prop_assert_eq!(partitions.get(partition).bind_free(worker, class(own)), free);
                        if free {
                            *model = Model { tasks: vec![worker], from: worker, to: worker, class: own };
                        }
                    }
                    Step::Release(partition, task) => {
                        let model = &mut models[partition as usize];
                        if !model.tasks.is_empty() {
                            let (worker, woken) = model.release(task.index(model.tasks.len()));
                            let released = partitions.get(partition).release(worker);
                            prop_assert_eq!(released, woken);
                        }
                    }
                    Step::Reassign(owners) => {
                        let given = models.iter_mut().zip(owners).map(|(model, owner)| model.reassign(owner));
                        let all = given.fold(true, |all, given| all & given);
                        prop_assert_eq!(partitions.reassign(|index, _| owners[index]), all);
                    }
                }
                check(&partitions, &models)?;
            }
            for (partition, model) in (0..).zip(&mut models) {
                for worker in std::mem::take(&mut model.tasks) {
                    let _ = partitions.get(partition).release(worker);
                }
                model.settle();
                prop_assert_eq!(state(&partitions, partition), State::settled(model.to, 0));
            }
        }
    }
}
