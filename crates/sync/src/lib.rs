//! The facade through which every raddle crate uses atomics, locks, threads, channels and snapshots.
//!
//! In a normal build, these are the items of `std`, `crossbeam-channel` and `arc-swap`. Under
//! `--cfg loom` or `--cfg shuttle`, they are the types of that checker, or models built on its
//! mutex. The code that a checker explores is therefore the code that ships. `clippy.toml` forbids
//! raw atomics, locks and channels outside this crate.
//!
//! The crate is an implementation detail of raddle and makes no stability guarantee.

#![forbid(unsafe_code)]

pub mod channel;
mod snapshot;

#[cfg(loom)]
use loom as checker;
#[cfg(shuttle)]
use shuttle as checker;

pub use snapshot::{Snapshot, SnapshotGuard, SnapshotReader};

/// Atomic integers, fences and orderings.
pub mod atomic {
    #[cfg(any(loom, shuttle))]
    pub use super::checker::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    #[cfg(not(any(loom, shuttle)))]
    pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
}

/// Locks, for code off the path of a task. Waiting for a `std` lock would hang a checker, which runs
/// all threads as one.
pub mod lock {
    #![allow(clippy::disallowed_types, reason = "each use of a lock says why")]

    #[cfg(any(loom, shuttle))]
    pub use super::checker::sync::{Mutex, MutexGuard};
    #[cfg(not(any(loom, shuttle)))]
    pub use std::sync::{Mutex, MutexGuard};

    /// Creates a lock that protects `value`.
    pub fn mutex<T>(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

/// Spawning threads, yielding and sleeping.
pub mod thread {
    #[cfg(any(loom, shuttle))]
    pub use super::checker::thread::{Builder, JoinHandle, ThreadId, current, spawn, yield_now};
    #[cfg(not(any(loom, shuttle)))]
    pub use std::thread::{Builder, JoinHandle, ThreadId, current, sleep, spawn, yield_now};

    /// Yields to another thread, because a checker has no notion of time.
    #[cfg(any(loom, shuttle))]
    pub fn sleep(_: std::time::Duration) {
        yield_now();
    }
}

/// Spin-loop hints.
pub mod hint {
    #[cfg(any(loom, shuttle))]
    pub use super::checker::hint::spin_loop;
    #[cfg(not(any(loom, shuttle)))]
    pub use std::hint::spin_loop;
}
