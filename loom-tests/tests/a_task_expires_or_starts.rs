//! A task with a deadline either starts, or its asker is told that it expired; never both and never
//! neither. And while it runs, either its worker answers the asker or a shutdown does.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::AskError;
use raddle_runtime::models::{
    Asker, NoReply, ReplySender, RunningAsker, SharedReply, shared_slot, slot,
};
use raddle_sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Decides whether a task starts.
trait Stage: Send + Sync + 'static {
    fn new() -> Arc<Self>;
    fn start(&self) -> bool;
    fn expire(&self) -> bool;
}

impl Stage for SharedReply<()> {
    fn new() -> Arc<Self> {
        shared_slot(false).0
    }
    fn start(&self) -> bool {
        Asker::start(self)
    }
    fn expire(&self) -> bool {
        Self::expire(self)
    }
}

/// Checks that nobody has decided, and then decides.
struct ByLoadAndStore(AtomicU32);

impl ByLoadAndStore {
    fn decide(&self, stage: u32) -> bool {
        // Planted: the other may decide in between.
        let undecided = self.0.load(Relaxed) == 0;
        if undecided {
            self.0.store(stage, Relaxed);
        }
        undecided
    }
}

impl Stage for ByLoadAndStore {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU32::new(0)))
    }
    fn start(&self) -> bool {
        self.decide(1)
    }
    fn expire(&self) -> bool {
        self.decide(2)
    }
}

fn deciding<S: Stage>() {
    let stage = S::new();
    let asker = thread::spawn({
        let stage = Arc::clone(&stage);
        move || stage.expire()
    });
    let started = stage.start();
    let expired = asker.join().unwrap();
    assert!(started != expired, "started: {started}, and expired: {expired}");
}

#[test]
fn a_task_starts_or_expires() {
    explore("start or expire", 3, deciding::<SharedReply<()>>);
}

#[test]
fn deciding_by_a_load_and_a_store_starts_an_expired_task() {
    fails_with(
        "start or expire by a store",
        2,
        "started: true, and expired: true",
        deciding::<ByLoadAndStore>,
    );
}

/// A worker runs a task and answers it, while a shutdown answers the running one.
fn shutting_down(keep: fn(&RunningAsker<u32>, ReplySender<u32>) -> Option<ReplySender<u32>>) {
    let (sender, ask) = slot();
    let running = Arc::new(RunningAsker::default());
    let shutdown = thread::spawn({
        let running = Arc::clone(&running);
        move || running.abandon()
    });
    if let Some(reply) = keep(&running, sender) {
        assert!(reply.send(Ok(7)).is_none(), "answered twice");
    }
    shutdown.join().unwrap();
    let answer = ask.wait();
    assert!(matches!(answer, Ok(7) | Err(AskError::ShutDown)), "not answered: {answer:?}");
}

#[test]
fn the_asker_of_a_running_task_is_answered_once() {
    explore("running asker", 3, || {
        shutting_down(|running, sender| {
            let mut reply = Some(sender);
            reply.iter_mut().for_each(|reply| running.keep(reply));
            running.take_back(&mut reply);
            reply
        });
    });
}

#[test]
fn dropping_the_askers_end_leaves_it_without_an_answer() {
    fails_with("running asker, dropped", 2, "not answered", || {
        shutting_down(|running, sender| {
            // Planted: the worker forgets the end that it kept.
            let mut reply = Some(sender);
            reply.iter_mut().for_each(|reply| running.keep(reply));
            running.take_back(&mut reply);
            None
        });
    });
}

/// The same for a task that the asker shares, such as a hedged one.
fn shutting_down_shared(answers_first: bool) {
    let (shared, ask) = shared_slot(false);
    let running = Arc::new(RunningAsker::default());
    let shutdown = thread::spawn({
        let running = Arc::clone(&running);
        move || running.abandon()
    });
    let mut kept = Some(ReplySender::Shared(shared));
    kept.iter_mut().for_each(|kept| running.keep(kept));
    running.take_back(&mut kept);
    if let Some(reply) = kept {
        let unsent = reply.send(if answers_first { Ok(7) } else { Err(NoReply::Cancelled) });
        drop(unsent);
    }
    shutdown.join().unwrap();
    let answer = ask.wait();
    let is_answered = matches!(answer, Ok(7) | Err(AskError::ShutDown | AskError::Cancelled));
    assert!(is_answered, "not answered: {answer:?}");
}

#[test]
fn the_asker_of_a_running_copy_is_answered_once() {
    for answers in [true, false] {
        explore(&format!("running copy, {answers}"), 3, move || shutting_down_shared(answers));
    }
}
