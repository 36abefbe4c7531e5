use std::sync::Arc;

use crate::records::Records;
use crate::tally::Occurrence;

/// The state of a key. It records where it is.
pub struct Kept {
    records: Arc<Records>,
    pub key: u32,
    pub number: u64,
    /// Whether it ends with its actor.
    by_actor: bool,
}

impl Kept {
    pub fn new(records: &Arc<Records>, key: u32, number: u64) -> Self {
        records.tally.count(Occurrence::StateMade);
        Self { records: Arc::clone(records), key, number, by_actor: false }
    }

    /// Notes that it is dropped with its actor.
    pub fn end_with_actor(&mut self) {
        self.by_actor = true;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.records.states.dropped(self.key, self.number, self.by_actor);
    }
}
