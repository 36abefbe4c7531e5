//! The reply that a future waits for.
//!
//! oneshot (up to 0.2.1) frees its channel too early if a future that has been polled is dropped just
//! while the reply is sent (<https://github.com/faern/oneshot/issues/87>): the sender then writes to
//! freed memory, and the reply is not dropped. So such a future is kept until the reply has been sent.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use oneshot::{Receiver, RecvError};
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};
use raddle_sync::{Slot, hint};

type Reply<T> = <Receiver<T> as IntoFuture>::IntoFuture;

/// A future of what is received. Dropping it is safe at any time, which oneshot's is not.
pub(crate) struct Awaited<T> {
    /// `None` once it was received or dropped.
    reply: Option<Reply<T>>,
    polled: bool,
    /// [`drop_when_sent`], which needs more of `T` than a drop may.
    let_go: fn(Reply<T>),
}

impl<T: Send + 'static> Awaited<T> {
    pub(crate) fn new(receiver: Receiver<T>) -> Self {
        Self { reply: Some(receiver.into_future()), polled: false, let_go: drop_when_sent }
    }
}

impl<T> Awaited<T> {
    /// Whether the next poll is not in vain.
    pub(crate) fn is_ready(&self) -> bool {
        self.reply.as_ref().is_none_or(|reply| reply.has_message() || reply.is_closed())
    }

    /// What was received; an error if nothing can be received (any more).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let Some(reply) = &mut self.reply else { return Poll::Ready(Err(RecvError)) };
        self.polled = true;
        let received = Pin::new(reply).poll(cx);
        if received.is_ready() {
            self.reply = None;
        }
        received
    }
}

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take().filter(|_| self.polled) {
            (self.let_go)(reply);
        }
    }
}

/// A future that nobody awaits any more. Its own waker drops it: the sender wakes it last.
struct Unwanted<T> {
    reply: Slot<Reply<T>>,
    woken: AtomicBool,
}

impl<T: Send + 'static> Wake for Unwanted<T> {
    fn wake(self: Arc<Self>) {
        // Relaxed: of `put` and `take`, the second sees what preceded the first.
        self.woken.store(true, Relaxed);
        drop(self.reply.take());
    }
}

fn drop_when_sent<T: Send + 'static>(mut reply: Reply<T>) {
    let unwanted = Arc::new(Unwanted { reply: Slot::default(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unwanted));
    // This drops the future's last waker, too.
    while Pin::new(&mut reply).poll(&mut Context::from_waker(&waker)).is_pending() {
        if !unwanted.woken.load(Relaxed) {
            drop(unwanted.reply.put(reply));
            if unwanted.woken.load(Relaxed) {
                drop(unwanted.reply.take());
            }
            return;
        }
        // It was just being sent, with the last waker.
        hint::spin_loop();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    struct Ignored;

    impl Wake for Ignored {
        fn wake(self: Arc<Self>) {}
    }

    /// Polls once, drops the future, and returns its waker.
    fn poll_and_drop(mut awaited: Awaited<Arc<()>>) -> Arc<Ignored> {
        let waker = Arc::new(Ignored);
        let waking = Waker::from(Arc::clone(&waker));
        assert!(awaited.poll(&mut Context::from_waker(&waking)).is_pending());
        waker
    }

    #[test]
    fn a_dropped_future_is_kept_until_its_reply_is_sent_and_its_waker_is_not() {
        let (sender, receiver) = oneshot::channel();
        let waker = poll_and_drop(Awaited::new(receiver));
        assert_eq!(Arc::strong_count(&waker), 1);
        let reply = Arc::new(());
        assert!(sender.send(Arc::clone(&reply)).is_ok(), "there is still a receiver");
        assert_eq!(Arc::strong_count(&reply), 1, "it was dropped");

        let (sender, receiver) = oneshot::channel();
        poll_and_drop(Awaited::new(receiver));
        drop(sender);
    }

    #[test]
    fn a_reply_that_was_sent_is_dropped_with_its_future() {
        let (sender, receiver) = oneshot::channel();
        let mut awaited = Awaited::new(receiver);
        assert!(awaited.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let reply = Arc::new(());
        sender.send(Arc::clone(&reply)).unwrap();
        drop(awaited);
        assert_eq!(Arc::strong_count(&reply), 1);
    }

    #[test]
    fn a_future_that_was_not_polled_is_dropped_at_once() {
        let (sender, receiver) = oneshot::channel();
        drop(Awaited::new(receiver));
        assert!(sender.send(()).is_err());
    }
}
