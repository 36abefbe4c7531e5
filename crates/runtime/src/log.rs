//! Log events, as `tracing` events if the feature `tracing` is on.
//!
//! Each macro takes what `tracing`'s macro of the same name takes.

#[cfg(feature = "tracing")]
pub(crate) use tracing::{error, info, warn};

/// Does nothing, and evaluates to `()`: the fields are only borrowed, so that they count as used.
#[cfg(not(feature = "tracing"))]
macro_rules! unlogged {
    ($(%)? $field:ident, $($rest:tt)+) => {{ let _ = &$field; $crate::log::error!($($rest)+) }};
    ($field:ident = $value:expr, $($rest:tt)+) => {{ let _ = &$value; $crate::log::error!($($rest)+) }};
    ($message:literal $(,)?) => {{ let _ = format_args!($message); }};
}

#[cfg(not(feature = "tracing"))]
pub(crate) use {unlogged as error, unlogged as info, unlogged as warn};
