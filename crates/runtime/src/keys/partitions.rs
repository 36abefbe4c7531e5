//! Whose the keys are, and what is bound to whom: the hand-over of a partition under traffic.

use std::num::NonZeroU32;

use raddle_strategies::rendezvous::mix;
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A worker's place in its pool. It is another worker's once no partition
/// [mentions](Partitions::mentions) it.
pub type ShortId = u16;

/// A partition of the keys, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partition(u32);

impl Partition {
    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The partition of a number.
    pub fn of_number(number: u32) -> Self {
        Self(number)
    }
}

/// Which worker runs the tasks of each partition, and how many it has, also while a partition moves
/// from one worker to another.
///
/// New tasks go to the new owner at once, who defers them until the old owner's last one has ended.
/// So the tasks of a partition are run by one worker at a time, and those that were given one after
/// the other in that order.
///
/// Eight bytes a partition; dispatchers and workers that use neighbouring partitions share lines.
#[derive(Debug)]
pub struct Partitions {
    /// A [`State`] each, and only ever changed by read-modify-writes: a plain store would end the
    /// release sequences that [`may_run`](Partitions::may_run) relies on.
    words: Box<[AtomicU64]>,
}

/// `from:16 | to:16 | old:16 | new:16`, from the top.
///
/// - Settled, `from == to`: `old` tasks are bound to the owner, and `new` is 0.
/// - Moving, `from != to`: `old` tasks, at least one, are bound to `from`, `new` ones to `to`.
///   When `old` becomes 0 it is settled at `to` in the same step.
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

    /// Whether no task is bound: where it is moving, one is.
    fn is_free(self) -> bool {
        self.is_settled() && self.old == 0
    }

    /// The tasks bound to `seat`, which is one of the two.
    fn tasks_of(&mut self, seat: ShortId) -> &mut u16 {
        if seat == self.from { &mut self.old } else { &mut self.new }
    }

    /// With one more task; `None` when there is no room in its count.
    fn bound(mut self) -> Option<Self> {
        let tasks = self.tasks_of(self.to);
        *tasks = tasks.checked_add(1)?;
        Some(self)
    }

    /// With one task of `seat` less; `None` when it has none.
    fn released(mut self, seat: ShortId) -> Option<Self> {
        if seat != self.from && seat != self.to {
            return None;
        }
        let tasks = self.tasks_of(seat);
        *tasks = tasks.checked_sub(1)?;
        let handed_over = !self.is_settled() && self.old == 0;
        Some(if handed_over { Self::settled(self.to, self.new) } else { self })
    }

    /// Given to `owner`, or on its way there; `None` when it is already, or still on its way to
    /// another that has tasks of it.
    fn given_to(self, owner: ShortId) -> Option<Self> {
        // On its way to another that has none of its tasks yet, it may as well go elsewhere.
        if self.to == owner || (!self.is_settled() && self.new > 0) {
            return None;
        }
        let moving = Self { to: owner, ..self };
        Some(if self.old == 0 { Self::settled(owner, 0) } else { moving })
    }
}

impl Partitions {
    /// The most tasks of a partition that may be bound to one worker at once.
    pub const MAX_TASKS: u16 = u16::MAX;

    /// How many partitions there are unless told otherwise: eight kilobytes. One of ten workers
    /// alike has 102 of them, with a standard deviation of 10.
    pub const DEFAULT_COUNT: NonZeroU32 = NonZeroU32::new(1024).unwrap();

    /// So many partitions, each settled at its `owner`. Allocates.
    pub fn new(count: NonZeroU32, mut owner: impl FnMut(usize) -> ShortId) -> Self {
        let word = |index| AtomicU64::new(State::settled(owner(index), 0).word());
        Self { words: (0..count.get() as usize).map(word).collect() }
    }

    /// The partition of a key, evenly also where keys are alike. Wait-free.
    #[inline]
    pub fn partition_of(&self, key: u64) -> Partition {
        // The upper half, scaled instead of divided: Lemire, Fast Random Integer Generation in an
        // Interval, 2019.
        let scaled = (mix(key) >> 32) * self.words.len() as u64;
        Partition((scaled >> 32) as u32)
    }

    /// Counts one more task in and says whose it is; `None` when that worker has
    /// [`MAX_TASKS`](Self::MAX_TASKS) of this partition. Lock-free.
    ///
    /// Whoever binds a task also releases it, or has the worker do so, however it ends.
    #[inline]
    pub fn bind(&self, partition: Partition) -> Option<ShortId> {
        // Relaxed: the task itself is published by the channel. As a read-modify-write it goes on
        // with the release sequence of the last `release`, which `may_run` reads from.
        let bound = |word| State::of(word).bound().map(State::word);
        let before = self.word(partition).fetch_update(Relaxed, Relaxed, bound).ok()?;
        Some(State::of(before).to)
    }

    /// Whether no task is bound to it. Wait-free.
    #[inline]
    pub fn is_free(&self, partition: Partition) -> bool {
        // Relaxed: a hint, which `bind_free` checks.
        State::of(self.word(partition).load(Relaxed)).is_free()
    }

    /// Gives a partition that has no task to `owner` and counts the first one in, in one step;
    /// `false`, and nothing done, when it has tasks, or has just had one. Wait-free.
    ///
    /// The caller has a [reservation](raddle_core::Reservation) at the owner, so that worker is not
    /// gone: whoever takes it out of the pool does so when nothing is in flight there any more, and
    /// gives the partition to another then.
    #[inline]
    pub fn bind_free(&self, partition: Partition, owner: ShortId) -> bool {
        let word = self.word(partition);
        let before = word.load(Relaxed);
        let given = State::settled(owner, 1).word();
        // Relaxed, as in `bind`: the owner that gets it asks `may_run`, which acquires what those
        // released that had it before.
        State::of(before).is_free()
            && word.compare_exchange(before, given, Relaxed, Relaxed).is_ok()
    }

    /// Whether the worker may run its tasks of the partition now. Wait-free.
    ///
    /// To be asked by a worker that has received such a task and not yet released it. Once true, it
    /// stays true until that worker has released the last of them.
    #[inline]
    pub fn may_run(&self, partition: Partition, seat: ShortId) -> bool {
        // Acquire pairs with the Release in `release`: what the last owner's tasks did to the key's
        // state comes before what the next owner's do.
        State::of(self.word(partition).load(Acquire)).from == seat
    }

    /// Counts out a task that was bound to `seat` and has ended, run or not. Returns the partition's
    /// new owner when this has handed it over: it may be waiting with deferred tasks and is to be
    /// woken. Lock-free.
    ///
    /// Of a task that was run, by the thread that ran it, afterwards.
    #[inline]
    #[must_use = "the new owner is to be woken"]
    pub fn release(&self, partition: Partition, seat: ShortId) -> Option<ShortId> {
        // Release pairs with the Acquire in `may_run` and in `mentions`.
        let released = |word| State::of(word).released(seat).map(State::word);
        match self.word(partition).fetch_update(Release, Relaxed, released) {
            Ok(before) => {
                let State { from, to, old, .. } = State::of(before);
                (from != to && from == seat && old == 1).then_some(to)
            }
            Err(word) => {
                debug_assert!(false, "seat {seat} has no task to release: {:?}", State::of(word));
                None
            }
        }
    }

    /// Gives each partition to its `owner`, at once where it has no tasks, otherwise as soon as
    /// those have ended. Returns whether all are where they should be or on their way there; one
    /// that is still on its way elsewhere is left, and this is to be called again later. Lock-free.
    ///
    /// For the one thread that changes membership.
    pub fn reassign(&self, mut owner: impl FnMut(usize) -> ShortId) -> bool {
        self.reassign_from(|index, _| owner(index))
    }

    /// The same with an `owner` that is told whose each partition is, or is on its way to.
    pub fn reassign_from(&self, mut owner: impl FnMut(usize, ShortId) -> ShortId) -> bool {
        let mut all = true;
        for (index, word) in self.words.iter().enumerate() {
            let mut is_given = true;
            // Relaxed, as in `bind`.
            let _ = word.fetch_update(Relaxed, Relaxed, |word| {
                let state = State::of(word);
                let owner = owner(index, state.to);
                let given = state.given_to(owner);
                is_given = given.is_some() || state.to == owner;
                given.map(State::word)
            });
            all &= is_given;
        }
        all
    }

    /// Whether any partition is this worker's, or is to be: it may go only when none is. Wait-free.
    ///
    /// For the thread that reassigns: once false, it stays so until that gives it a partition, or
    /// a dispatcher does that has a reservation at it.
    pub fn mentions(&self, seat: ShortId) -> bool {
        self.words.iter().any(|word| {
            // Acquire pairs with the Release in `release`: what the worker's tasks did comes before
            // its end.
            let state = State::of(word.load(Acquire));
            state.from == seat || state.to == seat
        })
    }

    #[inline]
    fn word(&self, partition: Partition) -> &AtomicU64 {
        &self.words[partition.0 as usize]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: NonZeroU32 = NonZeroU32::MIN;
    const P: Partition = Partition(0);

    fn state(partitions: &Partitions, partition: Partition) -> State {
        State::of(partitions.word(partition).load(Relaxed))
    }

    fn bind(partitions: &Partitions, tasks: u16) {
        (0..tasks).for_each(|_| assert!(partitions.bind(P).is_some()));
    }

    #[test]
    fn a_state_is_what_its_word_says() {
        let state = State { from: 1, to: 0xfffe, old: 0x8000, new: 0xffff };
        assert_eq!(state.word(), 0x0001_fffe_8000_ffff);
        assert_eq!(State::of(state.word()), state);
    }

    #[test]
    fn without_tasks_a_partition_is_given_at_once() {
        let partitions = Partitions::new(ONE, |_| 3);
        assert!(partitions.reassign(|_| 5));
        assert_eq!(state(&partitions, P), State::settled(5, 0));
        assert!(!partitions.mentions(3) && partitions.mentions(5));
    }

    #[test]
    fn new_tasks_wait_for_the_old_owner() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 2);
        assert!(partitions.reassign(|_| 5));
        assert_eq!(partitions.bind(P), Some(5));
        assert!(partitions.may_run(P, 3) && !partitions.may_run(P, 5));
        assert_eq!(partitions.release(P, 3), None);
        assert!(partitions.may_run(P, 3) && partitions.mentions(3));
        assert_eq!(partitions.release(P, 3), Some(5));
        assert!(partitions.may_run(P, 5) && !partitions.mentions(3));
        assert_eq!(state(&partitions, P), State::settled(5, 1));
        assert_eq!(partitions.release(P, 5), None);
        assert_eq!(state(&partitions, P), State::settled(5, 0));
    }

    #[test]
    fn without_tasks_a_partition_is_bound_to_who_is_picked() {
        let partitions = Partitions::new(ONE, |_| 3);
        assert!(partitions.is_free(P) && partitions.bind_free(P, 5));
        assert_eq!(state(&partitions, P), State::settled(5, 1));
        assert!(!partitions.is_free(P) && !partitions.bind_free(P, 7), "it has a task");
        assert_eq!(partitions.bind(P), Some(5), "which the next ones follow");
        assert!(partitions.reassign(|_| 7));
        assert_eq!((partitions.release(P, 5), partitions.release(P, 5)), (None, Some(7)));
        assert!(partitions.bind_free(P, 3) && partitions.may_run(P, 3));
        assert!(partitions.reassign(|_| 5) && !partitions.bind_free(P, 5), "it is moving");
        assert_eq!(partitions.release(P, 3), Some(5));
        assert!(partitions.bind_free(P, 5), "it may be the owner that is picked");
    }

    #[test]
    fn who_reassigns_is_told_whose_each_is() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        assert!(partitions.reassign_from(|index, at| at + 2 + index as ShortId));
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, old: 1, new: 0 });
        assert!(partitions.reassign_from(|_, at| at), "left on its way");
        bind(&partitions, 1);
        assert!(!partitions.reassign_from(|_, at| at + 2));
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, old: 1, new: 1 });
    }

    #[test]
    fn a_deferred_task_may_be_given_up() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        assert!(partitions.reassign(|_| 5));
        bind(&partitions, 1);
        assert_eq!(partitions.release(P, 5), None);
        assert!(partitions.may_run(P, 3), "its task has not ended");
        assert_eq!(partitions.release(P, 3), Some(5));
        assert_eq!(state(&partitions, P), State::settled(5, 0));
    }

    #[test]
    fn a_partition_on_its_way_elsewhere_is_left_for_later() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        assert!(partitions.reassign(|_| 5));
        assert!(partitions.reassign(|_| 5), "it is on its way there");
        assert!(partitions.reassign(|_| 3), "where it has no task yet, it may as well come back");
        assert_eq!(state(&partitions, P), State::settled(3, 1));
        assert!(partitions.reassign(|_| 7) && partitions.reassign(|_| 5), "or go elsewhere");
        assert_eq!(partitions.bind(P), Some(5));
        assert!(!partitions.reassign(|_| 7));
        assert!(!partitions.reassign(|_| 3), "not back either");
        assert_eq!(partitions.release(P, 3), Some(5));
        assert_eq!(partitions.release(P, 5), None);
        assert!(partitions.reassign(|_| 7));
        assert_eq!(state(&partitions, P), State::settled(7, 0));
    }

    #[test]
    fn a_full_count_refuses_and_harms_no_other() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, Partitions::MAX_TASKS);
        assert_eq!(partitions.bind(P), None);
        assert_eq!(state(&partitions, P), State::settled(3, u16::MAX));
        assert!(partitions.reassign(|_| 5));
        bind(&partitions, Partitions::MAX_TASKS);
        assert_eq!(partitions.bind(P), None);
        assert_eq!(state(&partitions, P), State { from: 3, to: 5, old: u16::MAX, new: u16::MAX });
        assert_eq!(partitions.release(P, 5), None);
        assert_eq!(partitions.bind(P), Some(5), "there is room again");
        let handed_over = (0..u16::MAX).filter(|_| partitions.release(P, 3).is_some()).count();
        assert_eq!((handed_over, state(&partitions, P)), (1, State::settled(5, u16::MAX)));
        assert_eq!(partitions.bind(P), None);
    }

    #[test]
    fn keys_that_are_alike_are_spread_evenly() {
        let partitions = Partitions::new(Partitions::DEFAULT_COUNT, |_| 0);
        let count = partitions.words.len();
        let keys: [fn(u64) -> u64; 4] =
            [|i| i, |i| i << 40, |i| i.reverse_bits(), |i| i.wrapping_mul(1 << 32 | 1)];
        for key in keys {
            let mut found = vec![0u64; count];
            (0..100 * count as u64)
                .for_each(|i| found[partitions.partition_of(key(i)).0 as usize] += 1);
            // Each is 100 with a deviation of 10.
            assert!(found.iter().all(|found| (40..160).contains(found)), "{found:?}");
        }
    }

    #[test]
    fn the_only_partition_has_every_key() {
        let partitions = Partitions::new(ONE, |_| 0);
        assert!([0, 1, u64::MAX].into_iter().all(|key| partitions.partition_of(key) == P));
    }

    #[test]
    #[should_panic(expected = "seat 4 has no task to release")]
    #[cfg(debug_assertions)]
    fn a_task_of_nobody_is_not_released() {
        let partitions = Partitions::new(ONE, |_| 3);
        bind(&partitions, 1);
        let _ = partitions.release(P, 4);
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
    const SEATS: ShortId = 4;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..COUNT).prop_map(Step::Bind),
            2 => (0..COUNT, 0..SEATS).prop_map(|(p, seat)| Step::BindFree(p, seat)),
            4 => (0..COUNT, any::<prop::sample::Index>()).prop_map(|(p, task)| Step::Release(p, task)),
            1 => prop::array::uniform3(0..SEATS).prop_map(Step::Reassign),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// A partition that remembers each task: whose it is, in the order in which they were bound.
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
            let (seat, moving) = (self.tasks.remove(task), self.from != self.to);
            self.settle();
            (seat, (moving && self.from == self.to).then_some(self.to))
        }

        fn give_to(&mut self, owner: ShortId) -> bool {
            if self.from == self.to || self.tasks_of(self.to) == 0 {
                self.to = owner;
                self.settle();
            }
            self.to == owner
        }

        fn tasks_of(&self, seat: ShortId) -> u16 {
            self.tasks.iter().filter(|owner| **owner == seat).count() as u16
        }
    }

    fn check(partitions: &Partitions, models: &[Model]) -> Result<(), TestCaseError> {
        for (partition, model) in (0..).map(Partition).zip(models) {
            for seat in (0..SEATS).filter(|seat| model.tasks.contains(seat)) {
                // The property that all this is for: nobody but the owner of the oldest.
                let first = model.tasks[0] == seat;
                prop_assert_eq!(partitions.may_run(partition, seat), first, "{:?}", model);
            }
            let old = model.tasks_of(model.from);
            let new = model.tasks.len() as u16 - old;
            let expected = State { from: model.from, to: model.to, old, new };
            prop_assert_eq!(state(partitions, partition), expected);
        }
        for seat in 0..SEATS {
            let mentioned = models.iter().any(|model| model.from == seat || model.to == seat);
            prop_assert_eq!(partitions.mentions(seat), mentioned);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn partitions_are_what_a_list_of_their_tasks_says(steps in steps()) {
            let partitions = Partitions::new(COUNT.try_into().unwrap(), |index| index as ShortId);
            let mut models: Vec<_> =
                (0..COUNT as ShortId).map(|seat| Model { tasks: vec![], from: seat, to: seat }).collect();
            for step in steps {
                match step {
                    Step::Bind(partition) => {
                        let model = &mut models[partition as usize];
                        model.tasks.push(model.to);
                        prop_assert_eq!(partitions.bind(Partition(partition)), Some(model.to));
                    }
                    Step::BindFree(partition, seat) => {
                        let model = &mut models[partition as usize];
                        let free = model.tasks.is_empty();
                        prop_assert_eq!(partitions.is_free(Partition(partition)), free);
                        prop_assert_eq!(partitions.bind_free(Partition(partition), seat), free);
                        if free {
                            *model = Model { tasks: vec![seat], from: seat, to: seat };
                        }
                    }
                    Step::Release(partition, task) => {
                        let model = &mut models[partition as usize];
                        if !model.tasks.is_empty() {
                            let (seat, woken) = model.release(task.index(model.tasks.len()));
                            let released = partitions.release(Partition(partition), seat);
                            prop_assert_eq!(released, woken);
                        }
                    }
                    Step::Reassign(owners) => {
                        let given = models.iter_mut().zip(owners).map(|(model, owner)| model.give_to(owner));
                        let all = given.fold(true, |all, given| all & given);
                        prop_assert_eq!(partitions.reassign(|index| owners[index]), all);
                    }
                }
                check(&partitions, &models)?;
            }
            for (partition, model) in (0..).map(Partition).zip(&mut models) {
                for seat in std::mem::take(&mut model.tasks) {
                    let _ = partitions.release(partition, seat);
                }
                model.settle();
                prop_assert_eq!(state(&partitions, partition), State::settled(model.to, 0));
            }
        }
    }
}
