//! What is known of the keys that move.

use std::sync::Arc;

use raddle_core::Worker;
use raddle_sync::lock::ColdLock;

use crate::keys::{HandOvers, MovedKeys};
use crate::mailbox::Notify;

/// Keys that moved without their state.
pub(crate) struct Unkept {
    /// `None` if it has left.
    pub(crate) from: Option<Arc<Worker>>,
    /// `None` if no worker serves the keys.
    pub(crate) to: Option<Arc<Worker>>,
    pub(crate) keys: MovedKeys,
}

/// How keys move.
pub(super) struct Moves {
    /// `None` if the state of keys stays where it is.
    pub(super) hand_overs: Option<HandOvers>,
    /// What is still to be announced, and who announces it. Locked when keys move without their state.
    pub(super) unkept: ColdLock<(Vec<Unkept>, Option<Notify>)>,
}

impl Moves {
    pub(super) fn new(hand_over_within: Option<u64>) -> Self {
        Self { hand_overs: hand_over_within.map(HandOvers::new), unkept: ColdLock::default() }
    }
}
