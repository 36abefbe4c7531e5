//! Timers that fire once or periodically, and can be cancelled.
//!
//! One thread owns a [`TimerQueue`] and polls it for timers that are due; any thread may hold a
//! timer's [`TimerState`] and cancel. A timer's state word decides, by one compare-exchange of each side,
//! whether it fires or is cancelled. `loom-tests` explores this.

mod queue;
mod state;

use std::time::Duration;

pub use queue::{Fired, TimerQueue};
pub use state::TimerState;

/// The shortest period of a periodic timer: a thread cannot sleep much more precisely.
pub(crate) const MIN_PERIOD: Duration = Duration::from_micros(100);
