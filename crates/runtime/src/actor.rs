use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::Context;

/// The error type of [`Actor::on_start`] and [`Actor::on_restart`].
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

    /// Called after a handler has panicked with `message`, before the actor is dropped.
    fn on_panic(&mut self, message: &str, cx: &mut Context<'_, Self>) {
        let _ = (message, cx);
    }

    /// Called before the actor is dropped, unless its handler has panicked: its worker was drained
    /// or retired, it [stopped itself](Context::stop), or its handler returned after its worker
    /// had been given to another thread.
    fn on_stop(&mut self, cx: &mut Context<'_, Self>) {
        let _ = cx;
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
    /// What an asker receives.
    type Reply: Reply;

    /// Handles one message. Runs on the worker's thread, one message at a time.
    fn handle(&mut self, msg: M, cx: &mut Context<'_, Self>) -> Self::Reply;
}

/// What a handler returns.
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
    /// Returns whether the task counts as failed.
    fn is_failure(&self) -> bool {
        false
    }
}

impl<T: Send + 'static, E: Send + 'static> Reply for Result<T, E> {
    fn is_failure(&self) -> bool {
        self.is_err()
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
