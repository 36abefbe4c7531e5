//! The pool's callbacks, which record refused and shed tasks. Some panic.

use raddle::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

use crate::fate::{Mark, Step};
use crate::findings::Wrong;
use crate::message::Message;
use crate::planted;
use crate::records::Records;
use crate::tally::Occurrence;

/// Records a task that the pool refuses, and checks the reason.
pub fn on_rejected(records: &Records, error: &SendError<Message>) {
    let message = match error {
        SendError::Closed(message)
        | SendError::Full(message)
        | SendError::NoWorker(message)
        | SendError::NoCapableWorker { msg: message, .. }
        | SendError::Capability { msg: message, .. } => message,
        other => {
            records.findings.report(Wrong::ImpossibleRefusal, || other.to_string());
            return;
        }
    };
    records.mark_once(message.id, Mark::Refused.bit(), Wrong::TwoEnds);
    if let Some(why) = impossibility(records, error, message.id) {
        let describe = || format!("{why}; {}", records.describe(message.id));
        records.findings.report(Wrong::ImpossibleRefusal, describe);
    }
    records.tally.count(match error {
        SendError::Full(_) => Occurrence::RefusedFull,
        SendError::Closed(_) => Occurrence::RefusedClosed,
        SendError::Capability { .. } => Occurrence::Misnamed,
        _ => Occurrence::RefusedNoWorker,
    });
    if message.id % 1024 == 7 {
        records.tally.count(Occurrence::CallbackPanicked);
        planted::blow_up("on_rejected");
    }
}

/// Returns why this pool cannot have refused the task for this reason, if so.
fn impossibility(records: &Records, error: &SendError<Message>, id: u64) -> Option<&'static str> {
    let plan = &records.plan;
    let waits = matches!(last(&plan.overflow), Overflow::Block);
    let drops = matches!(last(&plan.overflow), Overflow::DropOldest | Overflow::DropNewest);
    let by_timer = records.fates.get(id).way().is_timer();
    match error {
        SendError::Closed(_) if !records.closing.load(Relaxed) && !plan.closes => {
            Some("refused as closed by an open pool")
        }
        SendError::Full(_) if drops || (waits && !by_timer) => {
            Some("refused as full by a pool that makes or awaits room")
        }
        SendError::NoWorker(_) if !plan.limits_restarts() => {
            Some("refused for lack of workers, although the last cannot be retired")
        }
        SendError::Capability { .. } if !records.fates.get(id).is_misnamed() => {
            Some("refused for a valid capability name")
        }
        _ => None,
    }
}

/// Records a task that the pool sheds.
pub fn on_shed(records: &Records, message: Message, reason: raddle::runtime::ShedReason) {
    use raddle::runtime::ShedReason::{Newest, Oldest, Sojourn};
    records.mark_once(message.id, Step::Shed.bit(message.copy), Wrong::TwoEnds);
    match reason {
        Oldest => records.tally.count(Occurrence::ShedOldest),
        Newest => records.tally.count(Occurrence::ShedNewest),
        Sojourn => records.tally.count(Occurrence::ShedSojourn),
        _ => {}
    }
    if message.id % 1024 == 7 {
        records.tally.count(Occurrence::CallbackPanicked);
        planted::blow_up("on_shed");
    }
}

/// Returns the policy that applies after rerouting.
fn last(overflow: &Overflow) -> &Overflow {
    match overflow {
        Overflow::Reroute(behind) => last(behind),
        other => other,
    }
}
