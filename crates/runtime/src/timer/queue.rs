use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::TimerState;

/// Timers that have not fired, by due time; timers that are due at the same time fire in the order in
/// which they were added. Times are nanoseconds of one clock.
///
/// A periodic timer is due at `due + k * period`, whenever it fires, so it does not drift. Times that
/// it missed by firing late are skipped.
///
/// A cancelled timer leaves when it comes first, and all of them leave when they are more than half
/// of the queue: after the next `push` or `pop_due`, the memory is at most that of twice the active
/// timers. The caller [takes](Self::take_cancelled) what they hold, and drops it where that may run
/// the user's code. Dropping the queue cancels the remaining timers.
pub struct TimerQueue<T> {
    timers: BTreeMap<Turn, Timer<T>>,
    /// What the cancelled timers that have left held.
    left: Vec<T>,
    /// The number of turns so far; a periodic timer takes a new one at each firing.
    turns: u64,
    /// See `Shared::cancelled` of the state.
    cancelled: Arc<AtomicUsize>,
}

/// When a timer is due, and a number that orders timers of the same due time.
type Turn = (u64, u64);

struct Timer<T> {
    period: Option<NonZeroU64>,
    state: TimerState,
    item: T,
}

/// A timer that was due.
#[derive(Debug)]
pub enum Fired<'q, T> {
    /// The item of a timer that fires once.
    Once(T),
    /// The item of a periodic timer, which stays with it.
    Periodic(&'q mut T),
}

impl<T> Default for TimerQueue<T> {
    fn default() -> Self {
        Self { timers: BTreeMap::new(), left: Vec::new(), turns: 0, cancelled: Arc::default() }
    }
}

impl<T> TimerQueue<T> {
    /// Adds a timer that is due at `due` and, if there is a `period`, again after each period.
    /// O(log n), allocates the state and now and then a node of the queue.
    pub fn push(&mut self, due: u64, period: Option<NonZeroU64>, item: T) -> TimerState {
        self.compact();
        let state = TimerState::new(Arc::clone(&self.cancelled));
        let turn = self.turn(due);
        self.timers.insert(turn, Timer { period, state: state.clone(), item });
        state
    }

    /// Returns when the next timer is due that is not cancelled. O(log n), also for each cancelled one
    /// before it.
    pub fn next_due(&mut self) -> Option<u64> {
        loop {
            let next = self.timers.first_entry()?;
            if !next.get().state.is_cancelled() {
                return Some(next.key().0);
            }
            next.remove().leave(&mut self.left);
        }
    }

    /// Begins the firing of the next timer that is due at `now` or before, if there is one.
    /// O(log n).
    pub fn pop_due(&mut self, now: u64) -> Option<Fired<'_, T>> {
        self.compact();
        loop {
            let next = self.timers.first_entry().filter(|next| next.key().0 <= now)?;
            let ((due, _), timer) = next.remove_entry();
            if !timer.state.claim(timer.period.is_some()) {
                timer.leave(&mut self.left);
                continue;
            }
            let Some(period) = timer.period else { return Some(Fired::Once(timer.item)) };
            // The first due time after now.
            let periods = ((now - due) / period).saturating_add(1);
            let turn = self.turn(due.saturating_add(periods.saturating_mul(period.get())));
            return Some(Fired::Periodic(&mut self.timers.entry(turn).or_insert(timer).item));
        }
    }

    /// Cancels all timers whose item is `wanted`, and returns what those held that were not cancelled
    /// before.
    pub fn cancel_where(&mut self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut items = Vec::new();
        for (due, timer) in std::mem::take(&mut self.timers) {
            if !wanted(&timer.item) {
                self.timers.insert(due, timer);
                continue;
            }
            match timer.state.expel() {
                true => items.push(timer.item),
                false => timer.leave(&mut self.left),
            }
        }
        items
    }

    /// Takes what the cancelled timers held that have left since the last call.
    pub fn take_cancelled(&mut self) -> Vec<T> {
        std::mem::take(&mut self.left)
    }

    /// Removes the cancelled timers if they are more than half. O(n log n), which is O(log n) for each
    /// timer that is removed.
    fn compact(&mut self) {
        // A count that is behind, or counts a cancel that then fails, costs only memory or time.
        if self.cancelled.load(Relaxed) <= self.timers.len() / 2 {
            return;
        }
        let timers = std::mem::take(&mut self.timers).into_iter();
        let (cancelled, kept): (BTreeMap<_, _>, _) =
            timers.partition(|(_, timer)| timer.state.is_cancelled());
        self.timers = kept;
        cancelled.into_values().for_each(|timer| timer.leave(&mut self.left));
    }

    fn turn(&mut self, due: u64) -> Turn {
        self.turns += 1;
        (due, self.turns)
    }
}

impl<T> Timer<T> {
    /// Ends a cancelled timer that has left the queue.
    fn leave(self, left: &mut Vec<T>) {
        self.state.uncount();
        left.push(self.item);
    }
}

impl<T> Drop for TimerQueue<T> {
    fn drop(&mut self) {
        self.cancel_where(|_| true);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;

    fn every(period: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(period)
    }

    /// The items of all timers that are due.
    fn taken<T: Clone>(queue: &mut TimerQueue<T>, now: u64) -> Vec<T> {
        let mut items = Vec::new();
        while let Some(fired) = queue.pop_due(now) {
            items.push(match fired {
                Fired::Once(item) => item,
                Fired::Periodic(item) => item.clone(),
            });
        }
        items
    }

    #[test]
    fn timers_fire_by_due_time_and_then_in_the_order_they_were_added() {
        let mut queue = TimerQueue::default();
        for (due, item) in [(5, 'c'), (3, 'a'), (5, 'd'), (9, 'e'), (3, 'b')] {
            queue.push(due, None, item);
        }
        assert_eq!(queue.next_due(), Some(3));
        assert_eq!(taken(&mut queue, 2), []);
        assert_eq!(taken(&mut queue, 5), ['a', 'b', 'c', 'd']);
        assert_eq!(queue.next_due(), Some(9));
        assert_eq!(taken(&mut queue, 100), ['e']);
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn a_periodic_timer_keeps_its_schedule_and_skips_missed_times() {
        let mut queue = TimerQueue::default();
        let handle = queue.push(10, every(10), 'p');
        let times = [(10, 1, 20), (21, 1, 30), (29, 0, 30), (30, 1, 40), (75, 1, 80), (80, 1, 90)];
        for (now, fires, next) in times {
            assert_eq!(taken(&mut queue, now).len(), fires, "at {now}");
            assert_eq!(queue.next_due(), Some(next), "at {now}");
        }
        assert!(handle.is_active());
        assert!(handle.cancel());
        assert_eq!(taken(&mut queue, 1_000), []);
    }

    #[test]
    fn a_periodic_timer_is_added_again_behind_timers_of_the_same_time() {
        let mut queue = TimerQueue::default();
        queue.push(10, every(10), 'p');
        queue.push(20, None, 'o');
        assert_eq!(taken(&mut queue, 10), ['p']);
        assert_eq!(taken(&mut queue, 20), ['o', 'p']);
    }

    #[test]
    fn a_periodic_timer_keeps_its_item() {
        let mut queue = TimerQueue::default();
        queue.push(1, every(1), 0);
        for now in 1..=5 {
            let Some(Fired::Periodic(count)) = queue.pop_due(now) else { panic!("not due") };
            *count += 1;
            assert_eq!(*count, now);
        }
    }

    #[test]
    fn due_times_near_the_end_of_the_clock_do_not_overflow() {
        let mut queue = TimerQueue::default();
        queue.push(0, every(1), ());
        queue.push(u64::MAX - 1, every(u64::MAX), ());
        assert!(queue.pop_due(u64::MAX - 1).is_some());
        assert!(queue.pop_due(u64::MAX - 1).is_some());
        assert!(queue.pop_due(u64::MAX - 1).is_none());
        assert_eq!(queue.next_due(), Some(u64::MAX));
    }

    #[test]
    fn a_timer_is_cancelled_once_and_only_before_it_fires() {
        let mut queue = TimerQueue::default();
        let (early, late) = (queue.push(1, None, 'a'), queue.push(2, None, 'b'));
        assert!(early.is_active() && late.is_active());
        assert_eq!(taken(&mut queue, 1), ['a']);
        assert!(!early.is_active());
        assert!(!early.cancel(), "it has fired");
        let again = late.clone();
        assert!(late.cancel());
        assert!(!again.cancel(), "it was cancelled");
        assert!(!again.is_active());
        assert_eq!(queue.next_due(), None);
        assert_eq!(taken(&mut queue, 2), []);
        assert_eq!(format!("{early:?} {late:?}"), "fired cancelled");
    }

    #[test]
    fn dropping_a_handle_cancels_nothing_and_dropping_the_queue_cancels_all() {
        let mut queue = TimerQueue::default();
        drop(queue.push(1, None, 'a'));
        assert_eq!(taken(&mut queue, 1), ['a']);
        let handle = queue.push(2, None, 'b');
        drop(queue);
        assert!(!handle.is_active());
        assert!(!handle.cancel());
    }

    #[test]
    fn cancelled_timers_leave_when_they_are_more_than_half() {
        let item = Rc::new(());
        let mut queue = TimerQueue::default();
        let handles: Vec<_> =
            (0..100).map(|due| queue.push(1_000 + due, None, Rc::clone(&item))).collect();
        let cancel = |range: std::ops::Range<usize>| {
            assert!(handles[range].iter().all(TimerState::cancel));
        };
        cancel(50..100);
        assert!(queue.pop_due(1).is_none());
        assert_eq!(queue.take_cancelled().len(), 0, "half of them may stay");
        cancel(49..50);
        assert!(queue.pop_due(1).is_none());
        assert_eq!(queue.take_cancelled().len(), 51);
        assert_eq!(Rc::strong_count(&item), 50);
        assert_eq!(taken(&mut queue, 1_048).len(), 49);
        assert_eq!((queue.timers.len(), queue.cancelled.load(Relaxed)), (0, 0));
    }

    #[test]
    fn cancelling_all_returns_what_was_not_cancelled_before() {
        let mut queue = TimerQueue::default();
        let cancelled = queue.push(1, None, 'a');
        let others = [queue.push(2, None, 'b'), queue.push(3, every(1), 'c')];
        assert!(cancelled.cancel());
        assert_eq!(queue.cancel_where(|_| true), ['b', 'c']);
        assert_eq!(queue.take_cancelled(), ['a']);
        assert!(others.iter().all(|timer| !timer.is_active() && !timer.cancel()));
        assert_eq!((queue.next_due(), queue.cancelled.load(Relaxed)), (None, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { after: u64, period: Option<u64> },
        Cancel(prop::sample::Index),
        Advance(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let period = prop::option::weighted(0.3, 1u64..20);
        prop_oneof![
            3 => (0u64..40, period).prop_map(|(after, period)| Step::Push { after, period }),
            3 => any::<prop::sample::Index>().prop_map(Step::Cancel),
            2 => (0u64..30).prop_map(Step::Advance),
        ]
    }

    /// A timer of the model: due time, number, period, item.
    type Plain = (u64, u64, Option<u64>, usize);

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Compares the queue with a plain list of pending timers.
        #[test]
        fn timers_fire_as_a_sorted_list_would(steps in prop::collection::vec(step(), 1..200)) {
            let mut queue = TimerQueue::default();
            let (mut list, mut handles) = (Vec::<Plain>::new(), Vec::new());
            let (mut now, mut numbers) = (0, 0..);
            for step in steps {
                match step {
                    Step::Push { after, period } => {
                        let item = handles.len();
                        handles.push(queue.push(now + after, period.and_then(every), item));
                        list.push((now + after, numbers.next().unwrap(), period, item));
                    }
                    Step::Cancel(index) if !handles.is_empty() => {
                        let item = index.index(handles.len());
                        let pending = list.iter().position(|timer| timer.3 == item);
                        prop_assert_eq!(handles[item].is_active(), pending.is_some());
                        prop_assert_eq!(handles[item].cancel(), pending.is_some());
                        pending.map(|at| list.swap_remove(at));
                    }
                    Step::Cancel(_) => {}
                    Step::Advance(by) => {
                        now += by;
                        let mut expected = Vec::new();
                        while let Some(at) = (0..list.len()).min_by_key(|at| list[*at]) {
                            let (due, _, period, item) = list[at];
                            if due > now {
                                break;
                            }
                            expected.push(item);
                            match period {
                                None => drop(list.swap_remove(at)),
                                Some(period) => {
                                    let next = (due..).step_by(period as usize);
                                    list[at].0 = next.into_iter().find(|due| *due > now).unwrap();
                                    list[at].1 = numbers.next().unwrap();
                                }
                            }
                        }
                        prop_assert_eq!(taken(&mut queue, now), expected);
                    }
                }
                queue.compact();
                prop_assert!(queue.timers.len() <= 2 * list.len());
                prop_assert_eq!(queue.timers.len() - list.len(), queue.cancelled.load(Relaxed));
            }
            prop_assert_eq!(queue.next_due(), list.iter().min().map(|timer| timer.0));
        }
    }
}
