//! crossbeam's channels, whose blocking operations let other fibers run.

use std::ops::Deref;
use std::time::Duration;

use crossbeam_channel as os;

use super::{is_active, wait, wait_timeout};
use crate::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

/// As `crossbeam_channel::Sender`.
#[derive(Debug)]
pub struct Sender<T>(os::Sender<T>);

/// As `crossbeam_channel::Receiver`.
#[derive(Debug)]
pub struct Receiver<T>(os::Receiver<T>);

/// As `crossbeam_channel::bounded`.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = os::bounded(capacity);
    (Sender(sender), Receiver(receiver))
}

/// As `crossbeam_channel::unbounded`.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = os::unbounded();
    (Sender(sender), Receiver(receiver))
}

impl<T> Sender<T> {
    /// Waits for room, then sends.
    ///
    /// # Errors
    /// Returns the message if there is no receiver.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if !is_active() {
            return self.0.send(message);
        }
        let mut message = Some(message);
        let sent = wait(None, || self.poll(&mut message));
        match (sent, message) {
            (Some(Ok(())), _) => Ok(()),
            (Some(Err(message)), _) | (None, Some(message)) => Err(SendError(message)),
            (None, None) => unreachable!("what was not sent is there"),
        }
    }

    /// Waits for room for at most `timeout`, then sends.
    ///
    /// # Errors
    /// Returns the message if there was no room, or there is no receiver.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        if !is_active() {
            return self.0.send_timeout(message, timeout);
        }
        let mut message = Some(message);
        let sent = wait_timeout(Some(timeout), || self.poll(&mut message));
        match (sent, message) {
            (Some(Ok(())), _) => Ok(()),
            (Some(Err(message)), _) => Err(SendTimeoutError::Disconnected(message)),
            (None, Some(message)) => Err(SendTimeoutError::Timeout(message)),
            (None, None) => unreachable!("what was not sent is there"),
        }
    }

    /// Tries to send; `None` if there is no room, `Err` if there is no receiver.
    fn poll(&self, message: &mut Option<T>) -> Option<Result<(), T>> {
        match self.0.try_send(message.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Disconnected(message)) => Some(Err(message)),
            Err(TrySendError::Full(refused)) => {
                *message = Some(refused);
                None
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Waits for a message.
    ///
    /// # Errors
    /// If there is no sender.
    pub fn recv(&self) -> Result<T, RecvError> {
        if !is_active() {
            return self.0.recv();
        }
        wait(None, || self.poll()).unwrap_or(Err(RecvError))
    }

    /// Waits for a message for at most `timeout`.
    ///
    /// # Errors
    /// If there is none, or no sender.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        if !is_active() {
            return self.0.recv_timeout(timeout);
        }
        match wait_timeout(Some(timeout), || self.poll()) {
            Some(received) => received.map_err(|RecvError| RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Returns the number of messages in the channel.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the channel is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tries to receive; `None` if there is no message yet.
    fn poll(&self) -> Option<Result<T, RecvError>> {
        match self.0.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }
}

impl<T> Deref for Sender<T> {
    type Target = os::Sender<T>;

    #[inline]
    fn deref(&self) -> &os::Sender<T> {
        &self.0
    }
}

impl<T> Deref for Receiver<T> {
    type Target = os::Receiver<T>;

    #[inline]
    fn deref(&self) -> &os::Receiver<T> {
        &self.0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
