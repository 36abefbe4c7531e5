//! A thief takes tasks from a mailbox while its worker does, and while it closes: each task ends
//! once, at one of the two workers, and until then is counted in flight by at least one of them.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Reservation, SerialRecorder, Worker};
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, put, roster, tasks_of, work,
};
use raddle_runtime::mailbox::Overflow;

type Task = usize;

/// How a thief takes over the count of a victim's task.
type Adopt = fn(&mut SerialRecorder, &Worker);

fn adopts(thief: &mut SerialRecorder, victim: &Worker) {
    thief.adopt(victim);
}

/// Counts one more task at the thief.
fn count_one_more(thief: &SerialRecorder) {
    let _ = Reservation::take(thief.worker(), 0, None).unwrap().hand_over();
}

fn withdraws_first(thief: &mut SerialRecorder, victim: &Worker) {
    // Planted: between the two steps, the task is counted nowhere.
    victim.withdraw();
    count_one_more(thief);
}

fn does_not_adopt(_: &mut SerialRecorder, _: &Worker) {
    // Planted: the task ends at a worker that never counted it.
}

fn does_not_withdraw(thief: &mut SerialRecorder, _: &Worker) {
    // Planted: the victim waits for the end of a task that it no longer has.
    count_one_more(thief);
}

const TASKS: usize = 2;

/// Two tasks wait at the victim, which this thread runs. A second thread closes and observes it,
/// and a third steals a task.
fn model(adopt: Adopt) {
    let roster = roster(2);
    let [victim, thief] = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let [mut recorder, mut stealing] = [&victim, &thief].map(|worker| worker.recorder().unwrap());
    let (mailbox, mut inbox) = mailbox(&victim, TASKS);
    for task in 0..TASKS {
        assert!(put(&mailbox, task, Overflow::Reject, |_: Task| {}), "there is room");
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
            check_all_are_counted(mailbox.worker(), &thief);
        }
    });
    let mut ended = work(&mut inbox, &mut recorder);
    assert_eq!(victim.stats().in_flight(), 0, "ended with a task in flight");
    check_all_are_counted(&victim, &thief);
    ended.extend(stealing.join().unwrap());
    closing.join().unwrap();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1], "not every task ended exactly once");
    assert_settled(&[&victim, &thief], TASKS);
}

fn check_all_are_counted(victim: &Worker, thief: &Worker) {
    let seen = tasks_of(&[victim, thief]);
    assert!(seen >= TASKS as u64, "{seen} tasks in flight or ended of {TASKS}");
}

#[test]
fn a_stolen_task_is_run_once() {
    explore("stolen task", 2, || model(adopts));
}

#[test]
fn withdrawing_before_adopting_leaves_a_task_uncounted() {
    let expected = "1 tasks in flight or ended of 2";
    fails_with("withdraws, then adopts", 2, expected, || model(withdraws_first));
}

#[test]
fn stealing_without_adopting_ends_an_uncounted_task() {
    let expected = "not every task is accounted for";
    fails_with("does not adopt", 2, expected, || model(does_not_adopt));
}

#[test]
fn adopting_without_withdrawing_leaves_the_victim_waiting() {
    // loom's message for an execution that does not end.
    let expected = "exceeded maximum number of branches";
    fails_with("does not withdraw", 2, expected, || model(does_not_withdraw));
}
