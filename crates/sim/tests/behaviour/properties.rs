use proptest::prelude::*;

use super::*;

/// Arrivals and service times in microseconds.
fn tasks() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let task = (0u64..3_000, 1u64..4_000);
    prop::collection::vec(task, 1..200).prop_map(|gaps| {
        let mut now = 0;
        gaps.into_iter()
            .map(|(gap, service)| {
                now += gap;
                (now, service)
            })
            .collect()
    })
}

fn names() -> impl Strategy<Value = StrategyName> {
    prop::sample::select(StrategyName::ALL.to_vec())
}

fn of(tasks: &[(u64, u64)], workers: usize) -> Scenario {
    let micros = Duration::from_micros;
    let arrivals = tasks.iter().map(|task| micros(task.0)).collect();
    let service = tasks.iter().map(|task| micros(task.1)).collect();
    let load = Load::new(Arrivals::Trace(arrivals), Service::Trace(service));
    let scenario = Scenario::new(SimWorker::equal(workers), load);
    Scenario { tasks: tasks.len() as u64, warm_up: 0, ..scenario }
}

/// The sum of the workers' means, in tasks times nanoseconds.
fn area(run: &Run) -> f64 {
    let in_flight: f64 = run.workers.iter().map(|worker| worker.mean_in_flight).sum();
    in_flight * run.span.as_nanos() as f64
}

fn assert_near(left: f64, right: f64) -> Result<(), TestCaseError> {
    prop_assert!((left - right).abs() <= 1e-9 * right.abs().max(1.0), "{left} and {right}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Little's law: what is in flight in the mean is the rate times the mean sojourn.
    #[test]
    fn littles_law_holds_exactly(
        tasks in tasks(), workers in 1usize..6, name in names(), stealing: bool,
    ) {
        let run = run(&Scenario { stealing, ..of(&tasks, workers) }, name);
        prop_assert_eq!(run.completed, tasks.len() as u64);
        assert_near(area(&run), run.mean_sojourn * run.completed as f64)?;
    }

    /// Each worker is busy for just as long as its tasks take, and all for the sum of all tasks.
    #[test]
    fn work_is_neither_made_nor_lost(
        tasks in tasks(), workers in 1usize..6, name in names(), speed in 1u32..8,
    ) {
        let mut scenario = of(&tasks, workers);
        // A power of two, so that no rounding enters.
        let speed = f64::from(1 << speed) / 8.0;
        scenario.workers.iter_mut().for_each(|worker| worker.speed = speed);
        scenario.load.service = Service::Trace(
            tasks.iter().map(|task| Duration::from_nanos(task.1 * 1_024)).collect(),
        );
        let run = run(&scenario, name);
        let span = run.span.as_nanos() as f64;
        let busy: f64 = run.workers.iter().map(|worker| worker.utilisation * span).sum();
        let work: u64 = tasks.iter().map(|task| task.1 * 1_024).sum();
        assert_near(busy, work as f64 / speed)?;
        let mean = run.mean_sojourn - run.mean_wait;
        assert_near(mean * tasks.len() as f64, busy)?;
    }

    /// One worker is a FIFO queue: each start is the later of its arrival and the end before it
    /// (Lindley, 1952).
    #[test]
    fn a_worker_serves_in_the_order_given(tasks in tasks(), name in names()) {
        let run = run(&of(&tasks, 1), name);
        let (mut free_at, mut waited, mut longest) = (0, 0, 0);
        for (arrival, service) in &tasks {
            let start = free_at.max(*arrival);
            (waited, longest) = (waited + (start - arrival), longest.max(start - arrival));
            free_at = start + service;
        }
        prop_assert_eq!(run.span, Duration::from_micros(free_at));
        assert_near(run.mean_wait * tasks.len() as f64, waited as f64 * 1e3)?;
        prop_assert!(run.wait.equivalent(run.wait.max(), longest * 1_000));
    }

    /// The same tasks closer together: nobody waits for less, in the mean.
    #[test]
    fn more_load_is_never_a_shorter_wait(tasks in tasks(), squeeze in 2u64..10) {
        let closer: Vec<_> = tasks.iter().map(|task| (task.0 / squeeze, task.1)).collect();
        let wait = |tasks: &[_]| run(&of(tasks, 3), StrategyName::RoundRobin).mean_wait;
        // A microsecond for the fractions that the division drops.
        prop_assert!(wait(&closer) + 1e3 >= wait(&tasks));
    }

    #[test]
    fn every_task_is_accounted_for_whatever_the_limits(
        tasks in tasks(),
        workers in 1usize..6,
        name in names(),
        deadline in 0u64..9_000,
        mailbox in 1usize..6,
        failing in 0.0f64..=1.0,
        stealing: bool,
        warm_up in 0u64..50,
    ) {
        let mut scenario = of(&tasks, workers);
        scenario.deadline = Some(Duration::from_micros(deadline));
        (scenario.mailbox, scenario.failing) = (Some(mailbox), failing);
        (scenario.stealing, scenario.warm_up) = (stealing, warm_up.min(tasks.len() as u64 - 1));
        let run = run(&scenario, name);
        assert_accounted(&run);
        prop_assert_eq!(run.stuck, 0);
        let given: u64 = run.workers.iter().map(|worker| worker.given).sum();
        prop_assert_eq!(given + run.rejected, run.tasks);
    }
}
