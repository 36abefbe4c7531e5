//! A message to each worker of a pool.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use raddle_core::{Priority, WorkerId};
use raddle_sync::time;

use super::handle::Pool;
use crate::ask::{Ask, AskError};

/// A message that was sent to each worker of a pool, and the replies to come. Created by
/// [`Pool::broadcast`].
///
/// A thread waits for the replies with [`wait_timeout`](Self::wait_timeout), a future with `.await`;
/// [`into_asks`](Self::into_asks) returns one [`Ask`] for each worker. Dropping it discards the replies.
#[must_use = "the replies of a broadcast are received by `wait_timeout`, `await` or `into_asks`"]
pub struct Broadcast<M, R>(Vec<(WorkerId, Ask<M, R>)>);

/// What each worker replied.
type Replies<M, R> = Vec<(WorkerId, Result<R, AskError<M>>)>;

impl<M: Clone + Send + 'static, R: Send + 'static> Pool<M, R> {
    /// Sends a control message to each worker that is not draining or starting, also to those that are
    /// quarantined, ejected or restarting, and returns the replies to come. Each worker gets a clone of
    /// the message, ahead of everything that waits in its mailbox. Never blocks. Allocates.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use raddle_core::WorkerSpec;
    /// use raddle_runtime::{Actor, Context, Handler, Pool};
    ///
    /// #[derive(Default)]
    /// struct Shard(Vec<String>);
    ///
    /// #[derive(Clone)]
    /// enum Query {
    ///     Add(String),
    ///     Count,
    /// }
    ///
    /// impl Actor for Shard {}
    ///
    /// impl Handler<Query> for Shard {
    ///     type Reply = usize;
    ///
    ///     fn handle(&mut self, query: Query, _: &mut Context<'_, Self>) -> usize {
    ///         if let Query::Add(name) = query {
    ///             self.0.push(name);
    ///         }
    ///         self.0.len()
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("shards").workers(4, WorkerSpec::general()).spawn(|_| Shard::default())?;
    /// for name in ["a", "b", "c"] {
    ///     pool.task(Query::Add(name.into())).key(name).ask().wait()?;
    /// }
    /// let mut count = 0;
    /// for (_worker, reply) in pool.broadcast(Query::Count).wait_timeout(Duration::from_secs(1)) {
    ///     count += reply?;
    /// }
    /// assert_eq!(count, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn broadcast(&self, msg: M) -> Broadcast<M, R> {
        let roster = self.0.router.control.roster();
        let members = roster.members().iter().filter(|member| member.health.takes_tasks());
        let ask = |worker: WorkerId| {
            let task = self.task(msg.clone()).worker(worker).priority(Priority::Control);
            (worker, task.ask())
        };
        Broadcast(members.map(|member| ask(member.worker.id())).collect())
    }
}

impl<M, R> Broadcast<M, R> {
    /// Blocks until every worker has replied or `timeout` has passed. Returns the workers in the order
    /// of the roster, each with its reply or why there is none:
    /// [`AskError::TimedOut`] if it has not come yet.
    pub fn wait_timeout(self, timeout: Duration) -> Replies<M, R> {
        let begun = time::now();
        let left = || timeout.saturating_sub(time::now() - begun);
        let asks = self.0.into_iter();
        asks.map(|(worker, mut ask)| (worker, ask.wait_timeout(left()))).collect()
    }

    /// Returns each worker with its reply to come.
    pub fn into_asks(self) -> Vec<(WorkerId, Ask<M, R>)> {
        self.0
    }
}

impl<M: Send + 'static, R: Send + 'static> IntoFuture for Broadcast<M, R> {
    type Output = Replies<M, R>;
    type IntoFuture = Pin<Box<dyn Future<Output = Replies<M, R>> + Send>>;

    /// Returns a future of all replies. It has no timeout. Allocates.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            let mut replies = Vec::with_capacity(self.0.len());
            for (worker, ask) in self.0 {
                replies.push((worker, ask.await));
            }
            replies
        })
    }
}

impl<M, R> fmt::Debug for Broadcast<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(worker, _)| worker)).finish()
    }
}
