//! Which worker owns each partition of the keys, and how a partition is handed over under traffic.

use std::num::NonZeroU32;

use raddle_strategies::rendezvous::mix;
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The low 16 bits of a worker's id, which no two members of a roster share. They are given to
/// another worker once no partition [mentions](Partitions::mentions) them.
pub type ShortId = u16;

/// The most tasks of a partition that may be bound to one worker at once.
pub const MAX_BOUND_TASKS: u16 = u16::MAX;

/// The worker that runs the tasks of each partition, and how many it has.
///
/// When a partition is reassigned, new tasks go to the new owner at once, which defers them until
/// the old owner's last one has ended. The tasks of a partition are thus run by one worker at a
/// time, and in the order in which they were bound.
///
/// Eight bytes per partition. Neighbouring partitions share cache lines.
#[derive(Debug)]
pub struct Partitions {
    /// A [`State`] each, changed by read-modify-writes only: a plain store would end the release
    /// sequences that [`Partition::may_run`] relies on.
    words: Box<[AtomicU64]>,
}

/// One of the [`Partitions`].
#[derive(Clone, Copy, Debug)]
pub struct Partition<'p>(&'p AtomicU64);

/// `from:16 | to:16 | old:16 | new:16`, from the top.
///
/// - Settled, `from == to`: `old` tasks are bound to the owner, and `new` is 0.
/// - Moving, `from != to`: `old` tasks, at least one, are bound to `from`, `new` ones to `to`. The
///   step that lowers `old` to 0 also settles the partition at `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    from: ShortId,
    to: ShortId,
    old: u16,
    new: u16,
}

impl State {
    fn settled(owner: ShortId, tasks: u16) -> Self {
        Self { from: owner, to: owner, old: tasks, new: 0 }
    }

    fn of(word: u64) -> Self {
        let field = |shift: u32| (word >> shift) as u16;
        Self { from: field(48), to: field(32), old: field(16), new: field(0) }
    }

    fn word(self) -> u64 {
        let field = |field: u16, shift: u32| u64::from(field) << shift;
        field(self.from, 48) | field(self.to, 32) | field(self.old, 16) | field(self.new, 0)
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

    /// This state with one more task; `None` if its count is full.
    fn bound(mut self) -> Option<Self> {
        let tasks = self.tasks_of(self.to);
        *tasks = tasks.checked_add(1)?;
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
        Some(if handed_over { Self::settled(self.to, self.new) } else { self })
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
}

impl Partitions {
    /// The number of partitions of a pool: eight kilobytes. Each of ten equal workers has 102 of
    /// them, with a standard deviation of 10.
    pub const DEFAULT_COUNT: NonZeroU32 = NonZeroU32::new(1024).unwrap();

    /// Creates `count` partitions, each settled at its `owner`. Allocates.
    pub fn new(count: NonZeroU32, mut owner: impl FnMut(usize) -> ShortId) -> Self {
        let word = |index| AtomicU64::new(State::settled(owner(index), 0).word());
        Self { words: (0..count.get() as usize).map(word).collect() }
    }

    /// Returns the index of the partition of a key; keys are spread evenly even if they are alike.
    /// Wait-free.
    #[inline]
    pub fn index_of(&self, key: u64) -> u32 {
        // The upper half, scaled instead of divided: Lemire, Fast Random Integer Generation in an
        // Interval, 2019.
        let scaled = (mix(key) >> 32) * self.words.len() as u64;
        (scaled >> 32) as u32
    }

    /// Returns the partition at an index.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn get(&self, index: u32) -> Partition<'_> {
        Partition(&self.words[index as usize])
    }

    /// Reassigns each partition to its `owner`, which is passed the partition's index and the worker
    /// that it belongs to or is moving to. A partition without tasks moves at once, any other when
    /// its tasks have ended. Returns whether every partition is where it should be or moving there;
    /// one that is still moving elsewhere is left, and this must be called again later. Lock-free.
    ///
    /// Only one thread may call this at a time.
    pub fn reassign(&self, mut owner: impl FnMut(usize, ShortId) -> ShortId) -> bool {
        let mut all = true;
        for (index, word) in self.words.iter().enumerate() {
            let mut is_assigned = true;
            // Relaxed, as in `bind`.
            let _ = word.fetch_update(Relaxed, Relaxed, |word| {
                let state = State::of(word);
                let owner = owner(index, state.to);
                let reassigned = state.reassigned(owner);
                is_assigned = reassigned.is_some() || state.to == owner;
                reassigned.map(State::word)
            });
            all &= is_assigned;
        }
        all
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

impl Partition<'_> {
    /// Counts one more task and returns the worker that must run it; `None` if that worker has
    /// [`MAX_BOUND_TASKS`] of this partition. Lock-free.
    ///
    /// Every bound task must be [released](Self::release), however it ends.
    #[inline]
    pub fn bind(self) -> Option<ShortId> {
        // Relaxed: the task itself is published by the channel. As a read-modify-write it continues
        // the release sequence of the last `release`, which `may_run` reads from.
        let bound = |word| State::of(word).bound().map(State::word);
        let before = self.0.fetch_update(Relaxed, Relaxed, bound).ok()?;
        Some(State::of(before).to)
    }

    /// Returns whether no task is bound. Wait-free.
    #[inline]
    pub fn is_free(self) -> bool {
        // Relaxed: a hint, which `bind_free` verifies.
        State::of(self.0.load(Relaxed)).is_free()
    }

    /// Assigns the partition to `owner` and counts its first task, in one step; returns `false`,
    /// without effect, if the partition has tasks or has just had one. Wait-free.
    ///
    /// The caller holds a [reservation](raddle_core::Reservation) at the owner, which therefore
    /// cannot leave: it leaves when nothing is in flight there, and its partitions are reassigned
    /// then.
    #[inline]
    pub fn bind_free(self, owner: ShortId) -> bool {
        let before = self.0.load(Relaxed);
        let bound = State::settled(owner, 1).word();
        // Relaxed, as in `bind`: the owner calls `may_run`, which acquires what the releases of
        // earlier owners published.
        State::of(before).is_free()
            && self.0.compare_exchange(before, bound, Relaxed, Relaxed).is_ok()
    }

    /// Returns whether the worker may run its tasks of this partition now. Wait-free.
    ///
    /// For a worker that has received such a task and not released it yet. Once `true`, it stays so
    /// until that worker has released the last of them.
    #[inline]
    pub fn may_run(self, worker: ShortId) -> bool {
        // Acquire pairs with the Release in `release`: what the last owner's tasks did to the key's
        // state precedes what the next owner's do.
        State::of(self.0.load(Acquire)).from == worker
    }

    /// Takes a task that was bound to `worker` off the count, whether it ran or not. Returns the
    /// new owner if this handed the partition over: it may have deferred tasks and must be woken.
    /// Lock-free.
    ///
    /// For a task that ran, call this on the thread that ran it, afterwards.
    #[inline]
    #[must_use = "the new owner must be woken"]
    pub fn release(self, worker: ShortId) -> Option<ShortId> {
        // Release pairs with the Acquire in `may_run` and in `mentions`.
        let released = |word| State::of(word).released(worker).map(State::word);
        match self.0.fetch_update(Release, Relaxed, released) {
            Ok(before) => {
                let State { from, to, old, .. } = State::of(before);
                (from != to && from == worker && old == 1).then_some(to)
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

    fn state(partitions: &Partitions, index: u32) -> State {
        State::of(partitions.get(index).0.load(Relaxed))
    }

    fn bind(partitions: &Partitions, tasks: u16) {
        (0..tasks).for_each(|_| assert!(partitions.get(P).bind().is_some()));
    }

    #[test]
    fn a_state_survives_packing() {
        let state = State { from: 1, to: 0xfffe, old: 0x8000, new: 0xffff };
        assert_eq!(state.word(), 0x0001_fffe_8000_ffff);
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
        assert_eq!(partitions.get(P).bind(), Some(5));
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
        assert!(partitions.get(P).is_free() && partitions.get(P).bind_free(5));
        assert_eq!(state(&partitions, P), State::settled(5, 1));
        assert!(!partitions.get(P).is_free() && !partitions.get(P).bind_free(7), "it has a task");
        assert_eq!(partitions.get(P).bind(), Some(5), "the next ones follow");
        assert!(partitions.reassign(|_, _| 7));
        assert_eq!((partitions.get(P).release(5), partitions.get(P).release(5)), (None, Some(7)));
        assert!(partitions.get(P).bind_free(3) && partitions.get(P).may_run(3));
        assert!(partitions.reassign(|_, _| 5) && !partitions.get(P).bind_free(5), "it is moving");
        assert_eq!(partitions.get(P).release(3), Some(5));
        assert!(partitions.get(P).bind_free(5), "also to its owner");
    }

    #[test]
    fn reassigning_passes_index_and_current_owner() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        assert!(partitions.reassign(|index, at| at + 2 + index as ShortId));
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, old: 1, new: 0 });
        assert!(partitions.reassign(|_, at| at), "left where it is moving");
        bind(&partitions, 1);
        assert!(!partitions.reassign(|_, at| at + 2));
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, old: 1, new: 1 });
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
        assert!(partitions.reassign(|_, _| 3), "it may come back if it has no task there yet");
        assert_eq!(state(&partitions, P), State::settled(3, 1));
        assert!(partitions.reassign(|_, _| 7) && partitions.reassign(|_, _| 5), "or go elsewhere");
        assert_eq!(partitions.get(P).bind(), Some(5));
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
        assert_eq!(partitions.get(P).bind(), None);
        assert_eq!(state(&partitions, P), State::settled(3, u16::MAX));
        assert!(partitions.reassign(|_, _| 5));
        bind(&partitions, MAX_BOUND_TASKS);
        assert_eq!(partitions.get(P).bind(), None);
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, old: u16::MAX, new: u16::MAX });
        assert_eq!(partitions.get(P).release(5), None);
        assert_eq!(partitions.get(P).bind(), Some(5), "there is room again");
        let handed_over = (0..u16::MAX).filter(|_| partitions.get(P).release(3).is_some()).count();
        assert_eq!((handed_over, state(&partitions, P)), (1, State::settled(5, u16::MAX)));
        assert_eq!(partitions.get(P).bind(), None);
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
        Bind(u32),
        BindFree(u32, ShortId),
        /// One of the partition's tasks ends.
        Release(u32, prop::sample::Index),
        Reassign([ShortId; COUNT as usize]),
    }

    const COUNT: u32 = 3;
    const WORKERS: ShortId = 4;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..COUNT).prop_map(Step::Bind),
            2 => (0..COUNT, 0..WORKERS).prop_map(|(p, worker)| Step::BindFree(p, worker)),
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
    }

    impl Model {
        fn settle(&mut self) {
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
            let expected = State { from: model.from, to: model.to, old, new };
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
                (0..COUNT as ShortId).map(|worker| Model { tasks: vec![], from: worker, to: worker }).collect();
            for step in steps {
                match step {
                    Step::Bind(partition) => {
                        let model = &mut models[partition as usize];
                        model.tasks.push(model.to);
                        prop_assert_eq!(partitions.get(partition).bind(), Some(model.to));
                    }
                    Step::BindFree(partition, worker) => {
                        let model = &mut models[partition as usize];
                        let free = model.tasks.is_empty();
                        prop_assert_eq!(partitions.get(partition).is_free(), free);
                        prop_assert_eq!(partitions.get(partition).bind_free(worker), free);
                        if free {
                            *model = Model { tasks: vec![worker], from: worker, to: worker };
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
