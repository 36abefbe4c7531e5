use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::task::{Task, spin};

/// What a worker does with a task, and the number of tasks it has done.
///
/// Only one thread at a time may run it.
pub trait Duty: Send + Sync + 'static {
    /// Runs a task on a thread that may block.
    fn run(&self, task: Task);

    /// Runs a task in an async handler.
    fn run_async(&self, task: Task) -> impl Future<Output = ()> + Send;

    /// Returns the number of tasks done.
    fn done(&self) -> u64;
}

/// The duties of a pool's workers. They are leaked, so that workers need no reference counts.
pub struct Crew<D: 'static> {
    duties: &'static [D],
    taken: &'static AtomicUsize,
}

/// Spins for the duration of a task. Its count has its own cache line and is written by plain
/// stores, which cost every contender the same.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct Spinner {
    done: AtomicU64,
}

impl<D: Duty> Crew<D> {
    /// Creates a crew.
    pub fn new(duties: Vec<D>) -> Self {
        Self { duties: duties.leak(), taken: Box::leak(Box::default()) }
    }

    /// Returns the duty of the next worker.
    ///
    /// # Panics
    /// If there are more workers than duties.
    pub fn next(self) -> &'static D {
        &self.duties[self.taken.fetch_add(1, Relaxed)]
    }

    /// Returns the duty of the calling thread, for contenders that do not number their workers.
    ///
    /// # Panics
    /// If there are more threads than duties.
    pub fn here(self) -> &'static D {
        &self.duties[number_of_this_thread()]
    }

    /// Returns the number of tasks done.
    pub fn done(self) -> u64 {
        self.duties.iter().map(Duty::done).sum()
    }
}

impl<D> Clone for Crew<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Crew<D> {}

/// The number of this thread, in the order of their first calls.
fn number_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Relaxed);
    }
    NUMBER.with(|number| *number)
}

impl Duty for Spinner {
    #[inline]
    fn run(&self, task: Task) {
        spin(task.0);
        // Pairs with `done`: the measuring thread sees what the counted tasks have written.
        self.done.store(self.done.load(Relaxed) + 1, Release);
    }

    #[inline]
    async fn run_async(&self, task: Task) {
        self.run(task);
    }

    fn done(&self) -> u64 {
        self.done.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crew_counts_the_tasks_of_its_members() {
        let crew = Crew::new(vec![Spinner::default(), Spinner::default()]);
        crew.next().run(Task(0));
        let other = crew.next();
        other.run(Task(3));
        other.run(Task(0));
        assert_eq!(crew.done(), 3);
    }
}
