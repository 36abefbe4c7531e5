//! What the async handlers of tests wait for.

use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};

/// Stops a handler at an await where the test expects it.
#[derive(Clone, Default)]
pub struct Signal(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    set: bool,
    /// How many waits have been polled in vain.
    reached: usize,
    wakers: Vec<Waker>,
}

impl Signal {
    /// Ends the waits, present and future.
    pub fn set(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.set = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes the waits, which go on waiting.
    pub fn wake(&self) {
        let wakers = std::mem::take(&mut self.0.0.lock().unwrap().wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Called by a handler: waits until the signal is set.
    pub async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.0.0.lock().unwrap();
            if state.set {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            state.reached += 1;
            self.0.1.notify_all();
            Poll::Pending
        })
        .await;
    }

    /// Blocks until handlers have waited this often.
    pub fn reached(&self, times: usize) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| state.reached < times).unwrap());
    }

    /// The wakers of the waits.
    pub fn wakers(&self) -> Vec<Waker> {
        self.0.0.lock().unwrap().wakers.clone()
    }
}
