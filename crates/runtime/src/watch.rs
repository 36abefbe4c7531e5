//! The end of a pool or worker, and those who wait for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use raddle_sync::lock::{ColdLock, Condvar};

use crate::blocking::{self, Awaiting};
use crate::panics;

/// Waits for the end of a pool or of one of its workers. Created by [`Pool::watch`](crate::Pool::watch) and
/// [`Pool::watch_worker`](crate::Pool::watch_worker).
///
/// A thread waits with [`wait_timeout`](Self::wait_timeout), a future with `.await`. Any number of
/// watches may wait for one end, and a watch that begins after the end is over at once. It does not keep
/// the pool alive.
#[derive(Clone)]
pub struct Watch {
    ending: Arc<Ending>,
    registration: Registration,
}

/// The wait of a future. A clone has none.
#[derive(Default)]
struct Registration {
    /// Under which the waker is kept.
    number: Option<u64>,
    awaiting: Option<Awaiting>,
}

impl Clone for Registration {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Something that ends once.
#[derive(Default)]
pub(crate) struct Ending {
    /// Locked when somebody begins or ends a wait, and at the end.
    state: ColdLock<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
    /// The futures that wait, by number.
    wakers: Vec<(u64, Waker)>,
    /// Futures that have waited so far.
    count: u64,
}

impl Ending {
    /// Something that has ended.
    pub(crate) fn ended() -> Self {
        let ending = Self::default();
        ending.end();
        ending
    }

    /// Wakes all that wait.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        for (_, waker) in wakers {
            panics::contain(|| waker.wake());
        }
    }

    pub(crate) fn watch(self: &Arc<Self>) -> Watch {
        Watch { ending: Arc::clone(self), registration: Registration::default() }
    }
}

impl Watch {
    /// Returns whether the end has come. Takes a lock that no task takes.
    pub fn has_ended(&self) -> bool {
        self.ending.state.lock().ended
    }

    /// Blocks until the end has come or `timeout` has passed; returns whether it has come. A handler that
    /// waits for the end of its own worker or pool waits for the whole time.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let Ending { state, changed } = &*self.ending;
        let wait = || state.wait_while(changed, Some(timeout), |state| !state.ended).ended;
        blocking::waiting(wait)
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Both are the user's code, and run with nothing held.
        let waker = cx.waker().clone();
        let mut replaced = None;
        let ending = Arc::clone(&self.ending);
        let mut state = ending.state.lock();
        self.registration.awaiting = None;
        if state.ended {
            return Poll::Ready(());
        }
        let known = self.registration.number;
        match state.wakers.iter_mut().find(|(number, _)| known == Some(*number)) {
            Some((_, kept)) => replaced = Some(std::mem::replace(kept, waker)),
            None => {
                let number = state.count;
                state.count += 1;
                state.wakers.push((number, waker));
                self.registration.number = Some(number);
            }
        }
        drop(state);
        self.registration.awaiting = Awaiting::begin();
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(known) = self.registration.number else { return };
        let mut state = self.ending.state.lock();
        let index = state.wakers.iter().position(|(number, _)| *number == known);
        let waker = index.map(|index| state.wakers.swap_remove(index));
        drop(state);
        panics::contain(|| drop(waker));
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("has_ended", &self.has_ended()).finish()
    }
}
