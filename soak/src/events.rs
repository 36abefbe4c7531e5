use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use raddle::{DropReason, Event, EventKind, Events};

use crate::records::Records;
use crate::tally::Occurrence;

/// A subscriber that has this many unread events misses those that follow.
const BACKLOG: u32 = 1_024;

/// Counts events until `over` is set.
pub fn listen(records: &Records, mut events: Events<Event>, over: &AtomicBool) {
    let mut in_a_row = 0;
    loop {
        let event = match events.try_recv() {
            Some(event) => event,
            None => {
                in_a_row = 0;
                match events.recv_timeout(Duration::from_millis(10)) {
                    Some(event) => event,
                    None if over.load(Relaxed) => return,
                    None => continue,
                }
            }
        };
        in_a_row += 1;
        if in_a_row == BACKLOG {
            records.events_missed.store(true, Relaxed);
        }
        count(records, &event.kind);
    }
}

fn count(records: &Records, event: &EventKind) {
    records.tally.count(match event {
        EventKind::Added => Occurrence::EventAdded,
        EventKind::Panicked { .. } => Occurrence::EventPanicked,
        EventKind::StartFailed { .. } => Occurrence::EventStartFailed,
        EventKind::Restarted { .. } => Occurrence::EventRestarted,
        EventKind::Quarantined => Occurrence::EventQuarantined,
        EventKind::Replaced { .. } => Occurrence::EventReplaced,
        EventKind::Recovered => Occurrence::EventRecovered,
        EventKind::Returned => Occurrence::EventReturned,
        EventKind::Ejected { .. } => Occurrence::EventEjected,
        EventKind::Readmitted => Occurrence::EventReadmitted,
        EventKind::Draining => Occurrence::EventDraining,
        EventKind::Retired { .. } => Occurrence::EventRetired,
        EventKind::Failed => Occurrence::EventFailed,
        EventKind::Dropped { reason: DropReason::Expired } => Occurrence::EventDroppedExpired,
        EventKind::Dropped { reason: DropReason::Cancelled } => Occurrence::EventDroppedCancelled,
        EventKind::Dropped { reason: DropReason::Hung } => Occurrence::EventDroppedHung,
        EventKind::KeysMoved { keys, .. } => {
            records.states.announce(keys);
            Occurrence::EventKeysMoved
        }
        EventKind::StrategyChanged { .. } => Occurrence::EventStrategy,
        _ => return,
    });
}
