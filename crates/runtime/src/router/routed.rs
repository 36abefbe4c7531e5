use super::label::Label;
use crate::deadline::NEVER;
use crate::reply::NoReply;

/// What the router must know about a task.
pub(crate) trait Routed: Send + 'static {
    fn label(&self) -> Label;
    fn set_label(&mut self, label: Label);
    /// By the pool's clock; [`NEVER`](crate::deadline::NEVER) for none.
    fn deadline(&self) -> u64;
    /// By the pool's clock.
    fn submitted_at(&self) -> u64;
    /// In nanoseconds; 0 when unknown.
    fn expected_duration(&self) -> u64;
    /// Whether the task is cancelled because nobody would receive its reply.
    fn is_withdrawn(&self) -> bool;
    /// Takes the reply's end, and returns what tells the asker, if there is one, why there is none.
    fn take_asker(&mut self, why: NoReply) -> impl FnOnce() + use<Self>;

    /// Why the task would not run at the clock's `now` though nothing else ends it. Nobody wants its
    /// message then.
    fn has_ended_itself(&self, now: u64) -> Option<NoReply> {
        if self.deadline() != NEVER && now >= self.deadline() {
            return Some(NoReply::Expired);
        }
        self.is_withdrawn().then_some(NoReply::Cancelled)
    }
}
