//! Channels: crossbeam's, or under loom and shuttle a model with the same contract.
//!
//! Neither checker can see inside `crossbeam-channel`, so they check raddle's protocols on top of
//! the model, not crossbeam's. The model covers what the runtime uses: bounded and unbounded
//! queues, blocking and non-blocking operations, and disconnection from either side.

pub use crossbeam_channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

#[cfg(not(any(loom, shuttle, feature = "test")))]
mod imp {
    pub use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
}

#[cfg(feature = "test")]
mod imp {
    pub use crate::fibers::channel::{Receiver, Sender, bounded, unbounded};
}

#[cfg(any(loom, shuttle))]
#[allow(clippy::disallowed_types, reason = "in a model")]
mod imp {
    use super::*;
    use crate::checker::sync::{Condvar, Mutex};
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::Duration;

    struct State<T> {
        queue: VecDeque<T>,
        senders: usize,
        receivers: usize,
    }

    struct Channel<T> {
        capacity: usize,
        state: Mutex<State<T>>,
        changed: Condvar,
    }

    /// Model of `crossbeam_channel::Sender`.
    pub struct Sender<T>(Arc<Channel<T>>);
    /// Model of `crossbeam_channel::Receiver`.
    pub struct Receiver<T>(Arc<Channel<T>>);

    /// Model of `crossbeam_channel::bounded`. The capacity must be at least one.
    pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Channel {
            capacity,
            state: Mutex::new(State { queue: VecDeque::new(), senders: 1, receivers: 1 }),
            changed: Condvar::new(),
        });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    /// Model of `crossbeam_channel::unbounded`.
    pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        bounded(usize::MAX)
    }

    impl<T> Sender<T> {
        /// Waits for room, then sends.
        pub fn send(&self, message: T) -> Result<(), SendError<T>> {
            let mut state = self.0.state.lock().unwrap();
            loop {
                if state.receivers == 0 {
                    return Err(SendError(message));
                }
                if state.queue.len() < self.0.capacity {
                    state.queue.push_back(message);
                    self.0.changed.notify_all();
                    return Ok(());
                }
                state = self.0.changed.wait(state).unwrap();
            }
        }

        /// Sends if there is room.
        pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
            let mut state = self.0.state.lock().unwrap();
            if state.receivers == 0 {
                return Err(TrySendError::Disconnected(message));
            }
            if state.queue.len() >= self.0.capacity {
                return Err(TrySendError::Full(message));
            }
            state.queue.push_back(message);
            self.0.changed.notify_all();
            Ok(())
        }

        /// Sends if there is room. Otherwise times out at once, because a checker has no time.
        pub fn send_timeout(&self, message: T, _: Duration) -> Result<(), SendTimeoutError<T>> {
            self.try_send(message).map_err(|error| match error {
                TrySendError::Full(message) => SendTimeoutError::Timeout(message),
                TrySendError::Disconnected(message) => SendTimeoutError::Disconnected(message),
            })
        }

        /// Returns the number of messages in the channel.
        pub fn len(&self) -> usize {
            self.0.state.lock().unwrap().queue.len()
        }

        /// Returns whether the channel is empty.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    impl<T> Receiver<T> {
        /// Returns the number of messages in the channel.
        pub fn len(&self) -> usize {
            self.0.state.lock().unwrap().queue.len()
        }

        /// Returns whether the channel is empty.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Waits for a message.
        pub fn recv(&self) -> Result<T, RecvError> {
            let mut state = self.0.state.lock().unwrap();
            loop {
                if let Some(message) = state.queue.pop_front() {
                    self.0.changed.notify_all();
                    return Ok(message);
                }
                if state.senders == 0 {
                    return Err(RecvError);
                }
                state = self.0.changed.wait(state).unwrap();
            }
        }

        /// Takes a message if there is one.
        pub fn try_recv(&self) -> Result<T, TryRecvError> {
            let mut state = self.0.state.lock().unwrap();
            match state.queue.pop_front() {
                Some(message) => {
                    self.0.changed.notify_all();
                    Ok(message)
                }
                None if state.senders == 0 => Err(TryRecvError::Disconnected),
                None => Err(TryRecvError::Empty),
            }
        }

        /// Takes a message if there is one. Otherwise times out at once, because a checker has no time.
        pub fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
            self.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            self.0.state.lock().unwrap().receivers += 1;
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.state.lock().unwrap().senders += 1;
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.state.lock().unwrap().senders -= 1;
            self.0.changed.notify_all();
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            // crossbeam discards queued messages when the last receiver is dropped.
            let discarded = {
                let mut state = self.0.state.lock().unwrap();
                state.receivers -= 1;
                (state.receivers == 0).then(|| std::mem::take(&mut state.queue))
            };
            self.0.changed.notify_all();
            drop(discarded);
        }
    }

    impl<T> std::fmt::Debug for Sender<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Sender")
        }
    }

    impl<T> std::fmt::Debug for Receiver<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Receiver")
        }
    }
}

pub use imp::{Receiver, Sender, bounded, unbounded};
