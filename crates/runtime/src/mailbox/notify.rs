use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use raddle_sync::channel::{self, Receiver, Sender};

/// Wakes one waiting thread. A notification that comes before the wait is kept, and several count
/// as one. Clones share the state.
#[derive(Clone, Debug)]
pub struct Notify {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Default for Notify {
    fn default() -> Self {
        let (sender, receiver) = channel::bounded(1);
        Self { sender, receiver }
    }
}

impl Notify {
    /// Notifies the waiting thread, or the next one that waits. Never blocks.
    pub fn notify(&self) {
        // If there is no room, a notification is there.
        let _ = self.sender.try_send(());
    }

    /// Returns a waker that notifies.
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::new(self.clone()))
    }

    /// Blocks until there is a notification, and takes it.
    pub fn wait(&self) {
        let _ = self.receiver.recv();
    }

    /// As [`wait`](Self::wait), for no longer than `timeout`, or without a limit if it is `None`.
    pub fn wait_timeout(&self, timeout: Option<Duration>) {
        let _ = match timeout {
            Some(timeout) => self.receiver.recv_timeout(timeout).is_ok(),
            None => self.receiver.recv().is_ok(),
        };
    }
}

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.notify();
    }
}
