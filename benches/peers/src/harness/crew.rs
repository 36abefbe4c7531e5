use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::task::{Task, spin};

/// What a worker does with a task, and how many it has done.
///
/// One thread at a time calls it.
pub trait Duty: Send + Sync + 'static {
    /// Does it on a thread that may block.
    fn run(&self, task: Task);

    /// Does it in an async handler.
    fn run_async(&self, task: Task) -> impl Future<Output = ()> + Send;

    /// How many were done.
    fn done(&self) -> u64;
}

/// The duties of a pool's workers. They live as long as the process, so that workers hold them
/// without counting references.
pub struct Crew<D: 'static> {
    duties: &'static [D],
    taken: &'static AtomicUsize,
}

/// Where a thread that was not told its duty finds it: threads take their seats as they come.
pub struct ShortId;

/// Spins as long as the task says. Its count is on a line of its own and written by plain stores:
/// the same small price for every contender.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct Spinner {
    done: AtomicU64,
}

impl<D: Duty> Crew<D> {
    /// A crew of these.
    pub fn new(duties: Vec<D>) -> Self {
        Self { duties: duties.leak(), taken: Box::leak(Box::default()) }
    }

    /// The duty of the next worker.
    ///
    /// # Panics
    /// When there are more workers than duties.
    pub fn next(self) -> &'static D {
        &self.duties[self.taken.fetch_add(1, Relaxed)]
    }

    /// The duty of the thread that asks.
    ///
    /// # Panics
    /// When more threads have asked than there are duties.
    pub fn here(self) -> &'static D {
        &self.duties[ShortId::of_this_thread()]
    }

    /// How many tasks were done.
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

impl ShortId {
    /// The number of this thread among those that asked.
    fn of_this_thread() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SEAT: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        SEAT.with(|seat| {
            if seat.get() == usize::MAX {
                seat.set(NEXT.fetch_add(1, Relaxed));
            }
            seat.get()
        })
    }
}

impl Duty for Spinner {
    #[inline]
    fn run(&self, task: Task) {
        spin(task.0);
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
    fn a_crew_counts_what_its_members_did() {
        let crew = Crew::new(vec![Spinner::default(), Spinner::default()]);
        crew.next().run(Task(0));
        let other = crew.next();
        other.run(Task(3));
        other.run(Task(0));
        assert_eq!(crew.done(), 3);
    }
}
