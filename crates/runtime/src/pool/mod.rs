//! A pool as its user sees it: building it, sending tasks, changing it, ending it.

mod builder;
mod handle;
mod hedging;
mod housekeeper;
mod inner;
mod local;
mod submit;
mod task;

pub use builder::PoolBuilder;
pub(crate) use handle::WeakPool;
pub use handle::{Drain, Pool};
pub use local::LocalPool;
pub use task::TaskBuilder;
