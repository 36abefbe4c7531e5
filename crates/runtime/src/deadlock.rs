//! Finds handlers that wait for each other's replies, of one pool or of several.
//!
//! A handler that waits for a reply is *stuck* if its task can only be run by workers whose handlers are
//! stuck as well. It looks for that itself, at intervals, while it waits. Nothing is recorded before a
//! wait begins.
//!
//! A handler may look as if it waited although its reply has just come. So a finding counts only if
//! each of those handlers has checked its reply since: all of them were stuck at the same time then, and
//! none of them can go on without an error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle_core::WorkerId;
use raddle_sync::lock::ColdLock;
use raddle_sync::time;

/// How often a handler that waits looks for the others.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// More waiting handlers than this are not searched.
const MAX_SEARCHED: usize = 256;

/// A pool's workers, as those see them who wait for a task of the pool.
pub(crate) trait Workforce: Send + Sync {
    /// The workers that may run a task which is at this worker, or may be at any; `None` if that cannot
    /// be told.
    fn waiters(&self, at: Option<WorkerId>) -> Option<Vec<Arc<Waiter>>>;
}

/// Where a task is that somebody may wait for.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) pool: Arc<dyn Workforce>,
    /// The only worker that may run it, if it cannot move.
    pub(crate) at: Option<WorkerId>,
}

/// A worker's thread, which may wait for a reply.
pub(crate) struct Waiter {
    /// The pool and the worker, as `pool/worker`.
    pub(crate) name: String,
    /// Locked by a thread that waits for a reply, and by others that wait for its worker.
    state: ColdLock<State>,
}

#[derive(Default)]
struct State {
    waits: u64,
    wait: Option<Wait>,
}

#[derive(Clone)]
struct Wait {
    /// Different for each wait of the thread.
    id: u64,
    /// How often the thread has found that the reply is not there.
    checks: u64,
    since: Instant,
    until: Option<Instant>,
    target: Target,
}

impl Wait {
    /// Whether a thread that waits until `until` cannot outwait this one.
    fn lasts(&self, until: Option<Instant>) -> bool {
        self.until.is_none_or(|its| until.is_some_and(|until| its >= until))
    }
}

impl Waiter {
    pub(crate) fn new(pool: &str, worker: &str) -> Self {
        Self { name: format!("{pool}/{worker}"), state: ColdLock::default() }
    }

    fn wait(&self) -> Option<Wait> {
        self.state.lock().wait.clone()
    }
}

/// A wait for a reply, by the thread of a worker.
pub(crate) struct Search {
    waiter: Arc<Waiter>,
    until: Option<Instant>,
    /// What was found to be stuck, to be confirmed.
    suspects: Vec<Suspect>,
}

struct Suspect {
    waiter: Arc<Waiter>,
    wait: Wait,
}

impl Search {
    /// Begins a wait for the reply of the task at `target`.
    pub(crate) fn begin(waiter: Arc<Waiter>, target: &Target, until: Option<Instant>) -> Self {
        let mut state = waiter.state.lock();
        state.waits += 1;
        let (id, since, target) = (state.waits, time::now(), target.clone());
        state.wait = Some(Wait { id, checks: 0, since, until, target });
        drop(state);
        Self { waiter, until, suspects: Vec::new() }
    }

    /// Call it when the reply is not there. Returns the names of the workers that wait for each other,
    /// if this thread must give up for the others to go on.
    pub(crate) fn check(&mut self) -> Option<Vec<String>> {
        if let Some(wait) = &mut self.waiter.state.lock().wait {
            wait.checks += 1;
        }
        let stuck = self.stuck();
        let is_same = |now: &Suspect, then: &Suspect| {
            Arc::ptr_eq(&now.waiter, &then.waiter) && now.wait.id == then.wait.id
        };
        let same = stuck.len() == self.suspects.len()
            && stuck.iter().zip(&self.suspects).all(|(now, then)| is_same(now, then));
        if !same {
            self.suspects = stuck;
            return None;
        }
        let mut pairs = stuck.iter().zip(&self.suspects);
        if stuck.is_empty() || !pairs.all(|(now, then)| now.wait.checks > then.wait.checks) {
            return None;
        }
        // One error is enough. Others do not all see a handler as stuck that waits for a limited time only.
        let last = stuck.iter().max_by_key(|suspect| suspect.wait.since)?;
        let must = Arc::ptr_eq(&last.waiter, &self.waiter)
            || stuck.iter().any(|suspect| suspect.wait.until.is_some());
        must.then(|| stuck.iter().map(|suspect| suspect.waiter.name.clone()).collect())
    }

    /// The threads that this one waits for, itself included, if all of them are stuck.
    fn stuck(&self) -> Vec<Suspect> {
        let mut threads = vec![Arc::clone(&self.waiter)];
        // What each waits for, and the threads that may end the wait; `None` if it can go on.
        let mut waits: Vec<Option<(Wait, Vec<usize>)>> = Vec::new();
        while let Some(thread) = threads.get(waits.len()).cloned() {
            if waits.len() == MAX_SEARCHED {
                return Vec::new();
            }
            let wait = thread.wait().filter(|wait| wait.lasts(self.until));
            let others = wait.as_ref().and_then(|it| it.target.pool.waiters(it.target.at));
            let mut index = |other: Arc<Waiter>| {
                let known = threads.iter().position(|thread| Arc::ptr_eq(thread, &other));
                known.unwrap_or_else(|| {
                    threads.push(other);
                    threads.len() - 1
                })
            };
            waits.push(
                wait.zip(others)
                    .map(|(wait, others)| (wait, others.into_iter().map(&mut index).collect())),
            );
        }
        let goes_on = |waits: &[Option<(Wait, Vec<usize>)>], wait: &Option<(Wait, Vec<usize>)>| {
            wait.as_ref().is_some_and(|(_, others)| others.iter().any(|at| waits[*at].is_none()))
        };
        while let Some(freed) = waits.iter().position(|wait| goes_on(&waits, wait)) {
            waits[freed] = None;
        }
        if waits[0].is_none() {
            return Vec::new();
        }
        // As this thread is stuck, so is every one that it waits for.
        let all = threads.into_iter().zip(waits);
        all.filter_map(|(waiter, wait)| Some(Suspect { waiter, wait: wait?.0 })).collect()
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.waiter.state.lock().wait = None;
    }
}
