//! A pool as its user sees it: building it, sending tasks, changing it, ending it.

mod broadcast;
mod builder;
mod forward;
mod handle;
mod hedging;
mod housekeeper;
mod inner;
mod local;
mod options;
mod queued;
mod recipient;
#[cfg(feature = "futures")]
mod stream;
mod submit;
mod task;
mod tell;
mod timers;
mod weak;

pub use broadcast::Broadcast;
pub use builder::PoolBuilder;
pub use handle::{Drain, Pool};
pub use local::LocalPool;
pub use recipient::Recipient;
#[cfg(feature = "futures")]
pub use stream::PoolSink;
pub use task::TaskBuilder;
pub use tell::Tell;
pub use timers::TimerHandle;
#[cfg(feature = "test")]
pub(crate) use weak::OwnPool;
pub use weak::WeakPool;
