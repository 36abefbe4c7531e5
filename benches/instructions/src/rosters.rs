//! Rosters that are equal in each run, because their clocks are simulated.

use std::time::Duration;

use raddle_core::{Clock, Outcome, Reservation, Roster, WorkerSpec};

/// Returns generalists, each with some recorded latencies of about a millisecond.
pub(crate) fn warm(workers: usize) -> Roster {
    let (clock, time) = Clock::simulated();
    let roster = Roster::builder()
        .clock(clock)
        .workers(workers, WorkerSpec::general())
        .build()
        .expect("a roster of generalists is valid");
    for (position, member) in roster.members().iter().enumerate() {
        for round in 0..20 {
            time.advance(Duration::from_micros(100));
            let took = Duration::from_micros(1_000 + (position * 7 + round) as u64);
            let reservation = Reservation::take(&member.worker, position, None);
            reservation.expect("nobody closes it").finish(Outcome::Completed, took);
        }
    }
    roster
}

/// Returns a warm roster in which each worker has two tasks with expected durations, and runs the
/// first.
pub(crate) fn with_work(workers: usize) -> Roster {
    let roster = warm(workers);
    for (position, member) in roster.members().iter().enumerate() {
        let expected = 1_000_000 + position as u64;
        for _ in 0..2 {
            let reservation = Reservation::take(&member.worker, position, None);
            let reservation = reservation.expect("nobody closes it").expecting(expected);
            let _nobody_is_parked = reservation.hand_over();
        }
        let mut recorder = member.worker.recorder().expect("nobody else has it");
        recorder.start(roster.clock().now());
        recorder.set_running(expected);
    }
    roster
}
