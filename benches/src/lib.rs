//! Settings and pools that the benches share.
//!
//! `cargo bench -p raddle-benches` runs all benches, `-- select/hot/random` those whose names
//! contain it. With `--features profile`, `-- --profile-time 5 tell/round_robin/1` draws a flame
//! graph.

pub mod open_loop;
#[cfg(feature = "profile")]
mod profile;
mod sum;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use raddle_core::{Outcome, Reservation, Roster, WorkerSpec};

pub use sum::{Sum, sum_pool};

/// Returns settings for short runs, so that all benches together take minutes.
pub fn criterion() -> Criterion {
    let criterion = Criterion::default();
    #[cfg(feature = "profile")]
    let criterion = criterion.with_profiler(profile::FlameGraphs::default());
    criterion
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(20)
        .configure_from_args()
}

/// Returns a roster of generalists, each with some recorded latencies of about a millisecond.
pub fn warm_roster(workers: usize) -> Roster {
    let roster = Roster::builder()
        .workers(workers, WorkerSpec::general())
        .build()
        .expect("a roster of generalists is valid");
    for (position, member) in roster.members().iter().enumerate() {
        for round in 0..20 {
            let took = Duration::from_nanos(1_000_000 + (position * 7 + round) as u64 * 1_000);
            if let Some(reservation) = Reservation::take(&member.worker, position, None) {
                reservation.finish(Outcome::Completed, took);
            }
        }
    }
    roster
}

/// Runs `measured` while another thread writes the cache lines of the roster's workers in turn.
pub fn while_written<T>(roster: &Roster, measured: impl FnOnce() -> T) -> T {
    let write_all = || {
        for (position, member) in roster.members().iter().enumerate() {
            if let Some(reservation) = Reservation::take(&member.worker, position, None) {
                reservation.finish(Outcome::Completed, Duration::from_millis(1));
            }
        }
    };
    beside(write_all, measured)
}

/// Runs `measured` while another thread calls `other` in a loop.
pub fn beside<R, T>(mut other: impl FnMut() -> R + Send, measured: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                black_box(other());
            }
        });
        let result = measured();
        stop.store(true, Relaxed);
        result
    })
}
