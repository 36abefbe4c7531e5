//! The expected durations of tasks count as work in flight of the worker that has them, from when
//! they are sent until they end, however they end.
mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Answer, At, Do, Gate, Obedient, ObedientPool, admitted, await_event, builder, by, end, hold,
    key_of, watchdog, worker,
};
use raddle_core::{Candidates, Clock, Priority, TaskProfile, Worker};
use raddle_runtime::{
    Actor, AskError, CoDel, Context, Drain, EventKind, Handler, Hedge, Overflow, Pool, Reply,
    RestartLimit, Restarts, TaskBuilder, Watchdog,
};
use raddle_strategies::{LeastWork, Strategy};

/// The expected duration of most tasks here, in nanoseconds.
const EXPECTED: i64 = 1_000;
const MS: Duration = Duration::from_millis(1);

/// A task that is expected to run for that long, for the worker at this index.
fn expecting_at<'p>(
    pool: &'p ObedientPool,
    at: &'static At,
    order: Do,
) -> TaskBuilder<'p, Do, Answer> {
    expecting(pool, order).strategy(at)
}

fn expecting(pool: &ObedientPool, order: Do) -> TaskBuilder<'_, Do, Answer> {
    pool.task(order).expected_duration(Duration::from_nanos(EXPECTED as u64))
}

const FIRST: &At = &At(0);
const SECOND: &At = &At(1);

/// The work of each worker, in tasks that are expected to run for that long.
fn work(pool: &ObedientPool) -> Vec<i64> {
    let workers = pool.stats().balancer.workers;
    workers.iter().map(|worker| worker.work_in_flight / EXPECTED).collect()
}

/// Holds the first worker in a handler that is expected to run for that long.
fn hold_expecting(pool: &ObedientPool) -> Gate {
    let gate = Gate::new();
    expecting_at(pool, FIRST, Do::Hold(gate.clone())).tell().unwrap();
    gate.reached();
    gate
}

/// Asserts that no worker has a task or work.
fn assert_no_work<M: Send + 'static, R: Reply>(pool: &Pool<M, R>) {
    for worker in pool.stats().balancer.workers {
        assert_eq!((worker.in_flight, worker.work_in_flight), (0, 0), "{}", worker.name);
    }
}

#[test]
fn a_task_is_work_from_when_it_is_sent_until_it_ends_in_any_way() {
    let _watchdog = watchdog();
    let pool = builder(1).spawn(|_| Obedient::default()).unwrap();
    let gate = hold_expecting(&pool);
    assert_eq!(work(&pool), [1], "a running task is work");
    let asks = [Do::Return(1), Do::Fail("no"), Do::Panic("oh"), Do::stop()]
        .map(|order| admitted(expecting(&pool, order).ask()));
    let control = expecting(&pool, Do::Return(1)).priority(Priority::Control).ask();
    let unknown = pool.ask(Do::Return(1));
    assert_eq!((work(&pool), worker(&pool, "w-0").in_flight), (vec![6], 7));
    gate.open();
    asks.into_iter().for_each(|ask| drop(ask.wait()));
    assert!(control.wait().is_ok() && unknown.wait().is_ok());
    assert_no_work(&pool);
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.failed, counts.panicked), (5, 1, 1));
}

#[test]
fn an_expired_or_cancelled_task_is_no_longer_work() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
    let gate = hold_expecting(&pool);
    let expired = expecting(&pool, Do::Return(1)).timeout(MS).ask();
    drop(admitted(expecting(&pool, Do::Return(2)).cancel_on_drop().ask()));
    assert_eq!(work(&pool), [3], "it is removed when its turn comes");
    time.advance(2 * MS);
    gate.open();
    assert!(matches!(expired.wait(), Err(AskError::Expired)));
    assert!(pool.ask(Do::Return(3)).wait().is_ok());
    assert_no_work(&pool);
    let gate = hold_expecting(&pool);
    let queued = expecting(&pool, Do::Return(4)).ask();
    assert_eq!(work(&pool), [2]);
    assert!(pool.shutdown(Drain::now()).is_err());
    gate.open();
    assert!(matches!(queued.wait(), Err(AskError::Cancelled)));
    let counts = end(&pool).counts;
    assert_eq!((counts.expired, counts.cancelled), (1, 2));
    assert_no_work(&pool);
}

#[test]
fn a_shed_or_refused_task_is_not_work() {
    let _watchdog = watchdog();
    let policies = [Overflow::DropOldest, Overflow::DropNewest, Overflow::Reject]
        .map(|overflow| [(overflow, false), (overflow, true)]);
    for (overflow, reroute) in policies.into_iter().flatten() {
        let pool = builder(1).mailbox(2, overflow).reroute(reroute);
        let pool = pool.spawn(|_| Obedient::default()).unwrap();
        let gate = hold_expecting(&pool);
        for key in [None, Some(7)] {
            for _ in 0..5 {
                let task = expecting(&pool, Do::Return(0));
                let sent = if let Some(key) = key { task.key(key) } else { task }.tell();
                assert!(sent.map_or_else(|error| error.is_full(), |()| true));
            }
        }
        assert_eq!(work(&pool), [5], "{overflow:?}: one runs, and two are in each lane");
        gate.open();
        let account = end(&pool);
        assert_eq!((account.shed + account.rejected, account.counts.completed), (6, 5));
        assert_no_work(&pool);
    }
}

#[test]
fn a_task_shed_by_codel_is_not_work() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).codel(CoDel::default()).spawn(|_| Obedient::default());
    let pool = pool.unwrap();
    let gate = hold_expecting(&pool);
    let slow = || {
        let time = time.clone();
        admitted(expecting(&pool, Do::call(move || time.advance(60 * MS))).ask())
    };
    let asks = [slow(), slow(), slow(), slow(), slow()];
    time.advance(10 * MS);
    gate.open();
    let ended = asks.map(|ask| ask.wait());
    assert!(ended.iter().any(|end| matches!(end, Err(AskError::Shed))), "{ended:?}");
    assert!(pool.ask(Do::Return(1)).wait().is_ok());
    assert_no_work(&pool);
    end(&pool);
}

#[test]
fn a_stolen_task_is_the_work_of_the_thief() {
    let _watchdog = watchdog();
    let pool = builder(2).stealing(true).spawn(|_| Obedient::default()).unwrap();
    let control = |at: &'static At| {
        let gate = Gate::new();
        let task = expecting_at(&pool, at, Do::Hold(gate.clone()));
        task.priority(Priority::Control).tell().unwrap();
        gate.reached();
        gate
    };
    let (busy, thief) = (control(FIRST), control(SECOND));
    let again = Gate::new();
    let stolen = expecting_at(&pool, FIRST, Do::Hold(again.clone())).ask();
    let left = expecting(&pool, Do::WhoAreYou).key(key_at_first(&pool)).ask();
    assert_eq!(work(&pool), [3, 1]);
    thief.open();
    again.reached();
    assert_eq!(work(&pool), [2, 1]);
    again.open();
    assert_eq!(by(stolen).unwrap(), "w-1");
    assert_eq!(work(&pool), [2, 0]);
    busy.open();
    assert_eq!(by(left).unwrap(), "w-0");
    end(&pool);
    assert_no_work(&pool);
}

/// A key that belongs to the first of two workers, found in another pool because both are held: the
/// workers' names decide.
fn key_at_first(pool: &ObedientPool) -> u64 {
    let other = common::builder(pool.stats().balancer.workers.len());
    let other = other.spawn(|_| Obedient::default()).unwrap();
    let key = key_of(&other, "w-0");
    end(&other);
    key
}

#[test]
fn a_rerouted_task_is_the_work_of_the_worker_that_has_it() {
    let _watchdog = watchdog();
    let pool = builder(2).mailbox(1, Overflow::Reject).reroute(true);
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let gates = [hold(&pool, 0), hold(&pool, 1)];
    let asks = [(); 2].map(|()| admitted(expecting_at(&pool, FIRST, Do::WhoAreYou).ask()));
    assert_eq!(work(&pool), [1, 1]);
    assert!(expecting_at(&pool, FIRST, Do::Return(1)).tell().is_err());
    assert_eq!(work(&pool), [1, 1]);
    gates.iter().for_each(Gate::open);
    assert_eq!(asks.map(|ask| by(ask).unwrap()), ["w-0", "w-1"]);
    end(&pool);
}

/// An actor whose messages can be cloned. If it has a gate, it stops there for the message `true`.
struct Cloneable(Option<Gate>);

impl Actor for Cloneable {}

impl Handler<bool> for Cloneable {
    type Reply = String;

    fn handle(&mut self, waits: bool, cx: &mut Context<'_, Self>) -> String {
        if let Some(gate) = self.0.as_ref().filter(|_| waits) {
            gate.pass();
        }
        cx.worker().name().to_owned()
    }
}

#[test]
fn both_copies_of_a_hedged_task_are_work() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let first = gate.clone();
    let pool = builder(2)
        .hedge_budget(1.0)
        .spawn(move |worker| Cloneable((worker.name() == "w-0").then(|| first.clone())))
        .unwrap();
    pool.task(true).strategy(FIRST).tell().unwrap();
    gate.reached();
    let task = pool
        .task(false)
        .shared_strategy(Arc::new(At(0)))
        .expected_duration(Duration::from_nanos(EXPECTED as u64));
    let ask = task.ask_hedged(Hedge::after(Duration::ZERO));
    assert_eq!(ask.wait().unwrap(), "w-1");
    let of = |name| worker(&pool, name).work_in_flight;
    assert_eq!((of("w-0"), of("w-1")), (EXPECTED, 0));
    gate.open();
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.cancelled), (3, 2, 1));
    assert_no_work(&pool);
}

/// Picks the first candidate, and keeps it.
#[derive(Debug, Default)]
struct Keeping(Mutex<Option<Arc<Worker>>>);

impl Strategy for Keeping {
    fn name(&self) -> &'static str {
        "keeping"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        *self.0.lock().unwrap() = Some(Arc::clone(candidates.worker(0)));
        0
    }
}

#[test]
fn the_work_of_a_worker_retired_by_its_restarts_moves_or_ends() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 0, within: Duration::from_secs(3600) };
    let pool = builder(2).restarts(Restarts::default().limit(limit));
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let key = key_of(&pool, "w-0");
    let (gate, sibling) = (hold_expecting(&pool), hold(&pool, 1));
    let keeping = Keeping::default();
    let panics = expecting(&pool, Do::Panic("oh")).strategy(&keeping).priority(Priority::High);
    panics.tell().unwrap();
    let free = [(); 5].map(|()| admitted(expecting_at(&pool, FIRST, Do::WhoAreYou).ask()));
    let keyed = [(); 2].map(|()| admitted(expecting(&pool, Do::WhoAreYou).key(key).ask()));
    assert_eq!(work(&pool), [9, 0]);
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(work(&pool), [5], "the sibling's");
    let gone = keeping.0.lock().unwrap().take().unwrap();
    assert_eq!((gone.stats().in_flight(), gone.stats().work_in_flight()), (0, 0));
    sibling.open();
    for ask in free {
        assert_eq!(by(ask).unwrap(), "w-1");
    }
    for ask in keyed {
        assert!(matches!(ask.wait(), Err(AskError::Retired)));
    }
    end(&pool);
    assert_no_work(&pool);
}

#[test]
fn a_retired_worker_has_no_work_left() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let keeping = Keeping::default();
    let gate = Gate::new();
    expecting(&pool, Do::Hold(gate.clone())).strategy(&keeping).tell().unwrap();
    gate.reached();
    let queued = expecting_at(&pool, FIRST, Do::WhoAreYou).ask();
    pool.retire_worker(common::id(&pool, "w-0")).unwrap();
    gate.open();
    assert_eq!(by(queued).unwrap(), "w-0");
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    let gone = keeping.0.lock().unwrap().take().unwrap();
    assert_eq!((gone.stats().in_flight(), gone.stats().work_in_flight()), (0, 0));
    end(&pool);
}

#[test]
fn a_hung_task_is_not_work_of_the_replacement_worker() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(2).watchdog(Watchdog::after(4 * MS)).clock(clock);
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let key = key_of(&pool, "w-0");
    let gate = hold_expecting(&pool);
    let free = [(); 3].map(|()| expecting_at(&pool, FIRST, Do::WhoAreYou).ask());
    let again = Gate::new();
    let keyed = expecting(&pool, Do::Hold(again.clone())).key(key).ask();
    assert_eq!(work(&pool), [5, 0]);
    time.advance(8 * MS);
    await_event(&mut events, |kind| *kind == EventKind::Replaced { generation: 1 });
    again.reached();
    for ask in free {
        assert!(ask.wait().is_ok());
    }
    assert_eq!(work(&pool), [1, 0], "what the new thread is running");
    again.open();
    assert!(keyed.wait().is_ok());
    assert_eq!(work(&pool), [0, 0]);
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Returned));
    end(&pool);
    assert_no_work(&pool);
}

#[test]
fn least_work_goes_by_the_remaining_work_and_not_by_the_number_of_tasks() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    // At time 0 a start would count as unknown.
    time.advance(MS);
    let pool = builder(2).strategy(LeastWork::new()).clock(clock);
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let expecting = |order, millis: u32| pool.task(order).expected_duration(millis * MS);
    let hold = |millis| {
        let gate = Gate::new();
        let ask = expecting(Do::Hold(gate.clone()), millis).ask();
        gate.reached();
        (gate, ask)
    };
    let (long, slow) = hold(100);
    let (short, quick) = hold(10);
    let four = [10, 20, 30, 29].map(|millis| expecting(Do::WhoAreYou, millis).ask());
    // 100 and 99 ms are left. After 50 ms these are 50 and, because an overrun counts as work,
    // 40 + 89 and the one more.
    let at_the_short = expecting(Do::WhoAreYou, 1).ask();
    time.advance(50 * MS);
    let at_the_long = expecting(Do::WhoAreYou, 1).ask();
    [long, short].iter().for_each(Gate::open);
    let (slow, quick) = (by(slow).unwrap(), by(quick).unwrap());
    assert_ne!(slow, quick);
    assert!(four.into_iter().all(|ask| by(ask).unwrap() == quick));
    assert_eq!((by(at_the_short).unwrap(), by(at_the_long).unwrap()), (quick, slow));
    let counts = end(&pool).counts;
    assert_eq!(counts.completed, 8);
    assert_no_work(&pool);
}
