//! What the test kit does at these points, without the feature `test`: nothing.

use std::sync::Arc;

use raddle_core::{Clock, Worker};

use crate::crew::Crew;

#[inline(always)]
pub(crate) fn before_handler(_: &Worker) -> bool {
    false
}

#[inline(always)]
pub(crate) fn after_handler(_: bool) {}

pub(crate) fn note_pool(_: &Arc<Crew>) {}

pub(crate) fn virtual_clock() -> Option<Clock> {
    None
}
