//! How a round's pool is shut down, and what must be true then.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use raddle::{Account, Drain, Priority, ShutdownError};

use crate::fate::{AskEnd, Fate, Mark, Step, Way};
use crate::findings::Wrong;
use crate::kind::Kind;
use crate::message::{Message, Pool};
use crate::plan::Plan;
use crate::records::{PRODUCERS, Records};
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// How long something that must end may take, on a busy machine.
const GRACE: Duration = Duration::from_secs(20);
/// Like [`GRACE`], when a sabotage will prevent the end.
const SHORT_GRACE: Duration = Duration::from_secs(1);
/// How long mailboxes have to fill, of which boosted ones have nine lanes.
const FILLING: Duration = Duration::from_millis(500);

pub fn grace(records: &Records) -> Duration {
    if records.saboteur.is_idle() { GRACE } else { SHORT_GRACE }
}

/// Makes producers fill the mailboxes with tasks that hang, until all callers wait for room.
pub fn hold(records: &Records) {
    records.holding.store(true, Relaxed);
    thread::sleep(FILLING);
}

/// Shuts the pool down as planned for the first time, and checks what must be true as soon as that
/// returns. Producers may still run.
pub fn begin(records: &Arc<Records>, pool: &Pool) {
    let plan = &records.plan;
    let by_handler = plan.by_handler && shut_down_by_handler(records, pool);
    if plan.drain.is_none() {
        records.holding.store(false, Relaxed);
    }
    records.closing.store(true, SeqCst);
    // The handler's time limit must be kept although nobody else has one.
    let drain = if by_handler { Drain::all() } else { plan.drain() };
    let ended = pool.shutdown(drain);
    records.tally.count(match plan.drain {
        None => Occurrence::DrainedAll,
        Some(Duration::ZERO) => Occurrence::DrainedNow,
        Some(_) => Occurrence::DrainedWithin,
    });
    if ended.is_err() {
        records.tally.count(Occurrence::ShutdownFailed);
    }
    if let Some(wrong) = contradiction(&ended, drain == Drain::all(), plan) {
        records.findings.report(Wrong::Shutdown, || format!("{wrong}: {ended:?}"));
    }
    if !records.saboteur.is(Sabotage::Late) {
        take_unfinished(records, pool, |_| true);
    }
}

/// Returns why a shutdown cannot have ended so.
fn contradiction(
    ended: &Result<Account, ShutdownError>,
    drains_all: bool,
    plan: &Plan,
) -> Option<&'static str> {
    let error = match ended {
        Ok(account) => return (!account.is_balanced()).then_some("unbalanced account"),
        Err(error) => error,
    };
    let counts = error.account.counts;
    let threads = (error.workers.len() + error.lost_threads) as u64;
    let running = plan.mode.tasks_per_thread() as u64 * threads;
    if error.called_within || running == 0 {
        Some("failed without a reason")
    } else if drains_all && !error.workers.is_empty() {
        Some("failed without a time limit")
    } else if !plan.under_fire && counts.admitted > counts.ended() + running {
        // Under fire, callers may be about to send.
        Some("tasks that are not in a handler have not ended")
    } else {
        None
    }
}

/// Lets a handler shut the pool down. Returns `false` if none could be made to.
fn shut_down_by_handler(records: &Arc<Records>, pool: &Pool) -> bool {
    records.handler_closes.store(true, Relaxed);
    let since = Instant::now();
    while !records.handler_closed.load(Relaxed) {
        // A pool of many workers may have no other tasks, and one that closed itself takes none.
        let fate = Fate::new(Kind::Ok, Way::Tell, PRODUCERS).under(records.plan.overflow);
        let message = Message::new(records, fate, None);
        let id = message.id;
        match pool.task(message).priority(Priority::Control).tell() {
            Ok(()) => records.admitted(id),
            Err(error) => {
                error.into_message().returned(id);
                // It closed itself, unless a handler is just doing so.
                if records.handler_closes.swap(false, Relaxed) {
                    return false;
                }
            }
        }
        if since.elapsed() > grace(records) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Waits until nothing runs, which takes the release of hung handlers.
pub fn finish(records: &Records, pool: &Pool) {
    let since = Instant::now();
    let grace = grace(records);
    // Again, for tasks that were still in a handler, and then for the lost threads.
    while let Err(error) = pool.shutdown(Drain::within(grace)) {
        if since.elapsed() > grace {
            records.findings.report(Wrong::LostForGood, || error.to_string());
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    let is_late = |message: &Message| {
        let fate = records.fates.get(message.id);
        // The pool's own thread may have been about to send it.
        fate.is(Mark::Early) && message.copy == 0
    };
    take_unfinished(records, pool, |message| !is_late(message));
    let again = pool.take_unfinished().len();
    if again > 0 {
        let describe = || format!("{again} unfinished messages were handed back a second time");
        records.findings.report(Wrong::Shutdown, describe);
    }
}

/// Takes what is handed back, which must be `in_time`.
fn take_unfinished(records: &Records, pool: &Pool, in_time: impl Fn(&Message) -> bool) {
    let unfinished = pool.take_unfinished();
    let was_sent = |message: &&Message| !records.fates.get(message.id).way().is_timer();
    let sent = unfinished.iter().filter(was_sent).count();
    // A pool that closes itself keeps the tasks that its retired workers did not run.
    if records.plan.drain.is_none() && !records.plan.closes && sent > 0 {
        let describe = || format!("left {sent} unfinished without a time limit");
        records.findings.report(Wrong::Shutdown, describe);
    }
    for message in unfinished {
        message.disarm();
        if !in_time(&message) {
            let describe = || records.describe(message.id);
            records.findings.report(Wrong::HandedBackLate, describe);
        }
        records.mark_once(message.id, Step::HandedBack.bit(message.copy), Wrong::TwoEnds);
    }
}

/// Checks that answered hedged tasks soon have no clone left. No producer runs.
pub fn check_clones(records: &Records) {
    let is_kept = |fate: Fate| {
        let answered = fate.ask_end() != AskEnd::Nothing;
        answered && fate.way() == Way::LateHedged && !fate.did(Step::Dropped, 1)
    };
    let since = Instant::now();
    while let Some((id, _)) = records.fates.iter().find(|(_, fate)| is_kept(*fate)) {
        // The asker may be woken before the clone is dropped.
        if since.elapsed() > grace(records) {
            return records.findings.report(Wrong::CopyKept, || records.describe(id));
        }
        thread::sleep(Duration::from_millis(1));
    }
}
