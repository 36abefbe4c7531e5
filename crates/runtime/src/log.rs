//! Log events, as `tracing` events if the feature `tracing` is on.
//!
//! Each macro takes what `tracing`'s macro of the same name takes. Subscribers are the user's code: a
//! panic of theirs is ignored, since it could only be logged.

#[cfg(feature = "tracing")]
macro_rules! error {
    ($($event:tt)+) => { $crate::log::contained(|| tracing::error!($($event)+)) };
}

#[cfg(feature = "tracing")]
macro_rules! warning {
    ($($event:tt)+) => { $crate::log::contained(|| tracing::warn!($($event)+)) };
}

#[cfg(feature = "tracing")]
macro_rules! info {
    ($($event:tt)+) => { $crate::log::contained(|| tracing::info!($($event)+)) };
}

#[cfg(feature = "tracing")]
pub(crate) use {error, info, warning as warn};

#[cfg(feature = "tracing")]
pub(crate) fn contained(log: impl FnOnce()) {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    if let Err(payload) = catch_unwind(AssertUnwindSafe(log)) {
        crate::payload::discard(payload);
    }
}

/// Does nothing, and evaluates to `()`: the fields are only borrowed, so that they count as used.
#[cfg(not(feature = "tracing"))]
macro_rules! unlogged {
    ($(%)? $field:ident, $($rest:tt)+) => {{ let _ = &$field; $crate::log::error!($($rest)+) }};
    ($field:ident = $value:expr, $($rest:tt)+) => {{ let _ = &$value; $crate::log::error!($($rest)+) }};
    ($message:literal $(,)?) => {{ let _ = format_args!($message); }};
}

#[cfg(not(feature = "tracing"))]
pub(crate) use {unlogged as error, unlogged as info, unlogged as warn};
