use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;

use raddle_core::{Clock, Outcome, RecordError, Reservation, Roster, TaskProfile, WorkerSpec};
use raddle_strategies::{Balancer, StrategyName};

use crate::{MS, alike, assert_settled, balancer, finish_on, in_flight};

const THREADS: usize = 4;
const WORKERS: usize = 8;

/// Each of [`THREADS`] threads makes this many selections, all starting at once; the reservations
/// are held until all are made.
fn select_at_once<'r>(
    balancer: &Balancer,
    roster: &'r Roster,
    each: usize,
) -> Vec<Reservation<'r>> {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let select = || balancer.select(&TaskProfile::default(), roster).unwrap();
                    (0..each).map(|_| select()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// A selection that raises a worker's count above the lowest one plus one read the worker before it
/// had that count. Each thread makes one selection at a time, so counts never differ by more than
/// the number of threads.
#[test]
fn simultaneous_selections_by_load_stay_within_the_number_of_threads() {
    // Time stands still, so that the ages of all workers are equal.
    let (clock, _time) = Clock::simulated();
    for name in [StrategyName::LeastLoaded, StrategyName::LatencyBased] {
        let roster = Roster::builder()
            .workers(WORKERS, WorkerSpec::general())
            .clock(clock.clone())
            .build()
            .unwrap();
        (0..WORKERS).for_each(|position| finish_on(&roster, position, Outcome::Completed, MS));
        let held = select_at_once(&balancer(name), &roster, 1_000);
        let counts = in_flight(&roster);
        assert_eq!(counts.iter().sum::<u64>(), held.len() as u64);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= THREADS as u64, "{name}: {counts:?}");
        drop(held);
        assert_settled(&roster);
    }
}

#[test]
fn simultaneous_selections_in_rotation_are_exactly_even() {
    for name in [StrategyName::RoundRobin, StrategyName::WeightedRoundRobin] {
        let roster = alike(WORKERS);
        let balancer = balancer(name);
        balancer.refresh(&roster);
        let held = select_at_once(&balancer, &roster, 1_000);
        assert_eq!(in_flight(&roster), [(THREADS * 1_000 / WORKERS) as u64; WORKERS], "{name}");
        drop(held);
        assert_settled(&roster);
    }
}

/// A rule that breaks ties by index would send all threads to one worker of four. Four uniform
/// choices among four hit 2.73 workers on average, and seeing each other can only raise that.
#[test]
fn threads_that_select_at_one_instant_do_not_herd() {
    const ROUNDS: usize = 200;
    for name in StrategyName::ALL {
        let roster = alike(THREADS);
        let balancer = balancer(name);
        let mut distinct = 0;
        for _ in 0..ROUNDS {
            let held = select_at_once(&balancer, &roster, 1);
            distinct += held.iter().map(Reservation::position).collect::<HashSet<_>>().len();
        }
        let mean = distinct as f64 / ROUNDS as f64;
        assert!(mean > 2.3, "{name}: {mean} workers of {THREADS} on average");
        assert_settled(&roster);
    }
}

#[test]
fn selections_one_after_another_see_each_other() {
    for name in [StrategyName::LeastLoaded, StrategyName::CapabilityBest] {
        let roster = alike(6);
        let balancer = balancer(name);
        let select = || balancer.select(&TaskProfile::default(), &roster).unwrap();
        let held: Vec<_> = (0..6).map(|_| select()).collect();
        assert_eq!(in_flight(&roster), [1; 6], "{name}");
        drop(held);
    }
}

#[test]
fn in_flight_returns_to_zero_however_a_reservation_ends() {
    const EACH: usize = 600;
    for name in StrategyName::ALL {
        let roster = alike(5);
        let balancer = balancer(name);
        let task = TaskProfile::default();
        let barrier = Barrier::new(THREADS);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (balancer, roster, barrier) = (&balancer, &roster, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for number in 0..EACH {
                        let reservation = balancer.select(&task, roster).unwrap();
                        match (number + thread) % 6 {
                            0 => drop(reservation),
                            1 => reservation.finish(Outcome::Completed, MS),
                            2 => reservation.finish(Outcome::Cancelled, MS),
                            3 => drop(
                                thread::spawn({
                                    let owned = reservation.into_owned();
                                    move || drop(owned)
                                })
                                .join(),
                            ),
                            4 => {
                                let id = reservation.detach();
                                let outcome = Outcome::Expired;
                                balancer.record(roster, id, &task, outcome, MS).unwrap();
                            }
                            _ => {
                                let panicked = catch_unwind(AssertUnwindSafe(|| {
                                    let _held = reservation;
                                    // Unwinds without the panic hook's message.
                                    std::panic::resume_unwind(Box::new("caller"));
                                }));
                                assert!(panicked.is_err());
                            }
                        }
                    }
                });
            }
        });
        assert_settled(&roster);
        let sum = |count: fn(&raddle_core::Counts) -> u64| -> u64 {
            roster.members().iter().map(|member| count(&member.worker.stats().counts())).sum()
        };
        let each = (THREADS * EACH / 6) as u64;
        assert_eq!(sum(|counts| counts.completed), each, "{name}");
        assert_eq!(sum(|counts| counts.cancelled), each, "{name}");
        assert_eq!(sum(|counts| counts.expired), each, "{name}");
        assert_eq!(sum(|counts| counts.admitted), 3 * each, "{name}");
    }
}

#[test]
fn recording_by_id_twice_is_refused_and_changes_nothing() {
    for name in StrategyName::ALL {
        let roster = alike(2);
        let balancer = balancer(name);
        let task = TaskProfile::default();
        let id = balancer.select(&task, &roster).unwrap().detach();
        assert_eq!(in_flight(&roster).iter().sum::<u64>(), 1);
        balancer.record(&roster, id, &task, Outcome::Completed, MS).unwrap();
        let before = balancer.stats(&roster);
        let error = balancer.record(&roster, id, &task, Outcome::Completed, MS).unwrap_err();
        assert_eq!(error, RecordError::NothingInFlight(id), "{name}");
        assert_eq!(balancer.stats(&roster).selections, before.selections);
        assert_settled(&roster);
    }
}

/// A roster may change between the selection and the end of a task, and while others select.
#[test]
fn counts_survive_changes_of_membership_under_load() {
    for name in StrategyName::ALL {
        let first = alike(4);
        let second = first.with_workers(&[WorkerSpec::new("fifth")]).unwrap();
        let third = second.without_worker(first.members()[0].worker.id()).unwrap();
        let rosters = [&first, &second, &third];
        let balancer = balancer(name);
        let task = TaskProfile::default();
        let barrier = Barrier::new(THREADS);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (balancer, rosters, barrier) = (&balancer, &rosters, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for number in 0..300 {
                        let roster = rosters[(number / 10 + thread) % 3];
                        let id = balancer.select(&task, roster).unwrap().detach();
                        // The roster that contains all workers.
                        balancer.record(rosters[1], id, &task, Outcome::Completed, MS).unwrap();
                    }
                });
            }
        });
        assert_settled(&second);
        assert_eq!(balancer.stats(&second).selections, (THREADS * 300) as u64, "{name}");
        let gone = &first.members()[0].worker;
        let left: u64 = balancer.stats(&third).selections;
        assert_eq!(left + gone.stats().counts().admitted, (THREADS * 300) as u64, "{name}");
    }
}
