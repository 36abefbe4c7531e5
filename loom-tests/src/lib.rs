//! Every concurrent algorithm of raddle, model-checked: loom runs each test in all the ways in
//! which its threads may interleave and its loads may read old values, up to a bound on the
//! preemptions of one execution.
//!
//! ```text
//! cargo xtask loom
//! cargo xtask loom --deep      # the long run
//! ```
//!
//! Each file of `tests/` is one property. Its models are generic over the algorithm, so that they
//! run over the code which ships, and over a *twin*: a copy with one line wrong, over which they
//! must fail. What a twin's model does not notice, the model would not notice in the real code.
//!
//! # What loom cannot see
//! - Two read-modify-writes of one atomic always happen in the order in which it runs them, so an
//!   ordering that decides only theirs has a twin with a swapped step instead. Where a value is
//!   checked, a load may be older than what a read-modify-write meets, and shows it.
//! - It remembers one last access of each atomic. A thread that loads and then stores hides from it
//!   that another had loaded before, and so the executions in which the store comes first: whoever
//!   writes by load and store does so in the model's own thread, which loom runs first.
//! - It does not keep a read-modify-write next to the store that it read: a plain store that comes
//!   later may count as the earlier one, and a model may fail in an execution that cannot be.
//! - It treats `SeqCst` as `AcqRel`.
//! - Locks of `std` are none to it: two of its threads in one would hang. What a model looks at has
//!   its locks by `raddle_sync`; membership, threads, timers' queues, subscribers and
//!   supervisors have `std`'s, as each is one lock and no atomic beside it.
//! - Channels and snapshots are models (`raddle_sync`): what is checked is our protocol, not
//!   crossbeam's or arc-swap's. The slot of a reply is the crate's own, over loom's atomics.
//!
//! What is not of loom is shared with `shuttle-tests`. Without `--cfg loom` this crate has no test.

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
pub use workers::{assert_settled, completed, give, put, put_in, roster, tasks_of};
