//! What an idle worker steals from others, and what it leaves.
mod common;

use std::thread;
use std::time::Duration;

use common::{
    Answer, At, Do, Gate, LONG, Obedient, ObedientPool, ask_at, builder, by, end, id, key_of, pool,
    watchdog, worker,
};
use raddle_core::{Candidates, Clock, Priority, TaskProfile, WorkerSpec};
use raddle_runtime::{Ask, Drain, EventKind, Overflow, Pool, PoolBuilder, WaitStrategy};
use raddle_strategies::{LeastLoaded, RoundRobin, Strategy};

/// Makes the worker at this index busy with a task that no other can steal.
fn occupy(pool: &ObedientPool, index: usize) -> Gate {
    let gate = Gate::new();
    let here = At(index);
    let task = pool.task(Do::Hold(gate.clone())).strategy(&here);
    task.priority(Priority::Control).tell().unwrap();
    gate.reached();
    gate
}

/// Runs some tasks on the worker at this index: after each but the last it has tried to steal.
fn let_try_to_steal(pool: &ObedientPool, index: usize) {
    for _ in 0..5 {
        assert!(ask_at(pool, index, Do::WhoAreYou).wait().is_ok());
    }
}

/// Asserts that the second worker does not steal the first one's tasks while that is busy.
fn assert_left(pool: &ObedientPool, ask: impl Fn() -> Ask<Do, Answer>) {
    let gate = occupy(pool, 0);
    let asks: Vec<_> = (0..3).map(|_| ask()).collect();
    let_try_to_steal(pool, 1);
    gate.open();
    for ask in asks {
        assert_eq!(by(ask).unwrap(), "w-0");
    }
}

/// Asserts that the second worker steals a task of the first one while that is busy.
fn assert_stolen(pool: &ObedientPool) {
    let (gate, thief) = (occupy(pool, 0), occupy(pool, 1));
    let ask = ask_at(pool, 0, Do::WhoAreYou);
    thief.open();
    assert_eq!(by(ask).unwrap(), "w-1");
    gate.open();
}

fn stealing(workers: usize) -> ObedientPool {
    builder(workers).stealing(true).spawn(|_| Obedient::default()).unwrap()
}

#[test]
fn an_idle_worker_steals_the_tasks_that_wait_at_a_busy_one() {
    let _watchdog = watchdog();
    let pool = stealing(2);
    let (gate, thief) = (occupy(&pool, 0), occupy(&pool, 1));
    let ask = |priority| pool.task(Do::WhoAreYou).strategy(&At(0)).priority(priority).ask();
    let asks = [Priority::Low, Priority::Normal, Priority::High].map(ask);
    assert_eq!((worker(&pool, "w-0").in_flight, worker(&pool, "w-1").in_flight), (4, 1));
    thief.open();
    let said = asks.map(|ask| ask.wait().unwrap().unwrap());
    assert!(said.iter().all(|said| said.by == "w-1"));
    // Its first call was the one that kept it busy.
    assert_eq!(said.map(|said| said.number), [4, 3, 2], "the urgent ones come first");
    let (robbed, thief) = (worker(&pool, "w-0"), worker(&pool, "w-1"));
    assert_eq!((robbed.in_flight, thief.in_flight), (1, 0));
    assert_eq!(
        (robbed.counts.admitted, thief.counts.admitted),
        (1, 4),
        "they count as the thief's"
    );
    assert_eq!(pool.account().counts.admitted, 5);
    gate.open();
    assert_eq!(end(&pool).counts.completed, 5);
}

#[test]
fn keyed_tasks_and_control_messages_are_not_stolen() {
    let _watchdog = watchdog();
    let pool = stealing(2);
    let key = key_of(&pool, "w-0");
    assert_left(&pool, || pool.task(Do::WhoAreYou).key(key).ask());
    assert_left(&pool, || {
        pool.task(Do::WhoAreYou).strategy(&At(0)).priority(Priority::Control).ask()
    });
    assert_stolen(&pool);
    end(&pool);
}

#[test]
fn workers_with_different_capabilities_do_not_steal_from_each_other() {
    let _watchdog = watchdog();
    let spec =
        |index, capability: &str| WorkerSpec::new(format!("w-{index}")).capability(capability);
    let pool = Pool::builder("test")
        .worker(spec(0, "steal-a").capability("steal-b"))
        // It could run those of the first one's tasks that need `steal-b`.
        .worker(spec(1, "steal-b"))
        .stealing(true)
        .spawn(|_| Obedient::default())
        .unwrap();
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    end(&pool);
}

#[test]
fn nothing_is_stolen_when_stealing_is_off() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    pool.set_strategy(LeastLoaded::new()).unwrap();
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    end(&pool);
}

#[test]
fn by_default_the_strategy_decides_whether_workers_steal() {
    let _watchdog = watchdog();
    let spawn = |builder: PoolBuilder<Do, Answer>| {
        builder.workers(2, WorkerSpec::new("w")).spawn(|_| Obedient::default()).unwrap()
    };
    assert!(RoundRobin::new().lets_steal() && !At(0).lets_steal());
    let pool = spawn(Pool::builder("test").strategy(RoundRobin::new()));
    assert_stolen(&pool);
    pool.set_strategy(At(0)).unwrap();
    assert_left(&pool, || ask_at(&pool, 0, Do::WhoAreYou));
    pool.set_strategy(RoundRobin::new()).unwrap();
    assert_stolen(&pool);
    end(&pool);
}

#[test]
fn a_stolen_task_runs_once_and_counts_once() {
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

/// Waits until the second worker is parked, then picks the first.
#[derive(Debug)]
struct OnceTheOtherIsParked;

impl Strategy for OnceTheOtherIsParked {
    fn name(&self) -> &'static str {
        "once-the-other-is-parked"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        while !candidates.worker(1).stats().is_parked() {
            thread::yield_now();
        }
        0
    }
}

/// Sends a task to a busy worker, whose tasks have taken `service_time` so far, while the other
/// worker is parked; returns the name of the one that runs it. The busy worker's handler returns
/// once the task is queued if `returns_soon`, and otherwise not before the task has run.
fn run_beside_a_parked_worker(service_time: Duration, returns_soon: bool) -> String {
    let (clock, time) = Clock::simulated();
    let pool = builder(2)
        .stealing(true)
        .wait(WaitStrategy::Park)
        .clock(clock)
        .spawn(|_| Obedient::default())
        .unwrap();
    let task = pool.task(Do::call(move || time.advance(service_time))).strategy(&At(0));
    assert!(task.priority(Priority::Control).ask().wait().is_ok());
    let gate = occupy(&pool, 0);
    let ask = pool.task(Do::WhoAreYou).strategy(&OnceTheOtherIsParked).ask();
    if returns_soon {
        gate.open();
    }
    let by = by(ask).unwrap();
    if !returns_soon {
        gate.open();
    }
    end(&pool);
    by
}

#[test]
fn a_parked_worker_is_woken_for_a_task_that_would_wait_long() {
    let _watchdog = watchdog();
    assert_eq!(run_beside_a_parked_worker(Duration::from_millis(1), false), "w-1");
}

#[test]
fn a_parked_worker_is_not_woken_for_a_task_that_will_run_soon() {
    let _watchdog = watchdog();
    assert_eq!(run_beside_a_parked_worker(Duration::from_micros(1), true), "w-0");
}

#[test]
fn a_failing_worker_does_not_steal() {
    let _watchdog = watchdog();
    // A worker that fails at once is always idle; it must not steal tasks that others could run.
    let pool = stealing(2);
    let fail = || {
        let task = pool.task(Do::Fail("no")).strategy(&At(1)).priority(Priority::Control);
        assert!(task.ask().wait().unwrap().is_err());
    };
    (0..20).for_each(|_| fail());
    let gate = occupy(&pool, 0);
    let waiting = ask_at(&pool, 0, Do::WhoAreYou);
    // After each of these the failing worker is idle and might steal.
    (0..5).for_each(|_| fail());
    gate.open();
    assert_eq!(by(waiting).unwrap(), "w-0");
    end(&pool);
}

/// Makes the worker at this index busy with a task that no other can steal, and that closes the pool
/// at its end.
fn occupy_and_close(pool: &ObedientPool, index: usize) -> Gate {
    let (gate, weak) = (Gate::new(), pool.downgrade());
    let close = {
        let gate = gate.clone();
        move || {
            gate.pass();
            // Called by the pool's own thread, it does not wait.
            weak.upgrade().unwrap().shutdown(Drain::all()).unwrap_err();
        }
    };
    let task = pool.task(Do::call(close)).priority(Priority::Control);
    task.strategy(&At(index)).tell().unwrap();
    gate.reached();
    gate
}

fn said_in_time(mut ask: Ask<Do, Answer>) -> String {
    ask.wait_timeout(LONG).expect("the first worker is busy, but others are not").unwrap().by
}

#[test]
fn idle_workers_of_a_closing_pool_steal_what_is_left() {
    let _watchdog = watchdog();
    // The second number is more than a search checks in an open pool.
    for workers in [2, 40] {
        let pool = stealing(workers);
        let gates: Vec<_> = (0..workers - 1).map(|index| occupy(&pool, index)).collect();
        let closing = occupy_and_close(&pool, workers - 1);
        let asks: Vec<_> = (0..20).map(|_| ask_at(&pool, 0, Do::WhoAreYou)).collect();
        closing.open();
        assert!(asks.into_iter().all(|ask| said_in_time(ask) != "w-0"));
        gates.iter().for_each(Gate::open);
        assert_eq!(end(&pool).counts.completed, 20 + workers as u64);
    }
}

#[test]
fn a_parked_worker_of_a_closing_pool_wakes_and_steals() {
    let _watchdog = watchdog();
    let pool =
        builder(2).stealing(true).wait(WaitStrategy::Park).spawn(|_| Obedient::default()).unwrap();
    let gate = occupy(&pool, 0);
    let ask = pool.task(Do::WhoAreYou).strategy(&OnceTheOtherIsParked).ask();
    let ask = ask.into_admitted().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| end(&pool));
        assert_eq!(said_in_time(ask), "w-1");
        gate.open();
    });
}

#[test]
fn a_closing_pool_moves_no_keyed_task_and_no_control_message() {
    let _watchdog = watchdog();
    let pool = stealing(2);
    let key = key_of(&pool, "w-0");
    let (gate, closing) = (occupy(&pool, 0), occupy_and_close(&pool, 1));
    let control = pool.task(Do::WhoAreYou).strategy(&At(0)).priority(Priority::Control);
    let asks = [pool.task(Do::WhoAreYou).key(key).ask(), control.ask()];
    let free = ask_at(&pool, 0, Do::WhoAreYou);
    closing.open();
    assert_eq!(said_in_time(free), "w-1");
    gate.open();
    for ask in asks {
        assert_eq!(by(ask).unwrap(), "w-0");
    }
    end(&pool);
}

#[test]
fn a_slow_worker_of_a_closing_pool_steals_only_what_it_ends_before_the_other_has_ended_all() {
    let _watchdog = watchdog();
    for (queued, first_by) in [(1, "w-0"), (20, "w-1")] {
        let (clock, time) = Clock::simulated();
        let pool = builder(2).stealing(true).clock(clock).spawn(|_| Obedient::default()).unwrap();
        for (index, millis) in [(0, 1), (1, 10)] {
            let time = time.clone();
            let task = Do::call(move || time.advance(Duration::from_millis(millis)));
            let task = pool.task(task).priority(Priority::Control);
            assert!(task.strategy(&At(index)).ask().wait().is_ok());
        }
        let gate = occupy(&pool, 0);
        // It takes no time, so the second worker's mean is 5 ms by then.
        let closing = occupy_and_close(&pool, 1);
        let mut asks = (0..queued).map(|_| ask_at(&pool, 0, Do::WhoAreYou)).collect::<Vec<_>>();
        closing.open();
        let first = asks.remove(0);
        if first_by == "w-1" {
            assert_eq!(said_in_time(first), first_by);
            gate.open();
        } else {
            while worker(&pool, "w-1").counts.completed < 2 {
                thread::yield_now();
            }
            gate.open();
            assert_eq!(said_in_time(first), first_by);
        }
        end(&pool);
    }
}

#[test]
fn a_retired_worker_steals_nothing() {
    let _watchdog = watchdog();
    let pool = stealing(3);
    let (gate, retiring) = (occupy(&pool, 0), occupy(&pool, 1));
    let thief = occupy(&pool, 2);
    let ask = ask_at(&pool, 0, Do::WhoAreYou);
    let mut events = pool.subscribe();
    pool.retire_worker(id(&pool, "w-1")).unwrap();
    retiring.open();
    common::await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(worker(&pool, "w-0").in_flight, 2, "it has left without that task");
    thief.open();
    assert_eq!(said_in_time(ask), "w-2");
    gate.open();
    end(&pool);
}
