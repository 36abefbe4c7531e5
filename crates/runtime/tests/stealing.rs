//! What a worker without tasks takes from others, and what it leaves.
mod common;

use std::thread;
use std::time::Duration;

use common::{
    At, Do, Gate, Obedient, Said, ask_at, builder, by, end, key_of, pool, watchdog, worker,
};
use raddle_core::{Candidates, Clock, Priority, TaskProfile, WorkerSpec};
use raddle_runtime::{Overflow, Pool, PoolBuilder, Reply, WaitStrategy};
use raddle_strategies::{LeastLoaded, RoundRobin, Strategy};

/// Lets the worker at this index wait, by a task that nobody else can take.
fn occupy(pool: &Pool<Obedient>, index: usize) -> Gate {
    let gate = Gate::new();
    let here = At(index);
    let task = pool.task(Do::Hold(gate.clone())).strategy(&here);
    task.priority(Priority::Control).tell().unwrap();
    gate.reached();
    gate
}

/// Lets the worker at this index run some tasks; it has looked around after all but the last.
fn let_look_around(pool: &Pool<Obedient>, index: usize) {
    for _ in 0..5 {
        assert!(ask_at(pool, index, Do::WhoAreYou).wait().is_ok());
    }
}

/// Asserts that what the first worker, which is busy, was given is not taken by the second.
fn assert_left(pool: &Pool<Obedient>, give: impl Fn() -> Reply<Said, &'static str>) {
    let gate = occupy(pool, 0);
    let given: Vec<_> = (0..3).map(|_| give()).collect();
    let_look_around(pool, 1);
    gate.open();
    for reply in given {
        assert_eq!(by(reply).unwrap(), "w-0");
    }
}

/// Asserts that it is.
fn assert_taken(pool: &Pool<Obedient>) {
    let (gate, thief) = (occupy(pool, 0), occupy(pool, 1));
    let given = ask_at(pool, 0, Do::WhoAreYou);
    thief.open();
    assert_eq!(by(given).unwrap(), "w-1");
    gate.open();
}

fn stealing(workers: usize) -> Pool<Obedient> {
    builder(workers).stealing(true).spawn(|_| Obedient::default()).unwrap()
}

#[test]
fn an_idle_worker_takes_what_waits_behind_a_busy_one() {
    let _watchdog = watchdog();
    let pool = stealing(2);
    let (gate, thief) = (occupy(&pool, 0), occupy(&pool, 1));
    let give = |priority| {
        let task = pool.task(Do::WhoAreYou).strategy(&At(0)).priority(priority);
        task.ask().unwrap()
    };
    let given: Vec<_> = [Priority::Low, Priority::Normal, Priority::High].map(give).into();
    assert_eq!((worker(&pool, "w-0").in_flight, worker(&pool, "w-1").in_flight), (4, 1));
    thief.open();
    let said: Vec<_> = given.into_iter().map(|reply| reply.wait().unwrap()).collect();
    assert!(said.iter().all(|said| said.by == "w-1"));
    // Its first call was to wait.
    let order: Vec<_> = said.iter().map(|said| said.number).collect();
    assert_eq!(order, [4, 3, 2], "the urgent ones first");
    let (robbed, thief) = (worker(&pool, "w-0"), worker(&pool, "w-1"));
    assert_eq!((robbed.in_flight, thief.in_flight), (1, 0));
    assert_eq!((robbed.counts.admitted, thief.counts.admitted), (1, 4), "they are the thief's");
    assert_eq!(pool.account().counts.admitted, 5);
    gate.open();
    assert_eq!(end(&pool).counts.completed, 5);
}

#[test]
fn tasks_with_a_key_and_control_messages_are_left() {
    let _watchdog = watchdog();
    let pool = stealing(2);
    let key = key_of(&pool, "w-0");
    assert_left(&pool, || pool.task(Do::WhoAreYou).key(key).ask().unwrap());
    assert_left(&pool, || {
        pool.task(Do::WhoAreYou).strategy(&At(0)).priority(Priority::Control).ask().unwrap()
    });
    assert_taken(&pool);
    end(&pool);
}

#[test]
fn workers_with_other_capabilities_leave_each_other_s_tasks() {
    let _watchdog = watchdog();
    let spec =
        |index, capability: &str| WorkerSpec::new(format!("w-{index}")).capability(capability);
    let pool = Pool::builder("test")
        .worker(spec(0, "steal-a").capability("steal-b"))
        // It could run what the first has, if that were for `steal-b`.
        .worker(spec(1, "steal-b"))
        .stealing(true)
        .spawn(|_| Obedient::default())
        .unwrap();
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    end(&pool);
}

#[test]
fn nothing_is_taken_where_that_was_turned_off() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    pool.set_strategy(LeastLoaded::new()).unwrap();
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    end(&pool);
}

#[test]
fn unless_told_the_strategy_says_whether_tasks_are_taken() {
    let _watchdog = watchdog();
    let spawn = |builder: PoolBuilder<Obedient>| {
        builder.workers(2, WorkerSpec::new("w")).spawn(|_| Obedient::default()).unwrap()
    };
    assert!(RoundRobin::new().lets_steal() && !At(0).lets_steal());
    let pool = spawn(Pool::builder("test").strategy(RoundRobin::new()));
    assert_taken(&pool);
    pool.set_strategy(At(0)).unwrap();
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    pool.set_strategy(RoundRobin::new()).unwrap();
    assert_taken(&pool);
    end(&pool);
}

#[test]
fn what_is_taken_is_run_once_and_counted_once() {
    let _watchdog = watchdog();
    let pool = builder(4)
        .stealing(true)
        .mailbox(32, Overflow::Block)
        .spawn(|_| Obedient::default())
        .unwrap();
    let order = |number| match number % 100 {
        0 => Do::Panic("oh"),
        1..10 => Do::Fail("no"),
        _ => Do::Return(number),
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for number in 0..1000 {
                    pool.task(order(number)).strategy(&At(0)).tell().unwrap();
                }
            });
        }
    });
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.failed, counts.panicked), (2700, 270, 30));
    let workers = pool.stats().balancer.workers;
    assert_eq!(workers.iter().map(|worker| worker.counts.ended()).sum::<u64>(), 3000);
}

/// Waits until the second worker sleeps, and picks the first.
#[derive(Debug)]
struct BesideASleeper;

impl Strategy for BesideASleeper {
    fn name(&self) -> &'static str {
        "beside-a-sleeper"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        while !candidates.worker(1).stats().is_parked() {
            thread::yield_now();
        }
        0
    }
}

/// Gives a task to a busy worker whose tasks take so long, while the other sleeps, and says who
/// has run it. The busy one goes on once it was run or `goes_on`.
fn run_beside_a_sleeper(takes: Duration, goes_on: bool) -> String {
    let (clock, time) = Clock::simulated();
    let pool = builder(2)
        .stealing(true)
        .wait(WaitStrategy::Park)
        .clock(clock)
        .spawn(|_| Obedient::default())
        .unwrap();
    let task = pool.task(Do::call(move || time.advance(takes))).strategy(&At(0));
    assert!(task.priority(Priority::Control).ask().unwrap().wait().is_ok());
    let gate = occupy(&pool, 0);
    let given = pool.task(Do::WhoAreYou).strategy(&BesideASleeper).ask().unwrap();
    if goes_on {
        gate.open();
    }
    let by = by(given).unwrap();
    if !goes_on {
        gate.open();
    }
    end(&pool);
    by
}

#[test]
fn a_sleeper_is_woken_for_a_task_that_would_wait_for_long() {
    let _watchdog = watchdog();
    assert_eq!(run_beside_a_sleeper(Duration::from_millis(1), false), "w-1");
}

#[test]
fn a_sleeper_is_not_woken_for_a_task_that_is_run_soon() {
    let _watchdog = watchdog();
    assert_eq!(run_beside_a_sleeper(Duration::from_micros(1), true), "w-0");
}

#[test]
fn a_failing_worker_does_not_steal() {
    let _watchdog = watchdog();
    // Who fails at once is always idle, and must not therefore take what others could do.
    let pool = stealing(2);
    let fail = || {
        let task = pool.task(Do::Fail("no")).strategy(&At(1)).priority(Priority::Control);
        assert!(task.ask().unwrap().wait().is_err());
    };
    (0..20).for_each(|_| fail());
    let gate = occupy(&pool, 0);
    let waiting = ask_at(&pool, 0, Do::WhoAreYou);
    // After each of these the failing worker has nothing to do and looks around.
    (0..5).for_each(|_| fail());
    gate.open();
    assert_eq!(by(waiting).unwrap(), "w-0");
    end(&pool);
}
