//! Timers: what is to happen later, once or again and again, and how it is called off.
//!
//! One thread owns a [`TimerQueue`] and asks it what is due; any thread may hold a [`TimerHandle`]
//! and cancel. The two meet in the timer's state word, which one compare-exchange of each decides
//! about, so that a timer is either cancelled or fires. `loom-tests` explores it.

mod handle;
mod queue;

pub use handle::TimerHandle;
pub use queue::{Fired, TimerQueue};
