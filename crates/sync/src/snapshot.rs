use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

#[cfg(not(any(loom, shuttle)))]
use arc_swap::{ArcSwapAny as Cell, Cache, Guard};
#[cfg(any(loom, shuttle))]
use model::{Cache, Cell, Guard};

/// A value that can be replaced as a whole while others read it: `arc-swap`, or a lock under loom
/// and shuttle.
///
/// Loading is lock-free (about 14 ns). Loading through a [`SnapshotReader`] costs one comparison
/// unless a new value was stored. Storing may wait for readers in the middle of a load.
pub struct Snapshot<T> {
    cell: Arc<Cell<Arc<T>>>,
}

/// A value loaded by [`Snapshot::load`], kept alive by this guard.
pub struct SnapshotGuard<T>(Guard<Arc<T>>);

/// A cached view of a [`Snapshot`], one per thread or handle.
///
/// Keeps the value of its last load alive, even after another was stored.
pub struct SnapshotReader<T>(Cache<Arc<Cell<Arc<T>>>, Arc<T>>);

/// The types of `arc-swap` with a lock instead.
#[cfg(any(loom, shuttle))]
#[allow(clippy::disallowed_types, reason = "in a model")]
mod model {
    use super::Arc;
    use crate::checker::sync::Mutex;

    pub(super) type Guard<T> = T;
    pub(super) struct Cell<T>(Mutex<T>);
    #[derive(Clone)]
    pub(super) struct Cache<A, T>(A, T);

    impl<T: Clone> Cell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(super) fn load(&self) -> T {
            self.0.lock().unwrap().clone()
        }

        pub(super) fn store(&self, value: T) {
            // Like arc-swap, drops the old value after the lock is released.
            let _old = std::mem::replace(&mut *self.0.lock().unwrap(), value);
        }
    }

    impl<T: Clone> Cache<Arc<Cell<T>>, T> {
        pub(super) fn new(cell: Arc<Cell<T>>) -> Self {
            let value = cell.load();
            Self(cell, value)
        }

        pub(super) fn load(&mut self) -> &T {
            self.1 = self.0.load();
            &self.1
        }
    }
}

impl<T> Snapshot<T> {
    /// Creates a snapshot that holds `value`.
    pub fn new(value: Arc<T>) -> Self {
        Self { cell: Arc::new(Cell::new(value)) }
    }

    /// Returns the current value. Lock-free.
    #[inline]
    pub fn load(&self) -> SnapshotGuard<T> {
        SnapshotGuard(self.cell.load())
    }

    /// Replaces the value. May wait for loads in progress; allocates nothing.
    pub fn store(&self, value: Arc<T>) {
        self.cell.store(value);
    }

    /// Creates a cached view for one thread or handle.
    pub fn reader(&self) -> SnapshotReader<T> {
        SnapshotReader(Cache::new(Arc::clone(&self.cell)))
    }
}

impl<T> SnapshotReader<T> {
    /// Returns the current value. Costs one comparison unless a value was stored since the last call.
    #[inline]
    pub fn load(&mut self) -> &Arc<T> {
        self.0.load()
    }
}

impl<T> Clone for SnapshotReader<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for SnapshotGuard<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&*self.load()).finish()
    }
}

impl<T> fmt::Debug for SnapshotReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReader").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for SnapshotGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SnapshotGuard").field(&**self).finish()
    }
}
