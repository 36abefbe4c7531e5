use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Does things after a while, on a thread of the harness: it wakes handlers, and sends deferred replies.
#[derive(Default)]
pub struct Later {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Default)]
struct Jobs {
    /// By the time when they are due, and by number.
    due: BTreeMap<(Instant, u64), Job>,
    added: u64,
    over: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl Later {
    /// Does this after `delay`, or at once if that is over.
    pub fn after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.added += 1;
        let key = (Instant::now() + delay, jobs.added);
        jobs.due.insert(key, Box::new(job));
        self.changed.notify_one();
    }

    /// Does everything when it is due, until [`end`](Self::end).
    pub fn run(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            let next = jobs.due.first_key_value().map(|((due, _), _)| *due);
            match next {
                Some(due) if due <= now || jobs.over => {
                    let job = jobs.due.pop_first();
                    drop(jobs);
                    if let Some((_, job)) = job {
                        job();
                    }
                    jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                }
                None if jobs.over => return,
                next => {
                    // It is notified of changes.
                    let left = next.map_or(Duration::from_secs(1), |due| due - now);
                    let waited = self.changed.wait_timeout(jobs, left);
                    jobs = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Lets [`run`](Self::run) return, after it has done at once what is left.
    pub fn end(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.changed.notify_one();
    }

    /// Waits until it is woken after `delay`.
    pub async fn pause(&self, delay: Duration) {
        let woken = Arc::new(AtomicBool::new(false));
        let mut polled = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut polled, true) {
                let (woken, waker) = (Arc::clone(&woken), cx.waker().clone());
                self.after(delay, move || {
                    woken.store(true, Relaxed);
                    waker.wake();
                });
            }
            if woken.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_in_order() {
        let later = Later::default();
        let done = Arc::new(Mutex::new(Vec::new()));
        for number in [3, 1, 2] {
            let done = Arc::clone(&done);
            let job = move || done.lock().unwrap().push(number);
            later.after(Duration::from_secs(number * 1_000), job);
        }
        later.end();
        later.run();
        assert_eq!(*done.lock().unwrap(), [1, 2, 3]);
    }
}
