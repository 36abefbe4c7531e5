//! Recording the start and end of a task.

use std::hint::black_box;

use raddle_core::{Completion, Outcome, Reservation};

use crate::marks::{TIMES, count};
use crate::rosters;

const END: Completion = Completion {
    wait: 20_000,
    service: 1_000_000,
    at: 1 << 40,
    ..Completion::new(Outcome::Completed)
};

/// Counts what the worker's own thread records.
pub(crate) fn all() {
    let roster = rosters::warm(1);
    let worker = &roster.members()[0].worker;
    let mut recorder = worker.recorder().expect("nobody else has it");
    for (name, outcome) in [
        ("record/completed", Outcome::Completed),
        ("record/failed", Outcome::Failed),
        ("record/expired", Outcome::Expired),
    ] {
        for _ in 0..=TIMES {
            let reservation = Reservation::take(worker, 0, None).expect("nobody closes it");
            let _nobody_is_parked = reservation.hand_over();
        }
        let end = Completion { outcome, ..END };
        count(name, || {
            recorder.start(black_box(7));
            recorder.end(black_box(&end));
        });
    }
}
