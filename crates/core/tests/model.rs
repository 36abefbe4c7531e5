//! The accounting of workers against a model that counts one step at a time.
#![cfg(not(loom))]

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{
    Completion, Counts, Outcome, RecordError, Reservation, Roster, SerialRecorder, WorkerSpec,
};

const WORKERS: usize = 3;
/// A larger expected duration counts as this.
const MAX_EXPECTED: u64 = (1 << 44) - 1;

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve {
        worker: usize,
        expected_duration: u64,
    },
    Drop {
        which: usize,
    },
    Own {
        which: usize,
    },
    Finish {
        which: usize,
        outcome: usize,
    },
    Detach {
        which: usize,
    },
    Record {
        worker: usize,
        outcome: usize,
    },
    TakeRecorder {
        worker: usize,
    },
    ReturnRecorder {
        worker: usize,
    },
    /// Another thread replaces the recorder, as if the first one hung.
    ReplaceRecorder {
        worker: usize,
    },
    /// A task that waits for a worker's own thread is shed.
    Shed {
        worker: usize,
    },
    /// A task moves to another worker: it was stolen, or its worker leaves.
    Move {
        from: usize,
        to: usize,
    },
    Close {
        worker: usize,
    },
}

/// A bug planted into a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Planted {
    /// A task that is shed stays on the account of its worker.
    ShedStaysAdmitted,
    /// A task that moves leaves its expected duration behind.
    MoveLeavesWork,
    /// A task that moves is not admitted at its new worker.
    MoveIsNotAdmitted,
    /// The old thread of a worker returns a recorder that was replaced.
    OldThreadOwns,
}

fn step() -> impl Strategy<Value = Step> {
    let (worker, which, outcome) = (0..WORKERS, 0usize..100, 0usize..Outcome::ALL.len());
    // None, a typical one, one that is too long.
    let expected_duration = prop_oneof![Just(0), 1u64..1 << 30, Just(u64::MAX)];
    prop_oneof![
        8 => (worker.clone(), expected_duration)
            .prop_map(|(worker, expected_duration)| Step::Reserve { worker, expected_duration }),
        2 => which.clone().prop_map(|which| Step::Drop { which }),
        1 => which.clone().prop_map(|which| Step::Own { which }),
        2 => (which.clone(), outcome.clone())
            .prop_map(|(which, outcome)| Step::Finish { which, outcome }),
        3 => which.prop_map(|which| Step::Detach { which }),
        4 => (worker.clone(), outcome)
            .prop_map(|(worker, outcome)| Step::Record { worker, outcome }),
        1 => worker.clone().prop_map(|worker| Step::TakeRecorder { worker }),
        1 => worker.clone().prop_map(|worker| Step::ReturnRecorder { worker }),
        1 => worker.clone().prop_map(|worker| Step::ReplaceRecorder { worker }),
        1 => worker.clone().prop_map(|worker| Step::Shed { worker }),
        2 => (worker.clone(), worker.clone()).prop_map(|(from, to)| Step::Move { from, to }),
        1 => worker.prop_map(|worker| Step::Close { worker }),
    ]
}

/// The expected figures of one worker.
#[derive(Clone, Debug, Default)]
struct Model {
    /// The expected durations of the reserved tasks.
    reserved: Vec<u64>,
    /// Those of the tasks to be ended by id.
    detached: Vec<u64>,
    /// Those of the tasks to be ended by the recorder.
    handed_over: Vec<u64>,
    ended: Counts,
    waited: u64,
    busy: u64,
    closed: bool,
}

impl Model {
    fn end(&mut self, outcome: usize, waited: u64, service: u64) {
        self.ended.add(Outcome::ALL[outcome], 1);
        self.waited += waited;
        if Outcome::ALL[outcome].ran() {
            self.busy += service;
        }
    }

    fn in_flight(&self) -> u64 {
        (self.reserved.len() + self.detached.len() + self.handed_over.len()) as u64
    }

    fn work(&self) -> i64 {
        let sizes = self.reserved.iter().chain(&self.detached).chain(&self.handed_over);
        // A sum of 48 bits, one of which is the sign.
        let sum: u64 = sizes.map(|expected_duration| expected_duration.min(&MAX_EXPECTED)).sum();
        (sum << 16).cast_signed() >> 16
    }

    /// A reservation ends.
    fn release(&mut self, expected_duration: u64) {
        let index =
            self.reserved.iter().position(|reserved| *reserved == expected_duration).unwrap();
        self.reserved.swap_remove(index);
    }

    fn counts(&self) -> Counts {
        Counts { admitted: self.in_flight() + self.ended.ended(), ..self.ended }
    }
}

fn follow(steps: &[Step], planted: Option<Planted>) -> Result<(), TestCaseError> {
    let roster = Roster::builder().workers(WORKERS, WorkerSpec::general()).build().unwrap();
    let mut models = vec![Model::default(); WORKERS];
    let mut reservations: Vec<(Reservation<'_>, u64)> = Vec::new();
    let mut recorders: [Option<SerialRecorder>; WORKERS] = [const { None }; WORKERS];
    for (number, step) in (1u64..).zip(steps.iter().copied()) {
        let worker_at = |position: usize| &roster.members()[position].worker;
        match step {
            Step::Reserve { worker, expected_duration } => {
                let reservation = Reservation::take(worker_at(worker), worker, None);
                prop_assert_eq!(reservation.is_none(), models[worker].closed);
                models[worker].reserved.extend(reservation.is_some().then_some(expected_duration));
                reservations.extend(reservation.map(|reservation| {
                    (reservation.expecting(expected_duration), expected_duration)
                }));
            }
            Step::Drop { which } if !reservations.is_empty() => {
                let (reservation, expected_duration) =
                    reservations.swap_remove(which % reservations.len());
                models[reservation.position()].release(expected_duration);
            }
            Step::Own { which } if !reservations.is_empty() => {
                let (reservation, expected_duration) =
                    reservations.swap_remove(which % reservations.len());
                models[reservation.position()].release(expected_duration);
                drop(reservation.into_owned());
            }
            Step::Finish { which, outcome } if !reservations.is_empty() => {
                let (reservation, expected_duration) =
                    reservations.swap_remove(which % reservations.len());
                // The tasks of a worker with a recorder are ended by its thread.
                if recorders[reservation.position()].is_some() {
                    reservations.push((reservation, expected_duration));
                    continue;
                }
                let model = &mut models[reservation.position()];
                model.release(expected_duration);
                model.end(outcome, 0, number);
                reservation.finish(Outcome::ALL[outcome], Duration::from_nanos(number));
            }
            Step::Detach { which } if !reservations.is_empty() => {
                let (reservation, expected_duration) =
                    reservations.swap_remove(which % reservations.len());
                let position = reservation.position();
                models[position].release(expected_duration);
                if recorders[position].is_some() {
                    models[position].handed_over.push(expected_duration);
                    assert!(!reservation.hand_over(), "the worker is awake");
                } else {
                    models[position].detached.push(expected_duration);
                    prop_assert_eq!(reservation.detach(), worker_at(position).id());
                }
            }
            Step::Record { worker, outcome } => {
                let (model, id) = (&mut models[worker], worker_at(worker).id());
                let by_recorder = recorders[worker].is_some();
                let ends = if by_recorder { &mut model.handed_over } else { &mut model.detached };
                let (next, outcome_is) = (ends.pop(), Outcome::ALL[outcome]);
                let expected_duration = next.unwrap_or(7);
                let end = Completion {
                    wait: number % 7,
                    service: number,
                    expected_duration,
                    ..Completion::new(outcome_is)
                };
                let recorded = roster.record(id, &end);
                match &mut recorders[worker] {
                    Some(recorder) => {
                        prop_assert_eq!(
                            recorded,
                            Err(RecordError::HasRecorder(id)),
                            "one recorder"
                        );
                        if next.is_none() {
                            continue;
                        }
                        recorder.start(number);
                        recorder.set_running(expected_duration);
                        recorder.end(&end);
                    }
                    None if next.is_none() => {
                        prop_assert_eq!(recorded, Err(RecordError::NothingInFlight(id)));
                        continue;
                    }
                    None => {
                        prop_assert_eq!(recorded, Ok(()));
                    }
                }
                model.end(outcome, number % 7, number);
            }
            Step::TakeRecorder { worker } => {
                let recorder = worker_at(worker).recorder();
                prop_assert_eq!(recorder.is_none(), recorders[worker].is_some(), "one recorder");
                recorders[worker] = recorders[worker].take().or(recorder);
            }
            Step::ReturnRecorder { worker } => drop(recorders[worker].take()),
            Step::ReplaceRecorder { worker } => {
                let Some(old) = recorders[worker].take() else { continue };
                recorders[worker] = Some(worker_at(worker).replace_recorder());
                if planted != Some(Planted::OldThreadOwns) {
                    old.disown();
                }
            }
            Step::Shed { worker } => {
                let Some(expected_duration) = models[worker].handed_over.pop() else { continue };
                worker_at(worker).withdraw_work_of(expected_duration);
                if planted != Some(Planted::ShedStaysAdmitted) {
                    worker_at(worker).withdraw();
                }
            }
            Step::Move { from, to } if from != to && !models[from].handed_over.is_empty() => {
                let expected_duration = *models[from].handed_over.last().unwrap();
                let (old, new) = (worker_at(from), worker_at(to));
                match &mut recorders[to] {
                    // Its thread adopts the task, even if it is closed.
                    Some(thief) => {
                        if planted != Some(Planted::MoveLeavesWork) {
                            thief.adopt_work(old, expected_duration);
                        }
                        match planted {
                            Some(Planted::MoveIsNotAdmitted) => old.withdraw(),
                            _ => thief.adopt(old),
                        }
                        models[to].handed_over.push(expected_duration);
                    }
                    // Another thread submits the task to it.
                    None => {
                        let reservation = Reservation::take(new, to, None);
                        prop_assert_eq!(reservation.is_none(), models[to].closed);
                        let Some(reservation) = reservation else { continue };
                        reservation.expecting(expected_duration).detach();
                        old.withdraw_work_of(expected_duration);
                        old.withdraw();
                        models[to].detached.push(expected_duration);
                    }
                }
                models[from].handed_over.pop();
            }
            Step::Close { worker } => {
                worker_at(worker).close();
                models[worker].closed = true;
            }
            _ => {}
        }
        for (member, model) in roster.members().iter().zip(&models) {
            let stats = member.worker.stats();
            prop_assert_eq!(stats.in_flight(), model.in_flight(), "in flight");
            prop_assert_eq!(stats.counts(), model.counts(), "counts");
            prop_assert_eq!(stats.counts().is_balanced(), model.in_flight() == 0, "balanced");
            prop_assert_eq!(stats.work_in_flight(), model.work(), "work");
            prop_assert_eq!(stats.is_closed(), model.closed);
            let times = [stats.wait_time(), stats.busy_time()];
            prop_assert_eq!(times, [model.waited, model.busy].map(Duration::from_nanos));
        }
    }
    drop(recorders);
    reservations.clear();
    for (member, model) in roster.members().iter().zip(&models) {
        let end = |expected_duration: &u64| Completion {
            expected_duration: *expected_duration,
            ..Completion::new(Outcome::Cancelled)
        };
        for expected_duration in &model.detached {
            roster.record(member.worker.id(), &end(expected_duration)).unwrap();
        }
        let mut recorder = member.worker.recorder().unwrap();
        model
            .handed_over
            .iter()
            .for_each(|expected_duration| recorder.end(&end(expected_duration)));
        prop_assert_eq!(member.worker.stats().in_flight(), 0);
        prop_assert_eq!(member.worker.stats().work_in_flight(), 0);
        prop_assert!(member.worker.stats().counts().is_balanced());
    }
    Ok(())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn every_step_is_accounted_for() {
    let followed = runner().run(&steps(), |steps| follow(&steps, None));
    followed.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn planted_bugs_are_found() {
    let found = [
        (Planted::ShedStaysAdmitted, "in flight"),
        (Planted::MoveLeavesWork, "work"),
        (Planted::MoveIsNotAdmitted, "in flight"),
        (Planted::OldThreadOwns, "recorder"),
    ];
    for (planted, reason) in found {
        let followed = runner().run(&steps(), |steps| follow(&steps, Some(planted)));
        let Err(TestError::Fail(why, steps)) = followed else {
            panic!("{planted:?}: {followed:?}")
        };
        assert!(why.message().contains(reason), "{planted:?}: {why}");
        println!("{planted:?} is found with {steps:?}");
    }
}

#[test]
fn counts_are_added_field_by_field() {
    let counts = |first: u64, factor: u64| {
        let nth = |n: u32| first * factor.pow(n);
        Counts {
            admitted: nth(0),
            completed: nth(1),
            failed: nth(2),
            panicked: nth(3),
            expired: nth(4),
            cancelled: nth(5),
        }
    };
    let mut sum = counts(3, 10);
    sum += counts(4, 10);
    assert_eq!(sum, counts(7, 10));
}
