use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use raddle_sync::channel::{self, Receiver, Sender};
use raddle_sync::lock::{ColdLock, MutexGuard};

use crate::panics;

/// Events that a subscriber may leave unread before it misses the next ones.
const BACKLOG: usize = 1024;

/// A subscription to the events of a pool or a supervisor.
///
/// As an iterator it blocks for each next event, and ends when no more can come: when the pool is closed
/// and its threads have ended, or the supervisor is shut down or has given up, whoever keeps a handle. A
/// subscriber that has 1024 unread events misses those that follow. With the feature `futures`, it is also a
/// stream, which ends at the same time; `StreamExt::next(&mut events)` tells its `next` from the iterator's. Memory is taken by unread events
/// only, and dropping the subscription frees it at once.
#[derive(Debug)]
pub struct Events<E = crate::Event> {
    receiver: Receiver<E>,
    number: u64,
    list: Weak<ColdLock<List<E>>>,
}

impl<E> Events<E> {
    /// Returns the next event, if there is one. Never blocks.
    pub fn try_recv(&mut self) -> Option<E> {
        self.receiver.try_recv().ok()
    }

    /// Waits for the next event for no longer than `timeout`. Returns `None` if there was none by then,
    /// or if no more can come.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<E> {
        self.receiver.recv_timeout(timeout).ok()
    }
}

impl<E> Iterator for Events<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.receiver.recv().ok()
    }
}

// An event is only ever moved.
impl<E> Unpin for Events<E> {}

#[cfg(feature = "futures")]
impl<E> futures_core::Stream for Events<E> {
    type Item = E;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<E>> {
        use std::task::Poll::{Pending, Ready};
        // Wakers are the user's: none is cloned or dropped under the lock.
        let waker = cx.waker().clone();
        let events = self.get_mut();
        let Some(list) = events.list.upgrade() else { return Ready(events.try_recv()) };
        let mut list = list.lock();
        // Under the lock: an event that comes later finds the waker.
        match events.try_recv() {
            None if !list.closed => {
                let before = list.wakers.insert(events.number, waker);
                drop(list);
                panics::contain(|| drop(before));
                Pending
            }
            event => Ready(event),
        }
    }
}

impl<E> Drop for Events<E> {
    fn drop(&mut self) {
        if let Some(list) = self.list.upgrade() {
            let mut list = list.lock();
            list.senders.remove(&self.number);
            let waker = list.wakers.remove(&self.number);
            drop(list);
            panics::contain(|| drop(waker));
        }
    }
}

/// The senders to the subscribers, by number, in the order in which they subscribed.
#[derive(Debug)]
struct List<E> {
    senders: BTreeMap<u64, Sender<E>>,
    /// Of the streams that wait, by the number of the subscriber.
    wakers: BTreeMap<u64, Waker>,
    /// Subscribers so far.
    count: u64,
    /// Whether no more events come.
    closed: bool,
}

/// The subscribers of a pool or a supervisor.
pub(crate) struct Subscribers<E> {
    /// Locked by events, and when a subscription begins or ends.
    list: Arc<ColdLock<List<E>>>,
}

impl<E> Subscribers<E> {
    pub(crate) fn subscribe(&self) -> Events<E> {
        // Not bounded: that would allocate the whole backlog at once.
        let (sender, receiver) = channel::unbounded();
        let mut list = self.list.lock();
        let number = list.count;
        list.count += 1;
        if !list.closed {
            list.senders.insert(number, sender);
        }
        Events { receiver, number, list: Arc::downgrade(&self.list) }
    }

    /// Ends all subscriptions, once they are read, and those to come.
    pub(crate) fn close(&self) {
        let mut list = self.list.lock();
        list.closed = true;
        list.senders.clear();
        wake(list);
    }
}

impl<E> Drop for Subscribers<E> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Wakes the streams that wait.
fn wake<E>(mut list: MutexGuard<'_, List<E>>) {
    let wakers = std::mem::take(&mut list.wakers);
    drop(list);
    for waker in wakers.into_values() {
        panics::contain(|| waker.wake());
    }
}

impl<E: Clone> Subscribers<E> {
    pub(crate) fn send(&self, event: &E) {
        // Under the lock no other thread sends, so a backlog never exceeds its bound.
        let list = self.list.lock();
        for subscriber in list.senders.values() {
            if subscriber.len() < BACKLOG {
                let _ = subscriber.send(event.clone());
            }
        }
        wake(list);
    }
}

impl<E> Default for Subscribers<E> {
    fn default() -> Self {
        let (senders, wakers) = (BTreeMap::new(), BTreeMap::new());
        let list = List { senders, wakers, count: 0, closed: false };
        Self { list: Arc::new(ColdLock::new(list)) }
    }
}
