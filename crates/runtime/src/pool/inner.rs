use std::sync::Arc;

use super::hedging::Hedges;
use super::submit::Submitter;
use crate::crew::Crew;
use crate::desk::Desk;

/// Keeps a pool's threads alive.
pub(super) struct PoolInner<M, R> {
    pub(super) submitter: Submitter<M, R>,
    pub(super) crew: Arc<Crew>,
    pub(super) desk: Arc<Desk>,
    pub(super) hedges: Arc<Hedges>,
}

impl<M, R> Drop for PoolInner<M, R> {
    fn drop(&mut self) {
        self.crew.end_with_last_handle();
    }
}
