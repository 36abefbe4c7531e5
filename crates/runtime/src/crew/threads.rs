use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::log;
use raddle_sync::lock::{ColdLock, Condvar};
use raddle_sync::thread::{self, JoinHandle, ThreadId};

/// A pool's threads, and the wait for their end.
#[derive(Default)]
pub(crate) struct Threads {
    /// Locked when a thread starts or ends.
    state: ColdLock<State>,
    /// Only a shutdown waits for it.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The names of the workers that have not ended, whichever thread runs each.
    running: Vec<String>,
    /// Threads whose worker was given to another thread, and that have not returned.
    lost: HashSet<ThreadId>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Spawns a thread: for the new worker `added`, or in place of a lost thread. `body` must call
    /// [`ended`](Self::ended) at its end, or [`returned`](Self::returned) if it was
    /// [lost](Self::lose).
    pub(crate) fn spawn(
        &self,
        name: String,
        added: Option<&str>,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<ThreadId> {
        let mut state = self.state.lock();
        let handle = thread::Builder::new().name(name).spawn(body)?;
        let id = handle.thread().id();
        state.running.extend(added.map(str::to_owned));
        // Those that have ended need no join; a checker's handles cannot be asked.
        #[cfg(not(any(loom, shuttle)))]
        state.handles.retain(|handle| !handle.is_finished());
        state.handles.push(handle);
        Ok(id)
    }

    /// Spawns the thread that runs no worker.
    pub(crate) fn spawn_housekeeper(
        &self,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        self.spawn(name.to_owned(), None, body).map(drop)
    }

    /// The calling thread, which ran this worker, is about to end.
    pub(crate) fn ended(&self, worker: &str) {
        let mut state = self.state.lock();
        // A worker that never joined may have the name of another one.
        if let Some(index) = state.running.iter().position(|running| running == worker) {
            state.running.swap_remove(index);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes a worker from its thread by `revoke`, unless `max` threads are lost already. The thread
    /// then counts as lost before it can return.
    pub(crate) fn lose<R>(
        &self,
        thread: ThreadId,
        max: usize,
        revoke: impl FnOnce() -> Option<R>,
    ) -> Option<R> {
        let mut state = self.state.lock();
        if state.lost.len() >= max {
            return None;
        }
        let revoked = revoke()?;
        state.lost.insert(thread);
        Some(revoked)
    }

    /// The calling thread, which was lost, is about to end.
    pub(crate) fn returned(&self) {
        self.state.lock().lost.remove(&thread::current().id());
        self.changed.notify_all();
    }

    /// The number of threads that were lost and have not returned.
    pub(crate) fn lost(&self) -> usize {
        self.state.lock().lost.len()
    }

    /// Whether every worker's thread has ended.
    pub(crate) fn are_ended(&self) -> bool {
        self.state.lock().running.is_empty()
    }

    /// The workers whose threads have not ended.
    pub(crate) fn running(&self) -> Vec<String> {
        self.state.lock().running.clone()
    }

    /// Waits until every worker's thread has ended, or for `limit`. Does not wait for lost threads.
    ///
    /// # Errors
    /// The workers whose threads had not ended by then.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Result<(), Vec<String>> {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.state.lock();
        while !state.running.is_empty() {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Err(state.running.clone()),
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        Ok(())
    }

    /// Joins the threads that have ended, or are about to.
    pub(crate) fn join(&self) {
        let mut state = self.state.lock();
        let handles = std::mem::take(&mut state.handles);
        let (lost, ended): (Vec<_>, Vec<_>) =
            handles.into_iter().partition(|handle| state.lost.contains(&handle.thread().id()));
        state.handles = lost;
        drop(state);
        for handle in ended {
            // A thread cannot join itself: a handler dropped the last handle.
            if handle.thread().id() != thread::current().id() && handle.join().is_err() {
                log::error!("a thread of a pool panicked outside of the user's code");
            }
        }
    }

    /// Whether the calling thread is one of these.
    pub(crate) fn contain_current(&self) -> bool {
        let current = thread::current().id();
        self.state.lock().handles.iter().any(|handle| handle.thread().id() == current)
    }
}
