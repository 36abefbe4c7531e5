//! The sizes of tasks are counted as work ahead of the worker that has them, for as long as it has
//! them, whatever becomes of them.
mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    At, Do, Gate, Obedient, await_event, builder, by, end, hold, key_of, watchdog, worker,
};
use raddle_core::{Candidates, Clock, Priority, TaskProfile, Worker};
use raddle_runtime::{
    AskError, CoDel, Drain, EventKind, Hedge, Overflow, Pool, RestartLimit, Restarts, SendError,
    TaskBuilder, Watchdog,
};
use raddle_strategies::{LeastWork, Strategy};

/// The size of each task here.
const SIZE: i64 = 1_000;
const MS: Duration = Duration::from_millis(1);

/// A task of that size for the worker at this index.
fn sized_at<'p>(pool: &'p Pool<Obedient>, at: &'static At, order: Do) -> TaskBuilder<'p, Obedient> {
    sized(pool, order).strategy(at)
}

fn sized(pool: &Pool<Obedient>, order: Do) -> TaskBuilder<'_, Obedient> {
    pool.task(order).expected_duration(Duration::from_nanos(SIZE as u64))
}

const FIRST: &At = &At(0);
const SECOND: &At = &At(1);

/// The work of each worker, in sizes.
fn work(pool: &Pool<Obedient>) -> Vec<i64> {
    let workers = pool.stats().balancer.workers;
    workers.iter().map(|worker| worker.work_in_flight / SIZE).collect()
}

/// Lets a handler of that size wait at the first worker.
fn hold_sized(pool: &Pool<Obedient>) -> Gate {
    let gate = Gate::new();
    sized_at(pool, FIRST, Do::Hold(gate.clone())).tell().unwrap();
    gate.reached();
    gate
}

fn no_work<A: raddle_runtime::Actor>(pool: &Pool<A>) {
    for worker in pool.stats().balancer.workers {
        assert_eq!((worker.in_flight, worker.work_in_flight), (0, 0), "{}", worker.name);
    }
}

#[test]
fn a_task_is_work_from_its_giving_to_its_end_however_it_ends() {
    let _watchdog = watchdog();
    let pool = builder(1).spawn(|_| Obedient::default()).unwrap();
    let gate = hold_sized(&pool);
    assert_eq!(work(&pool), [1], "what runs is work");
    let given = [Do::Return(1), Do::Fail("no"), Do::Panic("oh"), Do::stop()]
        .map(|order| sized(&pool, order).ask().unwrap());
    let control = sized(&pool, Do::Return(1)).priority(Priority::Control).ask().unwrap();
    let unsized_one = pool.ask(Do::Return(1)).unwrap();
    assert_eq!((work(&pool), worker(&pool, "w-0").in_flight), (vec![6], 7));
    gate.open();
    given.into_iter().for_each(|reply| drop(reply.wait()));
    assert!(control.wait().is_ok() && unsized_one.wait().is_ok());
    no_work(&pool);
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.failed, counts.panicked), (5, 1, 1));
}

#[test]
fn what_is_not_run_is_no_work_any_more() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
    let gate = hold_sized(&pool);
    let expired = sized(&pool, Do::Return(1)).timeout(MS).ask().unwrap();
    drop(sized(&pool, Do::Return(2)).cancel_on_drop().ask().unwrap());
    assert_eq!(work(&pool), [3], "it is met when its turn comes");
    time.advance(2 * MS);
    gate.open();
    assert_eq!(expired.wait(), Err(AskError::Expired));
    assert!(pool.ask(Do::Return(3)).unwrap().wait().is_ok());
    no_work(&pool);
    let gate = hold_sized(&pool);
    let queued = sized(&pool, Do::Return(4)).ask().unwrap();
    assert_eq!(work(&pool), [2]);
    assert!(pool.shutdown(Drain::now()).is_err());
    gate.open();
    assert_eq!(queued.wait(), Err(AskError::Cancelled));
    let counts = end(&pool).counts;
    assert_eq!((counts.expired, counts.cancelled), (1, 2));
    no_work(&pool);
}

#[test]
fn what_is_shed_or_refused_is_no_work() {
    let _watchdog = watchdog();
    let policies = [Overflow::DropOldest, Overflow::DropNewest, Overflow::Reject]
        .map(|overflow| [overflow.clone(), overflow.after_reroute()]);
    for overflow in policies.into_iter().flatten() {
        let pool = common::pool(1, 2, overflow.clone());
        let gate = hold_sized(&pool);
        for key in [None, Some(7)] {
            for _ in 0..5 {
                let task = sized(&pool, Do::Return(0));
                let given = if let Some(key) = key { task.key(key) } else { task }.tell();
                assert!(matches!(given, Ok(()) | Err(SendError::Full(_))));
            }
        }
        assert_eq!(work(&pool), [5], "{overflow:?}: one that runs, and two in each lane");
        gate.open();
        let account = end(&pool);
        assert_eq!((account.shed + account.rejected, account.counts.completed), (6, 5));
        no_work(&pool);
    }
}

#[test]
fn what_codel_sheds_is_no_work() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).codel(CoDel::default()).spawn(|_| Obedient::default());
    let pool = pool.unwrap();
    let gate = hold_sized(&pool);
    let slow = || {
        let time = time.clone();
        sized(&pool, Do::call(move || time.advance(60 * MS))).ask().unwrap()
    };
    let given = [slow(), slow(), slow(), slow(), slow()];
    time.advance(10 * MS);
    gate.open();
    let ended = given.map(|reply| reply.wait());
    assert!(ended.contains(&Err(AskError::Shed)), "{ended:?}");
    assert!(pool.ask(Do::Return(1)).unwrap().wait().is_ok());
    no_work(&pool);
    end(&pool);
}

#[test]
fn a_stolen_task_is_the_thiefs_work() {
    let _watchdog = watchdog();
    let pool = builder(2).stealing(true).spawn(|_| Obedient::default()).unwrap();
    let control = |at: &'static At| {
        let gate = Gate::new();
        let task = sized_at(&pool, at, Do::Hold(gate.clone()));
        task.priority(Priority::Control).tell().unwrap();
        gate.reached();
        gate
    };
    let (busy, thief) = (control(FIRST), control(SECOND));
    let again = Gate::new();
    let taken = sized_at(&pool, FIRST, Do::Hold(again.clone())).ask().unwrap();
    let left = sized_at(&pool, FIRST, Do::WhoAreYou).key(key_at_first(&pool)).ask();
    assert_eq!(work(&pool), [3, 1]);
    thief.open();
    again.reached();
    assert_eq!(work(&pool), [2, 1]);
    again.open();
    assert_eq!(by(taken).unwrap(), "w-1");
    assert_eq!(work(&pool), [2, 0]);
    busy.open();
    assert_eq!(by(left.unwrap()).unwrap(), "w-0");
    end(&pool);
    no_work(&pool);
}

/// A key that belongs to the first of two workers, though both are held: keys go by names alone.
fn key_at_first(pool: &Pool<Obedient>) -> u64 {
    let other = common::builder(pool.stats().balancer.workers.len());
    let other = other.spawn(|_| Obedient::default()).unwrap();
    let key = key_of(&other, "w-0");
    end(&other);
    key
}

#[test]
fn a_rerouted_task_and_a_copy_are_work_where_they_are() {
    let _watchdog = watchdog();
    let pool = common::pool(2, 1, Overflow::Reject.after_reroute());
    let gates = [hold(&pool, 0), hold(&pool, 1)];
    let replies = [(); 2].map(|()| sized_at(&pool, FIRST, Do::WhoAreYou).ask().unwrap());
    assert_eq!(work(&pool), [1, 1]);
    assert!(sized_at(&pool, FIRST, Do::Return(1)).ask().is_err());
    assert_eq!(work(&pool), [1, 1]);
    gates.iter().for_each(Gate::open);
    assert_eq!(replies.map(|reply| by(reply).unwrap()), ["w-0", "w-1"]);
    end(&pool);
}

/// An actor whose messages can be cloned: one that is to wait does so at the gate, if there is one.
struct Copied(Option<Gate>);

impl raddle_runtime::Actor for Copied {
    type Msg = bool;
    type Reply = String;
    type Error = std::convert::Infallible;

    fn handle(
        &mut self,
        waits: bool,
        cx: &mut raddle_runtime::Context<'_>,
    ) -> Result<String, Self::Error> {
        if let Some(gate) = self.0.as_ref().filter(|_| waits) {
            gate.pass();
        }
        Ok(cx.worker().name().to_owned())
    }
}

#[test]
fn both_copies_of_a_hedged_task_are_work() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let first = gate.clone();
    let pool = builder(2)
        .hedge_budget(1.0)
        .spawn(move |worker| Copied((worker.name() == "w-0").then(|| first.clone())))
        .unwrap();
    pool.task(true).strategy(FIRST).tell().unwrap();
    gate.reached();
    let task =
        pool.task(false).strategy(FIRST).expected_duration(Duration::from_nanos(SIZE as u64));
    let answer = task.ask_hedged(Hedge::after(Duration::ZERO)).unwrap();
    assert_eq!(answer.wait().unwrap(), "w-1");
    let of = |name| worker(&pool, name).work_in_flight;
    assert_eq!((of("w-0"), of("w-1")), (SIZE, 0));
    gate.open();
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.cancelled), (3, 2, 1));
    no_work(&pool);
}

/// Picks the first, and keeps it.
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
fn the_work_of_a_worker_that_is_given_up_moves_or_ends() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 0, within: Duration::from_secs(3600) };
    let pool = builder(2).restarts(Restarts::default().limit(limit));
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let key = key_of(&pool, "w-0");
    let (gate, sibling) = (hold_sized(&pool), hold(&pool, 1));
    let keeping = Keeping::default();
    let panics = sized(&pool, Do::Panic("oh")).strategy(&keeping).priority(Priority::High);
    panics.tell().unwrap();
    let free = [(); 5].map(|()| sized_at(&pool, FIRST, Do::WhoAreYou).ask().unwrap());
    let bound = [(); 2].map(|()| sized(&pool, Do::WhoAreYou).key(key).ask().unwrap());
    assert_eq!(work(&pool), [9, 0]);
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(work(&pool), [5], "the sibling's");
    let gone = keeping.0.lock().unwrap().take().unwrap();
    assert_eq!((gone.stats().in_flight(), gone.stats().work_in_flight()), (0, 0));
    sibling.open();
    for reply in free {
        assert_eq!(by(reply).unwrap(), "w-1");
    }
    for reply in bound {
        assert_eq!(reply.wait(), Err(AskError::Retired));
    }
    end(&pool);
    no_work(&pool);
}

#[test]
fn a_worker_that_is_retired_ends_its_work() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let keeping = Keeping::default();
    let gate = Gate::new();
    sized(&pool, Do::Hold(gate.clone())).strategy(&keeping).tell().unwrap();
    gate.reached();
    let queued = sized_at(&pool, FIRST, Do::WhoAreYou).ask().unwrap();
    pool.retire_worker(common::id(&pool, "w-0")).unwrap();
    gate.open();
    assert_eq!(by(queued).unwrap(), "w-0");
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    let gone = keeping.0.lock().unwrap().take().unwrap();
    assert_eq!((gone.stats().in_flight(), gone.stats().work_in_flight()), (0, 0));
    end(&pool);
}

#[test]
fn the_task_that_hangs_is_no_work_of_the_worker_that_goes_on() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(2).watchdog(Watchdog::after(4 * MS)).clock(clock);
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let key = key_of(&pool, "w-0");
    let gate = hold_sized(&pool);
    let free = [(); 3].map(|()| sized_at(&pool, FIRST, Do::WhoAreYou).ask().unwrap());
    let again = Gate::new();
    let bound = sized(&pool, Do::Hold(again.clone())).key(key).ask().unwrap();
    assert_eq!(work(&pool), [5, 0]);
    time.advance(8 * MS);
    await_event(&mut events, |kind| *kind == EventKind::Replaced { generation: 1 });
    again.reached();
    for reply in free {
        assert!(reply.wait().is_ok());
    }
    assert_eq!(work(&pool), [1, 0], "what the new thread runs");
    again.open();
    assert!(bound.wait().is_ok());
    assert_eq!(work(&pool), [0, 0]);
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Returned));
    end(&pool);
    no_work(&pool);
}

#[test]
fn the_least_work_is_picked_by_what_is_left_and_not_by_the_number() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    // A clock at 0 says nothing.
    time.advance(MS);
    let pool = builder(2).strategy(LeastWork::new()).clock(clock);
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let of = |order, size: u32| pool.task(order).expected_duration(size * MS);
    let hold = |size| {
        let gate = Gate::new();
        let reply = of(Do::Hold(gate.clone()), size).ask().unwrap();
        gate.reached();
        (gate, reply)
    };
    let (long, slow) = hold(100);
    let (short, quick) = hold(10);
    let four = [10, 20, 30, 29].map(|size| of(Do::WhoAreYou, size).ask().unwrap());
    // 100 and 99 are left; in 50 ms it is 50 and, as the other one is late, 40 + 89.
    let at_the_short = of(Do::WhoAreYou, 1).ask().unwrap();
    time.advance(50 * MS);
    let at_the_long = of(Do::WhoAreYou, 1).ask().unwrap();
    [long, short].iter().for_each(Gate::open);
    let (slow, quick) = (by(slow).unwrap(), by(quick).unwrap());
    assert_ne!(slow, quick);
    assert!(four.into_iter().all(|reply| by(reply).unwrap() == quick));
    assert_eq!((by(at_the_short).unwrap(), by(at_the_long).unwrap()), (quick, slow));
    let counts = end(&pool).counts;
    assert_eq!(counts.completed, 8);
    no_work(&pool);
}
