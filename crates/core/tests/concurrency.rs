//! Reads statistics while they are written, and checks the account at the end.
#![cfg(not(loom))]

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use raddle_core::{Completion, Counts, Outcome, Reservation, Roster, Worker, WorkerSpec};
use raddle_sync::atomic::{AtomicBool, Ordering};

const DISPATCHERS: usize = 3;
const TASKS: usize = 4_000;
const ALL_TASKS: u64 = (DISPATCHERS * TASKS) as u64;
const SHORTEST: u64 = 1_000;
const LONGEST: u64 = 2_000;

const OUTCOMES: [Outcome; 4] =
    [Outcome::Completed, Outcome::Failed, Outcome::Panicked, Outcome::Cancelled];

/// Reads every figure until stopped, and checks that each value is possible.
fn read_until(stop: &AtomicBool, worker: &Worker) -> usize {
    let mut rounds = 0;
    // At least once, however late this thread starts.
    while rounds == 0 || !stop.load(Ordering::Relaxed) {
        let stats = worker.stats();
        assert!(stats.in_flight() <= ALL_TASKS, "in flight became negative");
        let counts = stats.counts();
        assert!(counts.ended() <= ALL_TASKS && counts.admitted <= ALL_TASKS, "{counts:?}");
        if let Some(mean) = stats.latencies().mean() {
            // `roster` sets no penalty, so no failure counts as more than LONGEST.
            assert!((SHORTEST..=LONGEST).contains(&mean), "torn mean: {mean}");
        }
        assert!((0.0..=1.0).contains(&stats.success_rate()));
        assert!((0.5..=1.5).contains(&stats.history(None)));
        let service = stats.service().snapshot();
        if let Some(median) = service.quantile(0.5) {
            let median = median.as_nanos() as u64;
            assert!((SHORTEST..=LONGEST).contains(&median), "{median}");
        }
        assert!(stats.busy_time() <= Duration::from_nanos(ALL_TASKS * LONGEST));
        rounds += 1;
        thread::yield_now();
    }
    rounds
}

fn roster() -> Roster {
    let tracking = raddle_core::Tracking { failure_penalty: 0.0, ..Default::default() };
    Roster::builder().worker(WorkerSpec::new("only")).tracking(tracking).build().unwrap()
}

fn service_of(task: usize) -> u64 {
    SHORTEST + task as u64 * 7 % (LONGEST - SHORTEST + 1)
}

/// The counts after the tasks `0..TASKS` of all dispatchers, of which every third is withdrawn.
fn expected() -> Counts {
    let mut counts = Counts::default();
    for task in (0..TASKS).filter(|task| task % 3 != 0) {
        counts.admitted += 1;
        counts.add(OUTCOMES[task % 4], 1);
    }
    let mut all = Counts::default();
    (0..DISPATCHERS).for_each(|_| all += counts);
    all
}

fn assert_settled(worker: &Worker) {
    assert_eq!(worker.stats().in_flight(), 0);
    assert_eq!(worker.stats().counts(), expected());
    assert!(worker.stats().counts().is_balanced());
    let ran = (0..TASKS).filter(|task| task % 3 != 0 && OUTCOMES[task % 4].ran());
    let busy: u64 = ran.clone().map(service_of).sum();
    assert_eq!(worker.stats().busy_time(), Duration::from_nanos(busy * DISPATCHERS as u64));
    let service = worker.stats().service().snapshot();
    assert_eq!(service.count(), (ran.count() * DISPATCHERS) as u64);
    assert_eq!(worker.stats().latencies().sum_and_count().1, 100);
}

#[test]
fn a_recorder_writes_while_others_reserve_and_read() {
    let roster = roster();
    let worker = &roster.members()[0].worker;
    let (stop, start) = (AtomicBool::new(false), Barrier::new(DISPATCHERS + 2));
    let (sender, receiver) = mpsc::channel::<usize>();
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&stop, worker));
        for _ in 0..DISPATCHERS {
            let (sender, start) = (sender.clone(), &start);
            scope.spawn(move || {
                start.wait();
                for task in 0..TASKS {
                    let reservation = Reservation::take(worker, 0, None).unwrap();
                    if task % 3 != 0 {
                        let _ = reservation.detach();
                        sender.send(task).unwrap();
                    }
                }
            });
        }
        drop(sender);
        scope.spawn(|| {
            let mut recorder = worker.recorder().unwrap();
            start.wait();
            for task in receiver {
                recorder.start(task as u64 + 1);
                let (outcome, service) = (OUTCOMES[task % 4], service_of(task));
                recorder.end(&Completion { wait: 1, service, ..Completion::new(outcome) });
            }
            stop.store(true, Ordering::Relaxed);
        });
        start.wait();
        assert!(reader.join().unwrap() > 0);
    });
    assert_settled(worker);
}

#[test]
fn callers_record_their_own_tasks_while_others_read() {
    let roster = roster();
    let worker = &roster.members()[0].worker;
    let stop = AtomicBool::new(false);
    let start = Barrier::new(DISPATCHERS);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&stop, worker));
        let callers: Vec<_> = (0..DISPATCHERS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    for task in 0..TASKS {
                        let reservation = Reservation::take(worker, 0, None).unwrap();
                        let (outcome, service) = (OUTCOMES[task % 4], service_of(task));
                        match task % 3 {
                            0 => drop(reservation),
                            1 => reservation.finish(outcome, Duration::from_nanos(service)),
                            _ => {
                                let id = reservation.detach();
                                let capability = None;
                                let end =
                                    Completion { service, capability, ..Completion::new(outcome) };
                                roster.record(id, &end).unwrap();
                            }
                        }
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    assert_settled(worker);
}

#[test]
fn only_one_of_many_threads_gets_the_recorder() {
    let roster = roster();
    let worker = &roster.members()[0].worker;
    let barrier = Barrier::new(4);
    for _ in 0..100 {
        let taken: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let recorder = worker.recorder();
                        barrier.wait();
                        recorder.is_some()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    }
}

#[test]
fn closing_under_traffic_leaves_nothing_in_flight() {
    for _ in 0..50 {
        let roster = roster();
        let worker: &Arc<Worker> = &roster.members()[0].worker;
        let barrier = Barrier::new(DISPATCHERS + 1);
        let admitted: u64 = thread::scope(|scope| {
            let dispatchers: Vec<_> = (0..DISPATCHERS)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let mut admitted = 0;
                        while let Some(reservation) = Reservation::take(worker, 0, None) {
                            reservation.finish(Outcome::Completed, Duration::from_nanos(SHORTEST));
                            admitted += 1;
                        }
                        admitted
                    })
                })
                .collect();
            barrier.wait();
            thread::yield_now();
            worker.close();
            dispatchers.into_iter().map(|dispatcher| dispatcher.join().unwrap()).sum()
        });
        assert_eq!(worker.stats().in_flight(), 0);
        let counts = Counts { admitted, completed: admitted, ..Counts::default() };
        assert_eq!(worker.stats().counts(), counts);
    }
}
