//! Replies that come after their handler has returned.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::{IntoReply, Reply, Settled};
use crate::context::Context;
use crate::reply::{NoReply, Owed, Promise};

/// What a handler returns in place of a reply that comes later, created by [`Context::defer`]: the
/// proof that a reply is owed.
///
/// Dropped instead of returned, it makes its [`Replier`] useless: the task ends by what the handler
/// returned, or panicked with.
#[must_use = "a handler returns it; dropped, its `Replier` replies in vain"]
pub struct Deferred<R>(Kind<R>);

enum Kind<R> {
    Ready(R),
    Owed(Unreturned<R>),
}

/// A deferred reply that its handler has yet to return.
struct Unreturned<R>(Option<Arc<Owed<R>>>);

/// Sends a deferred reply, from any thread and at most once. Created by [`Context::defer`].
///
/// Dropped without a reply, it tells the asker [`AskError::Unanswered`](crate::AskError::Unanswered),
/// and the task counts as failed.
pub struct Replier<R>(Promise<R>);

impl<A> Context<'_, A> {
    /// Defers the reply of the running task: the handler returns the [`Deferred`], and the
    /// [`Replier`], which may go to any thread, sends the reply later. Meanwhile the worker runs other
    /// tasks.
    ///
    /// Until it is answered, the task stays in flight at its worker, so that strategies see it, and a
    /// drain waits for it. It also ends:
    /// - when its `Replier` is dropped, as failed;
    /// - at its [deadline](crate::TaskBuilder::timeout), as expired: the asker is told then;
    /// - at the time limit of a shutdown, as cancelled.
    ///
    /// A reply that comes after that is discarded. The service time of the task, which strategies learn,
    /// is the time from the start of the handler to the reply. If the task has a key, the next task of
    /// that key waits for the reply, as it would for a running handler. A restart of the actor, or of its
    /// thread, loses no reply that is owed; a handler that was given up as hung, however, cannot defer
    /// its reply any more: its asker gets [`AskError::Unanswered`](crate::AskError::Unanswered).
    ///
    /// The reply goes to the asker at once. That the task has ended is recorded a moment later, by the
    /// worker's thread, before its next task.
    ///
    /// In a hook there is no task, and the `Replier` replies to nobody.
    ///
    /// Allocates once. Returning the `Deferred` takes a lock that only this worker and shutdowns use, and
    /// another one if the task has a deadline.
    ///
    /// ```
    /// use std::thread;
    ///
    /// use raddle_core::WorkerSpec;
    /// use raddle_runtime::{Actor, Context, Deferred, Handler, Pool};
    ///
    /// struct Squares;
    ///
    /// impl Actor for Squares {}
    ///
    /// impl Handler<u64> for Squares {
    ///     type Reply = Deferred<u64>;
    ///
    ///     fn handle(&mut self, number: u64, cx: &mut Context<'_, Self>) -> Deferred<u64> {
    ///         if number < 2 {
    ///             return Deferred::ready(number);
    ///         }
    ///         let (replier, deferred) = cx.defer();
    ///         thread::spawn(move || replier.reply(number * number));
    ///         deferred
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("squares").workers(1, WorkerSpec::general()).spawn(|_| Squares)?;
    /// let squares: Vec<_> = [1, 2, 3].map(|number| pool.ask(number)).into();
    /// let squares: Result<Vec<_>, _> = squares.into_iter().map(|ask| ask.wait()).collect();
    /// assert_eq!(squares?, [1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn defer<R: Reply>(&self) -> (Replier<R>, Deferred<R>) {
        let (promise, deferred) = self.promise();
        (Replier(promise), deferred)
    }

    pub(crate) fn promise<R: Reply>(&self) -> (Promise<R>, Deferred<R>) {
        let owed = Arc::new(self.owed(R::is_failure));
        (Promise(Arc::clone(&owed)), Deferred(Kind::Owed(Unreturned(Some(owed)))))
    }
}

impl<R: Reply> Deferred<R> {
    /// Creates a reply that is there already, for a handler that need not always defer.
    pub fn ready(reply: R) -> Self {
        Self(Kind::Ready(reply))
    }
}

impl<R: Reply> IntoReply for Deferred<R> {
    type Reply = R;

    fn fails(&self) -> bool {
        matches!(&self.0, Kind::Ready(reply) if reply.is_failure())
    }

    fn settle(self) -> Settled<R> {
        match self.0 {
            Kind::Ready(reply) => Settled::Reply(reply),
            Kind::Owed(mut promise) => match promise.0.take() {
                Some(owed) => Settled::Owed(owed),
                None => unreachable!("nothing else takes it"),
            },
        }
    }
}

impl<R> Drop for Unreturned<R> {
    fn drop(&mut self) {
        if let Some(owed) = self.0.take() {
            owed.abandon();
        }
    }
}

impl<R> Replier<R> {
    /// Sends the reply. It is discarded if the task has ended meanwhile, or its handler panicked.
    ///
    /// [`Reply::is_failure`] is called here, on the calling thread; if it panics, the reply counts as
    /// dropped. Takes an uncontended lock, and wakes the worker if that is parked.
    pub fn reply(self, reply: R) {
        self.0.0.reply(reply);
    }

    /// Ends the task without a reply, as [`Context::give_up`] does.
    pub fn give_up(self, reason: impl Into<String>) {
        self.0.0.end_without_reply(NoReply::GaveUp(reason.into().into_boxed_str()));
    }

    /// Returns whether a reply would be discarded or is no longer wanted, for long work to check now and
    /// then: the task has ended, or for a reason that
    /// [`Context::is_cancelled`](crate::Context::is_cancelled) has too. Takes a lock.
    pub fn is_cancelled(&self) -> bool {
        self.0.0.is_cancelled()
    }

    /// Returns the time until the task's deadline, zero once it has passed, or `None` if it has none.
    /// Reads the clock.
    pub fn remaining(&self) -> Option<Duration> {
        self.0.0.remaining()
    }
}

impl<R> fmt::Debug for Deferred<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Ready(_) => "Deferred(ready)",
            Kind::Owed(_) => "Deferred",
        })
    }
}

impl<R> fmt::Debug for Replier<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replier").finish_non_exhaustive()
    }
}
