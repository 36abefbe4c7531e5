//! The pool's own thread: what must be done from time to time, and by no task.

use std::sync::Arc;

use crate::crew::Crew;
use crate::desk::Desk;
use crate::panics;
use crate::router::Control;

use super::hedging::Hedges;

/// How often strategies and hedges update what they keep off the path of a task, in nanoseconds.
const REFRESH: u64 = 1_000_000_000;

pub(super) struct Housekeeper {
    pub(super) desk: Arc<Desk>,
    pub(super) crew: Arc<Crew>,
    pub(super) control: Arc<Control>,
    pub(super) hedges: Arc<Hedges>,
}

impl Housekeeper {
    /// Runs until the pool is closed and its workers have ended.
    pub(super) fn run(self) {
        let Self { desk, crew, control, hedges } = self;
        let clock = control.clock.clone();
        let mut refresh_at = clock.now().saturating_add(REFRESH);
        loop {
            let now = clock.now();
            while let Some(job) = desk.next_due(now) {
                panics::contain(move || job.run());
            }
            if now >= refresh_at {
                control.refresh();
                hedges.refresh(&control.roster());
                refresh_at = now.saturating_add(REFRESH);
            }
            let (again, ended) = crew.tend(now);
            if ended {
                crew.finish();
                // Each may be the last to hold what the user gave to the pool.
                panics::contain(|| drop((desk, crew, hedges, control)));
                return;
            }
            desk.wait(&clock, again.min(refresh_at));
        }
    }
}
