//! What becomes of a worker whose handler does not return, and of its tasks. The clock is a
//! simulated one: a handler hangs when the test says so, however slow the machine is.
mod common;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::{
    At, Do, Gate, LONG, Obedient, Said, ask_at, await_event, builder, by, end, hold, id, key_of,
    so_far, watchdog, worker,
};
use raddle_core::{Clock, Health, Priority, VirtualTime, Worker};
use raddle_runtime::{
    Actor, AskError, Context, Drain, EventKind, Events, MembershipError, Pool, PoolBuilder, Reply,
    RetireReason, StartError, Watchdog,
};

/// What a handler may take, of the simulated time.
const LIMIT: Duration = Duration::from_millis(4);

type Answer = Reply<Said, &'static str>;

/// A pool of so many workers that looks for hung ones.
fn watched<A: Actor>(workers: usize, watchdog: Watchdog) -> (PoolBuilder<A>, VirtualTime) {
    let (clock, time) = Clock::simulated();
    (builder(workers).watchdog(watchdog).clock(clock), time)
}

fn pool(workers: usize, watchdog: Watchdog) -> (Pool<Obedient>, VirtualTime, Events) {
    let (builder, time) = watched(workers, watchdog);
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let events = pool.subscribe();
    (pool, time, events)
}

/// Lets every handler that runs at the moment exceed its limit.
fn hang(time: &VirtualTime) {
    time.advance(2 * LIMIT);
}

/// As [`hold`], with the answer to come.
fn ask_to_hold(pool: &Pool<Obedient>, index: usize) -> (Gate, Answer) {
    let gate = Gate::new();
    let answer = ask_at(pool, index, Do::Hold(gate.clone()));
    gate.reached();
    (gate, answer)
}

fn await_quarantined(events: &mut Events) -> String {
    await_event(events, |kind| *kind == EventKind::Quarantined).name
}

fn await_replaced(events: &mut Events, generation: u32) -> String {
    await_event(events, |kind| *kind == EventKind::Replaced { generation }).name
}

fn await_returned(events: &mut Events) -> String {
    await_event(events, |kind| *kind == EventKind::Returned).name
}

#[test]
fn a_hung_worker_is_given_to_another_thread_and_its_free_tasks_to_others() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT));
    let key = key_of(&pool, "w-0");
    let (gate, hung) = ask_to_hold(&pool, 0);
    let free: Vec<_> = (0..5).map(|_| ask_at(&pool, 0, Do::WhoAreYou)).collect();
    let keyed = || pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    let bound = [keyed(), keyed(), keyed()];
    let control = pool.task(Do::WhoAreYou).priority(Priority::Control).strategy(&At(0));
    let control = control.ask().unwrap();
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-0");
    for reply in free {
        assert_eq!(by(reply).unwrap(), "w-1");
    }
    assert_eq!(await_replaced(&mut events, 1), "w-0");
    let first = Said { number: 1, by: "w-0".to_owned() };
    assert_eq!(control.wait(), Ok(first), "a new actor, and control before the rest");
    let numbers = bound.map(|reply| {
        let said = reply.wait().unwrap();
        assert_eq!(said.by, "w-0", "its keys are still its own");
        said.number
    });
    assert_eq!(numbers, [2, 3, 4], "in the order given");
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    assert_eq!(pool.stats().lost_threads, 1);
    gate.open();
    assert!(hung.wait().is_ok(), "the late answer");
    assert_eq!(await_returned(&mut events), "w-0");
    assert_eq!(pool.stats().lost_threads, 0);
    end(&pool);
}

#[test]
fn a_late_result_is_its_asker_s_and_no_part_of_the_new_generation_s_statistics() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let (first, returns) = ask_to_hold(&pool, 0);
    hang(&time);
    await_replaced(&mut events, 1);
    let second = Gate::new();
    let held = second.clone();
    let panics = pool.ask(Do::call(move || {
        held.pass();
        panic!("late");
    }));
    second.reached();
    hang(&time);
    await_replaced(&mut events, 2);
    for _ in 0..3 {
        assert!(pool.ask(Do::WhoAreYou).unwrap().wait().is_ok());
    }
    let before = worker(&pool, "w-0");
    assert_eq!((before.generation, before.in_flight), (2, 0), "those that hang are not its own");
    assert_eq!((before.counts.admitted, before.counts.completed), (3, 3));
    assert!(!pool.account().is_balanced(), "but the pool's");
    time.advance(100 * LIMIT);
    first.open();
    second.open();
    assert_eq!(returns.wait(), Ok(Said { number: 1, by: "w-0".to_owned() }));
    assert_eq!(panics.unwrap().wait(), Err(AskError::Panicked { message: "late".to_owned() }));
    (0..2).for_each(|_| drop(await_returned(&mut events)));
    let after = worker(&pool, "w-0");
    let measured = |report: &raddle_strategies::WorkerReport| {
        (report.counts, report.generation, report.wait, report.service, report.mean_latency)
    };
    assert_eq!(measured(&after), measured(&before));
    assert_eq!((after.busy, after.success_rate), (before.busy, before.success_rate));
    let number = pool.ask(Do::WhoAreYou).unwrap().wait().unwrap().number;
    assert_eq!(number, 4, "a late panic ends no other's actor");
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.panicked), (6, 5, 1));
    assert_eq!(so_far(&mut events), [], "nor is it an event");
}

#[test]
fn a_handler_can_see_that_it_was_given_up() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let gate = Gate::new();
    let begun = gate.clone();
    let patient = pool.ask(Do::with(move |cx| {
        assert!(!cx.is_cancelled());
        begun.pass();
        while !cx.is_cancelled() {
            std::thread::yield_now();
        }
    }));
    gate.reached();
    gate.open();
    hang(&time);
    assert!(patient.unwrap().wait().is_ok());
    await_returned(&mut events);
    end(&pool);
}

#[test]
fn what_has_nowhere_to_go_waits_for_the_replacement_in_order() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let gate = hold(&pool, 0);
    let queued: Vec<_> = (0..5).map(|_| pool.ask(Do::WhoAreYou).unwrap()).collect();
    hang(&time);
    let numbers: Vec<_> = queued.into_iter().map(|reply| reply.wait().unwrap().number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    gate.open();
    await_returned(&mut events);
    assert_eq!(end(&pool).counts.completed, 6);
}

#[test]
fn without_a_thread_to_spare_a_worker_is_set_aside_until_its_handler_returns() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(0));
    let key = key_of(&pool, "w-0");
    let (gate, held) = ask_to_hold(&pool, 0);
    let free = ask_at(&pool, 0, Do::WhoAreYou);
    let bound = pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-0");
    assert_eq!(by(free).unwrap(), "w-1", "what is free moves all the same");
    for _ in 0..10 {
        assert_eq!(by(pool.ask(Do::WhoAreYou).unwrap()).unwrap(), "w-1", "it gets no tasks");
    }
    assert_eq!(worker(&pool, "w-0").health, Health::Quarantined);
    gate.open();
    assert_eq!(held.wait().unwrap().by, "w-0");
    assert_eq!(by(bound).unwrap(), "w-0");
    let recovered = events.recv_timeout(LONG).unwrap();
    assert_eq!((recovered.name.as_str(), recovered.kind), ("w-0", EventKind::Recovered));
    let served = worker(&pool, "w-0");
    assert_eq!((served.health, served.generation), (Health::Active, 0));
    assert_eq!(by(ask_at(&pool, 0, Do::WhoAreYou)).unwrap(), "w-0");
    assert_eq!(pool.stats().lost_threads, 0);
    end(&pool);
}

#[test]
fn workers_that_are_all_set_aside_still_take_tasks() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT).max_lost(0));
    let gate = hold(&pool, 0);
    hang(&time);
    await_quarantined(&mut events);
    let queued = pool.ask(Do::WhoAreYou).unwrap();
    gate.open();
    assert_eq!(by(queued).unwrap(), "w-0");
    end(&pool);
}

#[test]
fn no_more_threads_are_lost_than_may_be_and_one_that_returns_makes_room() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(1));
    let gates = [hold(&pool, 0), hold(&pool, 1)];
    hang(&time);
    let mut told: Vec<_> = std::iter::from_fn(|| events.recv_timeout(LONG)).take(4).collect();
    told.retain(|event| !matches!(event.kind, EventKind::Restarted { .. }));
    let told: Vec<_> = told.into_iter().map(|event| (event.name, event.kind)).collect();
    let replaced = EventKind::Replaced { generation: 1 };
    let (first, second) = ("w-0".to_owned(), "w-1".to_owned());
    assert_eq!(
        told,
        [
            (first.clone(), EventKind::Quarantined),
            (second.clone(), EventKind::Quarantined),
            (first, replaced.clone()),
        ]
    );
    assert_eq!(pool.stats().lost_threads, 1);
    let [first, other] = gates;
    first.open();
    // In either order: there is room for another lost thread before it is told who has returned.
    let awaited = |kind: &EventKind| *kind == EventKind::Returned || *kind == replaced;
    let told = [(); 2].map(|()| await_event(&mut events, awaited));
    for (name, kind) in [("w-0", EventKind::Returned), ("w-1", replaced.clone())] {
        assert!(told.iter().any(|event| event.name == name && event.kind == kind), "{told:?}");
    }
    assert_eq!(by(ask_at(&pool, 1, Do::WhoAreYou)).unwrap(), "w-1");
    other.open();
    assert_eq!(await_returned(&mut events), "w-1");
    assert_eq!(end(&pool).counts.completed, 3);
}

#[test]
fn a_shutdown_tells_of_lost_threads_and_of_their_end() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT));
    let (gate, late) = ask_to_hold(&pool, 0);
    hang(&time);
    await_replaced(&mut events, 1);
    let queued = ask_at(&pool, 0, Do::WhoAreYou);
    let error = pool.shutdown(Drain::all()).unwrap_err();
    assert!(error.workers.is_empty(), "{error:?}");
    assert_eq!(error.lost_threads, 1);
    assert_eq!((error.account.counts.admitted, error.account.counts.ended()), (2, 1));
    assert_eq!(by(queued).unwrap(), "w-0", "what was queued has been run");
    gate.open();
    assert!(late.wait().is_ok());
    await_returned(&mut events);
    assert_eq!(end(&pool).counts.completed, 2);
}

#[test]
fn a_shutdown_does_not_wait_for_a_handler_that_hangs() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let (gate, late) = ask_to_hold(&pool, 0);
    let queued = pool.ask(Do::WhoAreYou).unwrap();
    hang(&time);
    let error = pool.shutdown(Drain::all()).unwrap_err();
    assert_eq!((error.workers, error.lost_threads), (Vec::new(), 1));
    assert_eq!(queued.wait().unwrap().number, 1, "by a new actor");
    gate.open();
    assert!(late.wait().is_ok());
    await_returned(&mut events);
    end(&pool);
}

#[test]
fn a_worker_that_is_to_end_ends_though_its_handler_hangs() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT));
    let (gate, late) = ask_to_hold(&pool, 0);
    let retired = id(&pool, "w-0");
    pool.retire_worker(retired).unwrap();
    hang(&time);
    await_replaced(&mut events, 1);
    let gone = await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(gone.kind, EventKind::Retired { reason: RetireReason::Asked });
    assert_eq!(common::names(&pool), ["w-1"]);
    gate.open();
    assert!(late.wait().is_ok(), "its asker is still answered");
    await_returned(&mut events);
    assert_eq!(end(&pool).counts.completed, 1);
}

#[test]
fn a_worker_that_is_to_end_is_given_nothing_when_its_handler_hangs_or_returns() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(0));
    let key = key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let retired = id(&pool, "w-0");
    pool.retire_worker(retired).unwrap();
    hang(&time);
    await_quarantined(&mut events);
    assert_eq!(worker(&pool, "w-0").health, Health::Draining, "it is to end all the same");
    let again = pool.retire_worker(retired);
    assert!(matches!(again, Err(MembershipError::UnknownWorker(_))), "{again:?}");
    let last = pool.retire_worker(id(&pool, "w-1"));
    assert!(matches!(last, Err(MembershipError::LastWorker(_))), "{last:?}");
    assert_eq!(common::owner(&pool, key), "w-1");
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    end(&pool);
}

/// An obedient actor with a slow restart, which may also panic when it is dropped.
struct SlowToRestart {
    obedient: Obedient,
    generation: u32,
    restarting: Sender<(u32, Gate)>,
    drop_panics: bool,
}

impl Actor for SlowToRestart {
    type Msg = Do;
    type Reply = Said;
    type Error = &'static str;

    fn handle(&mut self, order: Do, cx: &mut Context<'_>) -> Result<Said, &'static str> {
        self.obedient.handle(order, cx)
    }
    fn on_start(&mut self, _: &Worker) -> Result<(), StartError> {
        Ok(())
    }
    fn on_restart(&mut self, _: &Worker) -> Result<(), StartError> {
        let gate = Gate::new();
        let _ = self.restarting.send((self.generation, gate.clone()));
        gate.pass();
        Ok(())
    }
}

impl Drop for SlowToRestart {
    fn drop(&mut self) {
        assert!(!(self.drop_panics && self.generation == 1), "in the late actor's drop");
    }
}

fn a_restart_hangs(drop_panics: bool) {
    let (builder, time) = watched(1, Watchdog::after(LIMIT));
    let (restarting, restarts) = channel();
    let pool = builder
        .spawn(move |worker| SlowToRestart {
            obedient: Obedient::default(),
            generation: worker.generation(),
            restarting: restarting.clone(),
            drop_panics,
        })
        .unwrap();
    let mut events = pool.subscribe();
    assert!(pool.ask(Do::Panic("oh")).unwrap().wait().is_err());
    let (generation, hanging) = restarts.recv().unwrap();
    assert_eq!(generation, 1);
    hanging.reached();
    let queued = pool.ask(Do::WhoAreYou).unwrap();
    hang(&time);
    let (generation, next) = restarts.recv().unwrap();
    assert_eq!(generation, 2);
    next.reached();
    next.open();
    assert_eq!(queued.wait().unwrap().number, 1);
    hanging.open();
    await_returned(&mut events);
    assert_eq!(pool.ask(Do::WhoAreYou).unwrap().wait().unwrap().number, 2, "the late one is gone");
    let report = worker(&pool, "w-0");
    assert_eq!((report.generation, report.counts.panicked), (2, 1));
    assert_eq!(pool.stats().lost_threads, 0);
    end(&pool);
}

#[test]
fn a_restart_that_hangs_is_given_to_another_thread() {
    let _watchdog = watchdog();
    a_restart_hangs(false);
}

#[test]
fn a_late_actor_whose_drop_panics_does_no_harm() {
    let _watchdog = watchdog();
    a_restart_hangs(true);
}
