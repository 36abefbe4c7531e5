use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use super::handle::Pool;
use super::inner::PoolInner;
use crate::actor::{Handler, IntoReply};
use crate::async_context::AsyncContext;
use crate::async_handler::AsyncHandler;
use crate::context::Context;

/// A handle to a [`Pool`] that does not keep it alive: for actors that use their own pool, closures of
/// periodic tasks, and callbacks. Created by [`Pool::downgrade`].
///
/// ```
/// # use std::time::Duration;
/// # use raddle_core::WorkerSpec;
/// # use raddle_runtime::{Actor, Context, Handler, Pool};
/// # struct Doubler;
/// # impl Actor for Doubler {}
/// # impl Handler<u64> for Doubler {
/// #     type Reply = u64;
/// #     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 { 2 * number }
/// # }
/// let pool = Pool::builder("double").workers(2, WorkerSpec::general()).spawn(|_| Doubler)?;
/// let weak = pool.downgrade();
/// pool.tell_every(Duration::from_secs(1), move || match weak.upgrade() {
///     Some(pool) => pool.account().counts.completed,
///     None => 0,
/// })?;
/// drop(pool); // the pool ends
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WeakPool<M, R>(Weak<PoolInner<M, R>>);

/// What a pool's workers keep of their pool: nothing until it is spawned.
pub(crate) type OwnPool<M, R> = OnceLock<WeakPool<M, R>>;

impl<M, R> Pool<M, R> {
    /// Returns a handle that does not keep the pool alive.
    pub fn downgrade(&self) -> WeakPool<M, R> {
        WeakPool(Arc::downgrade(&self.0))
    }
}

impl<M, R> WeakPool<M, R> {
    /// Returns the pool, unless its last handle was dropped.
    ///
    /// If the returned handle becomes the last one, dropping it shuts the pool down. On a thread of
    /// the pool itself that does not wait for the pool's end.
    pub fn upgrade(&self) -> Option<Pool<M, R>> {
        self.0.upgrade().map(Pool)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl<M, R> Clone for WeakPool<M, R> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0))
    }
}

impl<M, R> fmt::Debug for WeakPool<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_gone() { "WeakPool(gone)" } else { "WeakPool" })
    }
}

impl<A> Context<'_, A> {
    /// Returns the pool of the worker, whose messages are of type `M`.
    ///
    /// The handle keeps the pool alive. An actor that stores it never ends: store its
    /// [`downgrade`](Pool::downgrade) instead.
    ///
    /// `None` if the pool's last handle was dropped, if the pool has other messages than `M`, and in
    /// [`on_start`](crate::Actor::on_start) of the workers that the pool is built with: it does not
    /// exist until all of them have started.
    ///
    /// ```
    /// # use raddle_core::WorkerSpec;
    /// use raddle_runtime::{Actor, Context, Handler, Pool};
    ///
    /// struct Countdown;
    ///
    /// impl Actor for Countdown {}
    ///
    /// impl Handler<u32> for Countdown {
    ///     type Reply = ();
    ///
    ///     fn handle(&mut self, number: u32, cx: &mut Context<'_, Self>) {
    ///         if let (Some(next), Some(pool)) = (number.checked_sub(1), cx.pool::<u32>()) {
    ///             let _ = pool.tell(next);
    ///         }
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("countdown").workers(2, WorkerSpec::general()).spawn(|_| Countdown)?;
    /// pool.tell(3)?;
    /// while pool.account().counts.completed < 4 {
    ///     std::thread::yield_now();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pool<M>(&self) -> Option<Pool<M, <A::Reply as IntoReply>::Reply>>
    where
        A: Handler<M>,
        M: Send + 'static,
    {
        let own = self.own_pool().downcast_ref::<OwnPool<M, <A::Reply as IntoReply>::Reply>>();
        own?.get()?.upgrade()
    }
}

impl<A> AsyncContext<'_, A> {
    /// Returns the pool of the worker, whose messages are of type `M`; see [`Context::pool`].
    pub fn pool<M>(&self) -> Option<Pool<M, A::Reply>>
    where
        A: AsyncHandler<M>,
        M: Send + 'static,
    {
        self.own_pool().downcast_ref::<OwnPool<M, A::Reply>>()?.get()?.upgrade()
    }
}
