mod bounds;
mod duration;
mod judging;
mod membership;
mod share;

use std::time::Duration;

use raddle_core::Health::{Active, Draining, Ejected, Quarantined, Restarting};
use raddle_core::{Clock, Health, Outcome, Reservation, Roster, VirtualTime, WorkerId, WorkerSpec};

use super::Verdict::Readmitted;
use super::{Ejection, EjectionReason, OutlierDetector, Verdict};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Workers, a detector and a clock, with a review each second.
struct Scene {
    roster: Roster,
    detector: OutlierDetector,
    clock: Clock,
    time: VirtualTime,
}

impl Scene {
    /// Creates a scene in which a review has listed all workers.
    fn new(workers: usize, settings: Ejection) -> Self {
        let (clock, time) = Clock::simulated();
        let roster = Roster::builder().workers(workers, WorkerSpec::general());
        let roster = roster.clock(clock.clone()).build().unwrap();
        let detector = OutlierDetector::new(settings).unwrap();
        let mut scene = Self { roster, detector, clock, time };
        assert_eq!(scene.review(), []);
        scene
    }

    /// Ends some tasks of the worker at `position`.
    fn run(&self, position: usize, tasks: usize, outcome: Outcome, took: Duration) {
        let worker = &self.roster.members()[position].worker;
        for _ in 0..tasks {
            Reservation::take(worker, position, None).unwrap().finish(outcome, took);
        }
    }

    fn good(&self, position: usize, tasks: usize) {
        self.run(position, tasks, Outcome::Completed, MS);
    }

    fn bad(&self, position: usize, tasks: usize) {
        self.run(position, tasks, Outcome::Failed, Duration::ZERO);
    }

    /// Reviews, applies the changes and returns the decisions by worker id.
    fn review(&mut self) -> Vec<(u32, Verdict)> {
        self.detector.review(&self.roster, self.clock.now());
        for (id, health) in self.detector.changes(&self.roster) {
            self.roster = self.roster.with_health(id, health).unwrap();
        }
        let decisions = self.detector.decisions().iter();
        decisions.map(|decision| (decision.worker.0, decision.verdict)).collect()
    }

    /// Reviews a second later.
    fn next_review(&mut self) -> Vec<(u32, Verdict)> {
        self.time.advance(S);
        self.review()
    }

    fn set(&mut self, id: u32, health: Health) {
        self.roster = self.roster.with_health(WorkerId(id), health).unwrap();
    }

    fn health(&self) -> Vec<Health> {
        self.roster.members().iter().map(|member| member.health).collect()
    }
}

fn failing(failures: u64, tasks: u64) -> Verdict {
    Verdict::Ejected(EjectionReason::Failing { failures, tasks })
}
