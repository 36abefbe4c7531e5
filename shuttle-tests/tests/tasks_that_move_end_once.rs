//! One of eight workers retires and its tasks move to siblings, which also steal from each other,
//! while five dispatchers send more and two readers count: each task ends once, and none is ever
//! uncounted.
#![cfg(shuttle)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Outcome, Roster, SerialRecorder, Worker};
use raddle_loom_tests::{assert_settled, completed, roster, send, tasks_of};
use raddle_runtime::mailbox::{Mailbox, WaitStrategy};
use raddle_shuttle_tests::{Task, explore, fails_with, mailboxes, workers};
use shuttle::thread;

const WORKERS: usize = 8;
const DISPATCHERS: usize = 5;
const READERS: usize = 2;
/// Tasks that wait at the retiring worker from the start.
const WAITING: usize = 16;
/// Tasks per dispatcher.
const TASKS_EACH: usize = 2;

/// How a thief takes over the count of a victim's task.
type Adopt = fn(&mut SerialRecorder, &Worker);

fn adopts(thief: &mut SerialRecorder, victim: &Worker) {
    thief.adopt(victim);
}

fn withdraws_first(thief: &mut SerialRecorder, victim: &Worker) {
    // Planted: between the two steps, the task is counted nowhere.
    victim.withdraw();
    thief.adopt(&roster(1).members()[0].worker);
}

fn does_not_adopt(_: &mut SerialRecorder, _: &Worker) {
    // Planted: the task ends at a worker that never counted it.
}

/// How a task of the retiring worker moves to a sibling; `false` if it must end where it is.
type Move = fn(&Mailbox<Task>, &Mailbox<Task>, Task) -> bool;

fn sends_then_withdraws(from: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    let moved = send(to, task);
    if moved {
        from.worker().withdraw();
    }
    moved
}

fn withdraws_then_sends(from: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    // Planted: between the two steps, the task is counted nowhere.
    from.worker().withdraw();
    send(to, task)
}

/// The first worker: closes, and moves or ends each of its tasks.
fn retire(mailboxes: &[Mailbox<Task>], recorder: &mut SerialRecorder, relocate: Move) -> Vec<Task> {
    let (from, siblings) = mailboxes.split_first().unwrap();
    let mut ended = Vec::new();
    from.close();
    while from.worker().stats().in_flight() > 0 {
        match from.take_any() {
            None => thread::yield_now(),
            Some(task) if relocate(from, &siblings[task % siblings.len()], task) => {}
            Some(task) => {
                let mut end = completed();
                end.outcome = Outcome::Cancelled;
                recorder.end(&end);
                ended.push(task);
            }
        }
    }
    assert_eq!(from.len(), 0, "ended with a task in its mailbox");
    ended
}

/// Another worker: runs its own tasks, or else steals from the workers before it. So tasks move
/// only in one direction, the one in which the readers count.
fn work(
    mailboxes: &[Mailbox<Task>],
    index: usize,
    recorder: &mut SerialRecorder,
    adopt: Adopt,
) -> Vec<Task> {
    let mut inbox = mailboxes[index].inbox(WaitStrategy::Park, Arc::default());
    let mut ended = Vec::new();
    loop {
        let task = inbox.try_next().or_else(|| {
            if inbox.mailbox().worker().stats().is_closed() {
                return None;
            }
            let (victim, task) =
                mailboxes[..index].iter().find_map(|victim| Some((victim, victim.steal()?)))?;
            adopt(recorder, victim.worker());
            Some(task)
        });
        if let Some(task) = task {
            recorder.end(&completed());
            ended.push(task);
        } else if !inbox.wait(recorder) {
            return ended;
        }
    }
}

/// Checks that at least `accepted` tasks are in flight or ended.
fn check_all_are_counted(roster: &Roster, accepted: &AtomicU64) {
    let accepted = accepted.load(Relaxed);
    let seen = tasks_of(&workers(roster));
    assert!(seen >= accepted, "{seen} tasks in flight or ended of {accepted}");
}

fn model(adopt: Adopt, relocate: Move) {
    let (roster, accepted) = (Arc::new(roster(WORKERS)), Arc::new(AtomicU64::new(0)));
    let mailboxes = mailboxes(&roster, WAITING + DISPATCHERS * TASKS_EACH);
    let mut tasks: Vec<Task> = (0..WAITING).collect();
    for task in &tasks {
        assert!(send(&mailboxes[0], *task), "there is room");
    }
    accepted.store(tasks.len() as u64, Relaxed);
    let threads: Vec<_> = (0..WORKERS)
        .map(|index| {
            let mailboxes = Arc::clone(&mailboxes);
            let mut recorder = mailboxes[index].worker().recorder().unwrap();
            thread::spawn(move || match index {
                0 => retire(&mailboxes, &mut recorder, relocate),
                _ => work(&mailboxes, index, &mut recorder, adopt),
            })
        })
        .collect();
    let dispatchers: Vec<_> = (0..DISPATCHERS)
        .map(|number| {
            let (mailboxes, accepted) = (Arc::clone(&mailboxes), Arc::clone(&accepted));
            thread::spawn(move || {
                let first = WAITING + number * TASKS_EACH;
                let mut tasks: Vec<_> = (first..first + TASKS_EACH).collect();
                tasks.retain(|task| {
                    let admitted = send(&mailboxes[task % WORKERS], *task);
                    accepted.fetch_add(u64::from(admitted), Relaxed);
                    admitted
                });
                tasks
            })
        })
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (roster, accepted) = (Arc::clone(&roster), Arc::clone(&accepted));
            thread::spawn(move || (0..10).for_each(|_| check_all_are_counted(&roster, &accepted)))
        })
        .collect();
    tasks.extend(dispatchers.into_iter().flat_map(|thread| thread.join().unwrap()));
    let mut threads = threads.into_iter();
    let mut ended = threads.next().unwrap().join().unwrap();
    // Tasks move to later workers, so those end last.
    for (mailbox, thread) in mailboxes[1..].iter().zip(threads) {
        mailbox.close();
        ended.extend(thread.join().unwrap());
    }
    readers.into_iter().for_each(|thread| thread.join().unwrap());
    ended.sort_unstable();
    tasks.sort_unstable();
    assert_eq!(ended, tasks, "not every task ended exactly once");
    assert_settled(&workers(&roster), tasks.len());
}

#[test]
fn tasks_that_move_by_retiring_and_stealing_end_once() {
    explore("tasks that move", || model(adopts, sends_then_withdraws));
}

#[test]
fn withdrawing_before_adopting_leaves_a_task_uncounted() {
    let expected = "tasks in flight or ended of";
    fails_with("withdraws, then adopts", expected, || model(withdraws_first, sends_then_withdraws));
}

#[test]
fn withdrawing_before_sending_leaves_a_task_uncounted() {
    let expected = "tasks in flight or ended of";
    fails_with("withdraws, then sends", expected, || model(adopts, withdraws_then_sends));
}

#[test]
fn stealing_without_adopting_leaves_the_victim_waiting() {
    // shuttle's message for an execution that does not end.
    let expected = "exceeded max_steps bound";
    fails_with("does not adopt", expected, || model(does_not_adopt, sends_then_withdraws));
}
