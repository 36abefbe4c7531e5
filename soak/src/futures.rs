//! A thread that waits for futures.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::records::Records;
use crate::tally::Occurrence;

/// Waits for a future.
pub fn block_on<T>(records: &Arc<Records>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = waker(records);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(end) => return end,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls a future once.
///
/// # Errors
/// The future, if it is not ready.
pub fn poll_once<F: Future + Unpin>(records: &Arc<Records>, mut future: F) -> Result<F::Output, F> {
    match pin!(&mut future).poll(&mut Context::from_waker(&waker(records))) {
        Poll::Ready(end) => Ok(end),
        Poll::Pending => Err(future),
    }
}

fn waker(records: &Arc<Records>) -> Waker {
    Waker::from(Arc::new(Unpark(thread::current(), Arc::clone(records))))
}

/// A waker that also uses the pool now and then.
struct Unpark(Thread, Arc<Records>);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.call_back(Occurrence::CalledFromWaker, 50);
        self.0.unpark();
    }
}
