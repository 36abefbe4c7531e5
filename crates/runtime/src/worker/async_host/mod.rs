//! The hosts of workers with async handlers: one at a time, or several side by side.

mod begin;
mod concurrent;
mod exchange;
mod exclusive;
mod sharing;
mod slot;
mod unanswered;

use raddle_core::nanos;

pub(crate) use concurrent::ConcurrentHost;
pub(crate) use exclusive::AsyncHost;
pub(crate) use sharing::{ReadsAndWrites, Shared};

use crate::deadline::NEVER;
use crate::settings::Settings;

/// How long a handler may wait, in nanoseconds; [`NEVER`] for no limit.
fn await_limit(settings: &Settings) -> u64 {
    let watchdog = settings.watchdog.map(|watchdog| watchdog.limit);
    settings.await_limit.or(watchdog).map_or(NEVER, nanos)
}
