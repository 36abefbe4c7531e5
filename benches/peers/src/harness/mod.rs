//! What all contenders share: tasks, their execution and their measurement.

mod ask;
mod awaiting;
mod crew;
mod rotation;
mod select;
mod task;
mod throughput;

pub use ask::Asking;
pub use awaiting::Awaiting;
pub use crew::{Crew, Duty};
pub use rotation::Rotation;
pub use select::Selecting;
pub use task::{Task, Work, calibrate};
pub use throughput::{BATCH, Throughput};

use tokio::runtime::Runtime;

/// The capacity of each mailbox or channel, if it can be chosen.
pub const MAILBOX: usize = 1024;

/// Sends tasks to a contender and measures it.
///
/// A contender sets up its workers, each with a duty of the [crew](Self::crew), and passes a way to
/// send them tasks.
pub trait Driver: Sized {
    /// What a worker does with a task.
    type Duty: Duty;
    /// The measurement.
    type Outcome;

    /// Returns the number of workers that the contender must have.
    fn workers(&self) -> usize;

    /// Returns the workers' duties.
    fn crew(&self) -> Crew<Self::Duty>;

    /// Sends tasks from plain threads, each by a function that `inlet` creates.
    fn by_threads<I: FnMut(Task) + Send>(self, inlet: impl FnMut() -> I) -> Self::Outcome;

    /// Sends tasks asynchronously, from tasks of `runtime` or a plain thread.
    fn by_tasks<I: Inlet>(self, runtime: &Runtime, inlet: impl FnMut() -> I) -> Self::Outcome;
}

/// Sends tasks asynchronously.
pub trait Inlet: Send + 'static {
    /// Sends a task, waiting for room if there is none.
    fn send(&mut self, task: Task) -> impl Future<Output = ()> + Send;
}

/// Returns tokio's runtime with its defaults: one thread per core.
pub fn tokio_runtime() -> Runtime {
    Runtime::new().expect("the system can start threads")
}
