//! The accounting of workers against a model that counts one step at a time.
#![cfg(not(loom))]

use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{
    Counts, Finished, Outcome, RecordError, Recorder, Reservation, Roster, WorkerSpec,
};

const WORKERS: usize = 3;

const OUTCOMES: [Outcome; 5] =
    [Outcome::Completed, Outcome::Failed, Outcome::Panicked, Outcome::Expired, Outcome::Cancelled];

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve { worker: usize },
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
    prop_oneof![
        8 => worker.clone().prop_map(|worker| Step::Reserve { worker }),
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
    held: u64,
    /// Left to be ended by id.
    detached: u64,
    /// Left to be ended by the recorder.
    handed_over: u64,
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
        self.held + self.detached + self.handed_over
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
        let mut held: Vec<Reservation<'_>> = Vec::new();
        let mut recorders: [Option<Recorder>; WORKERS] = [const { None }; WORKERS];
        for (number, step) in (1u64..).zip(steps) {
            let worker_at = |position: usize| &roster.workers()[position].worker;
            match step {
                Step::Reserve { worker } => {
                    let reservation = Reservation::take(worker_at(worker), worker, None);
                    prop_assert_eq!(reservation.is_none(), models[worker].closed);
                    models[worker].held += u64::from(reservation.is_some());
                    held.extend(reservation);
                }
                Step::Drop { which } if !held.is_empty() => {
                    let reservation = held.swap_remove(which % held.len());
                    models[reservation.position()].held -= 1;
                }
                Step::Own { which } if !held.is_empty() => {
                    let reservation = held.swap_remove(which % held.len());
                    models[reservation.position()].held -= 1;
                    drop(reservation.into_owned());
                }
                Step::Finish { which, outcome } if !held.is_empty() => {
                    let reservation = held.swap_remove(which % held.len());
                    // Where a recorder is out, its thread ends the tasks.
                    if recorders[reservation.position()].is_some() {
                        held.push(reservation);
                        continue;
                    }
                    let model = &mut models[reservation.position()];
                    model.held -= 1;
                    model.end(outcome, 0, number);
                    reservation.finish(OUTCOMES[outcome], Duration::from_nanos(number));
                }
                Step::Detach { which } if !held.is_empty() => {
                    let reservation = held.swap_remove(which % held.len());
                    let position = reservation.position();
                    models[position].held -= 1;
                    if recorders[position].is_some() {
                        models[position].handed_over += 1;
                        assert!(!reservation.hand_over(), "nobody sleeps");
                    } else {
                        models[position].detached += 1;
                        prop_assert_eq!(reservation.detach(), worker_at(position).id());
                    }
                }
                Step::Record { worker, outcome } => {
                    let (model, id) = (&mut models[worker], worker_at(worker).id());
                    let end = Finished { wait: number % 7, service: number, ..Finished::new(OUTCOMES[outcome]) };
                    let recorded = roster.record(id, &end);
                    match &mut recorders[worker] {
                        Some(recorder) => {
                            prop_assert_eq!(recorded, Err(RecordError::HasRecorder(id)));
                            if model.handed_over == 0 {
                                continue;
                            }
                            model.handed_over -= 1;
                            recorder.end(&end);
                        }
                        None if model.detached == 0 => {
                            prop_assert_eq!(recorded, Err(RecordError::NothingInFlight(id)));
                            continue;
                        }
                        None => {
                            prop_assert_eq!(recorded, Ok(()));
                            model.detached -= 1;
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
                prop_assert_eq!(stats.is_closed(), model.closed);
                prop_assert_eq!((stats.waited(), stats.busy()), (model.waited, model.busy));
            }
        }
        drop(recorders);
        held.clear();
        for (member, model) in roster.workers().iter().zip(&models) {
            let end =
                Finished::new(Outcome::Cancelled);
            for _ in 0..model.detached {
                roster.record(member.worker.id(), &end).unwrap();
            }
            let mut recorder = member.worker.recorder().unwrap();
            (0..model.handed_over).for_each(|_| recorder.end(&end));
            prop_assert_eq!(member.worker.stats().in_flight(), 0);
            prop_assert!(member.worker.stats().counts().is_balanced());
        }
    }
}
