use std::sync::OnceLock;

use raddle_core::MailboxOrder;
use raddle_core::internal::Boosts;
use raddle_sync::channel::{self, Receiver, Sender, TryRecvError, TrySendError};

use super::attention::Attention;
use super::backoff::Backoff;
use super::capacity::Capacity;
use super::lane::Lane;
use super::line::{Lines, Wakers};
use crate::keys::MAX_BOUND_TASKS;

/// One task in this many is taken from the normal and keyed lanes first.
const NORMAL_TURN: u32 = 8;
/// One task in this many is taken from the low lane first.
const LOW_TURN: u32 = 64;

/// Counts the tasks taken; decides which lane comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn(u32);

impl Turn {
    /// The lanes in the order in which they are tried.
    ///
    /// The starvation bound: of 8 tasks taken while every lane has some, at least one is normal or
    /// keyed (these two take turns), and of 64, at least one is low.
    #[inline]
    fn order(self) -> [Lane; 4] {
        use Lane::{High, Keyed, Low, Normal};
        let turn = self.0 % LOW_TURN;
        let alternate = |even| if even { (Normal, Keyed) } else { (Keyed, Normal) };
        if turn % NORMAL_TURN == NORMAL_TURN - 1 {
            // Such turns have odd numbers only, so the parity of the turn would always choose the
            // same lane.
            let (first, second) = alternate((self.0 / NORMAL_TURN).is_multiple_of(2));
            return [first, second, High, Low];
        }
        let (first, second) = alternate(self.0.is_multiple_of(2));
        // Half-way between two of the turns above, so that low tasks take none of them.
        if turn == LOW_TURN / 2 { [Low, first, second, High] } else { [High, first, second, Low] }
    }
}

/// One channel per lane. All but the normal one are created at their first task.
pub(super) struct Lanes<T> {
    capacity: Capacity,
    normal: Channel<T>,
    /// The other lanes, by their discriminants; most pools never use one.
    others: [OnceLock<Channel<T>>; Lane::ALL.len()],
    /// Raised for each of the others that exists, and in a boosted mailbox.
    pub(super) attention: Attention,
    /// The callers that wait for room.
    pub(super) lines: Lines<T>,
    /// In a boosted mailbox, the first task of each lane in [`Lane::BOOSTED`], as soon as the worker
    /// has compared it with others: a channel's first task cannot be seen before it is taken. Only
    /// the worker puts tasks in hand. Everyone takes them from there, before those of the channel.
    hands: Option<Box<[Channel<T>; Lane::BOOSTED.len()]>>,
}

/// What a worker knows about the tasks in the hands of its boosted mailbox.
pub(super) struct Boosting {
    pub(super) boosts: Boosts,
    /// When each was submitted. `None` if nothing is in hand, or nothing is known about it.
    submitted: [Option<u64>; Lane::BOOSTED.len()],
}

impl Boosting {
    pub(super) fn new(now: u64) -> Self {
        Self { boosts: Boosts::new(now), submitted: [None; Lane::BOOSTED.len()] }
    }
}

type Channel<T> = (Sender<T>, Receiver<T>);

/// Polls of a caller at a full lane before it parks, of half a microsecond each. A checker explores
/// each of them, so one is enough there.
const POLLS_FOR_ROOM: u32 = if cfg!(loom) { 1 } else { 100 };

/// The tasks of a partition are counted in 15 bits, those that wait for room included.
const MAX_KEYED: usize = MAX_BOUND_TASKS as usize / 2;

impl<T> Lanes<T> {
    pub(super) fn new(capacity: Capacity, order: MailboxOrder) -> Self {
        let (boosted, attention) = (order == MailboxOrder::Boost, Attention::default());
        if boosted {
            attention.raise();
        }
        Self {
            capacity,
            normal: capacity.channel(),
            others: std::array::from_fn(|_| OnceLock::new()),
            attention,
            lines: Lines::default(),
            hands: boosted.then(|| Box::new(std::array::from_fn(|_| channel::bounded(1)))),
        }
    }

    #[inline]
    pub(super) fn is_boosted(&self) -> bool {
        self.hands.is_some()
    }

    /// The lanes whose tasks any worker may run.
    #[inline]
    pub(super) fn free(&self) -> &'static [Lane] {
        if self.is_boosted() { &Lane::FREE_BOOSTED } else { &Lane::FREE }
    }

    /// The lane's channel, if it exists.
    #[inline]
    fn channel(&self, lane: Lane) -> Option<&Channel<T>> {
        match lane {
            Lane::Normal => Some(&self.normal),
            _ => self.others[lane as usize].get(),
        }
    }

    #[inline]
    pub(super) fn sender(&self, lane: Lane) -> &Sender<T> {
        &self.channel(lane).unwrap_or_else(|| self.create(lane)).0
    }

    #[cold]
    fn create(&self, lane: Lane) -> &Channel<T> {
        self.others[lane as usize].get_or_init(|| {
            self.attention.raise();
            match lane {
                Lane::Control => channel::unbounded(),
                _ if lane.is_keyed() => channel::bounded(self.capacity.tasks().min(MAX_KEYED)),
                _ => self.capacity.channel(),
            }
        })
    }

    #[inline]
    fn receiver(&self, lane: Lane) -> Option<&Receiver<T>> {
        self.channel(lane).map(|channel| &channel.1)
    }

    /// Where the lane's first task is, once the worker has put it there.
    #[inline]
    fn hand(&self, lane: Lane) -> Option<&Channel<T>> {
        self.hands.as_ref().and_then(|hands| Some(&hands[lane.boosted()?]))
    }

    #[inline]
    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        let in_hand = self.hand(lane).is_some_and(|hand| !hand.1.is_empty());
        !in_hand && self.receiver(lane).is_none_or(Receiver::is_empty)
    }

    pub(super) fn len(&self, lane: Lane) -> usize {
        let in_hand = self.hand(lane).map_or(0, |hand| hand.1.len());
        in_hand + self.receiver(lane).map_or(0, Receiver::len)
    }

    /// The number of tasks in lanes of tasks with keys.
    pub(super) fn keyed_len(&self) -> usize {
        Lane::ALL.into_iter().filter(|lane| lane.is_keyed()).map(|lane| self.len(lane)).sum()
    }

    /// Polls for a moment, while `may_wait`, until half of a full lane is empty. A caller that
    /// takes the first free slot finds the lane full again at its next task. It would then contend
    /// with the worker for a cache line, or be woken by the worker, at every task. Does not poll while
    /// others wait: they came before.
    pub(super) fn await_room(&self, lane: Lane, may_wait: impl Fn() -> bool) {
        let sender = self.sender(lane);
        let mut backoff = Backoff::new(0, POLLS_FOR_ROOM);
        while self.lines.waiting() == 0
            && sender.len() > self.capacity.tasks() / 2
            && may_wait()
            && backoff.wait()
        {}
    }

    /// Takes the first task of a lane that is not in hand, and gives the room to whoever waits for it.
    #[inline]
    pub(super) fn take_sent(&self, lane: Lane) -> Option<T> {
        let taken = self.displace(lane);
        if taken.is_some() && self.lines.waiting() > 0 {
            self.serve(lane);
        }
        taken
    }

    /// As [`take_sent`](Self::take_sent), and leaves the room to the caller.
    #[inline]
    pub(super) fn displace(&self, lane: Lane) -> Option<T> {
        take_from(self.receiver(lane)?)
    }

    /// Sends the tasks of callers that wait, as far as there is room in their lane.
    #[cold]
    #[inline(never)]
    pub(super) fn serve(&self, lane: Lane) {
        self.serve_line(lane).wake();
    }

    fn serve_line(&self, lane: Lane) -> Wakers {
        let sender = self.sender(lane);
        let send = |task| sender.try_send(task).err().map(TrySendError::into_inner);
        self.lines.serve(lane, &self.attention, send)
    }

    /// Takes the next task of a lane.
    #[inline]
    pub(super) fn take(&self, lane: Lane) -> Option<T> {
        let in_hand = self.hand(lane).and_then(|hand| take_from(&hand.1));
        in_hand.or_else(|| self.take_sent(lane))
    }

    /// Takes the task of a boosted mailbox that is next, by `submitted_at` minus boost; `keyed` or not.
    ///
    /// Another thread may take a task from a hand meanwhile; the lane's next one then takes its place.
    fn take_boosted(
        &self,
        boosting: &mut Boosting,
        submitted_at: impl Fn(&T) -> u64,
        keyed: bool,
    ) -> Option<T> {
        let Boosting { boosts, submitted } = boosting;
        let hands = self.hands.as_deref()?;
        loop {
            let mut next: Option<(i64, usize)> = None;
            for (index, lane) in Lane::BOOSTED.into_iter().enumerate() {
                if lane.is_keyed() && !keyed {
                    continue;
                }
                if submitted[index].is_none()
                    && let Some(task) = self.take(lane)
                {
                    submitted[index] = Some(submitted_at(&task));
                    if let Err(no_room) = hands[index].0.try_send(task) {
                        unreachable!("only the worker fills its hands: {no_room}")
                    }
                }
                let Some(at) = submitted[index] else { continue };
                let start = (at as i64).saturating_sub_unsigned(boosts.of(lane.size()));
                if next.is_none_or(|(earliest, _)| start < earliest) {
                    next = Some((start, index));
                }
            }
            let (_, index) = next?;
            submitted[index] = None;
            let taken = take_from(&hands[index].1);
            if taken.is_some() {
                return taken;
            }
        }
    }

    /// Takes the next task of the normal lane.
    #[inline(always)]
    pub(super) fn next_plain(&self) -> Result<T, TryRecvError> {
        self.normal.1.try_recv()
    }

    /// Takes the next task of all lanes, or of all that are not `keyed`; what `ahead` returns for a lane
    /// comes before its tasks. In a boosted mailbox, the first tasks of normal and keyed lanes compete.
    pub(super) fn next_with(
        &self,
        turn: &mut Turn,
        mut boosting: Option<&mut Boosting>,
        submitted_at: impl Fn(&T) -> u64,
        keyed: bool,
        mut ahead: impl FnMut(Lane) -> Option<T>,
    ) -> Option<T> {
        self.next_of(turn, |lane| {
            ahead(lane).or_else(|| match (lane, &mut boosting) {
                (Lane::Normal | Lane::Keyed, Some(boosting)) => {
                    self.take_boosted(boosting, &submitted_at, keyed)
                }
                (Lane::Keyed, None) if !keyed => None,
                _ => self.take_sent(lane),
            })
        })
    }

    /// Takes the next task of all lanes, first come, first served in each. In a build without
    /// optimisation, this takes less of the stack than [`next_with`](Self::next_with).
    pub(super) fn next(&self, turn: &mut Turn) -> Option<T> {
        self.next_of(turn, |lane| self.take_sent(lane))
    }

    #[inline]
    fn next_of(&self, turn: &mut Turn, mut take: impl FnMut(Lane) -> Option<T>) -> Option<T> {
        let control = take(Lane::Control);
        if control.is_some() {
            return control;
        }
        for lane in turn.order() {
            let next = take(lane);
            if next.is_some() {
                turn.0 = turn.0.wrapping_add(1);
                return next;
            }
        }
        None
    }
}

#[inline]
fn take_from<T>(receiver: &Receiver<T>) -> Option<T> {
    // Checking is two loads; trying to receive from an empty channel costs a fence more.
    if receiver.is_empty() { None } else { receiver.try_recv().ok() }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn taken<T>(lanes: &Lanes<T>, count: usize) -> Vec<T> {
        let mut turn = Turn::default();
        std::iter::from_fn(|| lanes.next(&mut turn)).take(count).collect()
    }

    #[test]
    fn control_comes_first_and_order_within_a_lane_is_kept() {
        let lanes = Lanes::new(Capacity::Bounded(8), MailboxOrder::Fifo);
        for (number, lane) in
            [Lane::Low, Lane::Normal, Lane::High, Lane::Control].iter().enumerate()
        {
            for offset in [0, 10, 20] {
                lanes.sender(*lane).send(number as u32 + offset).unwrap();
            }
        }
        // The eighth task that is not a control message would be normal even if high ones were left.
        assert_eq!(taken(&lanes, 12), [3, 13, 23, 2, 12, 22, 1, 11, 21, 0, 10, 20]);
    }

    #[test]
    fn no_lane_starves() {
        let lanes = Lanes::new(Capacity::Bounded(1_000), MailboxOrder::Fifo);
        for lane in [Lane::High, Lane::Normal, Lane::Keyed, Lane::Low] {
            (0..1_000).for_each(|_| lanes.sender(lane).send(lane).unwrap());
        }
        let taken = taken(&lanes, 640);
        for window in taken.windows(64) {
            let count = |lane| window.iter().filter(|taken| **taken == lane).count();
            assert!(count(Lane::Low) >= 1, "low starves");
            assert!(count(Lane::Normal) >= 3, "normal starves");
            assert!(count(Lane::Keyed) >= 3, "keyed starves");
            assert_eq!(count(Lane::High), 55, "the high lane gets less than its share");
        }
        for window in taken.windows(8) {
            assert!(window.iter().any(|lane| matches!(lane, Lane::Normal | Lane::Keyed)));
        }
    }

    #[test]
    fn normal_and_keyed_take_turns() {
        let lanes = Lanes::new(Capacity::Bounded(100), MailboxOrder::Fifo);
        for lane in [Lane::Normal, Lane::Keyed] {
            (0..100).for_each(|_| lanes.sender(lane).send(lane).unwrap());
        }
        let taken = taken(&lanes, 80);
        let keyed = taken.iter().filter(|lane| **lane == Lane::Keyed).count();
        assert!((35..=45).contains(&keyed), "{keyed} of 80");
        assert!(
            taken
                .windows(4)
                .all(|four| four.contains(&Lane::Keyed) && four.contains(&Lane::Normal))
        );
    }
}
