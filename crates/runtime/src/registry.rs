use std::any::Any;

use dashmap::{DashMap, Entry};
use thiserror::Error;

use crate::pool::WeakPool;
use crate::{Actor, Pool};

/// Pools by name, for programs that look them up instead of passing them on.
///
/// It is nobody's but its owner's: make one and share it as you like. It keeps no pool alive. A
/// look-up takes a shard lock.
///
/// ```
/// use raddle_core::WorkerSpec;
/// # use raddle_runtime::{Actor, Context, Pool, Registry};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Msg = u8;
/// #     type Reply = u8;
/// #     type Error = std::convert::Infallible;
/// #     fn handle(&mut self, msg: u8, _: &mut Context<'_>) -> Result<u8, Self::Error> { Ok(msg) }
/// # }
///
/// let registry = Registry::new();
/// let pool = Pool::builder("echo").workers(1, WorkerSpec::general()).spawn(|_| Echo)?;
/// registry.register(&pool)?;
/// assert_eq!(registry.get::<Echo>("echo")?.ask(7)?.wait()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry {
    pools: DashMap<String, Box<dyn Entered>>,
}

/// A pool as it is entered: its actor type is found again by downcasting.
trait Entered: Any + Send + Sync {
    fn is_gone(&self) -> bool;
}

impl<A: Actor> Entered for WeakPool<A> {
    fn is_gone(&self) -> bool {
        WeakPool::is_gone(self)
    }
}

impl std::fmt::Debug for dyn Entered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_gone() { "gone" } else { "pool" })
    }
}

/// Why a pool was not entered or found.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// Another pool has the name.
    #[error("the name `{0}` is taken by another pool")]
    NameTaken(String),
    /// No pool of this name, or no longer.
    #[error("no pool is named `{0}`")]
    NotFound(String),
    /// The pool runs another type of actor.
    #[error("pool `{name}` does not run actors of type {asked}")]
    OtherActor {
        /// The pool.
        name: String,
        /// The actor type that was asked for.
        asked: &'static str,
    },
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a pool under its name. A pool that is gone leaves its name to the next.
    ///
    /// # Errors
    /// When a living pool has the name.
    pub fn register<A: Actor>(&self, pool: &Pool<A>) -> Result<(), RegistryError> {
        match self.pools.entry(pool.name().to_owned()) {
            Entry::Occupied(entry) if !entry.get().is_gone() => {
                Err(RegistryError::NameTaken(pool.name().to_owned()))
            }
            entry => {
                entry.insert(Box::new(pool.downgrade()));
                Ok(())
            }
        }
    }

    /// The pool of this name.
    ///
    /// # Errors
    /// When there is none, or its actors are of another type.
    pub fn get<A: Actor>(&self, name: &str) -> Result<Pool<A>, RegistryError> {
        let not_found = || RegistryError::NotFound(name.to_owned());
        let entry = self.pools.get(name).ok_or_else(not_found)?;
        let entered: &dyn Any = &**entry.value();
        let pool = entered.downcast_ref::<WeakPool<A>>().ok_or_else(|| {
            let asked = std::any::type_name::<A>();
            RegistryError::OtherActor { name: name.to_owned(), asked }
        })?;
        pool.upgrade().ok_or_else(not_found)
    }

    /// The names of the living pools, sorted.
    pub fn names(&self) -> Vec<String> {
        let living = self.pools.iter().filter(|entry| !entry.value().is_gone());
        let mut names: Vec<_> = living.map(|entry| entry.key().clone()).collect();
        names.sort_unstable();
        names
    }
}
