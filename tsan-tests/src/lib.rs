//! What raddle promises about the memory of its callers, with memory that has no synchronisation of
//! its own: only what raddle does orders the accesses.
//!
//! raddle itself has no `unsafe`, so that a wrong ordering in it is no data race there: its words are
//! all atomic. It is one in the memory of a caller who relies on it, and that is what these tests are.
//! They run as any other, and say more when `cargo xtask tsan` runs them: ThreadSanitizer reports
//! each access that nothing orders, even when the value was right. `planted-race` has the same tests
//! without the promise; each must be reported.

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::sync::Arc;

use raddle::prelude::*;

/// A number that is no atomic. Shared between threads that raddle is to keep apart.
#[derive(Debug, Default)]
pub struct Plain(UnsafeCell<u64>);

// SAFETY: none of its own. That accesses do not meet is the promise which each test is of.
#[expect(unsafe_code, reason = "a data race needs memory that nothing orders")]
unsafe impl Sync for Plain {}

#[expect(unsafe_code, reason = "a data race needs memory that nothing orders")]
impl Plain {
    /// Adds one by a load and a store.
    pub fn add(&self) {
        // SAFETY: the pointer is the cell's own. That nobody else is here is what is tested.
        unsafe { *self.0.get() += 1 }
    }

    /// The number.
    pub fn get(&self) -> u64 {
        // SAFETY: as in `add`.
        unsafe { *self.0.get() }
    }
}

/// An actor that runs what it is given.
pub struct Runs;

/// What it is given.
pub type Work = Box<dyn FnOnce() + Send>;

impl Actor for Runs {
    type Msg = Work;
    type Reply = ();
    type Error = Infallible;

    fn handle(&mut self, work: Work, _: &mut Context<'_>) -> Result<(), Infallible> {
        work();
        Ok(())
    }
}

/// A pool of so many workers in rotation.
///
/// # Panics
/// When the system has no thread left.
pub fn pool(workers: usize) -> Pool<Runs> {
    let builder = Pool::builder("tsan").workers(workers, WorkerSpec::new("w"));
    builder.strategy(RoundRobin::new()).spawn(|_| Runs).expect("the pool starts")
}

/// The only worker of a roster, to be run by the test itself.
///
/// # Panics
/// Never: the roster is a valid one.
pub fn worker() -> Arc<Worker> {
    let roster = Roster::builder().worker(WorkerSpec::new("w")).build().expect("a valid roster");
    Arc::clone(&roster.members()[0].worker)
}

/// A number, and work that adds one to it.
pub fn adding(plain: &Arc<Plain>) -> Work {
    let plain = Arc::clone(plain);
    Box::new(move || plain.add())
}
