use std::sync::Arc;

use crate::fate::Mark;
use crate::message::Message;
use crate::records::Records;

/// A task that its caller has sent without knowing whether there is room for it. Dropped, it may have
/// been admitted or not.
pub struct Unknown {
    records: Arc<Records>,
    id: u64,
    known: bool,
}

impl Unknown {
    pub fn new(records: &Arc<Records>, id: u64) -> Self {
        Self { records: Arc::clone(records), id, known: false }
    }

    pub fn records(&self) -> &Arc<Records> {
        &self.records
    }

    /// Leaves the record to the caller, who knows.
    pub fn forget(mut self) {
        self.known = true;
    }

    /// Records that it was admitted.
    pub fn admitted(mut self) {
        self.known = true;
        self.records.admitted(self.id);
    }

    /// Records that it was refused, and its message handed back.
    pub fn refused(mut self, message: Message) {
        self.known = true;
        message.returned(self.id);
    }
}

impl Drop for Unknown {
    fn drop(&mut self) {
        if !self.known {
            self.records.fates.mark(self.id, Mark::Withdrawn.bit());
        }
    }
}
