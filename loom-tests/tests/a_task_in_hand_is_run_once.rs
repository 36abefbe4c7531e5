//! A thief takes a task from a boosted mailbox while its worker compares the first tasks of its
//! lanes: each task ends once, whether it is in a lane, in hand or on its way from one to the other,
//! and tasks of one lane that the worker runs are run in order.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::SerialRecorder;
use raddle_core::internal::RecorderInternals;
use raddle_loom_tests::{assert_settled, completed, explore, fails_with, put_in, roster};
use raddle_runtime::mailbox::{self, Inbox, Lane, Overflow, WaitStrategy};

type Task = u64;

/// What a worker does to have its next task.
trait Hands {
    fn of(inbox: Inbox<Task>) -> Self;
    fn inbox(&mut self) -> &mut Inbox<Task>;
    fn next(&mut self) -> Option<Task>;
}

struct Shipped(Inbox<Task>);

impl Hands for Shipped {
    fn of(inbox: Inbox<Task>) -> Self {
        Self(inbox)
    }
    fn inbox(&mut self) -> &mut Inbox<Task> {
        &mut self.0
    }
    fn next(&mut self) -> Option<Task> {
        self.0.try_next_by(|submitted_at| *submitted_at)
    }
}

/// Planted: runs what it remembers to have in hand, without taking it from there.
struct Remembers(Shipped, bool);

impl Hands for Remembers {
    fn of(inbox: Inbox<Task>) -> Self {
        Self(Shipped::of(inbox), false)
    }
    fn inbox(&mut self) -> &mut Inbox<Task> {
        self.0.inbox()
    }
    fn next(&mut self) -> Option<Task> {
        let next = self.0.next();
        if next == Some(LONG) && !std::mem::replace(&mut self.1, true) {
            return next;
        }
        // It has compared it with the long one.
        if std::mem::take(&mut self.1) { Some(FIRST) } else { next }
    }
}

/// The long task was sent first, and then two short ones.
const LONG: Task = 1;
const FIRST: Task = 2;
const SECOND: Task = 3;

fn model<H: Hands>() {
    let roster = roster(2);
    let [victim, thief] = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let [mut recorder, mut stealing] = [&victim, &thief].map(|worker| worker.recorder().unwrap());
    let mailbox = mailbox::boosted(Arc::clone(&victim), 2);
    let mut hands = H::of(mailbox.inbox(WaitStrategy::Park, Arc::default()));
    let mailbox = Arc::new(mailbox);
    let sent = [(Lane::KeyedHuge, LONG), (Lane::NormalTiny, FIRST), (Lane::NormalTiny, SECOND)];
    for (lane, task) in sent {
        assert!(put_in(&mailbox, lane, task, Overflow::Reject, |_: Task| {}), "there is room");
    }
    mailbox.close();
    let stealing = thread::spawn({
        let mailbox = Arc::clone(&mailbox);
        move || {
            let task = mailbox.steal()?;
            stealing.adopt(mailbox.worker());
            stealing.end(&completed());
            Some(task)
        }
    });
    let ran = work(&mut hands, &mut recorder);
    assert!(ran.is_sorted(), "out of order: {ran:?}");
    let stolen = stealing.join().unwrap();
    let mut ended: Vec<_> = ran.into_iter().chain(stolen).collect();
    ended.sort_unstable();
    assert_eq!(ended, [LONG, FIRST, SECOND], "not every task ended exactly once");
    assert_settled(&[&victim, &thief], 3);
}

fn work(hands: &mut impl Hands, recorder: &mut SerialRecorder) -> Vec<Task> {
    let mut ran = Vec::new();
    loop {
        if let Some(task) = hands.next() {
            recorder.end(&completed());
            ran.push(task);
        } else if !hands.inbox().wait(recorder) {
            return ran;
        }
    }
}

#[test]
fn a_task_in_hand_is_run_once() {
    explore("task in hand", 2, model::<Shipped>);
}

#[test]
fn running_a_remembered_task_runs_a_stolen_one_twice() {
    let expected = "not every task";
    fails_with("remembers", 2, expected, model::<Remembers>);
}
