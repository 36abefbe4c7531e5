use std::num::NonZeroU32;

use raddle_core::{Capability, Outcome};

use crate::keys::Slot;
use crate::mailbox::Lane;
use crate::reply::ReplySender;
use crate::{Actor, AskError};

/// A task on its way: the message, where its answer goes, and what the worker must know.
///
/// Whole words beside the message. Fields of a byte or two would be stored narrow and, wherever the
/// envelope is moved, loaded wide, which makes the processor wait for the stores; and with a message
/// of one word an envelope and its channel's stamp fill one cache line.
pub(crate) struct Envelope<A: Actor> {
    pub(crate) msg: A::Msg,
    pub(crate) reply: Option<ReplySender<A::Reply, A::Error>>,
    pub(crate) submitted_at: u64,
    /// The clock when the task is no longer worth running; [`NEVER`] for none.
    pub(crate) deadline: u64,
    /// What it counts as in the work ahead of its worker; 0 when unknown.
    pub(crate) expected_duration: u64,
    pub(crate) label: Label,
}

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// What an envelope is routed by, in one word: bits 0 to 31 the slot of its key, 0 for none; 32 to
/// 39 its [`Lane`]; from 40 on its capability's index plus one, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(u64);

const LANE: u32 = 32;
const CAPABILITY: u32 = 40;

impl Label {
    /// A task for a lane and a capability, with its key not bound yet.
    #[inline]
    pub(crate) fn new(lane: Lane, capability: Option<Capability>) -> Self {
        let capability = capability.map_or(0, |capability| capability.index() as u64 + 1);
        Self((lane as u64) << LANE | capability << CAPABILITY)
    }

    /// Where it waits within a mailbox.
    #[inline]
    pub(crate) fn lane(self) -> Lane {
        Lane::ALL[(self.0 >> LANE & 0xff) as usize]
    }

    /// What it asked for.
    #[inline]
    pub(crate) fn capability(self) -> Option<Capability> {
        Capability::from_index((self.0 >> CAPABILITY).checked_sub(1)? as usize)
    }

    /// Where its key is kept in order; from when it is bound there.
    #[inline]
    pub(crate) fn key(self) -> Option<Slot> {
        NonZeroU32::new(self.0 as u32).map(Slot)
    }

    /// The same bound to this slot, or to none.
    pub(crate) fn bound_to(self, slot: Option<Slot>) -> Self {
        let slot = slot.map_or(0, |slot| u64::from(slot.0.get()));
        Self(self.0 & !u64::from(u32::MAX) | slot)
    }
}

/// How a task ended, with what its asker is told.
pub(crate) type Ending<A> = Result<<A as Actor>::Reply, AskError<<A as Actor>::Error>>;

/// The outcome that an ending is counted as.
pub(crate) fn outcome_of<R, E>(ending: &Result<R, AskError<E>>) -> Outcome {
    match ending {
        Ok(_) => Outcome::Completed,
        Err(AskError::Panicked { .. }) => Outcome::Panicked,
        Err(AskError::Expired) => Outcome::Expired,
        Err(AskError::Cancelled | AskError::Retired) => Outcome::Cancelled,
        Err(_) => Outcome::Failed,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_what_it_was_made_of() {
        let last = Capability::from_index(Capability::MAX - 1);
        for capability in [None, Capability::from_index(0), last] {
            for lane in Lane::ALL {
                let label = Label::new(lane, capability);
                assert_eq!(
                    (label.lane(), label.capability(), label.key()),
                    (lane, capability, None)
                );
                let slot = Some(Slot(NonZeroU32::MAX));
                let bound = label.bound_to(slot);
                assert_eq!((bound.lane(), bound.capability()), (lane, capability));
                assert_eq!((bound.key(), bound.bound_to(None)), (slot, label));
            }
        }
    }

    #[test]
    fn an_envelope_with_a_word_and_its_stamp_fill_a_line() {
        struct Word;
        impl Actor for Word {
            type Msg = u64;
            type Reply = u64;
            type Error = String;
            fn handle(&mut self, _: u64, _: &mut crate::Context<'_>) -> Result<u64, String> {
                Ok(0)
            }
        }
        assert_eq!(size_of::<Envelope<Word>>(), 56);
        assert_eq!(size_of::<Option<Envelope<Word>>>(), 56);
    }
}
