//! The facade through which every raddle crate uses atomics, interior mutability, locks, threads,
//! channels and snapshots.
//!
//! In a normal build these are the items of `std`, `crossbeam-channel` and `arc-swap`. Under
//! `--cfg loom` they are loom's types, or models built on loom's mutex; under `--cfg shuttle` they
//! are shuttle's. The code that a checker explores is therefore the code that ships. `clippy.toml`
//! forbids raw atomics, locks and channels outside this crate.
//!
//! The crate is an implementation detail of raddle: it has no stability guarantee of its own.

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

/// Locks, for where tasks are not. Who waits in one of `std`'s hangs under a checker, which runs all
/// its threads as one.
pub mod lock {
    #![allow(clippy::disallowed_types, reason = "who has one says why")]

    #[cfg(any(loom, shuttle))]
    pub use super::checker::sync::{Mutex, MutexGuard};
    #[cfg(not(any(loom, shuttle)))]
    pub use std::sync::{Mutex, MutexGuard};

    /// A lock that holds `value`.
    pub fn mutex<T>(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

/// Spawning and yielding.
pub mod thread {
    #[cfg(any(loom, shuttle))]
    pub use super::checker::thread::{Builder, JoinHandle, ThreadId, current, spawn, yield_now};
    #[cfg(not(any(loom, shuttle)))]
    pub use std::thread::{Builder, JoinHandle, ThreadId, current, sleep, spawn, yield_now};

    /// Lets another thread run: a checker has no time.
    #[cfg(any(loom, shuttle))]
    pub fn sleep(_: std::time::Duration) {
        yield_now();
    }
}

/// Telling the processor that one spins.
pub mod hint {
    #[cfg(any(loom, shuttle))]
    pub use super::checker::hint::spin_loop;
    #[cfg(not(any(loom, shuttle)))]
    pub use std::hint::spin_loop;
}
