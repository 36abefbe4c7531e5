//! The pool's callbacks, which record refused and shed tasks. Some panic, and some use the pool.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use raddle::{Overflow, Refusal, ShedReason, WorkerSpec};

use crate::chaos::may_fail;
use crate::fate::{Fate, Mark, Step, Way};
use crate::findings::Wrong;
use crate::kind::Kind;
use crate::message::{Message, Pool};
use crate::planted;
use crate::records::{PRODUCERS, Records};
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
        Refusal::Expired => Occurrence::RefusedExpired,
        Refusal::Capability(_) => Occurrence::Misnamed,
        Refusal::NoSuchWorker { .. } => Occurrence::RefusedNoSuchWorker,
        _ => Occurrence::RefusedNoWorker,
    });
    records.call_back(Occurrence::CalledFromRejected, 200);
    if message.id % 1024 == 7 {
        records.tally.count(Occurrence::CallbackPanicked);
        planted::blow_up("on_rejected");
    }
}

/// Returns why this pool cannot have refused the task for this reason, if so.
fn impossibility(records: &Records, reason: &Refusal, id: u64) -> Option<&'static str> {
    let plan = &records.plan;
    let fate = records.fates.get(id);
    match reason {
        Refusal::Closed if !records.closing.load(Relaxed) && !plan.closes => {
            Some("refused as closed by an open pool")
        }
        Refusal::Full if fate.finds_room() => {
            Some("refused as full although it makes or awaits room")
        }
        Refusal::Expired if !fate.may_expire_waiting() => {
            Some("refused as expired although it does not wait, or has no deadline")
        }
        Refusal::NoWorker if !plan.limits_restarts() => {
            Some("refused for lack of workers, although the last cannot be retired")
        }
        Refusal::Capability(_) if !fate.is_misnamed() => {
            Some("refused for a valid capability name")
        }
        Refusal::NoSuchWorker { .. } | Refusal::NotCapable { .. } if !fate.is_for_worker() => {
            Some("refused for its own worker, and has none")
        }
        Refusal::Closed
        | Refusal::Full
        | Refusal::Expired
        | Refusal::NoWorker
        | Refusal::NoCapableWorker { .. }
        | Refusal::NoSuchWorker { .. }
        | Refusal::NotCapable { .. }
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
    records.call_back(Occurrence::CalledFromShed, 200);
    if message.id % 1024 == 7 {
        records.tally.count(Occurrence::CallbackPanicked);
        planted::blow_up("on_shed");
    }
}

/// Uses the pool, from any code that it calls.
pub fn use_pool(records: &Arc<Records>, pool: &Pool) {
    let changed = match fastrand::u32(..100) {
        0..70 => return tell(records, pool),
        70..80 => return drop(pool.stats()),
        80..90 => {
            drop(pool.subscribe());
            return records.tally.count(Occurrence::SubscriptionDropped);
        }
        90..94 => {
            let strategy = records.plan.draw_strategy(&mut fastrand::Rng::new());
            pool.set_strategy(strategy.build()).expect("defaults are within their bounds");
            return records.tally.count(Occurrence::StrategySwapped);
        }
        94..97 => {
            let spec = WorkerSpec::new(format!("c{:x}", fastrand::u64(..)));
            (Occurrence::WorkerAdded, pool.add_worker(spec).map(drop))
        }
        _ => {
            let workers = pool.stats().balancer.workers;
            let Some(worker) = fastrand::choice(&workers) else { return };
            (Occurrence::WorkerRetired, pool.retire_worker(worker.id))
        }
    };
    match changed {
        (_, Ok(())) => records.tally.count(Occurrence::CallbackChangedWorkers),
        (change, Err(error)) if !may_fail(records, change, &error) => {
            let describe = || format!("{} by a callback: {error}", change.name());
            records.findings.report(Wrong::ImpossibleChange, describe);
        }
        _ => {}
    }
}

fn tell(records: &Arc<Records>, pool: &Pool) {
    let fate = Fate::new(Kind::Ok, Way::Tell, PRODUCERS + 1).under(Overflow::Reject);
    let message = Message::new(records, fate, None);
    let id = message.id;
    match pool.task(message).overflow(Overflow::Reject).tell() {
        Ok(()) => records.admitted(id),
        Err(error) => error.into_message().returned(id),
    }
}
