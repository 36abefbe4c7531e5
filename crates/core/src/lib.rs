//! Per-worker statistics, rosters and reservations: what a load balancer needs to know about its
//! workers.
//!
//! This crate is the bottom of the crate `raddle`. It starts no threads. Use it with
//! `raddle-strategies` to balance targets of your own, such as connections of a pool or upstreams
//! of a proxy.
//!
//! # Concepts
//! - A [`Roster`] is an immutable snapshot of the workers and their [`Health`]. A change creates
//!   another roster that shares the same [`Worker`]s, and with them everything learned about them.
//! - [`Candidates`] are the workers of a roster that may serve a task with a given [`Capability`].
//!   They are computed when the roster is created, so a selection starts with one table lookup.
//! - [`Signals`] are the figures that a selection reads about one candidate: tasks in flight, recent
//!   mean and peak latency, whether the worker fails, is slow, idle or stalled.
//! - A [`Reservation`] is a selected worker that already counts the task as in flight, so the next
//!   selection sees it. Finishing it records the [`Outcome`]; dropping it releases the worker.
//! - [`WorkerStats`] are the figures for reports: exact counts, latency windows and histograms.
//!
//! ```
//! use std::time::Duration;
//! use raddle_core::{Outcome, Roster, WorkerSpec};
//!
//! let roster = Roster::builder().workers(3, WorkerSpec::new("upstream")).build()?;
//!
//! // The simplest strategy: the candidate with the fewest tasks in flight.
//! let candidates = roster.candidates(None);
//! let loads = candidates.signals().map(|signals| signals.in_flight()).enumerate();
//! let (index, _) = loads.min_by_key(|(_, in_flight)| *in_flight).ok_or("no candidates")?;
//!
//! let reservation = candidates.take(index, None).ok_or("the worker is closed")?;
//! assert_eq!(reservation.worker().stats().in_flight(), 1);
//! reservation.finish(Outcome::Completed, Duration::from_millis(2));
//! assert!(roster.members()[index].worker.stats().counts().is_balanced());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trade-offs
//! - **Selecting and recording are wait-free** and allocate nothing. The exceptions say so:
//!   [`Worker::record`] is lock-free, [`Capability::intern`] allocates for a new name.
//! - **Counts are exact, means are not.** In-flight counts never lose a task, and are exactly zero
//!   when nothing runs. While other threads write, a reader may still count a task that has just
//!   ended. Means and histories may lag by one task. If two threads record at once, one of the two
//!   latencies may be lost.
//! - **One writer per worker is cheapest.** A thread that holds a worker's [`SerialRecorder`] records by
//!   plain stores. Without a recorder, any thread may record, by read-modify-writes.
//! - **Memory is laid out by writer.** A cache line that dispatchers write is never one that
//!   workers write. Each kind of figure is contiguous across workers, so that scans are fast.
//! - **A worker takes 13 KB**, most of it two histograms of 5.1 KB each. Keys that it remembers take
//!   1 KB more.
//! - **Rosters are cheap to read and costly to change**: each change copies the member list.
//!   Capabilities are limited to [`Capability::MAX`] names per process.
//!
//! # Features
//! `serde` (default): `Serialize` for what reports contain, `Deserialize` for configuration.

#![forbid(unsafe_code)]

mod baseline;
mod boost;
mod candidate_sets;
mod candidates;
mod capability;
mod clock;
mod cold_cost;
pub mod hash;
pub mod internal;
mod key_age;
mod mean;
mod member;
mod outcome;
pub mod random;
mod reservation;
mod roster;
mod stats;
mod task;
mod tracking;
mod worker;

pub use baseline::Baseline;
pub use boost::MailboxOrder;
pub use candidates::Candidates;
pub use capability::{Capability, CapabilityError, CapabilitySet};
pub use clock::{Clock, VirtualTime, nanos};
pub use key_age::KeyAge;
pub use member::Member;
pub use outcome::{Completion, Counts, Outcome};
pub use reservation::{OwnedReservation, Reservation};
pub use roster::{Roster, RosterBuilder, RosterError};
pub use stats::{
    Histogram, HistogramSnapshot, LatencyRing, PeakLatency, SerialRecorder, Signals, WorkerStats,
};
pub use task::{Priority, TaskProfile};
pub use tracking::{FastThreshold, Tracking, TrackingError};
pub use worker::{Health, RecordError, Worker, WorkerId, WorkerSpec};
