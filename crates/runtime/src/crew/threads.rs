use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::blocking;
use crate::log;
use raddle_sync::lock::{ColdLock, Condvar};
use raddle_sync::thread::{self, JoinHandle, ThreadId};

/// A pool's threads, and the wait for their end.
pub(crate) struct Threads {
    /// Of each thread, in bytes; `None` for the default of the standard library.
    stack_size: Option<usize>,
    /// Locked when a thread starts or ends.
    state: ColdLock<State>,
    /// Only a shutdown waits for it.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The names of the workers that have not ended, whichever thread runs each.
    running: Vec<String>,
    /// The name of the housekeeper's thread, until it has ended.
    housekeeper: Option<String>,
    /// Threads whose worker was given to another thread, and that have not returned.
    lost: HashSet<ThreadId>,
    /// Of those, the ones that have returned and have yet to announce it.
    returning: usize,
    handles: Vec<JoinHandle<()>>,
}

/// The longest name that Linux shows, in bytes.
const LONGEST_NAME: usize = 15;

/// The name of a thread: the start of `name`, as much as fits, and the whole of `suffix`.
pub(super) fn thread_name(name: &str, suffix: impl std::fmt::Display) -> String {
    let suffix = format!("-{suffix}");
    let room = LONGEST_NAME.saturating_sub(suffix.len());
    let fits = |(start, c): &(usize, char)| start + c.len_utf8() <= room;
    name.char_indices().take_while(fits).map(|(_, c)| c).chain(suffix.chars()).collect()
}

impl State {
    /// What a shutdown waits for, if anything.
    fn not_ended(&self) -> Option<&[String]> {
        let names =
            if self.running.is_empty() { self.housekeeper.as_slice() } else { &self.running };
        (!names.is_empty()).then_some(names)
    }
}

/// Says that the housekeeper's thread ends.
struct HousekeeperEnds(Arc<Threads>);

impl Drop for HousekeeperEnds {
    fn drop(&mut self) {
        self.0.state.lock().housekeeper = None;
        self.0.changed.notify_all();
    }
}

impl Threads {
    pub(super) fn new(stack_size: Option<usize>) -> Self {
        Self { stack_size, state: ColdLock::default(), changed: Condvar::new() }
    }

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
        let mut thread = thread::Builder::new().name(name);
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let handle = thread.spawn(body)?;
        let id = handle.thread().id();
        state.running.extend(added.map(str::to_owned));
        // Those that have ended need no join; a checker's handles cannot be asked.
        #[cfg(not(any(loom, shuttle)))]
        state.handles.retain(|handle| !handle.is_finished());
        state.handles.push(handle);
        Ok(id)
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

    /// Spawns the pool's own thread.
    pub(crate) fn spawn_housekeeper(
        self: &Arc<Self>,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        self.state.lock().housekeeper = Some(name.clone());
        let ending = HousekeeperEnds(Arc::clone(self));
        // Dropped even if there is no thread.
        self.spawn(name, None, move || {
            let _ending = ending;
            body();
        })?;
        Ok(())
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

    /// The calling thread, which was lost, is about to end. Calls `announce` once it is not lost any more.
    pub(crate) fn returned(&self, announce: impl FnOnce()) {
        let mut state = self.state.lock();
        state.lost.remove(&thread::current().id());
        state.returning += 1;
        drop(state);
        self.changed.notify_all();
        announce();
        self.state.lock().returning -= 1;
    }

    /// Whether every thread that runs or ran a worker has ended, and has nothing to announce.
    pub(crate) fn are_over(&self) -> bool {
        let state = self.state.lock();
        state.running.is_empty() && state.lost.is_empty() && state.returning == 0
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

    /// Waits until every worker's thread and the housekeeper's have ended, or for `limit`. Does not wait
    /// for lost threads.
    ///
    /// # Errors
    /// The workers whose threads had not ended by then. If all have, the housekeeper's thread: it ends
    /// after them, unless a timer's closure hangs.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Result<(), Vec<String>> {
        blocking::waiting(|| self.wait_for_end(limit))
    }

    fn wait_for_end(&self, limit: Option<Duration>) -> Result<(), Vec<String>> {
        let runs = |state: &State| state.not_ended().is_some();
        let state = self.state.wait_while(&self.changed, limit, runs);
        state.not_ended().map_or(Ok(()), |left_running| Err(left_running.to_vec()))
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
