//! raddle's protocols with as many threads as loom cannot have: shuttle runs each test in some
//! thousand schedules that are drawn from a seed.
//!
//! ```text
//! cargo xtask shuttle
//! SHUTTLE_RANDOM_SEED=7 cargo xtask shuttle        # the schedules of a run that printed seed 7
//! ```
//!
//! What loom explores is every way for a few threads, and this is a sample for sixteen. It is a sample
//! of sequentially consistent executions: a Release that is missing shows here never, in `loom-tests`
//! and under ThreadSanitizer it does. Each model runs over the code which ships and over *twins*:
//! copies with a step left out or swapped, over which it must fail.
//!
//! Without `--cfg shuttle` this crate is empty.

#[cfg(shuttle)]
mod mailboxes;
#[cfg(shuttle)]
mod schedules;

#[cfg(shuttle)]
pub use mailboxes::{Task, mailboxes, workers};
#[cfg(shuttle)]
pub use schedules::{explore, fails_with};
