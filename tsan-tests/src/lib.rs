//! The happens-before relations that raddle promises its callers, tested with memory that has no
//! synchronisation of its own: only raddle orders the accesses.
//!
//! raddle contains no `unsafe` and shares only atomics, so a wrong ordering is not a data race in
//! raddle itself. It is one in the memory of a caller that relies on the ordering, and these tests
//! are such callers. They run like any other test, and prove more under `cargo xtask tsan`:
//! ThreadSanitizer reports every unordered access, even if the value was right. `planted-race`
//! contains tests that rely on something raddle does not promise; each must be reported.

use std::cell::UnsafeCell;
use std::sync::Arc;

use raddle::strategies::RoundRobin;
use raddle::{Actor, Context, Handler, Roster, Worker, WorkerSpec};

/// A number that is not atomic, shared between threads whose accesses raddle must order.
#[derive(Debug, Default)]
pub struct Plain(UnsafeCell<u64>);

// SAFETY: not guaranteed here. Every test checks a promise that orders the accesses.
#[expect(unsafe_code, reason = "a data race needs memory that nothing orders")]
unsafe impl Sync for Plain {}

#[expect(unsafe_code, reason = "a data race needs memory that nothing orders")]
impl Plain {
    /// Adds one, by a load and a store.
    pub fn add(&self) {
        // SAFETY: the pointer is valid; that no access is concurrent is what the test checks.
        unsafe { *self.0.get() += 1 }
    }

    /// Returns the number.
    pub fn get(&self) -> u64 {
        // SAFETY: see `add`.
        unsafe { *self.0.get() }
    }
}

/// An actor that runs closures.
pub struct Runs;

/// A closure to run.
pub type Work = Box<dyn FnOnce() + Send>;

/// A pool that runs closures.
pub type Pool = raddle::Pool<Work, ()>;

impl Actor for Runs {}

impl Handler<Work> for Runs {
    type Reply = ();

    fn handle(&mut self, work: Work, _: &mut Context<'_, Self>) {
        work();
    }
}

/// Spawns a pool of workers with round robin.
///
/// # Panics
/// If a thread cannot be spawned.
pub fn pool(workers: usize) -> Pool {
    let builder = Pool::builder("tsan").workers(workers, WorkerSpec::new("w"));
    builder.strategy(RoundRobin::new()).spawn(|_| Runs).expect("the pool starts")
}

/// Returns the only worker of a roster, which the test itself runs.
///
/// # Panics
/// Never: the roster is valid.
pub fn worker() -> Arc<Worker> {
    let roster = Roster::builder().worker(WorkerSpec::new("w")).build().expect("a valid roster");
    Arc::clone(&roster.members()[0].worker)
}

/// Returns work that adds one to a number.
pub fn adding(plain: &Arc<Plain>) -> Work {
    let plain = Arc::clone(plain);
    Box::new(move || plain.add())
}
