use std::time::{Duration, Instant};

use raddle_sync::time;

use crate::pool::Drain;

/// A time limit that several steps share.
#[derive(Clone, Copy)]
pub(super) struct Until(Option<Instant>);

impl Until {
    /// Starts the limit now; one that is too far in the future is none.
    pub(super) fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| time::now().checked_add(limit)))
    }

    pub(super) fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(time::now()))
    }

    pub(super) fn drain(self) -> Drain {
        self.left().map_or_else(Drain::all, Drain::within)
    }
}
