//! Model checks of every concurrent algorithm of raddle. loom runs each model in every way in which
//! its threads can interleave and its loads can read older values, up to a bound on the preemptions
//! per execution.
//!
//! ```text
//! cargo xtask loom
//! cargo xtask loom --deep      # the long run
//! ```
//!
//! Each file of `tests/` checks one property. Its models are generic over the algorithm: they run
//! over the code that ships, and over *twins*, copies with a planted bug, over which they must
//! fail. A bug that a model does not find in a twin, it would not find in the real code.
//!
//! # What loom cannot see
//! - Two read-modify-writes of one atomic always happen in the order in which loom runs them. An
//!   ordering that only decides between those has a twin with swapped steps instead. Where a value
//!   is checked, a load can read an older value than a read-modify-write would, and shows the bug.
//! - loom remembers only the last access of each atomic. A thread that loads and then stores hides
//!   an earlier load of another thread, and with it the executions in which the store comes first.
//!   Therefore writers that load and store do so in the model's main thread, which loom runs first.
//! - loom does not keep a read-modify-write adjacent to the store that it read. A later plain store
//!   can be ordered in between, so a model may fail in an impossible execution.
//! - loom treats `SeqCst` as `AcqRel`.
//! - loom does not know `std`'s locks: two of its threads that contend for one would hang. Modelled
//!   code uses the locks of `raddle_sync`. Membership, threads, timer queues, subscribers and
//!   supervisors use `std`'s, as each is a single lock without atomics beside it.
//! - Channels and snapshots are models (`raddle_sync`): the check covers our protocols, not
//!   crossbeam's or arc-swap's. The slot of a reply is `oneshot`'s own code over loom's atomics.
//!
//! Everything that does not depend on loom is shared with `shuttle-tests`. Without `--cfg loom`
//! this crate has no tests.

#[cfg(any(loom, shuttle))]
mod account;
#[cfg(any(loom, shuttle))]
mod failure;
#[cfg(loom)]
mod model;
#[cfg(any(loom, shuttle))]
mod workers;

#[cfg(any(loom, shuttle))]
pub use account::Account;
#[cfg(any(loom, shuttle))]
pub use failure::message;
#[cfg(loom)]
pub use model::{explore, explore_no_deeper, fails_with, mailbox, next, work, worker};
#[cfg(any(loom, shuttle))]
pub use workers::{assert_settled, completed, put, put_in, roster, send, tasks_of};
