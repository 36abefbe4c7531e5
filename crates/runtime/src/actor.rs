use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::reply::Owed;
use crate::{Context, KeyedState};

/// The error type of [`Actor::on_start`] and [`Actor::on_restart`], and of the closure that creates an
/// actor.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// State that a worker runs.
///
/// An actor handles messages by implementing [`Handler<M>`](Handler). Each worker of a pool has an
/// actor of its own, created on the worker's thread by the closure passed to
/// [`PoolBuilder::spawn`](crate::PoolBuilder::spawn). The actor never leaves that thread, so it
/// need not be `Send`; messages and replies travel between threads and must be.
///
/// Every hook has a default. A panic in a handler ends that task alone, as
/// [`Panicked`](raddle_core::Outcome::Panicked): the actor is dropped and restarted as the pool's
/// [`Restarts`](crate::Restarts) say, and its mailbox is kept. A panic in a hook or in a `Drop`
/// affects nothing else.
///
/// ```
/// use raddle_runtime::{Actor, Context, Handler};
///
/// struct Counter(u64);
///
/// impl Actor for Counter {}
///
/// impl Handler<u64> for Counter {
///     type Reply = u64;
///
///     fn handle(&mut self, by: u64, _: &mut Context<'_, Self>) -> u64 {
///         self.0 += by;
///         self.0
///     }
/// }
/// ```
pub trait Actor: Sized + 'static {
    /// Called once, before the first message of a worker's first actor.
    ///
    /// # Errors
    /// An error, or a panic, fails the start: the pool is not spawned, or the worker not added.
    fn on_start(&mut self, cx: &mut Context<'_, Self>) -> Result<(), StartError> {
        let _ = cx;
        Ok(())
    }

    /// Called once, before the first message of an actor that was restarted: after a panic, after
    /// it stopped itself, or in place of one that hangs. Calls [`on_start`](Self::on_start) by
    /// default.
    ///
    /// # Errors
    /// An error, or a panic, counts as a failed start; the pool's [`Restarts`](crate::Restarts)
    /// decide what follows.
    fn on_restart(&mut self, cx: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.on_start(cx)
    }

    /// Called after a handler has panicked with `message`, before the actor is dropped or
    /// [kept](Self::survives_panic).
    fn on_panic(&mut self, message: &str, cx: &mut Context<'_, Self>) {
        let _ = (message, cx);
    }

    /// Returns whether the actor is kept after a panic, with its state, instead of being dropped and
    /// created again; `false` by default. Called after [`on_panic`](Self::on_panic). The handler may have
    /// left the state half changed: check or repair it here, or replace a part of it.
    ///
    /// An actor that is kept counts as restarted all the same: the pool's
    /// [`Restarts`](crate::Restarts) decide whether and when it goes on, its worker has a new generation,
    /// and [`on_restart`](Self::on_restart) is called. If that fails or panics, or this does, the actor is
    /// dropped, and the next one is created by the closure passed to `spawn`. The same holds for an
    /// actor that stopped itself, and for one that hangs and is replaced.
    ///
    /// ```
    /// # use raddle_core::WorkerSpec;
    /// # use raddle_runtime::{Actor, Context, Handler, Pool};
    /// struct Totals {
    ///     sum: u64,
    ///     buffer: Vec<u64>,
    /// }
    ///
    /// impl Actor for Totals {
    ///     fn survives_panic(&mut self, _message: &str, _: &mut Context<'_, Self>) -> bool {
    ///         self.buffer.clear(); // may be half filled
    ///         true
    ///     }
    /// }
    ///
    /// impl Handler<u64> for Totals {
    ///     type Reply = u64;
    ///
    ///     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
    ///         self.buffer.push(number);
    ///         assert!(number < 100, "too large");
    ///         self.sum += self.buffer.drain(..).sum::<u64>();
    ///         self.sum
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("totals")
    ///     .workers(1, WorkerSpec::general())
    ///     .spawn(|_| Totals { sum: 0, buffer: Vec::new() })?;
    /// assert_eq!(pool.ask(7).wait()?, 7);
    /// assert!(pool.ask(100).wait().is_err());
    /// assert_eq!(pool.ask(1).wait()?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn survives_panic(&mut self, message: &str, cx: &mut Context<'_, Self>) -> bool {
        let _ = (message, cx);
        false
    }

    /// Returns how the state that the actor keeps for [keys](crate::TaskBuilder::key) moves when the keys
    /// move to another worker; `None`, the default, if it stays. Then an event says
    /// [which keys](crate::EventKind::KeysMoved) have moved. Called once, when the pool is built.
    ///
    /// Not for pools whose strategy [routes keys](raddle_strategies::Strategy::routes_keys): their state is
    /// a cache, and `spawn` and [`set_strategy`](crate::Pool::set_strategy) refuse the strategy. Nor for
    /// handlers that run side by side, which share their actor: `spawn_concurrent` and `spawn_read_write`
    /// refuse it.
    fn keyed_state() -> Option<KeyedState<Self>> {
        None
    }

    /// Called before the actor is dropped, unless its handler has panicked: its worker was drained
    /// or retired, it [stopped itself](Context::stop), its async handler was
    /// [dropped](crate::AsyncHandler#when-a-handler-is-dropped) and may have changed it by half, or its
    /// handler returned after its worker had been given to another thread.
    fn on_stop(&mut self, cx: &mut Context<'_, Self>) {
        let _ = cx;
    }
}

/// What the closure that creates a worker's actor returns: the actor, or a `Result` with it.
///
/// An error counts as one of [`Actor::on_start`]: at first it fails the start of the pool or worker, as
/// [`SpawnError::Actor`](crate::SpawnError::Actor); at a restart it is announced as
/// [`StartFailed`](crate::EventKind::StartFailed), and tried again by the pool's
/// [`Restarts`](crate::Restarts).
///
/// ```
/// # use raddle_core::WorkerSpec;
/// # use raddle_runtime::{Actor, Context, Handler, Pool, SpawnError};
/// struct Lookup(std::fs::File);
///
/// impl Actor for Lookup {}
/// # impl Handler<u64> for Lookup {
/// #     type Reply = ();
/// #     fn handle(&mut self, _: u64, _: &mut Context<'_, Self>) {}
/// # }
///
/// let pool = Pool::builder("lookup")
///     .workers(2, WorkerSpec::general())
///     .spawn(|_| std::fs::File::open("no such file").map(Lookup));
/// assert!(matches!(pool, Err(SpawnError::Actor { .. })));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an actor nor a `Result` with one",
    note = "implement `Actor` for the type, or return a `Result` whose error is `Into<StartError>`"
)]
pub trait IntoActor {
    /// The actor.
    type Actor: Actor;

    /// Returns the actor.
    ///
    /// # Errors
    /// Why there is none.
    fn into_actor(self) -> Result<Self::Actor, StartError>;
}

impl<A: Actor> IntoActor for A {
    type Actor = A;

    fn into_actor(self) -> Result<A, StartError> {
        Ok(self)
    }
}

impl<A: Actor, E: Into<StartError>> IntoActor for Result<A, E> {
    type Actor = A;

    fn into_actor(self) -> Result<A, StartError> {
        self.map_err(Into::into)
    }
}

/// Handles messages of type `M`.
///
/// A pool is typed by one message type and runs any actor that handles it.
///
/// ```
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::{Actor, Context, Handler, Pool};
///
/// struct Parser;
///
/// impl Actor for Parser {}
///
/// impl Handler<String> for Parser {
///     type Reply = Result<u64, std::num::ParseIntError>;
///
///     fn handle(&mut self, text: String, _: &mut Context<'_, Self>) -> Self::Reply {
///         text.parse()
///     }
/// }
///
/// let pool = Pool::builder("parse").workers(2, WorkerSpec::general()).spawn(|_| Parser)?;
/// assert_eq!(pool.ask("42".into()).wait()?, Ok(42));
/// assert!(pool.ask("forty-two".into()).wait()?.is_err());
/// assert_eq!(pool.account().counts.failed, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Handler<M: Send + 'static>: Actor {
    /// What an asker receives, or [`Deferred`](crate::Deferred) of it.
    type Reply: IntoReply;

    /// Handles one message. Runs on the worker's thread, one message at a time.
    fn handle(&mut self, msg: M, cx: &mut Context<'_, Self>) -> Self::Reply;
}

/// What an asker receives.
///
/// A `Result` counts its `Err` as [`Failed`](raddle_core::Outcome::Failed); any other type counts
/// as [`Completed`](raddle_core::Outcome::Completed). Implemented for common types of the standard
/// library; a type of your own takes one line, and a type of another crate can be returned in a
/// `Result`, a `Box` or an `Option`:
///
/// ```
/// struct Thumbnail(Vec<u8>);
///
/// impl raddle_runtime::Reply for Thumbnail {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a handler",
    note = "add `impl raddle::Reply for {Self} {{}}`, or return a `Result`"
)]
pub trait Reply: Send + 'static {
    /// Returns whether the task counts as failed. Called on the worker's thread, as part of the handler: a
    /// panic counts as the handler's, and the reply is dropped.
    fn is_failure(&self) -> bool {
        false
    }
}

impl<T: Send + 'static, E: Send + 'static> Reply for Result<T, E> {
    fn is_failure(&self) -> bool {
        self.is_err()
    }
}

/// What a handler returns: a [`Reply`], or a [`Deferred`](crate::Deferred) one. Nothing else
/// implements it, and a type of your own needs only [`Reply`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a handler",
    note = "add `impl raddle::Reply for {Self} {{}}`, or return a `Result`"
)]
pub trait IntoReply: Sized + 'static {
    /// What an asker receives.
    type Reply: Reply;

    /// Whether it is there and counts as failed.
    #[doc(hidden)]
    fn fails(&self) -> bool;

    #[doc(hidden)]
    fn settle(self) -> Settled<Self::Reply>;
}

/// A reply that is there, or owed.
#[doc(hidden)]
pub enum Settled<R> {
    Reply(R),
    Owed(Arc<Owed<R>>),
}

impl<R: Reply> IntoReply for R {
    type Reply = R;

    #[inline(always)]
    fn fails(&self) -> bool {
        self.is_failure()
    }

    #[inline(always)]
    fn settle(self) -> Settled<R> {
        Settled::Reply(self)
    }
}

macro_rules! replies {
    ($($type:ty $(: <$($parameter:ident),*>)?),* $(,)?) => {
        $(impl $(<$($parameter: Send + 'static),*>)? Reply for $type {})*
    };
}

replies!(
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    &'static str,
    String,
    Duration,
    Instant,
    SystemTime,
    Option<T>: <T>,
    Vec<T>: <T>,
    VecDeque<T>: <T>,
    HashMap<K, V, S>: <K, V, S>,
    HashSet<T, S>: <T, S>,
    BTreeMap<K, V>: <K, V>,
    BTreeSet<T>: <T>,
    Box<T>: <T>,
    (A,): <A>,
    (A, B): <A, B>,
    (A, B, C): <A, B, C>,
    (A, B, C, D): <A, B, C, D>,
);

impl<T: Send + Sync + 'static> Reply for Arc<T> {}

impl<T: Send + 'static, const N: usize> Reply for [T; N] {}
