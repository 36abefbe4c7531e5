use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use raddle_core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use raddle_core::sync::channel::{self, Receiver, RecvTimeoutError, Sender};
use raddle_core::sync::thread::{self, JoinHandle};

/// A pool's threads, and how one waits for their end.
pub(super) struct Threads {
    /// Set when what is queued is to be cancelled. The workers read it before each task.
    pub(super) cancelling: Arc<AtomicBool>,
    /// Disconnected when the last worker thread has ended.
    ended: Receiver<Infallible>,
    /// Taken by whoever joins.
    #[allow(clippy::disallowed_types, reason = "locked at spawn and shutdown only")]
    handles: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// Held by each worker thread; the last one to be dropped tells of the end.
pub(super) type Alive = Sender<Infallible>;

/// How long workers have, once the time limit is over, to cancel what is queued.
const CANCELLING: Duration = Duration::from_millis(100);

impl Threads {
    /// No threads yet, and what each of them is to hold.
    pub(super) fn new() -> (Self, Alive) {
        let (alive, ended) = channel::unbounded();
        let cancelling = Arc::new(AtomicBool::new(false));
        (Self { cancelling, ended, handles: Vec::new().into() }, alive)
    }

    /// Spawns one and keeps its handle.
    pub(super) fn spawn(
        &self,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let handle = thread::Builder::new().name(name).spawn(body)?;
        self.handles().push(handle);
        Ok(())
    }

    /// Waits until every worker thread has ended, and joins them all. What is queued is cancelled
    /// when the limit is over. `false` when a thread is still in a handler then.
    pub(super) fn end(&self, limit: Option<Duration>) -> bool {
        let ended = match limit {
            None => self.ended.recv().is_err(),
            Some(limit) => {
                self.ended_within(limit) || {
                    self.cancelling.store(true, Relaxed);
                    self.ended_within(CANCELLING)
                }
            }
        };
        if ended {
            let handles = std::mem::take(&mut *self.handles());
            for handle in handles {
                // A thread cannot join itself: the last handle was dropped by a handler.
                if handle.thread().id() != thread::current().id() && handle.join().is_err() {
                    tracing::error!("a thread of a pool panicked outside of the user's code");
                }
            }
        }
        ended
    }

    /// Whether what is queued is being cancelled, as a time limit was over.
    pub(super) fn are_cancelling(&self) -> bool {
        self.cancelling.load(Relaxed)
    }

    /// Whether the calling thread is one of these.
    pub(super) fn contain_current(&self) -> bool {
        let current = thread::current().id();
        self.handles().iter().any(|handle| handle.thread().id() == current)
    }

    fn ended_within(&self, limit: Duration) -> bool {
        self.ended.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
    }

    #[allow(clippy::disallowed_types, reason = "locked at spawn and shutdown only")]
    fn handles(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        // No code panics while it holds the lock.
        self.handles.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
