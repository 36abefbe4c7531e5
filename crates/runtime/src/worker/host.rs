use super::lifecycle::{End, Lifecycle};
use super::station::Station;
use crate::reply::NoReply;
use crate::router::Routed;

/// Serves a worker's tasks on its thread.
pub(crate) trait Host: Lifecycle {
    type Task: Routed;

    /// Brings one task to its end: runs it if it must run, records it and replies. Returns the
    /// clock's time at the end, or why the host serves no more tasks.
    fn serve(
        &mut self,
        task: Self::Task,
        now: u64,
        station: &mut Station<Self::Task>,
    ) -> Result<u64, End>;

    /// Ends a task that will not run, for `reason`.
    fn refuse(
        &mut self,
        task: Self::Task,
        reason: NoReply,
        now: u64,
        station: &mut Station<Self::Task>,
    );
}
