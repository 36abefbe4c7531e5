//! Timers that fire once or periodically, and can be cancelled.
//!
//! One thread owns a [`TimerQueue`] and polls it for timers that are due; any thread may hold a
//! [`TimerHandle`] and cancel. A timer's state word decides, by one compare-exchange of each side,
//! whether it fires or is cancelled. `loom-tests` explores this.

mod handle;
mod queue;

pub use handle::TimerHandle;
pub use queue::{Fired, TimerQueue};
