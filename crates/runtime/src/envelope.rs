use raddle_core::TaskProfile;

use crate::panics;
use crate::reply::{Asker, NoReply, ReplySender};
use crate::router::{Label, Routed};
use crate::span::Caller;

/// A task of a pool on its way: the message, where its reply goes, and what the worker must know.
///
/// Every field beside the message is a whole word. A field of a byte or two would be stored as
/// such; moving the envelope loads whole words, and would stall until the narrow store is done.
/// With a message of one word, an envelope and its channel's stamp fill one cache line.
pub(crate) struct Envelope<M, R> {
    pub(crate) msg: M,
    pub(crate) reply: Option<ReplySender<R>>,
    pub(crate) submitted_at: u64,
    /// When the task is no longer worth running; [`NEVER`](crate::deadline::NEVER) for none.
    pub(crate) deadline: u64,
    /// In nanoseconds; part of the work ahead of its worker; 0 when unknown.
    pub(crate) expected_duration: u64,
    pub(crate) label: Label,
}

impl<M, R> Envelope<M, R> {
    #[inline(always)]
    pub(crate) fn new(
        msg: M,
        reply: Option<ReplySender<R>>,
        profile: &TaskProfile,
        deadline: u64,
    ) -> Self {
        Self {
            msg,
            reply,
            submitted_at: profile.submitted_at,
            deadline,
            expected_duration: profile.expected_duration,
            label: Label::of(profile),
        }
    }
}

impl<M, R> Envelope<M, R> {
    /// This task, with the span of its caller.
    pub(crate) fn traced(mut self, caller: Caller) -> Self {
        self.reply = Some(ReplySender::traced(self.reply.take(), caller));
        self
    }
}

impl<M: Send + 'static, R: Send + 'static> Routed for Envelope<M, R> {
    #[inline]
    fn label(&self) -> Label {
        self.label
    }

    #[inline]
    fn set_label(&mut self, label: Label) {
        self.label = label;
    }

    #[inline]
    fn deadline(&self) -> u64 {
        self.deadline
    }

    #[inline]
    fn submitted_at(&self) -> u64 {
        self.submitted_at
    }

    #[inline]
    fn expected_duration(&self) -> u64 {
        self.expected_duration
    }

    fn is_withdrawn(&self) -> bool {
        self.reply.as_ref().is_some_and(Asker::has_withdrawn)
    }

    fn take_asker(&mut self, why: NoReply) -> impl FnOnce() + use<M, R> {
        let reply = self.reply.take();
        move || {
            if let Some(reply) = reply {
                panics::contain(|| drop(reply.send(Err(why))));
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_with_a_message_of_one_word_leaves_room_for_its_stamp_in_a_cache_line() {
        assert_eq!(size_of::<Envelope<u64, u64>>(), 56);
        assert_eq!(size_of::<Option<Envelope<u64, Result<u64, String>>>>(), 56);
    }
}
