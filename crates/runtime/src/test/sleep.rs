//! Time that passes in handlers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use raddle_sync::lock::ColdLock;
use raddle_sync::thread;

/// Lets time pass in a handler or hook: its worker is busy for so long, while others run and the
/// watchdog watches. In a test, moves the clock. Without a
/// [`TestRuntime`](super::TestRuntime), the thread sleeps.
pub fn sleep(duration: Duration) {
    thread::sleep(duration);
}

/// Lets time pass in an async handler, which awaits it: the worker may run others meanwhile. Begins with
/// the first poll.
pub fn sleep_async(duration: Duration) -> Sleep {
    Sleep { duration, state: None }
}

/// A future that ends when a time has passed, by the virtual clock in a
/// [`TestRuntime`](super::TestRuntime). Created by [`sleep_async`].
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    duration: Duration,
    /// `None` before the first poll.
    state: Option<Arc<ColdLock<State>>>,
}

#[derive(Default)]
struct State {
    is_over: bool,
    waker: Option<Waker>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let duration = self.duration;
        let state = self.state.get_or_insert_with(|| {
            let state = Arc::<ColdLock<State>>::default();
            let its = Arc::clone(&state);
            thread::spawn(move || {
                thread::sleep(duration);
                let mut state = its.lock();
                state.is_over = true;
                let waker = state.waker.take();
                drop(state);
                waker.into_iter().for_each(Waker::wake);
            });
            state
        });
        let waker = cx.waker().clone();
        let mut state = state.lock();
        if state.is_over {
            return Poll::Ready(());
        }
        let replaced = state.waker.replace(waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("duration", &self.duration).finish_non_exhaustive()
    }
}
