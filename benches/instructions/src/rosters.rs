//! Rosters that are the same at each run: their clocks stand still.

use std::time::Duration;

use raddle_core::{Clock, Outcome, Reservation, Roster, WorkerSpec};

/// Generalists, each with some latencies of about a millisecond behind it.
pub(crate) fn warm(workers: usize) -> Roster {
    let (clock, time) = Clock::simulated();
    let roster = Roster::builder()
        .clock(clock)
        .workers(workers, WorkerSpec::general())
        .build()
        .expect("a roster of generalists has no mistakes");
    for (position, member) in roster.members().iter().enumerate() {
        for round in 0..20 {
            time.advance(Duration::from_micros(100));
            let took = Duration::from_micros(1_000 + (position * 7 + round) as u64);
            let place = Reservation::take(&member.worker, position, None);
            place.expect("nobody closes it").finish(Outcome::Completed, took);
        }
    }
    roster
}

/// The same, each with two tasks that have sizes and the first of them running.
pub(crate) fn with_work(workers: usize) -> Roster {
    let roster = warm(workers);
    for (position, member) in roster.members().iter().enumerate() {
        let size = 1_000_000 + position as u64;
        for _ in 0..2 {
            let place = Reservation::take(&member.worker, position, None);
            let _nobody_sleeps = place.expect("nobody closes it").expecting(size).hand_over();
        }
        let mut recorder = member.worker.recorder().expect("nobody else has it");
        recorder.start(roster.clock().now());
        recorder.set_running(size);
    }
    roster
}
