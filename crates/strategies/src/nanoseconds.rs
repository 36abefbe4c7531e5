//! Serialises times as whole nanoseconds.

use std::time::Duration;

use serde::{Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(raddle_core::nanos(*time))
}

pub(crate) fn serialize_option<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(raddle_core::nanos).serialize(serializer)
}
