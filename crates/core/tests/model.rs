//! The accounting of workers against a model that counts one step at a time.
#![cfg(not(loom))]

use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{
    Counts, Finished, Outcome, RecordError, Recorder, Reservation, Roster, WorkerSpec,
};

const WORKERS: usize = 3;
/// What a larger size counts as.
const LARGEST: u64 = (1 << 44) - 1;

const OUTCOMES: [Outcome; 5] =
    [Outcome::Completed, Outcome::Failed, Outcome::Panicked, Outcome::Expired, Outcome::Cancelled];

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve { worker: usize, size: u64 },
    Drop { which: usize },
    Own { which: usize },
    Finish { which: usize, outcome: usize },
    Detach { which: usize },
    Record { worker: usize, outcome: usize },
    TakeRecorder { worker: usize },
    ReturnRecorder { worker: usize },
    Close { worker: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (worker, which, outcome) = (0..WORKERS, 0usize..100, 0usize..OUTCOMES.len());
    // Without one, a usual one, one that is cut.
    let size = prop_oneof![Just(0), 1u64..1 << 30, Just(u64::MAX)];
    prop_oneof![
        8 => (worker.clone(), size)
            .prop_map(|(worker, size)| Step::Reserve { worker, size }),
        2 => which.clone().prop_map(|which| Step::Drop { which }),
        1 => which.clone().prop_map(|which| Step::Own { which }),
        2 => (which.clone(), outcome.clone())
            .prop_map(|(which, outcome)| Step::Finish { which, outcome }),
        3 => which.prop_map(|which| Step::Detach { which }),
        4 => (worker.clone(), outcome)
            .prop_map(|(worker, outcome)| Step::Record { worker, outcome }),
        1 => worker.clone().prop_map(|worker| Step::TakeRecorder { worker }),
        1 => worker.clone().prop_map(|worker| Step::ReturnRecorder { worker }),
        1 => worker.prop_map(|worker| Step::Close { worker }),
    ]
}

/// What one worker's figures should be.
#[derive(Clone, Debug, Default)]
struct Model {
    held: Vec<u64>,
    /// The sizes of those left to be ended by id.
    detached: Vec<u64>,
    /// The sizes of those left to be ended by the recorder.
    handed_over: Vec<u64>,
    ended: [u64; 5],
    waited: u64,
    busy: u64,
    closed: bool,
}

impl Model {
    fn end(&mut self, outcome: usize, waited: u64, service: u64) {
        self.ended[outcome] += 1;
        self.waited += waited;
        if OUTCOMES[outcome].ran() {
            self.busy += service;
        }
    }

    fn in_flight(&self) -> u64 {
        (self.held.len() + self.detached.len() + self.handed_over.len()) as u64
    }

    fn work(&self) -> i64 {
        let sizes = self.held.iter().chain(&self.detached).chain(&self.handed_over);
        // A sum of 48 bits, of which one tells what is below zero.
        let sum: u64 = sizes.map(|size| size.min(&LARGEST)).sum();
        (sum << 16).cast_signed() >> 16
    }

    /// A reservation is not held any more.
    fn let_go(&mut self, size: u64) {
        let index = self.held.iter().position(|held| *held == size).unwrap();
        self.held.swap_remove(index);
    }

    fn counts(&self) -> Counts {
        let [completed, failed, panicked, expired, cancelled] = self.ended;
        let admitted = self.in_flight() + self.ended.iter().sum::<u64>();
        Counts { admitted, completed, failed, panicked, expired, cancelled }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_is_accounted_for(steps in prop::collection::vec(step(), 1..120)) {
        let roster =
            Roster::builder().workers(WORKERS, WorkerSpec::general()).build().unwrap();
        let mut models = vec![Model::default(); WORKERS];
        let mut held: Vec<(Reservation<'_>, u64)> = Vec::new();
        let mut recorders: [Option<Recorder>; WORKERS] = [const { None }; WORKERS];
        for (number, step) in (1u64..).zip(steps) {
            let worker_at = |position: usize| &roster.workers()[position].worker;
            match step {
                Step::Reserve { worker, size } => {
                    let reservation = Reservation::take(worker_at(worker), worker, None);
                    prop_assert_eq!(reservation.is_none(), models[worker].closed);
                    models[worker].held.extend(reservation.is_some().then_some(size));
                    held.extend(reservation.map(|reservation| (reservation.sized(size), size)));
                }
                Step::Drop { which } if !held.is_empty() => {
                    let (reservation, size) = held.swap_remove(which % held.len());
                    models[reservation.position()].let_go(size);
                }
                Step::Own { which } if !held.is_empty() => {
                    let (reservation, size) = held.swap_remove(which % held.len());
                    models[reservation.position()].let_go(size);
                    drop(reservation.into_owned());
                }
                Step::Finish { which, outcome } if !held.is_empty() => {
                    let (reservation, size) = held.swap_remove(which % held.len());
                    // Where a recorder is out, its thread ends the tasks.
                    if recorders[reservation.position()].is_some() {
                        held.push((reservation, size));
                        continue;
                    }
                    let model = &mut models[reservation.position()];
                    model.let_go(size);
                    model.end(outcome, 0, number);
                    reservation.finish(OUTCOMES[outcome], Duration::from_nanos(number));
                }
                Step::Detach { which } if !held.is_empty() => {
                    let (reservation, size) = held.swap_remove(which % held.len());
                    let position = reservation.position();
                    models[position].let_go(size);
                    if recorders[position].is_some() {
                        models[position].handed_over.push(size);
                        assert!(!reservation.hand_over(), "nobody sleeps");
                    } else {
                        models[position].detached.push(size);
                        prop_assert_eq!(reservation.detach(), worker_at(position).id());
                    }
                }
                Step::Record { worker, outcome } => {
                    let (model, id) = (&mut models[worker], worker_at(worker).id());
                    let by_recorder = recorders[worker].is_some();
                    let ends = if by_recorder { &mut model.handed_over } else { &mut model.detached };
                    let (next, outcome_is) = (ends.pop(), OUTCOMES[outcome]);
                    let size = next.unwrap_or(7);
                    let end = Finished { wait: number % 7, service: number, size, ..Finished::new(outcome_is) };
                    let recorded = roster.record(id, &end);
                    match &mut recorders[worker] {
                        Some(recorder) => {
                            prop_assert_eq!(recorded, Err(RecordError::HasRecorder(id)));
                            if next.is_none() {
                                continue;
                            }
                            recorder.start(number);
                            recorder.run(size);
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
                    prop_assert_eq!(recorder.is_none(), recorders[worker].is_some());
                    recorders[worker] = recorders[worker].take().or(recorder);
                }
                Step::ReturnRecorder { worker } => drop(recorders[worker].take()),
                Step::Close { worker } => {
                    worker_at(worker).close();
                    models[worker].closed = true;
                }
                _ => {}
            }
            for (member, model) in roster.workers().iter().zip(&models) {
                let stats = member.worker.stats();
                prop_assert_eq!(stats.in_flight(), model.in_flight());
                prop_assert_eq!(stats.counts(), model.counts());
                prop_assert_eq!(stats.work_in_flight(), model.work());
                prop_assert_eq!(stats.is_closed(), model.closed);
                prop_assert_eq!((stats.waited(), stats.busy()), (model.waited, model.busy));
            }
        }
        drop(recorders);
        held.clear();
        for (member, model) in roster.workers().iter().zip(&models) {
            let end = |size: &u64| Finished { size: *size, ..Finished::new(Outcome::Cancelled) };
            for size in &model.detached {
                roster.record(member.worker.id(), &end(size)).unwrap();
            }
            let mut recorder = member.worker.recorder().unwrap();
            model.handed_over.iter().for_each(|size| recorder.end(&end(size)));
            prop_assert_eq!(member.worker.stats().in_flight(), 0);
            prop_assert_eq!(member.worker.stats().work_in_flight(), 0);
            prop_assert!(member.worker.stats().counts().is_balanced());
        }
    }
}
