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

/// A lock for code off the path of a task. (Under a checker it is the checker's: waiting for a `std`
/// lock would hang a program that runs all threads as one.)
pub mod lock {
    #![allow(clippy::disallowed_types, reason = "each `ColdLock` says when it is locked")]

    use std::sync::PoisonError;

    #[cfg(any(loom, shuttle))]
    use super::checker::sync::Mutex;
    #[cfg(any(loom, shuttle))]
    pub use super::checker::sync::{Condvar, MutexGuard};
    #[cfg(not(any(loom, shuttle)))]
    use std::sync::Mutex;
    #[cfg(not(any(loom, shuttle)))]
    pub use std::sync::{Condvar, MutexGuard};

    /// A mutex that ignores poisoning. No task takes it on its usual path.
    #[derive(Debug)]
    pub struct ColdLock<T>(Mutex<T>);

    impl<T> ColdLock<T> {
        /// Creates a lock that protects `value`.
        pub fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        /// Waits for the lock. A thread that panicked while it held it changed nothing before.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: Default> Default for ColdLock<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
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
