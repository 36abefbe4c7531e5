//! Fibers: threads that take turns on one thread, under a virtual clock.
//!
//! While a thread has entered its fibers (`Fibers::enter`), the facade's threads are fibers there: they
//! are spawned as such, and hand the thread on where they would block. A wait takes time by the virtual
//! clock alone. So a whole runtime runs on the thread of a test, which decides who goes on and when
//! time passes. The entering thread itself is the *root*: where it would block, it lets fibers run.
//!
//! Without the feature `test`, nothing is ever entered, and all of this compiles to nothing.

#[cfg(all(feature = "test", any(loom, shuttle)))]
compile_error!("a checker has threads of its own: build it without the feature `test`");

#[cfg(feature = "test")]
pub(crate) mod channel;
#[cfg(feature = "test")]
mod local;
#[cfg(feature = "test")]
mod schedule;
#[cfg(feature = "test")]
mod state;
#[cfg(all(test, feature = "test"))]
mod tests;
#[cfg(feature = "test")]
pub(crate) mod threads;

#[cfg(feature = "test")]
pub use local::FiberLocal;
#[cfg(feature = "test")]
pub use schedule::{InTurn, Schedule, Step};
#[cfg(feature = "test")]
pub use state::{Fibers, Time};

#[cfg(feature = "test")]
use state::current;

/// Returns whether the calling thread has entered its fibers.
#[cfg(feature = "test")]
#[inline]
pub fn is_active() -> bool {
    state::is_active()
}

/// Returns whether the calling thread has entered its fibers.
#[cfg(not(feature = "test"))]
#[inline(always)]
pub fn is_active() -> bool {
    false
}

/// Waits until `poll` returns something, or the virtual clock has reached `until`: at least once.
/// `None` in that case, where fibers are not [active](is_active), and if the root has waited in vain.
#[cfg(feature = "test")]
pub fn wait<R>(until: Option<u64>, mut poll: impl FnMut() -> Option<R>) -> Option<R> {
    let fibers = is_active().then(current)??;
    let mut result = None;
    fibers.wait(until, &mut || {
        result = poll();
        result.is_some()
    });
    result
}

/// Waits until `poll` returns something: never without fibers.
#[cfg(not(feature = "test"))]
#[inline(always)]
pub fn wait<R>(_: Option<u64>, _: impl FnMut() -> Option<R>) -> Option<R> {
    None
}

/// As [`wait`], for no longer than `timeout`, if there is one.
pub fn wait_timeout<R>(
    timeout: Option<std::time::Duration>,
    poll: impl FnMut() -> Option<R>,
) -> Option<R> {
    wait(timeout.and_then(after), poll)
}

/// The virtual clock's time after `timeout`, unless that is further away than the clock can tell.
fn after(timeout: std::time::Duration) -> Option<u64> {
    now().checked_add(u64::try_from(timeout.as_nanos()).ok()?)
}

/// Returns the virtual clock's time; 0 where fibers are not active.
#[cfg(feature = "test")]
fn now() -> u64 {
    current().map_or(0, |fibers| fibers.now())
}

#[cfg(not(feature = "test"))]
fn now() -> u64 {
    0
}

/// Returns the virtual clock's time as an `Instant`, if fibers are active.
#[cfg(feature = "test")]
pub(crate) fn instant() -> Option<std::time::Instant> {
    current().map(|fibers| fibers.instant())
}

/// Lets others run before the calling fiber goes on; on the root, if the schedule
/// [interrupts](Schedule::interrupts) it. Does nothing on other threads.
#[cfg(feature = "test")]
#[inline]
pub fn switch() {
    if is_active()
        && let Some(fibers) = current()
    {
        fibers.switch();
    }
}

/// Does nothing.
#[cfg(not(feature = "test"))]
#[inline(always)]
pub fn switch() {}
