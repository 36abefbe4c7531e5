use std::sync::Arc;

use raddle_core::{Roster, Worker};
use raddle_runtime::mailbox::{self, Mailbox};

/// A task is its number.
pub type Task = usize;

/// A mailbox for each worker.
pub fn mailboxes(roster: &Roster, capacity: usize) -> Arc<Vec<Mailbox<Task>>> {
    let of = |worker: &Arc<Worker>| mailbox::bounded(Arc::clone(worker), capacity);
    Arc::new(roster.members().iter().map(|member| of(&member.worker)).collect())
}

/// The workers of a roster.
pub fn workers(roster: &Roster) -> Vec<&Worker> {
    roster.members().iter().map(|member| &*member.worker).collect()
}
