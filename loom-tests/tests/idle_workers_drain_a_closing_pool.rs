//! A pool of two workers closes while one of them runs a task and another task waits there. The idle
//! worker steals that one before it leaves, whenever it learns of the close: the busy worker's handler
//! returns only once the other task has ended. Each task ends once, and both workers leave.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Reservation, SerialRecorder, Worker};
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, roster, send, tasks_of, work,
};
use raddle_runtime::mailbox::{Inbox, Mailbox, Notify};

type Task = usize;

/// The thread of an idle worker.
struct Thief {
    inbox: Inbox<Task>,
    recorder: SerialRecorder,
    sibling: Arc<Mailbox<Task>>,
    adopt: Adopt,
}

/// How a thief takes over the count of a victim's task.
type Adopt = fn(&mut SerialRecorder, &Worker);
/// Returns the next task of a thief that has none; `None` if the thief leaves.
type Next = fn(&mut Thief) -> Option<Task>;

impl Thief {
    fn steal(&mut self) -> Option<Task> {
        let task = self.sibling.steal()?;
        (self.adopt)(&mut self.recorder, self.sibling.worker());
        Some(task)
    }
}

/// As the runtime does: once more after it has learned that nothing comes any more.
fn steals_before_it_leaves(thief: &mut Thief) -> Option<Task> {
    loop {
        let stolen = if thief.inbox.checks_siblings() { thief.steal() } else { None };
        if stolen.is_some() {
            return stolen;
        }
        if !thief.inbox.wait(&mut thief.recorder) {
            return thief.steal();
        }
    }
}

fn leaves_at_once(thief: &mut Thief) -> Option<Task> {
    // Planted: a worker that is closed takes nothing from others.
    while thief.inbox.wait(&mut thief.recorder) {}
    None
}

fn steals_before_it_waits(thief: &mut Thief) -> Option<Task> {
    loop {
        // Planted: the pool may close after this, and the task is not there yet before.
        let stolen = thief.steal();
        if stolen.is_some() {
            return stolen;
        }
        if !thief.inbox.wait(&mut thief.recorder) {
            return None;
        }
    }
}

fn adopts(thief: &mut SerialRecorder, victim: &Worker) {
    thief.adopt(victim);
}

fn reserves(thief: &mut SerialRecorder, victim: &Worker) {
    // Planted: a closed worker admits nothing, so the task is counted nowhere.
    let _ = Reservation::take(thief.worker(), 0, None).map(Reservation::hand_over);
    victim.withdraw();
}

/// This thread is the busy worker's. Another one sends it a second task and closes the pool.
fn model(next: Next, adopt: Adopt, busy: bool) {
    let roster = roster(2);
    let workers = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let [(busy_one, mut inbox), (idle_one, idle)] = workers.each_ref().map(|it| mailbox(it, 2));
    let [mut recorder, thief] = workers.each_ref().map(|worker| worker.recorder().unwrap());
    assert!(send(&busy_one, 0), "there is room");
    // Leaked: after a failure, a channel's destructor would run outside of loom.
    let stolen: &Notify = Box::leak(Box::default());
    let thief = thread::spawn({
        let sibling = Arc::clone(&busy_one);
        move || {
            let mut thief = Thief { inbox: idle, recorder: thief, sibling, adopt };
            let mut ended = Vec::new();
            while let Some(task) = next(&mut thief) {
                thief.recorder.end(&completed());
                ended.push(task);
                stolen.notify();
            }
            ended
        }
    });
    let closing = thread::spawn(move || {
        assert!(send(&busy_one, 1), "there is room");
        [&busy_one, &idle_one].iter().for_each(|mailbox| mailbox.worker().close());
        [&busy_one, &idle_one].iter().for_each(|mailbox| mailbox.close());
    });
    let mut ended = Vec::new();
    if busy && let Some(task) = inbox.try_next() {
        // The handler. If the thief has the first task, it ends both.
        stolen.wait();
        recorder.end(&completed());
        ended.push(task);
    }
    ended.extend(work(&mut inbox, &mut recorder));
    closing.join().unwrap();
    ended.extend(thief.join().unwrap());
    ended.sort_unstable();
    assert_eq!(ended, [0, 1], "not every task ended exactly once");
    let workers = workers.each_ref().map(|worker| &**worker);
    assert_settled(&workers, 2);
    assert_eq!(tasks_of(&workers), 2);
}

#[test]
fn a_task_behind_a_busy_worker_is_stolen() {
    explore("closing pool, busy worker", 2, || model(steals_before_it_leaves, adopts, true));
}

#[test]
fn a_task_that_both_workers_want_ends_once() {
    explore("closing pool, two takers", 2, || model(steals_before_it_leaves, adopts, false));
}

#[test]
fn leaving_at_once_makes_the_task_wait() {
    fails_with("leaves at once", 2, "deadlock", || model(leaves_at_once, adopts, true));
}

#[test]
fn stealing_only_before_the_close_makes_the_task_wait() {
    fails_with("steals before it waits", 2, "deadlock", || {
        model(steals_before_it_waits, adopts, true)
    });
}

#[test]
fn reserving_at_a_closed_worker_loses_the_count() {
    let expected = "not every task is accounted for";
    fails_with("reserves", 2, expected, || model(steals_before_it_leaves, reserves, false));
}
