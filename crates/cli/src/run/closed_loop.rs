//! Always so many tasks in flight: each client gives one, waits for its end, gives the next.

use std::thread;
use std::time::Instant;

use raddle::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Course, Given, actor::Servant};

/// Gives every task and returns what was given. A client learns of the end of a task only when the
/// worker has recorded it: were it told from within the handler, its next task would still see
/// that worker as busy.
pub fn drive(course: &Course<'_>, pool: &Pool<Servant>, concurrency: usize) -> Given {
    let next = &AtomicUsize::new(0);
    let client = |number: usize| {
        fastrand::seed(course.plan.seed.wrapping_add(number as u64));
        let mut given = Given::default();
        while !course.stop.is_set() {
            let task = next.fetch_add(1, Relaxed);
            if task >= course.plan.workload.requests.len() {
                break;
            }
            given.tasks += 1;
            match course.task(pool, task, Instant::now()).ask() {
                // Failures are counted by the pool.
                Ok(reply) => drop(reply.wait()),
                Err(_) => given.rejected += 1,
            }
        }
        given
    };
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..concurrency).map(|number| scope.spawn(move || client(number))).collect();
        let ends = clients.into_iter().map(super::join);
        ends.fold(Given::default(), |sum, given| Given {
            tasks: sum.tasks + given.tasks,
            rejected: sum.rejected + given.rejected,
        })
    })
}
