//! How a worker without tasks takes one from a sibling.

use raddle_core::internal::RecorderInternals;
use raddle_core::{Health, Worker};

use super::station::Station;
use crate::envelope::Envelope;

/// The least queued work, in nanoseconds, for which a worker that has only just run out of tasks
/// steals: the cache lines that move with a task take a good part of that.
const WORTH_STEALING: u64 = 2_000;

/// Siblings checked in one search, from a random one on, unless the pool is closing: a worker leaves
/// after its last search.
const CHECKED: usize = 32;

impl<M: Send + 'static, R: Send + 'static> Station<M, R> {
    /// Takes a task that may move from the mailbox of a worker with the same capabilities.
    ///
    /// A worker of a closing pool takes what it will end before its sibling has ended all it has, so
    /// that the pool drains no slower than it must. Nothing arrives any more: once it finds no such
    /// task, none will come.
    pub(super) fn steal(&mut self) -> Option<Envelope<M, R>> {
        let routing = self.router.routing().load();
        let count = routing.inlets.len();
        let worker = &self.thread.worker;
        let stats = worker.stats();
        // One that fails at once is idle because of that.
        if !routing.stealing || count < 2 || stats.is_failing() {
            return None;
        }
        let position = routing.position_of(self.short_id)?;
        let member = &routing.roster.members()[position];
        // An ejected worker is given nothing, and takes nothing either; nor does one that is retired,
        // or is not yet added and perhaps will not be.
        if member.health == Health::Ejected || !member.health.takes_tasks() {
            return None;
        }
        // Its own latencies alone: the pool's mean says nothing about what this thread could do.
        let (now, own_mean) = (self.thread.clock.now(), stats.latencies().mean().unwrap_or(0));
        let closing = stats.is_closed();
        let first = fastrand::usize(..count);
        for index in (first..count).chain(0..first).take(if closing { count } else { CHECKED }) {
            let Some(mailbox) = routing.inlets[index].mailbox() else { continue };
            let sibling = mailbox.worker();
            let is_worth_it = || match closing {
                true => own_mean <= time_for_all(sibling, now),
                false => {
                    (self.inbox.is_eager() || is_worth_stealing(sibling, now))
                        && !sibling.stats().finishes_sooner_than(own_mean, now)
                }
            };
            if sibling.id() == worker.id()
                || !is_worth_it()
                || !mailbox.has_free()
                || sibling.capabilities() != worker.capabilities()
            {
                continue;
            }
            if let Some(task) = mailbox.steal_any(|task| task.label.lane().is_free()) {
                self.thread.recorder.adopt_work(sibling, task.expected_duration);
                self.thread.recorder.adopt(sibling);
                return Some(task);
            }
        }
        None
    }
}

/// Whether the tasks of a worker wait for long enough, because of their number or because the running
/// one takes so long.
fn is_worth_stealing(worker: &Worker, now: u64) -> bool {
    let stats = worker.stats();
    let queued = stats.in_flight().saturating_sub(1).saturating_mul(stats.recent_mean());
    queued.max(stats.stalled_for(now)) >= WORTH_STEALING
}

/// The nanoseconds in which a worker will have ended all its tasks, at its present mean; the longest
/// if that is unknown.
fn time_for_all(worker: &Worker, now: u64) -> u64 {
    let stats = worker.stats();
    match stats.recent_mean() {
        0 => u64::MAX,
        mean => stats.in_flight().saturating_mul(mean).max(stats.stalled_for(now)),
    }
}
