//! A thief takes tasks from a mailbox while its worker does, and while it is closed: each task ends
//! once, at one of the two, and is in flight at one of them at least until then.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Recorder, Reservation, Worker};
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, put, roster, tasks_of, work,
};
use raddle_runtime::mailbox::Overflow;

type Task = usize;

/// How a thief makes a task its own that is the victim's.
type Adopt = fn(&mut Recorder, &Worker);

fn adopts(thief: &mut Recorder, victim: &Worker) {
    thief.adopt(victim);
}

/// Counts a task more at the thief.
fn count_one_more(thief: &Recorder) {
    let _ = Reservation::take(thief.worker(), 0, None).unwrap().hand_over();
}

fn gives_up_first(thief: &mut Recorder, victim: &Worker) {
    // Planted: between the two, the task is in flight nowhere.
    victim.withdraw();
    count_one_more(thief);
}

fn does_not_adopt(_: &mut Recorder, _: &Worker) {
    // Planted: the task ends at a worker that was never given it.
}

fn does_not_give_up(thief: &mut Recorder, _: &Worker) {
    // Planted: the victim waits for the end of a task that it no longer has.
    count_one_more(thief);
}

const TASKS: usize = 2;

/// Two tasks wait at the victim, which this thread runs and another closes and watches, while a
/// third steals one.
fn model(adopt: Adopt) {
    let roster = roster(2);
    let [victim, thief] = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let [mut recorder, mut stealing] = [&victim, &thief].map(|worker| worker.recorder().unwrap());
    let (mailbox, mut inbox) = mailbox(&victim, TASKS);
    for task in 0..TASKS {
        assert!(put(&mailbox, task, &Overflow::Reject, |_: Task| {}), "there is room");
    }
    let stealing = thread::spawn({
        let mailbox = Arc::clone(&mailbox);
        move || {
            let task = mailbox.steal()?;
            adopt(&mut stealing, mailbox.worker());
            stealing.end(&completed());
            assert_settled(&[stealing.worker()], 1);
            Some(task)
        }
    });
    let closing = thread::spawn({
        let (mailbox, thief) = (Arc::clone(&mailbox), Arc::clone(&thief));
        move || {
            mailbox.close();
            check_none_is_missed(mailbox.worker(), &thief);
        }
    });
    let mut ended = work(&mut inbox, &mut recorder);
    assert_eq!(victim.stats().in_flight(), 0, "gone with a task in flight");
    check_none_is_missed(&victim, &thief);
    ended.extend(stealing.join().unwrap());
    closing.join().unwrap();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1], "not every task was ended, once");
    assert_settled(&[&victim, &thief], TASKS);
}

fn check_none_is_missed(victim: &Worker, thief: &Worker) {
    let seen = tasks_of(&[victim, thief]);
    assert!(seen >= TASKS as u64, "{seen} tasks in flight or ended of {TASKS}");
}

#[test]
fn stealing_while_the_owner_takes() {
    explore("stolen task", 2, || model(adopts));
}

#[test]
fn giving_up_before_adopting() {
    let expected = "1 tasks in flight or ended of 2";
    fails_with("gives up, then adopts", 2, expected, || model(gives_up_first));
}

#[test]
fn stealing_without_adopting() {
    let expected = "not every task is accounted for";
    fails_with("does not adopt", 2, expected, || model(does_not_adopt));
}

#[test]
fn adopting_without_giving_up() {
    // loom's word for an execution without an end.
    let expected = "exceeded maximum number of branches";
    fails_with("does not give up", 2, expected, || model(does_not_give_up));
}
