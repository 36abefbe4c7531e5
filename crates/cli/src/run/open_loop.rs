//! Each task at its own time, however long the queues are.

use raddle::prelude::*;

use super::{Course, Given, actor::Servant};

/// Gives every task when it is due and returns what was given. A task that is given late, because
/// the dispatcher was kept waiting, has its latency counted from when it was due all the same.
pub fn drive(course: &Course<'_>, pool: &Pool<Servant>) -> Given {
    fastrand::seed(course.plan.seed);
    let mut given = Given::default();
    for (task, request) in course.plan.workload.requests.iter().enumerate() {
        let due = course.ledger.start() + request.arrival;
        if !course.stop.sleep_until(due) {
            break;
        }
        given.tasks += 1;
        let told = course.task(pool, task, due).tell();
        given.rejected += u64::from(told.is_err());
    }
    given
}
