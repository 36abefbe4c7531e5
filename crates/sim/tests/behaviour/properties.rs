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

/// Integral of the tasks in flight over the run, in task nanoseconds.
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

    /// Little's law: the mean in flight is the arrival rate times the mean sojourn.
    #[test]
    fn littles_law_holds_exactly(
        tasks in tasks(), workers in 1usize..6, name in names(), stealing: bool,
    ) {
        let run = run(&Scenario { stealing, ..of(&tasks, workers) }, name);
        prop_assert_eq!(run.completed, tasks.len() as u64);
        assert_near(area(&run), run.sojourn.sum().as_nanos() as f64)?;
    }

    /// The workers are busy for exactly as long as all tasks take.
    #[test]
    fn work_is_neither_created_nor_lost(
        tasks in tasks(), workers in 1usize..6, name in names(), speed in 1u32..8,
    ) {
        let mut scenario = of(&tasks, workers);
        // A power of two, so that nothing is rounded.
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
        let service = run.sojourn.sum() - run.wait.sum();
        assert_near(service.as_nanos() as f64, busy)?;
    }

    /// One worker is a FIFO queue: a task starts at its arrival or at the end of the previous one,
    /// whichever is later (Lindley, 1952).
    #[test]
    fn a_worker_serves_in_order_of_arrival(tasks in tasks(), name in names()) {
        let run = run(&of(&tasks, 1), name);
        let (mut free_at, mut waited, mut longest) = (0, 0, 0);
        for (arrival, service) in &tasks {
            let start = free_at.max(*arrival);
            (waited, longest) = (waited + (start - arrival), longest.max(start - arrival));
            free_at = start + service;
        }
        prop_assert_eq!(run.span, Duration::from_micros(free_at));
        prop_assert_eq!(run.wait.sum(), Duration::from_micros(waited));
        let wait = run.wait.histogram();
        prop_assert!(wait.equivalent(wait.max(), longest * 1_000));
    }

    /// When the same tasks arrive closer together, the mean wait does not fall.
    #[test]
    fn more_load_never_shortens_the_wait(tasks in tasks(), squeeze in 2u64..10) {
        let closer: Vec<_> = tasks.iter().map(|task| (task.0 / squeeze, task.1)).collect();
        let wait = |tasks: &[_]| run(&of(tasks, 3), StrategyName::RoundRobin).wait.mean();
        // The division rounds arrivals down by up to a microsecond.
        prop_assert!(wait(&closer) + Duration::from_micros(1) >= wait(&tasks));
    }

    #[test]
    fn every_task_is_accounted_for_under_any_limits(
        tasks in tasks(),
        workers in 1usize..6,
        name in names(),
        timeout in 0u64..9_000,
        mailbox in 1usize..6,
        failure_rate in 0.0f64..=1.0,
        stealing: bool,
        warm_up in 0u64..50,
    ) {
        let mut scenario = of(&tasks, workers);
        scenario.timeout = Some(Duration::from_micros(timeout));
        (scenario.mailbox, scenario.failure_rate) = (Some(mailbox), failure_rate);
        (scenario.stealing, scenario.warm_up) = (stealing, warm_up.min(tasks.len() as u64 - 1));
        let run = run(&scenario, name);
        assert_accounted(&run);
        prop_assert_eq!(run.stuck, 0);
        let dispatched: u64 = run.workers.iter().map(|worker| worker.dispatched).sum();
        prop_assert_eq!(dispatched + run.rejected, run.tasks);
    }
}
