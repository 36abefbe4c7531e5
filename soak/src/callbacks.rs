//! The pool's callbacks, which record refused and shed tasks. Some panic.

use raddle::{Overflow, Refusal, ShedReason};
use std::sync::atomic::Ordering::Relaxed;

use crate::fate::{Mark, Step};
use crate::findings::Wrong;
use crate::message::Message;
use crate::planted;
use crate::records::Records;
use crate::tally::Occurrence;

/// Records a task that the pool refuses, and checks the reason.
pub fn on_rejected(records: &Records, message: &Message, reason: &Refusal) {
    records.mark_once(message.id, Mark::Refused.bit(), Wrong::TwoEnds);
    if let Some(why) = impossibility(records, reason, message.id) {
        let describe = || format!("{why}; {}", records.describe(message.id));
        records.findings.report(Wrong::ImpossibleRefusal, describe);
    }
    records.tally.count(match reason {
        Refusal::Full => Occurrence::RefusedFull,
        Refusal::Closed => Occurrence::RefusedClosed,
        Refusal::Capability(_) => Occurrence::Misnamed,
        _ => Occurrence::RefusedNoWorker,
    });
    if message.id % 1024 == 7 {
        records.tally.count(Occurrence::CallbackPanicked);
        planted::blow_up("on_rejected");
    }
}

/// Returns why this pool cannot have refused the task for this reason, if so.
fn impossibility(records: &Records, reason: &Refusal, id: u64) -> Option<&'static str> {
    let plan = &records.plan;
    let waits = plan.overflow == Overflow::Block;
    let drops = matches!(plan.overflow, Overflow::DropOldest | Overflow::DropNewest);
    let by_timer = records.fates.get(id).way().is_timer();
    match reason {
        Refusal::Closed if !records.closing.load(Relaxed) && !plan.closes => {
            Some("refused as closed by an open pool")
        }
        Refusal::Full if drops || (waits && !by_timer) => {
            Some("refused as full by a pool that makes or awaits room")
        }
        Refusal::NoWorker if !plan.limits_restarts() => {
            Some("refused for lack of workers, although the last cannot be retired")
        }
        Refusal::Capability(_) if !records.fates.get(id).is_misnamed() => {
            Some("refused for a valid capability name")
        }
        Refusal::Closed
        | Refusal::Full
        | Refusal::NoWorker
        | Refusal::NoCapableWorker { .. }
        | Refusal::Capability(_) => None,
        _ => Some("refused for a reason that no task here can have"),
    }
}

/// Records a task that the pool sheds.
pub fn on_shed(records: &Records, message: Message, reason: ShedReason) {
    records.mark_once(message.id, Step::Shed.bit(message.copy), Wrong::TwoEnds);
    match reason {
        ShedReason::Oldest => records.tally.count(Occurrence::ShedOldest),
        ShedReason::Newest => records.tally.count(Occurrence::ShedNewest),
        ShedReason::Sojourn => records.tally.count(Occurrence::ShedSojourn),
        _ => {}
    }
    if message.id % 1024 == 7 {
        records.tally.count(Occurrence::CallbackPanicked);
        planted::blow_up("on_shed");
    }
}
