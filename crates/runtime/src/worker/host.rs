use super::life::{End, Lifecycle};
use super::station::Station;
use crate::actor::Reply;
use crate::envelope::Envelope;

/// What runs a worker's tasks on its thread.
pub(crate) trait Host: Lifecycle {
    type Message: Send + 'static;
    type Reply: Reply;

    /// Serves the station's tasks until it serves no more.
    fn serve_all(&mut self, station: &mut Station<Self::Message, Self::Reply>) -> End;
}

/// A host that runs one task at a time.
pub(crate) trait SerialHost: Host {
    /// Runs one task, unless there is a reason not to, records its end and replies. Returns the
    /// clock's time at the end, or why the host serves no more tasks.
    fn serve(
        &mut self,
        task: Envelope<Self::Message, Self::Reply>,
        start: u64,
        station: &mut Station<Self::Message, Self::Reply>,
    ) -> Result<u64, End>;
}
