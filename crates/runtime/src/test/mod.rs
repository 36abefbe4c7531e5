//! Tests of actors and pools: a context without a pool, and pools on the test's thread, under a virtual
//! clock.
//!
//! - [`TestContext`] lends the [`Context`](crate::Context) with which a test calls a handler or a hook.
//! - [`TestPool`] runs a pool on the thread of the test, which decides when its workers go on and when
//!   time passes. Everything but the threads is the pool that ships.
//! - [`TestRuntime`] does so for every pool that is spawned on the thread, such as those of a whole
//!   application.
//! - [`Explore`] runs a scenario with pools many times, each with another schedule and other faults, and
//!   shrinks what fails.

mod context;
mod explore;
mod pool;
mod runtime;
mod sleep;

pub use context::TestContext;
pub use explore::{Explore, Explored, Failure, Faults, Replay, Run};
pub(crate) use explore::{after_handler, before_handler, note_pool};
pub use pool::TestPool;
pub(crate) use runtime::virtual_clock;
pub use runtime::{TestRuntime, block_on};
pub use sleep::{Sleep, sleep, sleep_async};
