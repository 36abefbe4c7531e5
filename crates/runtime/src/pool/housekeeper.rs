//! The pool's own thread: what must be done from time to time and on no task's way.

use std::num::NonZeroU64;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use raddle_sync::channel::{self, Receiver, Sender};

use super::shared::Shared;
use crate::timer::{Fired, TimerHandle, TimerQueue};
use crate::{Actor, panics};

/// How often strategies work out anew what they keep off the selection path, in nanoseconds.
const REFRESH: u64 = 1_000_000_000;
/// How often retiring workers are looked at while keys keep them.
const RETIRING: u64 = 5_000_000;

/// What the housekeeper does at a time.
pub(crate) enum Job<A: Actor> {
    /// Once.
    Once(Box<Once<A>>),
    /// Again and again.
    Again(Arc<Again<A>>),
}

type Once<A> = dyn FnOnce(&Arc<Shared<A>>) + Send;
type Again<A> = dyn Fn(&Arc<Shared<A>>) + Send + Sync;

/// Where the housekeeper finds its work.
pub(crate) struct Desk<A: Actor> {
    /// With room for one token: look around.
    token: (Sender<()>, Receiver<()>),
    #[allow(
        clippy::disallowed_types,
        reason = "locked by timers and hedges, and by no other task"
    )]
    pending: std::sync::Mutex<Pending<A>>,
}

struct Pending<A: Actor> {
    timers: TimerQueue<Job<A>>,
    /// The clock when the housekeeper is going to look.
    wakes_at: u64,
}

impl<A: Actor> Desk<A> {
    pub(super) fn new() -> Self {
        let pending = Pending { timers: TimerQueue::new(), wakes_at: 0 };
        Self { token: channel::bounded(1), pending: pending.into() }
    }

    /// Lets the housekeeper look around now.
    pub(crate) fn look(&self) {
        // Where there is no room, a token is there.
        let _ = self.token.0.try_send(());
    }

    /// Puts a job off until the clock's `due`, again and again where there is a period. Takes a
    /// lock; a system call where it is due before everything else.
    pub(crate) fn schedule(
        &self,
        due: u64,
        period: Option<NonZeroU64>,
        job: Job<A>,
    ) -> TimerHandle {
        self.change(|pending| {
            let handle = pending.timers.push(due, period, job);
            if due < pending.wakes_at {
                self.look();
            }
            handle
        })
    }

    /// The next job that is due, if any is.
    fn next_due(&self, now: u64) -> Option<Job<A>> {
        self.change(|pending| {
            Some(match pending.timers.pop_due(now)? {
                Fired::Once(job) => job,
                Fired::Again(job) => match &*job {
                    Job::Again(job) => Job::Again(Arc::clone(job)),
                    Job::Once(_) => unreachable!("what happens once has no period"),
                },
            })
        })
    }

    /// Waits until the clock, which reads `now`, is at `until`, a timer is due or there is a token.
    fn wait(&self, now: u64, until: u64) {
        let until = self.change(|pending| {
            let until = pending.timers.next_due().map_or(until, |due| due.min(until));
            pending.wakes_at = until;
            until
        });
        let _ = self.token.1.recv_timeout(Duration::from_nanos(until.saturating_sub(now)));
    }

    /// Changes what is pending under the lock, and drops after it what cancelled timers held: that
    /// is the user's, and may set a timer itself.
    fn change<R>(&self, change: impl FnOnce(&mut Pending<A>) -> R) -> R {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut pending);
        let cancelled = pending.timers.take_cancelled();
        drop(pending);
        cancelled.into_iter().for_each(|job| panics::contain(|| drop(job)));
        result
    }
}

/// Runs until the pool is closed and its workers have ended: what is due, the watchdog, reviews
/// of failing workers, retiring workers, and refreshing the strategy.
pub(super) fn run<A: Actor>(shared: &Arc<Shared<A>>) {
    let clock = &shared.clock;
    let mut refresh_at = clock.now() + REFRESH;
    loop {
        let now = clock.now();
        while let Some(job) = shared.desk.next_due(now) {
            panics::contain(|| match job {
                Job::Once(job) => job(shared),
                Job::Again(job) => job(shared),
            });
        }
        let mut until = refresh_at;
        if now >= refresh_at {
            shared.refresh_strategy();
            shared.hedges.refresh(&shared.routing.load().roster);
            refresh_at = now + REFRESH;
            until = refresh_at;
        }
        if let Some(interval) = shared.watch(now) {
            until = until.min(now.saturating_add(interval));
        }
        let mut membership = shared.membership();
        if let Some(due) = shared.review(&mut membership, now) {
            until = until.min(due);
        }
        shared.close_retiring(&mut membership);
        if membership.moving || !membership.retiring.is_empty() {
            until = until.min(now.saturating_add(RETIRING));
        }
        let closed = membership.closed;
        drop(membership);
        if closed && shared.threads.are_ended() {
            return;
        }
        shared.desk.wait(now, until);
    }
}
