//! One test per promise: callers that rely on it need no synchronisation of their own.

use std::sync::{Arc, Barrier};
use std::thread;

use raddle::{Completion, Drain, Outcome, Reservation};
use raddle_tsan_tests::{Plain, adding, pool, worker};

const ROUNDS: u64 = 200;
/// More rounds, so that keys are reassigned between two of their tasks.
const KEYED_ROUNDS: u64 = 10 * ROUNDS;

#[test]
fn sending_a_task_happens_before_its_handler() {
    let pool = pool(2);
    for _ in 0..ROUNDS {
        let plain = Arc::new(Plain::default());
        plain.add();
        let sent = Arc::clone(&plain);
        pool.tell(Box::new(move || assert_eq!(sent.get(), 1))).unwrap();
    }
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!(account.counts.completed, ROUNDS);
}

#[test]
fn a_handler_happens_before_its_answer() {
    let pool = pool(2);
    let plain = Arc::new(Plain::default());
    for round in 0..ROUNDS {
        pool.ask(adding(&plain)).wait().unwrap();
        assert_eq!(plain.get(), round + 1);
    }
    pool.shutdown(Drain::all()).unwrap();
}

#[test]
fn every_handler_happens_before_the_return_of_shutdown() {
    for _ in 0..ROUNDS / 10 {
        let pool = pool(2);
        let plains: [Arc<Plain>; 8] = Default::default();
        for plain in &plains {
            pool.tell(adding(plain)).unwrap();
        }
        pool.shutdown(Drain::all()).unwrap();
        assert!(plains.iter().all(|plain| plain.get() == 1));
    }
}

#[test]
fn tasks_of_a_key_happen_one_after_another_while_workers_come_and_go() {
    let pool = pool(2);
    let keys: [Arc<Plain>; 8] = Default::default();
    thread::scope(|scope| {
        let telling = scope.spawn(|| {
            for _ in 0..KEYED_ROUNDS {
                for (key, plain) in keys.iter().enumerate() {
                    pool.task(adding(plain)).key(key).tell().unwrap();
                }
            }
        });
        while !telling.is_finished() {
            pool.resize(4).unwrap();
            pool.resize(2).unwrap();
        }
    });
    pool.shutdown(Drain::all()).unwrap();
    assert!(keys.iter().all(|plain| plain.get() == KEYED_ROUNDS));
}

#[test]
fn ends_of_a_recorder_happen_before_nothing_in_flight_is_seen() {
    for _ in 0..ROUNDS {
        let (worker, plain) = (worker(), Plain::default());
        let mut recorder = worker.recorder().unwrap();
        let reservation = Reservation::take(&worker, 0, None).unwrap();
        let _ = reservation.hand_over();
        thread::scope(|scope| {
            scope.spawn(|| {
                plain.add();
                recorder.end(&Completion::new(Outcome::Completed));
            });
            while worker.stats().in_flight() > 0 {
                thread::yield_now();
            }
            assert_eq!(plain.get(), 1);
        });
    }
}

#[test]
fn ends_and_withdrawals_of_any_thread_happen_before_nothing_in_flight_is_seen() {
    for _ in 0..ROUNDS {
        let (worker, ended, dropped) = (worker(), Plain::default(), Plain::default());
        let reservations = [(); 2].map(|()| Reservation::take(&worker, 0, None).unwrap());
        thread::scope(|scope| {
            let [ends, drops] = reservations;
            scope.spawn(|| {
                ended.add();
                ends.finish(Outcome::Completed, Default::default());
            });
            scope.spawn(|| {
                dropped.add();
                drop(drops);
            });
            while worker.stats().in_flight() > 0 {
                thread::yield_now();
            }
            assert_eq!((ended.get(), dropped.get()), (1, 1));
        });
    }
}

#[test]
fn one_recorder_happens_before_the_next() {
    let (worker, plain, both) = (worker(), Plain::default(), Barrier::new(2));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Otherwise one thread might end before the other starts.
                both.wait();
                for _ in 0..ROUNDS {
                    let recorder = loop {
                        if let Some(recorder) = worker.recorder() {
                            break recorder;
                        }
                        thread::yield_now();
                    };
                    plain.add();
                    drop(recorder);
                    thread::yield_now();
                }
            });
        }
    });
    assert_eq!(plain.get(), 2 * ROUNDS);
}
