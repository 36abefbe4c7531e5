use std::sync::Arc;

use raddle_sync::thread;

use super::host::{Host, SerialHost};
use super::life::{End, Lifecycle};
use super::station::Station;
use crate::actor::Reply;
use crate::envelope::Envelope;
use crate::event::DropReason;
use crate::reply::NoReply;
use crate::restart::{Cause, RetireReason};
use crate::router::Routed;

/// Runs a worker on the calling thread until the mailbox is closed and every admitted task has ended,
/// or the worker is retired or taken from the thread.
pub(crate) fn run<H: Host>(mut host: H, mut station: Station<H::Message, H::Reply>) {
    station.thread.enter();
    let mut started = station.thread.start(&mut host);
    loop {
        let end = match started {
            Ok(()) => host.serve_all(&mut station),
            Err(end) => end,
        };
        let thread = &mut station.thread;
        started = match end {
            End::Drained => match leave(&mut host, &mut station) {
                Ok(()) => return,
                Err(end) => Err(end),
            },
            End::Panicked(message) => thread
                .fail(&mut host, message)
                .and_then(|()| thread.restart(&mut host, Cause::Panicked)),
            End::Stopped => {
                thread.stop(&mut host).and_then(|()| thread.restart(&mut host, Cause::Stopped))
            }
            End::Dropped(reason) => thread.abandon(&mut host, reason).and_then(|()| {
                let hung = reason == DropReason::Hung;
                thread.restart(&mut host, if hung { Cause::Hung } else { Cause::Dropped })
            }),
            End::FailedStart => thread.restart(&mut host, Cause::FailedStart),
            End::Retired(reason) => match retire(&mut host, &mut station, reason) {
                Ok(()) => return,
                Err(end) => Err(end),
            },
            End::Lost => return station.thread.end_lost(&mut host),
            End::NotStarted => return station.router.control.close_handover(station.short_id),
        };
    }
}

/// Ends a worker that has run all its tasks.
fn leave<M: Send + 'static, R: Reply>(
    host: &mut dyn Lifecycle,
    station: &mut Station<M, R>,
) -> Result<(), End> {
    station.end_keys(host, false)?;
    let thread = &mut station.thread;
    thread.stop(host)?;
    thread.overseer.depart(&thread.worker, RetireReason::Requested);
    Ok(())
}

/// Serves tasks until the host serves no more. Not inlined: what [`run`] keeps would take registers
/// from it.
#[inline(never)]
pub(super) fn serve_until_end<H: SerialHost>(
    host: &mut H,
    station: &mut Station<H::Message, H::Reply>,
) -> End {
    let mut now = station.thread.clock.now();
    loop {
        // The task goes from the channel to the host directly: each function in between would copy
        // it.
        let served = match station.inbox.try_next_plain() {
            Ok(task) => {
                station.in_a_row += 1;
                host.serve(task, now, station)
            }
            Err(_) => match station.next(&mut now) {
                Some(task) => {
                    let label = task.label();
                    let served = serve_out_of_line(host, task, now, station);
                    if let Ok(end) = served {
                        station.served(label, now, end);
                    }
                    served
                }
                None => station.move_keys(host),
            },
        };
        // The end of one task is the start of the next: one clock reading per task.
        match served {
            Ok(end) => now = end,
            Err(end) => return end,
        }
    }
}

/// [`SerialHost::serve`], not inlined into its caller.
#[inline(never)]
fn serve_out_of_line<H: SerialHost>(
    host: &mut H,
    task: Envelope<H::Message, H::Reply>,
    now: u64,
    station: &mut Station<H::Message, H::Reply>,
) -> Result<u64, End> {
    host.serve(task, now, station)
}

/// Ends the worker, whose actor is not restarted: its tasks move to other workers, or end with a
/// reason that says so. An actor that has survived its panic gives its keys away before.
fn retire<M: Send + 'static, R: Reply>(
    host: &mut dyn Lifecycle,
    station: &mut Station<M, R>,
    reason: RetireReason,
) -> Result<(), End> {
    let mailbox = station.inbox.mailbox().clone();
    let worker = Arc::clone(&station.thread.worker);
    station.thread.overseer.expel(&worker);
    station.end_keys(host, true)?;
    station.thread.discard(host)?;
    while worker.stats().in_flight() > 0 {
        station.record_ends();
        match mailbox.take_any() {
            // The rest is owed. Each end, and cancelling, notifies.
            None if mailbox.owed() > 0 && worker.stats().in_flight() == mailbox.owed() as u64 => {
                mailbox.notify().wait();
            }
            // A caller is between its reservation and its send.
            None => thread::yield_now(),
            Some(task) => {
                if let Err(task) = station.router.relocate(&worker, task) {
                    let now = station.thread.clock.now();
                    let why = task.has_ended_itself(now).unwrap_or(NoReply::Retired);
                    station.refuse(task, why, now);
                }
            }
        }
    }
    station.thread.overseer.depart(&worker, reason);
    Ok(())
}
