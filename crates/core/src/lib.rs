//! What is known about each worker of a pool, and who may be given a task.
//!
//! This crate is the bottom of [raddle](https://docs.rs/raddle): counters, latency rings,
//! capabilities, rosters and the clock. It has no thread and no channel of its own. A connection
//! pool or a proxy can keep its own targets in a [`Roster`] and, with `raddle-strategies`, balance
//! them.
//!
//! | module | holds |
//! |---|---|
//! | [`Clock`] | monotonic nanoseconds, real or simulated |
//! | [`Capability`], [`CapabilitySet`] | interned names and bit masks |
//! | [`Worker`], [`WorkerStats`] | one worker and what is known of it |
//! | [`Roster`], [`Candidates`] | the workers of a pool, and who may serve a task |
//! | [`Reservation`] | a selected worker, counted as in flight |

mod baseline;
mod candidates;
mod capability;
mod clock;
mod outcome;
mod reservation;
mod roster;
mod stats;
mod task;
mod tracking;
mod worker;

pub use baseline::Baseline;
pub use candidates::Candidates;
pub use capability::{Capability, CapabilityError, CapabilitySet};
pub use clock::{Clock, VirtualTime, nanos};
pub use outcome::{Completion, Outcome};
pub use reservation::{OwnedReservation, RecordError, Reservation};
pub use roster::{Member, Roster, RosterBuilder, RosterError};
pub use stats::{
    Counts, Histogram, HistogramSnapshot, LatencyRing, PeakLatency, Recorder, Signals, WorkerStats,
};
pub use task::{Priority, TaskProfile};
pub use tracking::{FastThreshold, Tracking, TrackingError};
pub use worker::{Health, Worker, WorkerId, WorkerSpec};
