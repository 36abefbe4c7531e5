//! Workers whose handler does not return, and their tasks. The clock is simulated: the test decides
//! when a handler counts as hung, however slow the machine is.
mod common;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::{
    Answer, At, Do, Gate, LONG, Obedient, ObedientPool, Said, admitted, ask_at, await_event,
    builder, by, end, hold, id, key_of, number, so_far, watchdog, worker,
};
use raddle_core::{Clock, Health, Priority, VirtualTime, WorkerSpec};
use raddle_runtime::{
    Actor, Ask, AskError, Context, Drain, EventKind, Events, Handler, MembershipError, Overflow,
    PoolBuilder, Reply, RetireReason, StartError, Watchdog,
};

/// The watchdog's limit, in simulated time.
const LIMIT: Duration = Duration::from_millis(4);

/// A builder with this number of workers and a watchdog.
fn watched<M: Send + 'static, R: Reply>(
    workers: usize,
    watchdog: Watchdog,
) -> (PoolBuilder<M, R>, VirtualTime) {
    let (clock, time) = Clock::simulated();
    (builder(workers).watchdog(watchdog).clock(clock), time)
}

fn pool(workers: usize, watchdog: Watchdog) -> (ObedientPool, VirtualTime, Events) {
    let (builder, time) = watched(workers, watchdog);
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let events = pool.subscribe();
    (pool, time, events)
}

/// Lets every running handler exceed the limit.
fn hang(time: &VirtualTime) {
    time.advance(2 * LIMIT);
}

/// Like [`hold`], and returns the ask.
fn ask_to_hold(pool: &ObedientPool, index: usize) -> (Gate, Ask<Do, Answer>) {
    let gate = Gate::new();
    let ask = ask_at(pool, index, Do::Hold(gate.clone()));
    gate.reached();
    (gate, ask)
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
fn another_thread_takes_over_a_hung_worker_and_other_workers_take_its_free_tasks() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT));
    let key = key_of(&pool, "w-0");
    let (gate, hung) = ask_to_hold(&pool, 0);
    let free: Vec<_> = (0..5).map(|_| ask_at(&pool, 0, Do::WhoAreYou)).collect();
    let keyed = || admitted(pool.task(Do::WhoAreYou).key(key).ask());
    let bound = [keyed(), keyed(), keyed()];
    let control = pool.task(Do::WhoAreYou).priority(Priority::Control).strategy(&At(0));
    let control = admitted(control.ask());
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-0");
    for reply in free {
        assert_eq!(by(reply).unwrap(), "w-1");
    }
    assert_eq!(await_replaced(&mut events, 1), "w-0");
    let first = Ok(Said { number: 1, by: "w-0".to_owned() });
    assert_eq!(control.wait().unwrap(), first, "a new actor, and the control message comes first");
    let numbers = bound.map(|reply| {
        let said = reply.wait().unwrap().unwrap();
        assert_eq!(said.by, "w-0", "it keeps its keys");
        said.number
    });
    assert_eq!(numbers, [2, 3, 4], "in the order sent");
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    assert_eq!(pool.stats().lost_threads, 1);
    gate.open();
    assert_eq!(by(hung).unwrap(), "w-0", "the late reply arrives");
    assert_eq!(await_returned(&mut events), "w-0");
    assert_eq!(pool.stats().lost_threads, 0);
    end(&pool);
}

#[test]
fn a_late_result_reaches_its_asker_and_not_the_statistics_of_the_new_generation() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let (first, returns) = ask_to_hold(&pool, 0);
    hang(&time);
    await_replaced(&mut events, 1);
    let second = Gate::new();
    let held = second.clone();
    let panics = admitted(pool.ask(Do::call(move || {
        held.pass();
        panic!("late");
    })));
    second.reached();
    hang(&time);
    await_replaced(&mut events, 2);
    for _ in 0..3 {
        assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-0");
    }
    let before = worker(&pool, "w-0");
    assert_eq!((before.generation, before.in_flight), (2, 0), "hung tasks no longer count for it");
    assert_eq!((before.counts.admitted, before.counts.completed), (3, 3));
    assert!(!pool.account().is_balanced(), "they count for the pool");
    time.advance(100 * LIMIT);
    first.open();
    second.open();
    assert_eq!(returns.wait().unwrap(), Ok(Said { number: 1, by: "w-0".to_owned() }));
    let panicked = panics.wait();
    assert!(
        matches!(&panicked, Err(AskError::Panicked { message }) if message == "late"),
        "{panicked:?}"
    );
    (0..2).for_each(|_| drop(await_returned(&mut events)));
    let after = worker(&pool, "w-0");
    let measured = |report: &raddle_strategies::WorkerReport| {
        (report.counts, report.generation, report.wait, report.service, report.mean_latency)
    };
    assert_eq!(measured(&after), measured(&before));
    assert_eq!((after.busy, after.success_rate), (before.busy, before.success_rate));
    assert_eq!(number(pool.ask(Do::WhoAreYou)), 4, "a late panic does not end the new actor");
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.panicked), (6, 5, 1));
    assert_eq!(so_far(&mut events), [], "nor does it cause an event");
}

#[test]
fn a_handler_can_see_that_it_was_replaced() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let gate = Gate::new();
    let started = gate.clone();
    let replaced = pool.ask(Do::with(move |cx| {
        assert!(!cx.is_cancelled());
        started.pass();
        while !cx.is_cancelled() {
            std::thread::yield_now();
        }
    }));
    gate.reached();
    gate.open();
    hang(&time);
    assert_eq!(by(replaced).unwrap(), "w-0");
    await_returned(&mut events);
    end(&pool);
}

#[test]
fn tasks_that_no_other_worker_can_take_wait_for_the_replacement_in_order() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let gate = hold(&pool, 0);
    let queued: Vec<_> = (0..5).map(|_| admitted(pool.ask(Do::WhoAreYou))).collect();
    hang(&time);
    let numbers: Vec<_> = queued.into_iter().map(number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    gate.open();
    await_returned(&mut events);
    assert_eq!(end(&pool).counts.completed, 6);
}

#[test]
fn if_no_thread_may_be_lost_a_worker_is_quarantined_until_its_handler_returns() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(0));
    let key = key_of(&pool, "w-0");
    let (gate, held) = ask_to_hold(&pool, 0);
    let free = ask_at(&pool, 0, Do::WhoAreYou);
    let bound = admitted(pool.task(Do::WhoAreYou).key(key).ask());
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-0");
    assert_eq!(by(free).unwrap(), "w-1", "free tasks move nevertheless");
    for _ in 0..10 {
        assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-1", "w-0 gets no tasks");
    }
    assert_eq!(worker(&pool, "w-0").health, Health::Quarantined);
    gate.open();
    assert_eq!(by(held).unwrap(), "w-0");
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
fn quarantined_workers_take_tasks_if_there_are_no_others() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT).max_lost(0));
    let gate = hold(&pool, 0);
    hang(&time);
    await_quarantined(&mut events);
    let queued = admitted(pool.ask(Do::WhoAreYou));
    gate.open();
    assert_eq!(by(queued).unwrap(), "w-0");
    end(&pool);
}

#[test]
fn the_number_of_lost_threads_is_limited_and_one_that_returns_makes_room() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(1));
    let gates = [hold(&pool, 0), hold(&pool, 1)];
    hang(&time);
    let mut seen: Vec<_> = std::iter::from_fn(|| events.recv_timeout(LONG)).take(4).collect();
    seen.retain(|event| !matches!(event.kind, EventKind::Restarted { .. }));
    let seen: Vec<_> = seen.into_iter().map(|event| (event.name, event.kind)).collect();
    let replaced = EventKind::Replaced { generation: 1 };
    let (first, second) = ("w-0".to_owned(), "w-1".to_owned());
    assert_eq!(
        seen,
        [
            (first.clone(), EventKind::Quarantined),
            (second.clone(), EventKind::Quarantined),
            (first, replaced.clone()),
        ]
    );
    assert_eq!(pool.stats().lost_threads, 1);
    let [first, other] = gates;
    first.open();
    // In either order: the room for another lost thread precedes the event of the return.
    let awaited = |kind: &EventKind| *kind == EventKind::Returned || *kind == replaced;
    let seen = [(); 2].map(|()| await_event(&mut events, awaited));
    for (name, kind) in [("w-0", EventKind::Returned), ("w-1", replaced.clone())] {
        assert!(seen.iter().any(|event| event.name == name && event.kind == kind), "{seen:?}");
    }
    assert_eq!(by(ask_at(&pool, 1, Do::WhoAreYou)).unwrap(), "w-1");
    other.open();
    assert_eq!(await_returned(&mut events), "w-1");
    assert_eq!(end(&pool).counts.completed, 3);
}

#[test]
fn a_shutdown_reports_lost_threads_until_they_have_returned() {
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
    assert_eq!(by(queued).unwrap(), "w-0", "the queued task ran");
    assert!(matches!(by(late), Err(AskError::ShutDown)), "nobody waits for a lost thread");
    gate.open();
    await_returned(&mut events);
    assert_eq!(end(&pool).counts.completed, 2);
}

#[test]
fn a_shutdown_does_not_wait_for_a_handler_that_hangs() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT));
    let (gate, late) = ask_to_hold(&pool, 0);
    let queued = admitted(pool.ask(Do::WhoAreYou));
    hang(&time);
    let error = pool.shutdown(Drain::all()).unwrap_err();
    assert_eq!((error.workers, error.lost_threads), (Vec::new(), 1));
    assert_eq!(number(queued), 1, "a new actor ran it");
    assert!(matches!(by(late), Err(AskError::ShutDown)));
    gate.open();
    await_returned(&mut events);
    end(&pool);
}

#[test]
fn a_retired_worker_leaves_though_its_handler_hangs() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT));
    let (gate, late) = ask_to_hold(&pool, 0);
    let retired = id(&pool, "w-0");
    pool.retire_worker(retired).unwrap();
    hang(&time);
    await_replaced(&mut events, 1);
    let gone = await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(gone.kind, EventKind::Retired { reason: RetireReason::Requested });
    assert_eq!(common::names(&pool), ["w-1"]);
    gate.open();
    assert_eq!(by(late).unwrap(), "w-0", "its asker still gets a reply");
    await_returned(&mut events);
    assert_eq!(end(&pool).counts.completed, 1);
}

#[test]
fn a_retired_worker_whose_handler_hangs_gets_no_tasks_even_when_it_returns() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(0));
    let key = key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let retired = id(&pool, "w-0");
    pool.retire_worker(retired).unwrap();
    hang(&time);
    await_quarantined(&mut events);
    assert_eq!(worker(&pool, "w-0").health, Health::Draining, "it still drains");
    let again = pool.retire_worker(retired);
    assert!(matches!(again, Err(MembershipError::UnknownWorker(_))), "{again:?}");
    let last = pool.retire_worker(id(&pool, "w-1"));
    assert!(matches!(last, Err(MembershipError::LastWorker(_))), "{last:?}");
    assert_eq!(common::owner(&pool, key), "w-1");
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    end(&pool);
}

#[test]
fn a_smaller_pool_keeps_the_worker_that_serves_and_not_the_one_that_hangs() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(3, Watchdog::after(LIMIT).max_lost(0));
    let gate = hold(&pool, 0);
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-0");
    pool.resize(1).unwrap();
    let draining = so_far(&mut events).into_iter();
    let draining: Vec<_> = draining.filter(|(_, kind)| *kind == EventKind::Draining).collect();
    assert_eq!(draining.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["w-2", "w-0"]);
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-1");
    gate.open();
    end(&pool);
}

#[test]
fn a_worker_that_hangs_does_not_count_as_one_that_takes_tasks() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(0));
    let gate = hold(&pool, 0);
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-0");
    let last = pool.retire_worker(id(&pool, "w-1"));
    assert!(matches!(last, Err(MembershipError::LastWorker(_))), "{last:?}");
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-1");
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    end(&pool);
}

#[test]
fn the_last_worker_cannot_be_retired_even_if_it_hangs() {
    let _watchdog = watchdog();
    let (pool, time, mut events) = pool(1, Watchdog::after(LIMIT).max_lost(0));
    let gate = hold(&pool, 0);
    hang(&time);
    await_quarantined(&mut events);
    let last = pool.retire_worker(id(&pool, "w-0"));
    assert!(matches!(last, Err(MembershipError::LastWorker(_))), "{last:?}");
    gate.open();
    end(&pool);
}

/// Asserts that a handler which runs `wait` is not given up, however long that takes, and that its
/// statistics leave the time of the wait out. `end` ends the wait.
fn assert_waiting_is_not_hanging(wait: impl FnOnce() + Send + 'static, end_wait: impl FnOnce()) {
    let (pool, time, mut events) = pool(2, Watchdog::after(LIMIT).max_lost(0));
    let own = Gate::new();
    let held = own.clone();
    let waiting = ask_at(
        &pool,
        0,
        Do::call(move || {
            wait();
            held.pass();
        }),
    );
    while !worker(&pool, "w-0").is_blocked {
        std::thread::yield_now();
    }
    // The watchdog checks one after the other: when it has found this one, it has passed the other.
    let gate = hold(&pool, 1);
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-1");
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    end_wait();
    own.reached();
    gate.open();
    await_event(&mut events, |kind| *kind == EventKind::Recovered);
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    assert_eq!(worker(&pool, "w-0").blocked, 2 * LIMIT);
    // The handler's own time counts.
    hang(&time);
    assert_eq!(await_quarantined(&mut events), "w-0");
    own.open();
    assert_eq!(by(waiting).unwrap(), "w-0");
    await_event(&mut events, |kind| *kind == EventKind::Recovered);
    let served = worker(&pool, "w-0");
    assert_eq!((served.busy, served.blocked), (2 * LIMIT, 2 * LIMIT));
    assert_eq!((served.service.max, served.mean_latency), (2 * LIMIT, Some(2 * LIMIT)));
    assert!(!served.is_blocked);
    end(&pool);
}

#[test]
fn a_handler_that_waits_for_room_does_not_hang() {
    let _watchdog = watchdog();
    for overflow in [Overflow::Block, Overflow::BlockFor(LONG)] {
        let next = common::pool(1, 1, overflow);
        let gate = hold(&next, 0);
        next.tell(Do::WhoAreYou).unwrap();
        let stage = next.clone();
        assert_waiting_is_not_hanging(move || stage.tell(Do::WhoAreYou).unwrap(), || gate.open());
        end(&next);
    }
}

#[test]
fn a_handler_that_waits_for_a_reply_does_not_hang() {
    let _watchdog = watchdog();
    let waits: [fn(Ask<Do, Answer>); 2] =
        [|ask| drop(ask.wait()), |mut ask| drop(ask.wait_timeout(LONG))];
    for wait in waits {
        let next = common::pool(1, 8, Overflow::Block);
        let (gate, ask) = ask_to_hold(&next, 0);
        assert_waiting_is_not_hanging(move || wait(ask), || gate.open());
        end(&next);
    }
}

#[test]
fn a_handler_that_waits_for_a_drain_does_not_hang() {
    let _watchdog = watchdog();
    let next = common::pool(1, 8, Overflow::Block);
    let gate = hold(&next, 0);
    let stage = next.clone();
    assert_waiting_is_not_hanging(
        move || assert!(stage.shutdown(Drain::all()).is_ok()),
        || gate.open(),
    );
}

#[test]
fn a_handler_that_waits_for_a_new_worker_does_not_hang() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let held = gate.clone();
    let next = builder(1).spawn(move |worker| {
        if worker.name() == "next" {
            held.pass();
        }
        Obedient::default()
    });
    let next: ObedientPool = next.unwrap();
    let stage = next.clone();
    assert_waiting_is_not_hanging(
        move || assert!(stage.add_worker(WorkerSpec::new("next")).is_ok()),
        || {
            gate.reached();
            gate.open();
        },
    );
    end(&next);
}

/// An actor that counts its calls, whose restart waits at a gate, and whose drop may panic.
struct SlowToRestart {
    calls: u64,
    generation: u32,
    restarting: Sender<(u32, Gate)>,
    drop_panics: bool,
}

impl Actor for SlowToRestart {
    fn on_restart(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        let gate = Gate::new();
        let _ = self.restarting.send((self.generation, gate.clone()));
        gate.pass();
        Ok(())
    }
}

/// Makes the actor panic.
struct Panic;

impl Handler<Option<Panic>> for SlowToRestart {
    type Reply = u64;

    fn handle(&mut self, panic: Option<Panic>, _: &mut Context<'_, Self>) -> u64 {
        assert!(panic.is_none(), "as requested");
        self.calls += 1;
        self.calls
    }
}

impl Drop for SlowToRestart {
    fn drop(&mut self) {
        assert!(!(self.drop_panics && self.generation == 1), "in the drop of the late actor");
    }
}

fn assert_that_another_thread_takes_over_a_hung_restart(drop_panics: bool) {
    let (builder, time) = watched(1, Watchdog::after(LIMIT));
    let (restarting, restarts) = channel();
    let pool = builder
        .spawn(move |worker| SlowToRestart {
            calls: 0,
            generation: worker.generation(),
            restarting: restarting.clone(),
            drop_panics,
        })
        .unwrap();
    let mut events = pool.subscribe();
    assert!(matches!(pool.ask(Some(Panic)).wait(), Err(AskError::Panicked { .. })));
    let (generation, hanging) = restarts.recv().unwrap();
    assert_eq!(generation, 1);
    hanging.reached();
    let queued = admitted(pool.ask(None));
    hang(&time);
    let (generation, next) = restarts.recv().unwrap();
    assert_eq!(generation, 2);
    next.reached();
    next.open();
    assert_eq!(queued.wait().unwrap(), 1);
    hanging.open();
    await_returned(&mut events);
    assert_eq!(pool.ask(None).wait().unwrap(), 2, "the late actor is gone");
    let report = worker(&pool, "w-0");
    assert_eq!((report.generation, report.counts.panicked), (2, 1));
    assert_eq!(pool.stats().lost_threads, 0);
    end(&pool);
}

#[test]
fn another_thread_takes_over_from_a_restart_that_hangs() {
    let _watchdog = watchdog();
    assert_that_another_thread_takes_over_a_hung_restart(false);
}

#[test]
fn the_panic_of_a_late_actor_s_drop_is_contained() {
    let _watchdog = watchdog();
    assert_that_another_thread_takes_over_a_hung_restart(true);
}
