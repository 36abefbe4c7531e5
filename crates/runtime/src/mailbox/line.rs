//! The callers that wait for room in a mailbox, first come, first served in each lane.
//!
//! A caller that finds its lane full puts its task into the lane's line, with a waker. Whoever takes a
//! task from a lane's channel sends the first task of its line, and wakes that caller. A caller leaves
//! the line by its ticket: if its task is not there any more, it was sent.
//!
//! Why no wake-up is lost: a caller counts itself among the waiting, and then tries to send the first
//! task of its line. Whoever takes a task reads the count afterwards. One of the two sees what the other
//! did, and sends the task. What is sent, left or returned is decided under one lock.

use std::collections::BTreeMap;
use std::ops::Range;
use std::task::Waker;

use raddle_sync::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use raddle_sync::lock::ColdLock;

use super::attention::Attention;
use super::lane::Lane;
use crate::panics;

pub(super) struct Lines<T> {
    /// The callers that wait.
    waiting: AtomicUsize,
    /// Locked by callers that wait for room, by those who make some for them, and when the worker closes.
    state: ColdLock<State<T>>,
}

struct State<T> {
    tickets: u64,
    waiting: BTreeMap<(usize, u64), Waiting<T>>,
    /// The tasks that the worker's closing has returned, until their callers come back for them.
    returned: BTreeMap<u64, T>,
    closed: bool,
}

struct Waiting<T> {
    task: T,
    waker: Waker,
    holder: Holder,
}

/// Who removes a waiting task from its worker's account if the worker is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The caller, a thread that holds its reservation and is woken.
    Caller,
    /// Whoever closes the worker: the caller is a future, and may not be polled for long.
    Closer,
}

/// The place of a task in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    lane: Lane,
    number: u64,
}

/// What has become of a task in a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Left<T> {
    /// It was sent.
    Sent,
    /// It still waited, and is on its worker's account.
    Waiting(T),
    /// Its worker was closed.
    Returned(T),
}

/// Callers to be woken, with nothing held.
#[derive(Default)]
#[must_use = "callers that are not woken wait forever"]
pub struct Wakers(Vec<Waker>);

impl Wakers {
    /// Wakes them. That runs the user's code, which may panic.
    pub fn wake(self) {
        for waker in self.0 {
            panics::contain(|| waker.wake());
        }
    }

    /// Adds others.
    pub fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        let (waiting, returned) = (BTreeMap::new(), BTreeMap::new());
        let state = State { tickets: 0, waiting, returned, closed: false };
        Self { waiting: AtomicUsize::new(0), state: ColdLock::new(state) }
    }
}

impl<T> Lines<T> {
    /// Returns the number of callers that wait. For whoever has taken a task from a lane's channel: the
    /// load comes after that, so it sees each caller that found the lane full before.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        // SeqCst pairs with that of `change`; both come with a SeqCst operation on the channel's head:
        // crossbeam's receivers move it by a SeqCst compare-exchange, and its senders read it behind a
        // SeqCst fence before they find the channel full.
        // No model needs this SeqCst: loom's channel is a lock.
        self.waiting.load(SeqCst)
    }

    /// Returns whether anyone may wait. A caller sees itself: what it sends next does not overtake what it
    /// sent before.
    #[inline(always)]
    pub(super) fn may_wait(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// Returns whether anyone waits for room in this lane.
    #[cold]
    pub(super) fn has(&self, lane: Lane) -> bool {
        self.state.lock().waiting.range(line(lane)).next().is_some()
    }

    /// Puts a task at the end of its line. Call [`serve`](Self::serve) next.
    ///
    /// # Errors
    /// Returns the task if the worker is closed.
    pub(super) fn join(
        &self,
        lane: Lane,
        task: T,
        waker: Waker,
        holder: Holder,
        attention: &Attention,
    ) -> Result<Ticket, T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(task);
        }
        state.tickets += 1;
        let number = state.tickets;
        state.waiting.insert((lane as usize, number), Waiting { task, waker, holder });
        self.count(&state, attention);
        Ok(Ticket { lane, number })
    }

    /// Sends the first tasks of a lane's line, as long as `send` returns none.
    pub(super) fn serve(
        &self,
        lane: Lane,
        attention: &Attention,
        mut send: impl FnMut(T) -> Option<T>,
    ) -> Wakers {
        let mut served = Wakers::default();
        let mut state = self.state.lock();
        while let Some((place, _)) = state.waiting.range(line(lane)).next()
            && let place = *place
            && let Some(Waiting { task, waker, holder }) = state.waiting.remove(&place)
        {
            if let Some(task) = send(task) {
                state.waiting.insert(place, Waiting { task, waker, holder });
                break;
            }
            served.0.push(waker);
        }
        if !served.0.is_empty() {
            self.count(&state, attention);
        }
        served
    }

    /// Notes how many callers wait. While any does, the worker's attention is raised.
    fn count(&self, state: &State<T>, attention: &Attention) {
        let now = state.waiting.len();
        // SeqCst pairs with the load of `waiting`.
        // No model needs this SeqCst: loom's channel is a lock.
        match (self.waiting.swap(now, SeqCst), now) {
            (0, 1..) => attention.raise(),
            (1.., 0) => attention.lower(),
            _ => {}
        }
    }

    /// Sets the waker of a task. Returns whether it still waits.
    pub(super) fn wake_by(&self, ticket: Ticket, waker: &Waker) -> bool {
        // Wakers are the user's.
        let mut waker = waker.clone();
        let mut state = self.state.lock();
        let waiting = state.waiting.get_mut(&ticket.place());
        let waits = waiting.is_some();
        waiting.into_iter().for_each(|waiting| std::mem::swap(&mut waiting.waker, &mut waker));
        drop(state);
        panics::contain(|| drop(waker));
        waits
    }

    /// Takes a task from its line.
    pub(super) fn leave(&self, ticket: Ticket, attention: &Attention) -> Left<T> {
        let mut state = self.state.lock();
        if let Some(Waiting { task, waker, .. }) = state.waiting.remove(&ticket.place()) {
            self.count(&state, attention);
            drop(state);
            panics::contain(|| drop(waker));
            return Left::Waiting(task);
        }
        state.returned.remove(&ticket.number).map_or(Left::Sent, Left::Returned)
    }

    /// Returns every task to its caller, and accepts no more. Calls `take_off` with each task whose
    /// [`Holder`] is the closer.
    pub(super) fn close(&self, attention: &Attention, mut take_off: impl FnMut(&mut T)) -> Wakers {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        self.count(&state, attention);
        let mut wakers = Wakers::default();
        for ((_, number), Waiting { mut task, waker, holder }) in waiting {
            if holder == Holder::Closer {
                take_off(&mut task);
            }
            state.returned.insert(number, task);
            wakers.0.push(waker);
        }
        wakers
    }
}

/// The places in the line of a lane.
fn line(lane: Lane) -> Range<(usize, u64)> {
    (lane as usize, 0)..(lane as usize + 1, 0)
}

impl Ticket {
    fn place(self) -> (usize, u64) {
        (self.lane as usize, self.number)
    }
}
