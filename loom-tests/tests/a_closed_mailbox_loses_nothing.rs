//! A mailbox is closed while dispatchers put tasks into it: each task is either taken by the
//! worker, once, or comes back to its dispatcher, and the worker goes.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::sync::channel::{self, Receiver, Sender};
use raddle_core::{Finished, Outcome, Recorder, Reservation, Worker};
use raddle_loom_tests::{explore, fails_with, worker};
use raddle_runtime::mailbox::{self, Inbox, Mailbox, Overflow, Refused};

/// The task of a dispatcher, which is its number.
type Task = usize;

/// A worker's mailbox.
trait Post: Send + Sync + 'static {
    type Inbox;

    fn new(worker: &Arc<Worker>, capacity: usize) -> (Self, Self::Inbox)
    where
        Self: Sized;
    fn put(&self, place: Reservation<'_>, task: Task, overflow: Overflow) -> Result<(), Task>;
    fn close(&self);
    /// The next task; `None` when the worker may go.
    fn next(inbox: &mut Self::Inbox) -> Option<Task>;
}

impl Post for Mailbox<Task> {
    type Inbox = Inbox<Task>;

    fn new(worker: &Arc<Worker>, capacity: usize) -> (Self, Inbox<Task>) {
        mailbox::bounded(Arc::clone(worker), capacity)
    }
    fn put(&self, place: Reservation<'_>, task: Task, overflow: Overflow) -> Result<(), Task> {
        Mailbox::put(self, place, task, overflow).map_err(|refused| match refused {
            Refused::Full(task) | Refused::Closed(task) => task,
        })
    }
    fn close(&self) {
        Mailbox::close(self);
    }
    fn next(inbox: &mut Inbox<Task>) -> Option<Task> {
        inbox.wait_next()
    }
}

/// A minimal mailbox with a bug planted. `None` is the wake-up.
struct Twin<const BUG: u8> {
    sender: Sender<Option<Task>>,
    worker: Arc<Worker>,
}

/// The worker goes when it finds its mailbox closed and empty.
const GOES_WHEN_EMPTY: u8 = 0;
/// Closing does not wake the worker.
const DOES_NOT_WAKE: u8 = 1;

impl<const BUG: u8> Post for Twin<BUG> {
    type Inbox = (Receiver<Option<Task>>, Arc<Worker>);

    fn new(worker: &Arc<Worker>, capacity: usize) -> (Self, Self::Inbox) {
        let (sender, receiver) = channel::bounded(capacity);
        (Self { sender, worker: Arc::clone(worker) }, (receiver, Arc::clone(worker)))
    }
    fn put(&self, place: Reservation<'_>, task: Task, _: Overflow) -> Result<(), Task> {
        self.sender.try_send(Some(task)).map_err(|_| task)?;
        place.hand_over();
        Ok(())
    }
    fn close(&self) {
        self.worker.close();
        if BUG != DOES_NOT_WAKE {
            let _ = self.sender.try_send(None);
        }
        // Planted: otherwise the worker waits for a task that nobody may send any more.
    }
    fn next((receiver, worker): &mut Self::Inbox) -> Option<Task> {
        loop {
            match receiver.try_recv() {
                Ok(Some(task)) => return Some(task),
                Ok(None) => continue,
                Err(_) => {}
            }
            if worker.stats().is_closed() {
                // Planted: without the look at what is in flight, a task whose dispatcher has
                // reserved and not yet sent is accepted by a channel that nobody reads.
                if BUG == GOES_WHEN_EMPTY || worker.stats().in_flight() == 0 {
                    return None;
                }
                thread::yield_now();
            } else if let Ok(Some(task)) = receiver.recv() {
                return Some(task);
            }
        }
    }
}

/// Reserves and puts; whether the task was accepted.
fn dispatch(post: &impl Post, worker: &Arc<Worker>, task: Task, overflow: Overflow) -> bool {
    let Some(place) = Reservation::take(worker, 0, None) else {
        return false;
    };
    match post.put(place, task, overflow) {
        Ok(()) => true,
        Err(refused) => {
            assert_eq!(refused, task, "another task came back");
            false
        }
    }
}

/// Takes and ends tasks until there are no more.
fn work<P: Post>(mut inbox: P::Inbox, mut recorder: Recorder) -> Vec<Task> {
    let mut taken = Vec::new();
    while let Some(task) = P::next(&mut inbox) {
        taken.push(task);
        let outcome = Outcome::Completed;
        recorder.end(&Finished { outcome, wait: 0, service: 0, capability: None });
    }
    taken
}

/// Dispatchers with a task each, while this thread closes and then does the worker's part.
fn model<P: Post>(dispatchers: usize, capacity: usize, overflow: Overflow) {
    let worker = worker();
    let recorder = worker.recorder().unwrap();
    let (post, inbox) = P::new(&worker, capacity);
    let post = Arc::new(post);
    let threads: Vec<_> = (0..dispatchers)
        .map(|task| {
            let (post, worker) = (Arc::clone(&post), Arc::clone(&worker));
            thread::spawn(move || dispatch(&*post, &worker, task, overflow).then_some(task))
        })
        .collect();
    let closing = thread::spawn({
        let post = Arc::clone(&post);
        move || post.close()
    });
    let mut taken = work::<P>(inbox, recorder);
    let accepted: Vec<Task> =
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
    closing.join().unwrap();
    taken.sort_unstable();
    assert_eq!(taken, accepted, "taken are not the tasks that were accepted");
    let counts = worker.stats().counts();
    assert!(counts.is_balanced(), "not every task is accounted for: {counts:?}");
    assert_eq!(worker.stats().in_flight(), 0);
}

#[test]
fn one_dispatcher() {
    explore("mailbox, one dispatcher", 3, || model::<Mailbox<Task>>(1, 1, Overflow::Reject));
}

#[test]
fn two_dispatchers_that_wait_for_room() {
    explore("mailbox, blocking", 2, || model::<Mailbox<Task>>(2, 1, Overflow::Block));
}

#[test]
fn two_dispatchers_that_are_refused() {
    explore("mailbox, rejecting", 2, || model::<Mailbox<Task>>(2, 1, Overflow::Reject));
}

#[test]
fn going_when_empty_loses_a_task() {
    fails_with("goes when empty", 2, "taken are not the tasks that were accepted", || {
        model::<Twin<GOES_WHEN_EMPTY>>(1, 1, Overflow::Reject);
    });
}

#[test]
fn closing_without_waking_leaves_the_worker_waiting() {
    fails_with("does not wake", 2, "deadlock", || {
        model::<Twin<DOES_NOT_WAKE>>(1, 1, Overflow::Reject);
    });
}
