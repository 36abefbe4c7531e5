use std::sync::Arc;

use raddle_sync::thread;

use super::host::Host;
use super::life::End;
use super::station::Station;
use crate::actor::Reply;
use crate::envelope::Envelope;
use crate::reply::NoReply;
use crate::restart::{Cause, RetireReason};

type Task<H> = Envelope<<H as Host>::Message, <H as Host>::Reply>;

/// Runs a worker on the calling thread until the mailbox is closed and every admitted task has ended,
/// or the worker is retired or taken from the thread.
pub(crate) fn run<H: Host>(mut host: H, mut station: Station<Task<H>>) {
    let mut started = station.thread.start(&mut host);
    loop {
        let end = match started {
            Ok(()) => serve_until_end(&mut host, &mut station),
            Err(end) => end,
        };
        let thread = &mut station.thread;
        started = match end {
            End::Drained => match thread.stop(&mut host) {
                Ok(()) => return thread.overseer.depart(&thread.worker, RetireReason::Requested),
                Err(end) => Err(end),
            },
            End::Panicked(message) => thread
                .fail(&mut host, message)
                .and_then(|()| thread.restart(&mut host, Cause::Panicked)),
            End::Stopped => {
                thread.stop(&mut host).and_then(|()| thread.restart(&mut host, Cause::Stopped))
            }
            End::FailedStart => thread.restart(&mut host, Cause::FailedStart),
            End::Retired(reason) => return retire(station, reason),
            End::Lost => return station.thread.end_lost(&mut host),
            End::NotStarted => return,
        };
    }
}

/// Serves tasks until the host serves no more. Not inlined: what [`run`] keeps would take registers
/// from it.
#[inline(never)]
fn serve_until_end<H: Host>(host: &mut H, station: &mut Station<Task<H>>) -> End {
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
                Some(task) => serve_out_of_line(host, task, now, station),
                None => return End::Drained,
            },
        };
        // The end of one task is the start of the next: one clock reading per task.
        match served {
            Ok(end) => now = end,
            Err(end) => return end,
        }
    }
}

/// [`Host::serve`], not inlined into its caller.
#[inline(never)]
fn serve_out_of_line<H: Host>(
    host: &mut H,
    task: Task<H>,
    now: u64,
    station: &mut Station<Task<H>>,
) -> Result<u64, End> {
    host.serve(task, now, station)
}

/// Ends the worker, whose actor is not restarted: its tasks move to other workers, or end with a
/// reason that says so.
fn retire<M: Send + 'static, R: Reply>(mut station: Station<Envelope<M, R>>, reason: RetireReason) {
    let mailbox = station.inbox.mailbox().clone();
    let worker = Arc::clone(&station.thread.worker);
    station.thread.overseer.expel(&worker);
    while worker.stats().in_flight() > 0 {
        match mailbox.take_any() {
            // A caller is between its reservation and its send.
            None => thread::yield_now(),
            Some(task) => {
                if let Err(task) = station.router.relocate(&worker, task) {
                    let now = station.thread.clock.now();
                    station.refuse(task, NoReply::Retired, now);
                }
            }
        }
    }
    station.thread.overseer.depart(&worker, reason);
}
