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
pub mod fibers;
mod slot;
mod snapshot;

#[cfg(loom)]
use loom as checker;
#[cfg(shuttle)]
use shuttle as checker;

#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub use checker::thread_local as checker_thread_local;
pub use slot::Slot;
pub use snapshot::{Snapshot, SnapshotGuard, SnapshotReader};
#[cfg(not(any(loom, shuttle, feature = "test")))]
pub use std::thread_local;

/// As `std::thread_local`, with constant initialisers only; each fiber has its own value.
#[cfg(feature = "test")]
#[macro_export]
macro_rules! thread_local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $init:expr };)+) => {$(
        $(#[$attribute])*
        static $name: $crate::fibers::FiberLocal<$type> = {
            std::thread_local! { static OF_THREAD: $type = const { $init }; }
            $crate::fibers::FiberLocal::new(&OF_THREAD, || $init)
        };
    )+};
}

/// As `std::thread_local`, with constant initialisers only. loom's own macro accepts no `const` blocks.
#[cfg(any(loom, shuttle))]
#[macro_export]
macro_rules! thread_local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $init:expr };)+) => {
        $crate::checker_thread_local! { $($(#[$attribute])* static $name: $type = $init;)+ }
    };
}

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
pub mod lock;

/// Spawning threads, yielding and sleeping.
pub mod thread {
    #[cfg(any(loom, shuttle))]
    pub use super::checker::thread::{Builder, JoinHandle, ThreadId, current, spawn, yield_now};
    #[cfg(feature = "test")]
    pub use super::fibers::threads::{
        Builder, JoinHandle, ThreadId, current_thread as current, sleep, spawn, yield_now,
    };
    #[cfg(not(any(loom, shuttle, feature = "test")))]
    pub use std::thread::{Builder, JoinHandle, ThreadId, current, sleep, spawn, yield_now};

    /// Yields to another thread, because a checker has no notion of time.
    #[cfg(any(loom, shuttle))]
    pub fn sleep(_: std::time::Duration) {
        yield_now();
    }
}

/// The time by the monotonic clock.
pub mod time {
    use std::time::Instant;

    /// Returns the time; the virtual clock's on a fiber and its root.
    #[cfg(feature = "test")]
    pub fn now() -> Instant {
        super::fibers::instant().unwrap_or_else(Instant::now)
    }

    /// Returns the time.
    #[cfg(not(feature = "test"))]
    #[inline]
    pub fn now() -> Instant {
        Instant::now()
    }
}

/// Spin-loop hints.
pub mod hint {
    #[cfg(any(loom, shuttle))]
    pub use super::checker::hint::spin_loop;
    #[cfg(not(any(loom, shuttle)))]
    pub use std::hint::spin_loop;
}
