//! Pools with boosted mailboxes: what overtakes what, and that the tasks in a worker's hand meet the
//! fate of all others. The clock is simulated, so that services take what the test says.
mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Answer, At, Do, Gate, Obedient, ObedientPool, admitted, await_event, builder, by, end, hold,
    key_of, key_order, watchdog, worker,
};
use raddle_core::{Capability, Clock, MailboxOrder, Priority, VirtualTime};
use raddle_runtime::{
    Ask, AskError, Drain, EventKind, PoolBuilder, RestartLimit, Restarts, TaskBuilder, Watchdog,
};
use raddle_strategies::{BoundedHash, RoundRobin};

const MS: Duration = Duration::from_millis(1);
const SHORT: Duration = MS;
const LONG: Duration = Duration::from_millis(40);

fn boosted(workers: usize) -> (PoolBuilder<Do, Answer>, VirtualTime) {
    let (clock, time) = Clock::simulated();
    (builder(workers).mailbox_order(MailboxOrder::Boost).clock(clock), time)
}

fn spawn(builder: PoolBuilder<Do, Answer>) -> ObedientPool {
    builder.spawn(|_| Obedient::default()).unwrap()
}

/// Runs short and long tasks on the worker at this index for more than a second without a pause. So
/// it boosts the short ones by some 600 ms more.
fn teach(
    pool: &ObedientPool,
    time: &VirtualTime,
    index: usize,
    describe: impl Fn(TaskBuilder<'_, Do, Answer>, Duration) -> TaskBuilder<'_, Do, Answer>,
) {
    let ask = |service: Duration| {
        let (now, here) = (time.clone(), At(index));
        let task = pool.task(Do::call(move || now.advance(service)));
        admitted(describe(task, service).strategy(&here).ask())
    };
    // One after the other: the size of each is by the mean of those before.
    for number in 0..TAUGHT {
        let service = if number % 50 == 7 { LONG } else { SHORT };
        ask(service).wait().unwrap().unwrap();
    }
}

/// The number of tasks that [`teach`] sends.
const TAUGHT: u32 = 800;

fn stating<'p>(
    task: TaskBuilder<'p, Do, Answer>,
    service: Duration,
) -> TaskBuilder<'p, Do, Answer> {
    task.expected_duration(service)
}

/// Notes the order in which tasks run.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<&'static str>>>);

impl Order {
    fn note(&self, name: &'static str) -> Do {
        let order = self.clone();
        Do::call(move || order.0.lock().unwrap().push(name))
    }

    fn taken(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// What waits at `w-0`, which stops in a handler with the first task of each lane in hand: three of
/// each size, as returned.
fn with_tasks_in_hand(pool: &ObedientPool) -> (Gate, Vec<Ask<Do, Answer>>) {
    let (first, second) = (hold(pool, 0), Gate::new());
    let holds = pool.task(Do::Hold(second.clone())).priority(Priority::High);
    holds.strategy(&At(0)).tell().unwrap();
    let next = Gate::new();
    let holds = pool.task(Do::Hold(next.clone())).expected_duration(MS / 8);
    holds.strategy(&At(0)).tell().unwrap();
    let mut asks = Vec::new();
    for size in [MS / 8, SHORT, LONG] {
        for _ in 0..3 {
            let task = pool.task(Do::WhoAreYou).expected_duration(size).strategy(&At(0));
            asks.push(admitted(task.ask()));
        }
    }
    first.open();
    second.reached();
    second.open();
    // It has compared the first task of each lane, and runs the one that was sent first.
    next.reached();
    (next, asks)
}

#[test]
fn a_short_task_overtakes_long_ones_whose_size_is_stated() {
    let _watchdog = watchdog();
    let (builder, time) = boosted(1);
    let (pool, order) = (spawn(builder), Order::default());
    teach(&pool, &time, 0, stating);
    let gate = hold(&pool, 0);
    let tell = |name, size: Duration| {
        time.advance(MS);
        pool.task(order.note(name)).expected_duration(size).tell().unwrap();
    };
    tell("long", LONG);
    tell("longer", 2 * LONG);
    tell("short", SHORT);
    tell("shorter", SHORT);
    gate.open();
    time.advance(10 * LONG);
    assert_eq!(end(&pool).counts.completed, u64::from(TAUGHT) + 5);
    assert_eq!(order.taken(), ["short", "shorter", "long", "longer"]);
}

#[test]
fn sizes_are_learned_by_capability() {
    let _watchdog = watchdog();
    let [short, long] =
        ["boosted-short", "boosted-long"].map(|name| Capability::intern(name).unwrap());
    let (builder, time) = boosted(1);
    let (pool, order) = (spawn(builder), Order::default());
    teach(&pool, &time, 0, |task, service| {
        task.capability(if service == LONG { long } else { short })
    });
    let gate = hold(&pool, 0);
    for (name, capability) in [("long", long), ("short", short)] {
        time.advance(MS);
        pool.task(order.note(name)).capability(capability).tell().unwrap();
    }
    gate.open();
    end(&pool);
    assert_eq!(order.taken(), ["short", "long"]);
}

#[test]
fn other_orders_are_as_sent() {
    let _watchdog = watchdog();
    let run = |order: MailboxOrder, states: bool| {
        let (builder, time) = boosted(1);
        let pool = spawn(builder.mailbox_order(order));
        teach(&pool, &time, 0, stating);
        let (gate, order) = (hold(&pool, 0), Order::default());
        for (name, size) in [("long", LONG), ("short", SHORT)] {
            time.advance(MS);
            let task = pool.task(order.note(name));
            let task = if states { task.expected_duration(size) } else { task };
            task.tell().unwrap();
        }
        gate.open();
        end(&pool);
        order.taken()
    };
    assert_eq!(run(MailboxOrder::Fifo, true), ["long", "short"]);
    assert_eq!(run(MailboxOrder::Boost, false), ["long", "short"], "it says nothing");
    assert_eq!(run(MailboxOrder::Boost, true), ["short", "long"]);
}

#[test]
fn tasks_of_one_key_never_overtake_each_other_and_others_do() {
    let _watchdog = watchdog();
    let (builder, time) = boosted(1);
    let (pool, order) = (spawn(builder), Order::default());
    teach(&pool, &time, 0, stating);
    let [one, two] = [1, 2_000];
    let gate = hold(&pool, 0);
    let tell = |name, key: u32, size: Duration| {
        time.advance(MS);
        pool.task(order.note(name)).key(key).expected_duration(size).tell().unwrap();
    };
    tell("1 long", one, LONG);
    tell("1 short", one, SHORT);
    tell("2 short", two, SHORT);
    tell("2 long", two, LONG);
    gate.open();
    end(&pool);
    assert_eq!(order.taken(), ["2 short", "2 long", "1 long", "1 short"]);
}

#[test]
fn keys_keep_their_order_while_workers_come_and_go() {
    let _watchdog = watchdog();
    let builder = builder(3).mailbox_order(MailboxOrder::Boost).stealing(true);
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    key_order::assert_kept_while_workers_come_and_go(&pool, |round| match round % 10 {
        4 => pool.set_strategy(BoundedHash::new()).unwrap(),
        8 => pool.set_strategy(RoundRobin::new()).unwrap(),
        _ => {}
    });
}

#[test]
fn tasks_in_hand_are_counted_and_stolen() {
    let _watchdog = watchdog();
    let (builder, _) = boosted(2);
    let pool = spawn(builder.stealing(true));
    let busy = hold(&pool, 1);
    let (gate, asks) = with_tasks_in_hand(&pool);
    assert_eq!(worker(&pool, "w-0").in_flight, 1 + asks.len() as u64);
    busy.open();
    for ask in asks {
        assert_eq!(by(ask).unwrap(), "w-1");
    }
    assert_eq!(worker(&pool, "w-0").in_flight, 1);
    gate.open();
    end(&pool);
}

#[test]
fn a_shutdown_cancels_tasks_in_hand_and_returns_their_messages() {
    let _watchdog = watchdog();
    let (builder, _) = boosted(1);
    let pool = spawn(builder);
    let (gate, asks) = with_tasks_in_hand(&pool);
    let waiting = asks.len();
    let report = std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| pool.shutdown(Drain::now()));
        for ask in asks {
            assert!(matches!(ask.wait(), Err(AskError::Cancelled)), "before the handler returns");
        }
        gate.open();
        shutdown.join().unwrap()
    });
    assert!(report.is_ok() || pool.account().is_balanced());
    let account = pool.account();
    assert!(account.is_balanced(), "{account:?}");
    assert_eq!(account.counts.cancelled, waiting as u64);
    assert_eq!(pool.take_unfinished().len(), waiting);
}

#[test]
fn tasks_in_hand_of_a_hung_worker_move_and_its_next_thread_continues_with_the_others() {
    let _watchdog = watchdog();
    let limit = 4 * MS;
    let (builder, time) = boosted(2);
    let pool = spawn(builder.watchdog(Watchdog::after(limit)));
    let mut events = pool.subscribe();
    let key = key_of(&pool, "w-0");
    let order = Order::default();
    let first = hold(&pool, 0);
    let second = Gate::new();
    let hangs = pool.task(Do::Hold(second.clone())).expected_duration(MS / 8);
    hangs.strategy(&At(0)).tell().unwrap();
    for name in ["one", "two", "three"] {
        pool.task(order.note(name)).key(key).expected_duration(SHORT).tell().unwrap();
    }
    let free: Vec<_> = [MS / 8, SHORT, LONG, LONG]
        .map(|size| pool.task(Do::WhoAreYou).expected_duration(size).strategy(&At(0)).ask())
        .map(admitted)
        .into();
    first.open();
    second.reached();
    time.advance(2 * limit);
    for ask in free {
        assert_eq!(by(ask).unwrap(), "w-1");
    }
    await_event(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
    let last = pool.task(Do::WhoAreYou).key(key).ask();
    assert_eq!(by(last).unwrap(), "w-0");
    assert_eq!(order.taken(), ["one", "two", "three"]);
    second.open();
    end(&pool);
}

#[test]
fn tasks_in_hand_of_a_worker_that_is_not_restarted_move_or_end() {
    let _watchdog = watchdog();
    let (builder, _) = boosted(2);
    let limit = RestartLimit { restarts: 0, within: Duration::from_secs(1) };
    let pool = spawn(builder.restarts(Restarts::default().limit(limit)));
    let first = hold(&pool, 0);
    let panics = pool.task(Do::Panic("boosted")).expected_duration(MS / 8).strategy(&At(0)).ask();
    let asks: Vec<_> = [MS / 8, SHORT, LONG, LONG]
        .map(|size| pool.task(Do::WhoAreYou).expected_duration(size).strategy(&At(0)).ask())
        .map(admitted)
        .into();
    first.open();
    assert!(matches!(panics.wait(), Err(AskError::Panicked { .. })));
    for ask in asks {
        assert_eq!(by(ask).unwrap(), "w-1");
    }
    end(&pool);
}
