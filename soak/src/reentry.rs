use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Uses the pool from code that the pool calls.
#[derive(Default)]
pub struct Reentry {
    uses_pool: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Whether the pool's account is final.
    over: AtomicBool,
}

thread_local! {
    /// Whether this thread is in such a use already: its own callbacks would never end.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Reentry {
    /// Lets callbacks use the pool by this function from now on.
    pub fn begin(&self, uses_pool: impl Fn() + Send + Sync + 'static) {
        let _ = self.uses_pool.set(Box::new(uses_pool));
    }

    /// Lets callbacks use the pool no more.
    pub fn end(&self) {
        self.over.store(true, Relaxed);
    }

    /// Uses the pool; returns `false` if it may not be used.
    pub fn call(&self) -> bool {
        let Some(uses_pool) = self.uses_pool.get().filter(|_| !self.over.load(Relaxed)) else {
            return false;
        };
        if std::thread::panicking() || INSIDE.replace(true) {
            return false;
        }
        uses_pool();
        INSIDE.set(false);
        true
    }
}

impl fmt::Debug for Reentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reentry")
    }
}
