use std::sync::Arc;

use raddle_core::{Roster, Worker};
use raddle_runtime::mailbox::{self, Mailbox};

/// A task is identified by its number.
pub type Task = usize;

/// Creates a mailbox for each worker of a roster.
pub fn mailboxes(roster: &Roster, capacity: usize) -> Arc<Vec<Mailbox<Task>>> {
    let mailbox = |worker: &Arc<Worker>| mailbox::bounded(Arc::clone(worker), capacity);
    Arc::new(roster.members().iter().map(|member| mailbox(&member.worker)).collect())
}

/// Returns the workers of a roster.
pub fn workers(roster: &Roster) -> Vec<&Worker> {
    roster.members().iter().map(|member| &*member.worker).collect()
}
