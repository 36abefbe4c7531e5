//! raddle's protocols with more threads than loom can explore: shuttle runs each model in three
//! thousand schedules drawn from a seed.
//!
//! ```text
//! cargo xtask shuttle
//! SHUTTLE_RANDOM_SEED=7 cargo xtask shuttle        # repeats the schedules of seed 7
//! ```
//!
//! loom explores every execution of a few threads; this is a sample for sixteen. shuttle is
//! sequentially consistent, so a missing Release never shows here, but in `loom-tests` and under
//! ThreadSanitizer. Each model runs over the code that ships, and over *twins*: copies with a
//! planted bug, such as a step left out or swapped, over which it must fail.
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
