//! What all contenders share: tasks, who serves them, who gives them and how that is measured.

mod ask;
mod crew;
mod rotation;
mod select;
mod task;
mod throughput;

pub use ask::Asking;
pub use crew::{Crew, Duty};
pub use rotation::Rotation;
pub use select::Selecting;
pub use task::{Task, Work, calibrate};
pub use throughput::Throughput;

use tokio::runtime::Runtime;

/// Room in each mailbox or channel, where it can be chosen.
pub const MAILBOX: usize = 1024;

/// Gives tasks to a contender and measures what becomes of them.
///
/// A contender sets its workers up, each with a duty of the [crew](Self::crew), and hands over the
/// way in.
pub trait Driver: Sized {
    /// What a worker does with a task.
    type Duty: Duty;
    /// What was measured.
    type Outcome;

    /// How many workers there are to be.
    fn workers(&self) -> usize;

    /// The workers' duties.
    fn crew(&self) -> Crew<Self::Duty>;

    /// Gives tasks from plain threads. `inlet` makes the way in of one of them.
    fn by_threads<I: FnMut(Task) + Send>(self, inlet: impl FnMut() -> I) -> Self::Outcome;

    /// Gives tasks by an async way in, each producer where its users would have it.
    fn by_tasks<I: Inlet>(self, runtime: &Runtime, inlet: impl FnMut() -> I) -> Self::Outcome;
}

/// An async way in.
pub trait Inlet: Send + 'static {
    /// Gives a task, and waits for room if there is none.
    fn send(&mut self, task: Task) -> impl Future<Output = ()> + Send;
}

/// tokio's runtime at its defaults: a thread a core.
pub fn tokio_runtime() -> Runtime {
    Runtime::new().expect("the system has threads to give")
}
