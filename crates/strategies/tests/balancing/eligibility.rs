use raddle_core::{Capability, Health, Roster, TaskProfile, Tracking, WorkerId, WorkerSpec};
use raddle_strategies::{SelectError, StrategyName};

use crate::{alike, assert_settled, balancer, positions};

fn task_for(capability: &str) -> TaskProfile {
    TaskProfile::default().capability(Capability::intern(capability).unwrap())
}

#[test]
fn one_capable_worker_among_a_thousand_is_found() {
    let roster = Roster::builder()
        .workers(731, WorkerSpec::new("before").capability("common"))
        .worker(WorkerSpec::new("the-one").capability("rare"))
        .workers(268, WorkerSpec::new("after").capability("common"))
        .tracking(Tracking { window: 1, ..Tracking::default() })
        .build()
        .unwrap();
    for name in StrategyName::ALL {
        let balancer = balancer(name);
        for _ in 0..50 {
            let reservation = balancer.select(&task_for("rare"), &roster).unwrap();
            assert_eq!(reservation.worker().name(), "the-one", "{name}");
            let other = balancer.select(&task_for("common"), &roster).unwrap();
            assert_ne!(other.worker().name(), "the-one", "{name}");
        }
    }
    assert_settled(&roster);
}

#[test]
fn one_healthy_worker_among_a_thousand_is_found() {
    let tracking = Tracking { window: 1, ..Tracking::default() };
    let mut roster =
        Roster::builder().workers(1_000, WorkerSpec::general()).tracking(tracking).build().unwrap();
    // Remove most workers first, because each change of health copies the roster.
    let mut removed = roster.clone();
    for id in 0..20 {
        roster = roster.with_health(WorkerId(id), Health::Ejected).unwrap();
        removed = removed.without_worker(WorkerId(id)).unwrap();
    }
    assert_eq!(roster.candidates(None).len(), 980);
    for name in StrategyName::ALL {
        assert!(
            positions(&balancer(name), &TaskProfile::default(), &roster, 100)
                .into_iter()
                .all(|position| position >= 20)
        );
        let reservation = balancer(name).select(&TaskProfile::default(), &removed).unwrap();
        assert!(reservation.worker().id().0 >= 20, "{name}");
    }
}

#[test]
fn no_worker_and_no_capable_worker_are_two_errors() {
    let empty = Roster::builder().build().unwrap();
    let vision = Roster::builder()
        .workers(2, WorkerSpec::new("v").capability("eligibility-vision"))
        .build()
        .unwrap();
    let drained = [0, 1].into_iter().fold(vision.clone(), |roster, id| {
        roster.with_health(WorkerId(id), Health::Draining).unwrap()
    });
    for name in StrategyName::ALL {
        let balancer = balancer(name);
        let task = TaskProfile::default();
        for (task, roster) in [
            (task, &empty),
            (task_for("eligibility-vision"), &empty),
            (task, &drained),
            (task_for("eligibility-vision"), &drained),
        ] {
            let error = balancer.select(&task, roster).unwrap_err();
            assert_eq!(error, SelectError::NoWorker, "{name}");
            assert_eq!(
                error.to_string(),
                "no worker takes tasks: the roster is empty or all its workers are draining; add a \
                 worker"
            );
        }
        let error = balancer.select(&task_for("eligibility-speech"), &vision).unwrap_err();
        let capability = Capability::intern("eligibility-speech").unwrap();
        assert_eq!(error, SelectError::NoCapableWorker { capability }, "{name}");
        assert_eq!(
            error.to_string(),
            "no capable worker: none that takes tasks names `eligibility-speech` and none is \
             general; add one, or correct the name"
        );
        assert!(balancer.select(&task, &vision).is_ok(), "{name}");
    }
    assert_settled(&vision);
}

#[test]
fn a_capability_whose_workers_all_drain_has_no_candidate() {
    let roster = Roster::builder()
        .worker(WorkerSpec::new("only").capability("eligibility-draining"))
        .worker(WorkerSpec::new("other").capability("eligibility-other"))
        .build()
        .and_then(|roster| roster.with_health(WorkerId(0), Health::Draining))
        .unwrap();
    for name in StrategyName::ALL {
        let error = balancer(name).select(&task_for("eligibility-draining"), &roster).unwrap_err();
        assert!(matches!(error, SelectError::NoCapableWorker { .. }), "{name}: {error}");
        assert!(error.to_string().contains("`eligibility-draining`"), "{error}");
    }
}

#[test]
fn closed_workers_are_skipped_until_all_are_closed() {
    for name in StrategyName::ALL {
        let roster = alike(4);
        let balancer = balancer(name);
        let task = TaskProfile::default();
        for open in (0..4).rev() {
            roster.members()[open].worker.close();
            if open == 0 {
                break;
            }
            let selected = positions(&balancer, &task, &roster, 200);
            assert!(selected.iter().all(|position| *position < open), "{name}: {selected:?}");
            for position in 0..open {
                assert!(selected.contains(&position), "{name} never selected {position}");
            }
        }
        for _ in 0..100 {
            let error = balancer.select(&task, &roster).unwrap_err();
            assert_eq!(error, SelectError::Closed, "{name}");
            assert_eq!(error.to_string(), "every worker that could serve the task is closed");
        }
        assert_settled(&roster);
    }
}

#[test]
fn health_counts_while_any_worker_is_healthy_and_draining_always() {
    let health = [Health::Active, Health::Draining, Health::Quarantined, Health::Ejected];
    let mut roster = alike(4);
    for (id, health) in (0..).zip(health) {
        roster = roster.with_health(WorkerId(id), health).unwrap();
    }
    let panicking = roster.with_health(WorkerId(0), Health::Ejected).unwrap();
    let recovered = panicking.with_health(WorkerId(3), Health::Active).unwrap();
    for name in StrategyName::ALL {
        let balancer = balancer(name);
        let selected = |roster: &Roster| {
            let mut selected = positions(&balancer, &TaskProfile::default(), roster, 300);
            selected.sort_unstable();
            selected.dedup();
            selected
        };
        assert_eq!(selected(&roster), [0], "{name}");
        assert_eq!(selected(&panicking), [0, 2, 3], "{name}: some service beats none");
        assert_eq!(selected(&recovered), [3], "{name}");
    }
}

#[test]
fn panic_mode_is_decided_for_each_capability() {
    let roster = Roster::builder()
        .worker(WorkerSpec::new("a").capability("panic-a"))
        .worker(WorkerSpec::new("b").capability("panic-b"))
        .build()
        .and_then(|roster| roster.with_health(WorkerId(0), Health::Ejected))
        .unwrap();
    for name in StrategyName::ALL {
        let balancer = balancer(name);
        assert_eq!(balancer.select(&task_for("panic-a"), &roster).unwrap().position(), 0, "{name}");
        assert_eq!(balancer.select(&task_for("panic-b"), &roster).unwrap().position(), 1, "{name}");
        assert!(positions(&balancer, &TaskProfile::default(), &roster, 50).iter().all(|p| *p == 1));
    }
}

#[test]
fn an_index_out_of_bounds_counts_as_the_last_candidate() {
    #[derive(Debug)]
    struct Beyond;
    impl raddle_strategies::Strategy for Beyond {
        fn name(&self) -> &'static str {
            "beyond"
        }
        fn pick(&self, _: &TaskProfile, _: &raddle_core::Candidates<'_>) -> usize {
            usize::MAX
        }
    }
    let roster = alike(3);
    let balancer = raddle_strategies::Balancer::new(Beyond).unwrap();
    assert_eq!(balancer.select(&TaskProfile::default(), &roster).unwrap().position(), 2);
}
