use std::any::Any;

use dashmap::{DashMap, Entry};
use thiserror::Error;

use crate::pool::{Pool, WeakPool};

/// Pools by name, for programs that look them up instead of passing them on.
///
/// A registry is an ordinary value: create one and share it as you like. It keeps no pool alive. A
/// look-up takes a shard lock.
///
/// ```
/// use raddle_core::WorkerSpec;
/// # use raddle_runtime::{Actor, Context, Handler, Pool, Registry};
/// # struct Echo;
/// # impl Actor for Echo {}
/// # impl Handler<u8> for Echo {
/// #     type Reply = u8;
/// #     fn handle(&mut self, msg: u8, _: &mut Context<'_, Self>) -> u8 { msg }
/// # }
///
/// let registry = Registry::new();
/// let pool = Pool::builder("echo").workers(1, WorkerSpec::general()).spawn(|_| Echo)?;
/// registry.register(&pool)?;
/// assert_eq!(registry.get::<u8, u8>("echo")?.ask(7).wait()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry {
    pools: DashMap<String, Box<dyn Registered>>,
}

/// A registered pool; its types are recovered by downcasting.
trait Registered: Any + Send + Sync {
    fn is_gone(&self) -> bool;
}

impl<M: Send + 'static, R: Send + 'static> Registered for WeakPool<M, R> {
    fn is_gone(&self) -> bool {
        WeakPool::is_gone(self)
    }
}

impl std::fmt::Debug for dyn Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_gone() { "gone" } else { "pool" })
    }
}

/// Why a pool was not registered or not found.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// Another pool has the name.
    #[error("the name `{0}` is taken by another pool")]
    NameTaken(String),
    /// No pool has the name, or that pool is gone.
    #[error("no pool is named `{0}`")]
    NotFound(String),
    /// The pool has other message or reply types.
    #[error("pool `{name}` is not a {requested}")]
    OtherType {
        /// The pool.
        name: String,
        /// The requested type.
        requested: &'static str,
    },
}

impl Registry {
    /// Creates an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a pool under its name, and forgets the pools that are gone, whose names can be used
    /// again. O(n).
    ///
    /// # Errors
    /// If another pool has the name.
    pub fn register<M, R>(&self, pool: &Pool<M, R>) -> Result<(), RegistryError>
    where
        M: Send + 'static,
        R: Send + 'static,
    {
        self.pools.retain(|_, pool| !pool.is_gone());
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

    /// Returns the pool with this name.
    ///
    /// # Errors
    /// If there is none, or it has other message or reply types.
    pub fn get<M, R>(&self, name: &str) -> Result<Pool<M, R>, RegistryError>
    where
        M: Send + 'static,
        R: Send + 'static,
    {
        let not_found = || RegistryError::NotFound(name.to_owned());
        let entry = self.pools.get(name).ok_or_else(not_found)?;
        let registered: &dyn Any = &**entry.value();
        let pool = registered.downcast_ref::<WeakPool<M, R>>().ok_or_else(|| {
            let requested = std::any::type_name::<Pool<M, R>>();
            RegistryError::OtherType { name: name.to_owned(), requested }
        })?;
        pool.upgrade().ok_or_else(not_found)
    }

    /// Returns the names of the pools that are not gone, sorted.
    pub fn names(&self) -> Vec<String> {
        let living = self.pools.iter().filter(|entry| !entry.value().is_gone());
        let mut names: Vec<_> = living.map(|entry| entry.key().clone()).collect();
        names.sort_unstable();
        names
    }
}
