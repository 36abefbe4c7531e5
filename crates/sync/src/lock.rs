#![allow(clippy::disallowed_types, reason = "each `ColdLock` says when it is locked")]

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::fibers;

#[cfg(any(loom, shuttle))]
use crate::checker::sync::Mutex;
#[cfg(any(loom, shuttle))]
pub use crate::checker::sync::{Condvar, MutexGuard};
#[cfg(not(any(loom, shuttle)))]
use std::sync::Mutex;
#[cfg(not(any(loom, shuttle)))]
pub use std::sync::{Condvar, MutexGuard};

/// A mutex that ignores poisoning. No task takes it on its usual path.
#[derive(Debug)]
pub struct ColdLock<T>(Mutex<T>);

impl<T> ColdLock<T> {
    /// Creates a lock that protects `value`.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits on `changed` while the value `is_so`, or for `timeout` if there is one. Returns the lock.
    pub fn wait_while(
        &self,
        changed: &Condvar,
        timeout: Option<Duration>,
        is_so: impl Fn(&T) -> bool,
    ) -> MutexGuard<'_, T> {
        if fibers::is_active() {
            // Nothing is locked while others run.
            fibers::wait_timeout(timeout, || (!is_so(&self.lock())).then_some(()));
            return self.lock();
        }
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut value = self.lock();
        while is_so(&value) {
            value = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => changed.wait(value).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let waited = changed.wait_timeout(value, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        value
    }

    /// Waits for the lock. A thread that panicked while it held it changed nothing before.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for ColdLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
