//! Submits each task at its own time, however long the queues are.

use raddle::{Pool, nanos};

use super::actor::{Job, Served};
use super::course::{Course, Submitted};

/// Submits every task when it is due. The latency of a task that is submitted late, because the
/// dispatcher had to wait, still counts from when it was due.
pub fn drive(course: &Course<'_>, pool: &Pool<Job, Served>) -> Submitted {
    fastrand::seed(course.seed);
    let mut submitted = Submitted::default();
    for (task, request) in course.workload.requests.iter().enumerate() {
        let due = course.ledger.start() + request.arrival;
        if !course.stop.sleep_until(due) {
            break;
        }
        submitted.tasks += 1;
        submitted.lags.push(nanos(due.elapsed()));
        let sent = course.task(pool, task, due).tell();
        submitted.rejected += u64::from(sent.is_err());
    }
    submitted
}
