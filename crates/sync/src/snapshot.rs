use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A value that can be replaced as a whole while others read it: `arc-swap`, or a lock under loom
/// and shuttle.
///
/// Loading is lock-free (about 14 ns). Loading through a [`SnapshotReader`] costs one comparison
/// unless a new value was stored. Storing may wait for readers in the middle of a load.
pub struct Snapshot<T> {
    cell: Cell<T>,
}

/// A value loaded by [`Snapshot::load`], kept alive by this guard.
pub struct SnapshotGuard<T>(Guard<T>);

/// A cached view of a [`Snapshot`], one per thread or handle.
///
/// Keeps the value of its last load alive, even after another was stored.
pub struct SnapshotReader<T>(Reader<T>);

#[cfg(not(any(loom, shuttle)))]
mod imp {
    use super::Arc;
    pub(super) type Cell<T> = Arc<arc_swap::ArcSwapAny<Arc<T>>>;
    pub(super) type Guard<T> = arc_swap::Guard<Arc<T>>;
    pub(super) type Reader<T> = arc_swap::Cache<Cell<T>, Arc<T>>;

    pub(super) fn cell<T>(value: Arc<T>) -> Cell<T> {
        Arc::new(arc_swap::ArcSwapAny::new(value))
    }
    pub(super) fn load<T>(cell: &Cell<T>) -> Guard<T> {
        cell.load()
    }
    pub(super) fn store<T>(cell: &Cell<T>, value: Arc<T>) {
        cell.store(value);
    }
    pub(super) fn reader<T>(cell: &Cell<T>) -> Reader<T> {
        arc_swap::Cache::new(Arc::clone(cell))
    }
    pub(super) fn refresh<T>(reader: &mut Reader<T>) -> &Arc<T> {
        reader.load()
    }
    pub(super) fn clone<T>(reader: &Reader<T>) -> Reader<T> {
        reader.clone()
    }
}

#[cfg(any(loom, shuttle))]
#[allow(clippy::disallowed_types, reason = "in a model")]
mod imp {
    use super::Arc;
    use crate::checker::sync::Mutex;
    pub(super) type Cell<T> = Arc<Mutex<Arc<T>>>;
    pub(super) type Guard<T> = Arc<T>;
    pub(super) type Reader<T> = (Cell<T>, Arc<T>);

    pub(super) fn cell<T>(value: Arc<T>) -> Cell<T> {
        Arc::new(Mutex::new(value))
    }
    pub(super) fn load<T>(cell: &Cell<T>) -> Guard<T> {
        Arc::clone(&cell.lock().unwrap())
    }
    pub(super) fn store<T>(cell: &Cell<T>, value: Arc<T>) {
        // Like arc-swap, drops the old value after the lock is released.
        let _old = std::mem::replace(&mut *cell.lock().unwrap(), value);
    }
    pub(super) fn reader<T>(cell: &Cell<T>) -> Reader<T> {
        (Arc::clone(cell), load(cell))
    }
    pub(super) fn refresh<T>(reader: &mut Reader<T>) -> &Arc<T> {
        reader.1 = load(&reader.0);
        &reader.1
    }
    pub(super) fn clone<T>(reader: &Reader<T>) -> Reader<T> {
        (Arc::clone(&reader.0), Arc::clone(&reader.1))
    }
}

use imp::{Cell, Guard, Reader};

impl<T> Snapshot<T> {
    /// Creates a snapshot that holds `value`.
    pub fn new(value: Arc<T>) -> Self {
        Self { cell: imp::cell(value) }
    }

    /// Returns the current value. Lock-free.
    #[inline]
    pub fn load(&self) -> SnapshotGuard<T> {
        SnapshotGuard(imp::load(&self.cell))
    }

    /// Replaces the value. May wait for loads in progress; allocates nothing.
    pub fn store(&self, value: Arc<T>) {
        imp::store(&self.cell, value);
    }

    /// Creates a cached view for one thread or handle.
    pub fn reader(&self) -> SnapshotReader<T> {
        SnapshotReader(imp::reader(&self.cell))
    }
}

impl<T> SnapshotReader<T> {
    /// Returns the current value. Costs one comparison unless a value was stored since the last call.
    #[inline]
    pub fn load(&mut self) -> &Arc<T> {
        imp::refresh(&mut self.0)
    }
}

impl<T> Clone for SnapshotReader<T> {
    fn clone(&self) -> Self {
        Self(imp::clone(&self.0))
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
