use std::time::{Duration, Instant};

use crate::Drain;

/// A time limit of several things together.
#[derive(Clone, Copy)]
pub(super) struct Until(Option<Instant>);

impl Until {
    /// From now on; one that is too far away to be told is none.
    pub(super) fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit)))
    }

    pub(super) fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    pub(super) fn drain(self) -> Drain {
        self.left().map_or_else(Drain::all, Drain::within)
    }
}
