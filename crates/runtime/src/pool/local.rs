use std::fmt;
use std::time::Duration;

use raddle_sync::SnapshotReader;

use super::handle::Pool;
use super::task::TaskBuilder;
use super::tell::Tell;
use crate::ask::Ask;
use crate::envelope::Envelope;
use crate::error::SendError;
use crate::router::{Loaded, Routing};

/// A [`Pool`] for one thread: it caches the routing, so that sending a task loads nothing that has
/// not changed. Created by [`Pool::local`].
pub struct LocalPool<M, R> {
    pool: Pool<M, R>,
    routing: SnapshotReader<Routing<Envelope<M, R>>>,
}

impl<M: Send + 'static, R: Send + 'static> Pool<M, R> {
    /// Creates a handle for one thread.
    pub fn local(&self) -> LocalPool<M, R> {
        LocalPool::new(self.clone())
    }
}

impl<M: Send + 'static, R: Send + 'static> LocalPool<M, R> {
    fn new(pool: Pool<M, R>) -> Self {
        let routing = pool.0.router.routing().reader();
        Self { pool, routing }
    }

    /// Returns the pool.
    pub fn pool(&self) -> &Pool<M, R> {
        &self.pool
    }

    /// As [`Pool::task`].
    #[inline]
    pub fn task(&mut self, msg: M) -> TaskBuilder<'_, M, R> {
        TaskBuilder::new(&self.pool.0, Loaded::Kept(self.routing.load()), msg)
    }

    /// As [`Pool::tell`].
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    #[inline]
    pub fn tell(&mut self, msg: M) -> Result<(), SendError<M>> {
        let router = &self.pool.0.router;
        router.tell_plain(self.routing.load(), msg, &router.policy)
    }

    /// As [`Pool::try_tell`].
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    #[inline]
    pub fn try_tell(&mut self, msg: M) -> Result<(), SendError<M>> {
        let router = &self.pool.0.router;
        let policy = router.policy.without_waiting();
        router.tell_plain(self.routing.load(), msg, &policy)
    }

    /// As [`Pool::tell_async`].
    #[inline]
    pub fn tell_async(&mut self, msg: M) -> Tell<M> {
        self.task(msg).tell_async()
    }

    /// As [`Pool::ask`].
    #[inline]
    pub fn ask(&mut self, msg: M) -> Ask<M, R> {
        self.pool.0.ask_plain(self.routing.load(), msg)
    }

    /// As [`Pool::try_ask`].
    pub fn try_ask(&mut self, msg: M) -> Ask<M, R> {
        self.task(msg).try_ask()
    }

    /// As [`Pool::ask_within`].
    pub fn ask_within(&mut self, timeout: Duration, msg: M) -> Ask<M, R> {
        self.task(msg).ask_within(timeout)
    }
}

impl<M, R> Clone for LocalPool<M, R> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), routing: self.routing.clone() }
    }
}

impl<M, R> fmt::Debug for LocalPool<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("pool", &self.pool).finish_non_exhaustive()
    }
}
