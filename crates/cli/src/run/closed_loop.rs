//! Keeps a fixed number of tasks in flight: each client submits one, waits for it, submits the
//! next.

use std::thread;
use std::time::Instant;

use raddle::{AskError, Pool};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::actor::{Job, Served};
use super::course::{Course, Submitted, join};

/// Submits every task. A client learns that a task has ended only after the worker has recorded it:
/// if the handler notified the client, its next task would still see that worker as busy.
pub fn drive(course: &Course<'_>, pool: &Pool<Job, Served>, concurrency: usize) -> Submitted {
    let next = &AtomicUsize::new(0);
    let client = |number: usize| {
        fastrand::seed(course.seed.wrapping_add(number as u64));
        let mut submitted = Submitted::default();
        while !course.stop.is_set() {
            let task = next.fetch_add(1, Relaxed);
            if task >= course.workload.requests.len() {
                break;
            }
            submitted.tasks += 1;
            let reply = course.task(pool, task, Instant::now()).ask().wait();
            // The pool counts the other failures.
            submitted.rejected += u64::from(matches!(reply, Err(AskError::Refused(_))));
        }
        submitted
    };
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..concurrency).map(|number| scope.spawn(move || client(number))).collect();
        let ends = clients.into_iter().map(join);
        ends.fold(Submitted::default(), |sum, client| Submitted {
            tasks: sum.tasks + client.tasks,
            rejected: sum.rejected + client.rejected,
            ..sum
        })
    })
}
