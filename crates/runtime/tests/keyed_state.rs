//! The state that actors keep for keys moves with the keys, or an event says that it did not.
mod common;

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Gate, LONG, await_event, builder, end, id, names, watchdog};
use proptest::prelude::*;
use raddle_core::{MailboxOrder, WorkerSpec};
use raddle_runtime::{
    Actor, AsyncContext, AsyncHandler, Backoff, Context, Drain, Event, EventKind, Events, Handler,
    KeyedState, MovedKeys, Overflow, Pool, RestartPolicy, Restarts, SharedHandler, SpawnError,
    StartError, Watchdog,
};
use raddle_strategies::{BoundedHash, WarmFirst};

/// Counts the tasks of each key, and keeps the order of their numbers.
#[derive(Default)]
struct Counters(HashMap<u64, u64>);

enum Order {
    /// Returns how many tasks of the key this is, including it.
    Count(u64),
    Hold(Gate),
    Panic,
}

impl Actor for Counters {
    fn keyed_state() -> Option<KeyedState<Self>> {
        Some(KeyedState::map(|counters: &mut Self| &mut counters.0))
    }
}

impl Counters {
    fn obey(&mut self, order: Order) -> u64 {
        match order {
            Order::Count(key) => {
                let count = self.0.entry(key).or_default();
                *count += 1;
                return *count;
            }
            Order::Hold(gate) => gate.pass(),
            Order::Panic => panic!("by order"),
        }
        0
    }
}

impl Handler<Order> for Counters {
    type Reply = u64;

    fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> u64 {
        self.obey(order)
    }
}

/// The same, but its state stays where it is.
#[derive(Default)]
struct Forgetful(Counters);

impl Actor for Forgetful {}

impl Handler<Order> for Forgetful {
    type Reply = u64;

    fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> u64 {
        self.0.obey(order)
    }
}

type Counts = Pool<Order, u64>;

const KEYS: u64 = 1_000;
/// Longer than a thread is suspended on a busy machine.
const HANGS: Duration = Duration::from_millis(500);

/// Counts each of the keys once; returns the counts.
fn count_all(pool: &Counts) -> Vec<u64> {
    let asks: Vec<_> = (0..KEYS).map(|key| pool.task(Order::Count(key)).key(key).ask()).collect();
    asks.into_iter().map(|ask| ask.wait().unwrap()).collect()
}

#[track_caller]
fn assert_counts(counts: &[u64], expected: u64) {
    assert_eq!(counts.len() as u64, KEYS);
    let wrong = counts.iter().enumerate().find(|(_, count)| **count != expected);
    assert_eq!(wrong, None, "expected {expected}");
}

/// The keys that moved without their state, by the events so far.
fn forgotten(events: &mut Events) -> Vec<MovedKeys> {
    let events = std::iter::from_fn(|| events.try_recv());
    let keys = events.filter_map(|event| match event.kind {
        EventKind::KeysMoved { keys, .. } => Some(keys),
        _ => None,
    });
    keys.collect()
}

/// Waits until every partition of a retired worker has moved.
fn await_retired(events: &mut Events) -> Event {
    await_event(events, |kind| matches!(kind, EventKind::Retired { .. }))
}

#[test]
fn every_key_keeps_its_state_when_workers_are_added_and_retired() {
    let _watchdog = watchdog();
    for order in [MailboxOrder::Fifo, MailboxOrder::Boost] {
        let pool = builder(2).mailbox_order(order).spawn(|_| Counters::default()).unwrap();
        let mut events = pool.subscribe();
        assert_counts(&count_all(&pool), 1);
        pool.add_worker(WorkerSpec::new("new")).unwrap();
        assert_counts(&count_all(&pool), 2);
        pool.resize(5).unwrap();
        assert_counts(&count_all(&pool), 3);
        pool.retire_worker(id(&pool, "w-0")).unwrap();
        assert_counts(&count_all(&pool), 4);
        pool.resize(1).unwrap();
        assert_counts(&count_all(&pool), 5);
        for _ in 0..4 {
            let event = events.find(|event| {
                let forgotten = matches!(event.kind, EventKind::KeysMoved { .. });
                assert!(!forgotten, "{event:?}");
                matches!(event.kind, EventKind::Retired { .. })
            });
            assert!(event.is_some());
        }
        assert_eq!(names(&pool).len(), 1);
        assert_counts(&count_all(&pool), 6);
        end(&pool);
    }
}

/// Ready when it is polled for the second time.
async fn yield_once() {
    let mut polled = false;
    let poll = |cx: &mut std::task::Context<'_>| {
        if std::mem::replace(&mut polled, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    };
    std::future::poll_fn(poll).await;
}

impl AsyncHandler<Order> for Counters {
    type Reply = u64;

    async fn handle(&mut self, order: Order, _: &mut AsyncContext<'_, Self>) -> u64 {
        yield_once().await;
        self.obey(order)
    }
}

impl SharedHandler<Order> for Counters {
    type Reply = u64;

    async fn handle(&self, _: Order, _: &mut AsyncContext<'_, Self>) -> u64 {
        0
    }
}

#[test]
fn async_handlers_that_run_alone_keep_their_keyed_state_and_others_are_refused_it() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn_async(|_| Counters::default()).unwrap();
    for (round, workers) in (1..).zip([4, 1, 3]) {
        assert_counts(&count_all(&pool), round);
        pool.resize(workers).unwrap();
    }
    assert_counts(&count_all(&pool), 4);
    end(&pool);
    let spawned = builder::<Order, u64>(2).spawn_concurrent(2, |_| Counters::default());
    let Err(SpawnError::Meaningless { option, .. }) = spawned else { panic!("{spawned:?}") };
    assert_eq!(option, "keyed_state");
}

#[test]
fn keys_without_a_way_to_move_their_state_are_announced() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn(|_| Forgetful::default()).unwrap();
    let mut events = pool.subscribe();
    assert_counts(&count_all(&pool), 1);
    pool.add_worker(WorkerSpec::new("new")).unwrap();
    let mut moved = Vec::new();
    for from in ["w-0", "w-1"] {
        let is_it = |kind: &EventKind| matches!(kind, EventKind::KeysMoved { .. });
        let event = await_event(&mut events, is_it);
        let EventKind::KeysMoved { keys, to } = event.kind else { unreachable!() };
        assert_eq!((event.name.as_str(), to.as_deref()), (from, Some("new")));
        assert_eq!(keys.capability(), None);
        moved.push(keys);
    }
    let counts = count_all(&pool);
    let empty = counts.iter().filter(|count| **count == 1).count();
    assert!(empty > 100, "{empty} of {KEYS} keys moved");
    for (key, count) in (0..KEYS).zip(counts) {
        let announced = moved.iter().any(|keys| keys.contains(&key));
        assert_eq!(count, if announced { 1 } else { 2 }, "key {key}");
    }
    assert!(forgotten(&mut events).is_empty(), "each move is announced once");
    end(&pool);
}

#[test]
fn tasks_that_wait_for_a_move_run_in_order_and_find_the_state() {
    let _watchdog = watchdog();
    let pool = builder(1).mailbox(4_096, Overflow::Block).spawn(|_| Counters::default()).unwrap();
    count_all(&pool);
    // The old worker is busy with a task of another key, and has tasks of each.
    let gate = Gate::new();
    pool.task(Order::Hold(gate.clone())).key(KEYS).tell().unwrap();
    gate.reached();
    let count = |key: u64| pool.task(Order::Count(key)).key(key).ask();
    let before: Vec<_> = (0..500).map(count).collect();
    pool.resize(4).unwrap();
    let after: Vec<_> = (0..KEYS).chain(0..KEYS).map(count).collect();
    gate.open();
    let wait = |ask: raddle_runtime::Ask<Order, u64>| ask.wait().unwrap();
    assert!(before.into_iter().map(wait).all(|count| count == 2));
    let after: Vec<_> = after.into_iter().map(wait).collect();
    for key in 0..KEYS as usize {
        let first = if key < 500 { 3 } else { 2 };
        assert_eq!((after[key], after[key + KEYS as usize]), (first, first + 1), "key {key}");
    }
    end(&pool);
}

#[test]
fn a_busy_worker_holds_keys_up_for_the_limit_and_no_longer() {
    let _watchdog = watchdog();
    struct Brief(Counters);
    impl Actor for Brief {
        fn keyed_state() -> Option<KeyedState<Self>> {
            let state = KeyedState::map(|brief: &mut Self| &mut brief.0.0);
            Some(state.within(Duration::from_millis(20)))
        }
    }
    impl Handler<Order> for Brief {
        type Reply = u64;
        fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> u64 {
            self.0.obey(order)
        }
    }
    let pool = builder(1).spawn(|_| Brief(Counters::default())).unwrap();
    count_all(&pool);
    let gate = Gate::new();
    pool.tell(Order::Hold(gate.clone())).unwrap();
    gate.reached();
    let mut events = pool.subscribe();
    pool.add_worker(WorkerSpec::new("new")).unwrap();
    // The old worker still hangs.
    let event = await_event(&mut events, |kind| matches!(kind, EventKind::KeysMoved { .. }));
    let EventKind::KeysMoved { keys, to } = event.kind else { unreachable!() };
    assert_eq!((event.name.as_str(), to.as_deref()), ("w-0", Some("new")));
    let key = (0..KEYS).find(|key| keys.contains(key)).unwrap();
    assert_eq!(pool.task(Order::Count(key)).key(key).ask().wait().unwrap(), 1);
    gate.open();
    let kept = (0..KEYS).find(|key| !keys.contains(key)).unwrap();
    assert_eq!(pool.task(Order::Count(kept)).key(kept).ask().wait().unwrap(), 2);
    end(&pool);
}

#[test]
fn a_worker_that_is_given_up_as_hung_holds_no_key_up() {
    let _watchdog = watchdog();
    let pool = builder(1).watchdog(Watchdog::after(HANGS)).spawn(|_| Counters::default()).unwrap();
    count_all(&pool);
    let gate = Gate::new();
    pool.task(Order::Hold(gate.clone())).key(7).tell().unwrap();
    gate.reached();
    pool.add_worker(WorkerSpec::new("new")).unwrap();
    let mut events = pool.subscribe();
    await_event(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
    // The new thread has a new actor.
    assert_counts(&count_all(&pool), 1);
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Returned));
    assert_counts(&count_all(&pool), 2);
    end(&pool);
}

/// What hooks do.
#[derive(Clone, Copy, PartialEq)]
enum Hook {
    Works,
    ReturnsNone,
    Panics,
    Hangs,
}

/// Its hooks report what they are called with, and do as they are told.
struct Hooked {
    counters: Counters,
    lost: Hook,
    gained: Hook,
    report: Sender<(&'static str, String, bool)>,
    gate: Gate,
}

impl Actor for Hooked {
    fn keyed_state() -> Option<KeyedState<Self>> {
        Some(KeyedState::hooks(
            |actor: &mut Self, keys, cx| {
                let worker = cx.worker().name().to_owned();
                let _ = actor.report.send(("lost", worker, true));
                match actor.lost {
                    Hook::Works | Hook::ReturnsNone => {}
                    Hook::Panics => panic!("by order"),
                    Hook::Hangs => actor.gate.pass(),
                }
                let moved = actor.counters.0.extract_if(|key, _| keys.contains(key));
                let moved: Vec<_> = moved.collect();
                (actor.lost != Hook::ReturnsNone).then_some(moved)
            },
            |actor: &mut Self, _, moved, cx| {
                let worker = cx.worker().name().to_owned();
                let _ = actor.report.send(("gained", worker, moved.is_some()));
                match actor.gained {
                    Hook::Works | Hook::ReturnsNone => {}
                    Hook::Panics => panic!("by order"),
                    Hook::Hangs => actor.gate.pass(),
                }
                actor.counters.0.extend(moved.into_iter().flatten());
            },
        ))
    }
}

impl Handler<Order> for Hooked {
    type Reply = u64;

    fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> u64 {
        self.counters.obey(order)
    }
}

#[test]
fn a_hook_that_fails_or_hangs_loses_the_state_and_nothing_else() {
    let _watchdog = watchdog();
    use Hook::{Hangs, Panics, ReturnsNone, Works};
    let cases = [
        (Works, Works),
        (ReturnsNone, Works),
        (Panics, Works),
        (Works, Panics),
        (Hangs, Works),
        (Works, Hangs),
    ];
    for (case, (lost, gained)) in cases.into_iter().enumerate() {
        let (report, reported) = channel();
        let gate = Gate::new();
        let made = Arc::new(Mutex::new(0));
        let make = {
            let (gate, made) = (gate.clone(), Arc::clone(&made));
            move |_: &raddle_core::Worker| {
                let mut made = made.lock().unwrap();
                *made += 1;
                // Those that replace a hung one hang no more.
                let (lost, gained) = if *made <= 2 { (lost, gained) } else { (Works, Works) };
                let (counters, report) = (Counters::default(), report.clone());
                Hooked { counters, lost, gained, report, gate: gate.clone() }
            }
        };
        let hangs = lost == Hangs || gained == Hangs;
        let builder = match hangs {
            true => builder(1).watchdog(Watchdog::after(HANGS)),
            false => builder(1),
        };
        let pool: Counts = builder.spawn(make).unwrap();
        assert_counts(&count_all(&pool), 1);
        let mut events = pool.subscribe();
        pool.add_worker(WorkerSpec::new("new")).unwrap();
        if hangs {
            gate.reached();
            await_event(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
        }
        let counts = count_all(&pool);
        if hangs {
            gate.open();
            await_event(&mut events, |kind| matches!(kind, EventKind::Returned));
        }
        let later = count_all(&pool);
        assert!(later.iter().zip(&counts).all(|(later, count)| *later == count + 1), "case {case}");
        let moved = counts.iter().filter(|count| **count == 1).count();
        let first = reported.recv_timeout(LONG).unwrap();
        assert_eq!(first, ("lost", "w-0".into(), true), "case {case}");
        let next = reported.recv_timeout(LONG).unwrap();
        let has_state = lost == Works;
        assert_eq!(next, ("gained", "new".into(), has_state), "case {case}");
        match (lost, gained) {
            (Works, Works) => assert_eq!(moved, 0),
            // All that `w-0` had.
            (Hangs, _) => assert_eq!(moved, KEYS as usize),
            _ => assert!(moved > 100, "case {case}: {moved} of {KEYS}"),
        }
        end(&pool);
    }
}

#[test]
fn an_event_names_the_keys_whose_state_a_hook_lost() {
    let _watchdog = watchdog();
    use Hook::{Panics, ReturnsNone, Works};
    for (lost, gained) in [(ReturnsNone, Works), (Panics, Works), (Works, Panics)] {
        let (report, _reported) = channel();
        let pool: Counts = builder(1)
            .spawn(move |_| {
                let (counters, report) = (Counters::default(), report.clone());
                Hooked { counters, lost, gained, report, gate: Gate::new() }
            })
            .unwrap();
        count_all(&pool);
        let mut events = pool.subscribe();
        pool.add_worker(WorkerSpec::new("new")).unwrap();
        let is_it = |kind: &EventKind| matches!(kind, EventKind::KeysMoved { .. });
        let event = await_event(&mut events, is_it);
        let EventKind::KeysMoved { keys, to } = event.kind else { unreachable!() };
        let from = if lost == Works { "new" } else { "w-0" };
        assert_eq!((event.name.as_str(), to.as_deref()), (from, Some("new")));
        for (key, count) in (0..KEYS).zip(count_all(&pool)) {
            assert_eq!(count == 1, keys.contains(&key), "key {key}: {count}");
        }
        end(&pool);
    }
}

/// Keeps its counters when it panics.
struct Hardy(Counters);

impl Actor for Hardy {
    fn keyed_state() -> Option<KeyedState<Self>> {
        Some(KeyedState::map(|hardy: &mut Self| &mut hardy.0.0))
    }
    fn survives_panic(&mut self, _: &str, _: &mut Context<'_, Self>) -> bool {
        true
    }
}

impl Handler<Order> for Hardy {
    type Reply = u64;

    fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> u64 {
        self.0.obey(order)
    }
}

#[test]
fn an_actor_that_survives_its_panic_keeps_its_keys_or_gives_them_away() {
    let _watchdog = watchdog();
    let none = Backoff { initial: Duration::ZERO, max: Duration::ZERO, jitter: 0.0 };
    let pool = builder(2)
        .restarts(Restarts::default().backoff(none))
        .spawn(|_| Hardy(Counters::default()))
        .unwrap();
    count_all(&pool);
    for _ in 0..4 {
        assert!(pool.ask(Order::Panic).wait().is_err());
    }
    assert_counts(&count_all(&pool), 2);
    end(&pool);

    // A worker that is not restarted gives its keys to the other one.
    let pool = builder(2)
        .restarts(Restarts::default().policy(RestartPolicy::Never))
        .spawn(|_| Hardy(Counters::default()))
        .unwrap();
    count_all(&pool);
    let mut events = pool.subscribe();
    assert!(pool.ask(Order::Panic).wait().is_err());
    await_retired(&mut events);
    assert_counts(&count_all(&pool), 2);
    assert!(forgotten(&mut events).is_empty());
    end(&pool);
}

#[test]
fn a_worker_that_is_not_restarted_forgets_its_keys_and_an_event_says_which() {
    let _watchdog = watchdog();
    let pool = builder(2)
        .restarts(Restarts::default().policy(RestartPolicy::Never))
        .spawn(|_| Counters::default())
        .unwrap();
    count_all(&pool);
    let mut events = pool.subscribe();
    assert!(pool.ask(Order::Panic).wait().is_err());
    let is_it = |kind: &EventKind| matches!(kind, EventKind::KeysMoved { .. });
    let EventKind::KeysMoved { keys, to } = await_event(&mut events, is_it).kind else {
        unreachable!()
    };
    assert_eq!(to.as_deref(), Some("w-1"));
    for (key, count) in (0..KEYS).zip(count_all(&pool)) {
        assert_eq!(count == 1, keys.contains(&key), "key {key}: {count}");
    }
    end(&pool);
}

/// Stores its counters when it stops.
struct Saved(Counters, Arc<Mutex<HashMap<u64, u64>>>);

impl Actor for Saved {
    fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        Ok(())
    }
    fn keyed_state() -> Option<KeyedState<Self>> {
        Some(KeyedState::map(|saved: &mut Self| &mut saved.0.0))
    }
    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        let mut stored = self.1.lock().unwrap();
        for (key, count) in self.0.0.drain() {
            assert!(stored.insert(key, count).is_none(), "two actors have key {key}");
        }
    }
}

impl Handler<Order> for Saved {
    type Reply = u64;

    fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> u64 {
        self.0.obey(order)
    }
}

#[test]
fn a_pool_that_is_shut_down_while_keys_move_loses_none_of_their_state() {
    let _watchdog = watchdog();
    for waits in [false, true] {
        let stored = Arc::<Mutex<HashMap<_, _>>>::default();
        let make = {
            let stored = Arc::clone(&stored);
            move |_: &raddle_core::Worker| Saved(Counters::default(), Arc::clone(&stored))
        };
        let pool: Counts = builder(2).spawn(make).unwrap();
        count_all(&pool);
        let gates = ["w-0", "w-1"].map(|name| {
            let gate = Gate::new();
            pool.task(Order::Hold(gate.clone())).worker(id(&pool, name)).tell().unwrap();
            gate.reached();
            gate
        });
        pool.resize(4).unwrap();
        if waits {
            for key in 0..KEYS {
                pool.task(Order::Count(key)).key(key).tell().unwrap();
            }
        }
        std::thread::scope(|scope| {
            let ended = scope.spawn(|| end(&pool));
            while !pool
                .task(Order::Count(KEYS))
                .key(KEYS)
                .tell()
                .is_err_and(|error| error.is_closed())
            {
                std::thread::yield_now();
            }
            gates.into_iter().for_each(|gate| gate.open());
            ended.join().unwrap();
        });
        let stored = stored.lock().unwrap();
        let expected = if waits { 2 } else { 1 };
        let all = (0..KEYS).all(|key| stored.get(&key) == Some(&expected));
        assert!(all, "{waits}: {} of {KEYS} were stored", stored.len());
    }
}

#[test]
fn a_strategy_that_routes_keys_is_refused() {
    let _watchdog = watchdog();
    let spawned = builder(2).strategy(BoundedHash::new()).spawn(|_| Counters::default());
    let Err(SpawnError::Strategy(error)) = spawned else { panic!("{spawned:?}") };
    assert!(error.to_string().contains("bounded_hash"), "{error}");
    let pool = builder(2).spawn(|_| Counters::default()).unwrap();
    assert!(pool.set_strategy(WarmFirst::new()).is_err());
    assert!(pool.set_shadow(WarmFirst::new()).is_err());
    end(&pool);
    let pool = builder(2).strategy(BoundedHash::new()).spawn(|_| Forgetful::default()).unwrap();
    end(&pool);
}

#[test]
fn keys_of_each_capability_move_apart() {
    let _watchdog = watchdog();
    let general = || WorkerSpec::general();
    let pool: Counts = Pool::builder("test")
        .worker(general())
        .worker(WorkerSpec::new("a").capability("keyed-state-a"))
        .spawn(|_| Counters::default())
        .unwrap();
    let count = |key: u64| {
        let task = pool.task(Order::Count(key)).key(key);
        task.capability("keyed-state-a").ask()
    };
    let counts = || -> Vec<_> {
        let asks: Vec<_> = (0..KEYS).map(count).collect();
        asks.into_iter().map(|ask| ask.wait().unwrap()).collect()
    };
    assert_counts(&counts(), 1);
    pool.add_worker(WorkerSpec::new("b").capability("keyed-state-b")).unwrap();
    pool.add_worker(WorkerSpec::new("c").capability("keyed-state-a")).unwrap();
    assert_counts(&counts(), 2);
    pool.retire_worker(id(&pool, "a")).unwrap();
    assert_counts(&counts(), 3);
    end(&pool);
}

#[derive(Clone, Debug)]
enum Change {
    Add,
    Retire(prop::sample::Index),
    Resize(usize),
    /// Waits for the replies so far.
    Wait,
    /// Lets a handler panic.
    Panic,
}

/// Random changes, with this many panics in ten.
fn changes(panics: u32) -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        panics => Just(Change::Panic),
        2 => Just(Change::Add),
        2 => any::<prop::sample::Index>().prop_map(Change::Retire),
        2 => (1..6_usize).prop_map(Change::Resize),
        3 => Just(Change::Wait),
    ];
    prop::collection::vec(change, 1..12)
}

/// Sends a task of each key between any two changes, without waiting for it, so that keys move while
/// they have tasks. Returns how often each key was counted, if all replies were in order.
fn run(pool: &Counts, changes: &[Change]) -> Vec<Vec<u64>> {
    let mut asks: Vec<Vec<_>> = (0..KEYS).map(|_| Vec::new()).collect();
    let mut counts: Vec<Vec<u64>> = vec![Vec::new(); KEYS as usize];
    for (round, change) in changes.iter().enumerate() {
        for key in 0..KEYS {
            asks[key as usize].push(pool.task(Order::Count(key)).key(key).ask());
        }
        match change {
            Change::Add => {
                pool.add_worker(WorkerSpec::new(format!("added-{round}"))).unwrap();
            }
            Change::Retire(index) => {
                let workers = pool.stats().balancer.workers;
                // The last one cannot be retired.
                let _ = pool.retire_worker(workers[index.index(workers.len())].id);
            }
            Change::Resize(workers) => pool.resize(*workers).unwrap(),
            Change::Panic => pool.tell(Order::Panic).unwrap(),
            Change::Wait => {
                for (counts, asks) in counts.iter_mut().zip(&mut asks) {
                    counts.extend(asks.drain(..).map(|ask| ask.wait().unwrap()));
                }
            }
        }
    }
    for (counts, asks) in counts.iter_mut().zip(asks) {
        counts.extend(asks.into_iter().map(|ask| ask.wait().unwrap()));
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_thousand_counters_keep_their_counts_through_any_changes(changes in changes(0)) {
        let _watchdog = watchdog();
        let stored = Arc::<Mutex<HashMap<_, _>>>::default();
        let store = Arc::clone(&stored);
        let make = move |_: &raddle_core::Worker| Saved(Counters::default(), Arc::clone(&store));
        let pool: Counts = builder(2).mailbox(64, Overflow::Block).spawn(make).unwrap();
        let mut events = pool.subscribe();
        for (key, counts) in run(&pool, &changes).into_iter().enumerate() {
            let expected: Vec<_> = (1..=changes.len() as u64).collect();
            prop_assert_eq!(counts, expected, "key {}", key);
        }
        end(&pool);
        let forgotten = events.find(|it| matches!(it.kind, EventKind::KeysMoved { .. }));
        prop_assert_eq!(forgotten, None);
        // Also while the pool ended.
        let stored = stored.lock().unwrap();
        prop_assert_eq!(stored.len() as u64, KEYS);
        prop_assert!(stored.values().all(|count| *count == changes.len() as u64));
    }

    #[test]
    fn counters_that_survive_panics_keep_their_counts_too(changes in changes(3)) {
        let _watchdog = watchdog();
        let none = Backoff { initial: Duration::ZERO, max: Duration::ZERO, jitter: 0.0 };
        let pool: Counts = builder(2)
            .mailbox(64, Overflow::Block)
            .restarts(Restarts::default().backoff(none))
            .spawn(|_| Hardy(Counters::default()))
            .unwrap();
        let mut events = pool.subscribe();
        for (key, counts) in run(&pool, &changes).into_iter().enumerate() {
            let expected: Vec<_> = (1..=changes.len() as u64).collect();
            prop_assert_eq!(counts, expected, "key {}", key);
        }
        end(&pool);
        let forgotten = events.find(|it| matches!(it.kind, EventKind::KeysMoved { .. }));
        prop_assert_eq!(forgotten, None);
    }

    #[test]
    fn a_counter_that_is_not_handed_over_is_announced(changes in changes(0)) {
        let _watchdog = watchdog();
        let pool: Counts =
            builder(2).mailbox(64, Overflow::Block).spawn(|_| Forgetful::default()).unwrap();
        let mut events = pool.subscribe();
        let counts = run(&pool, &changes);
        end(&pool);
        let moved = forgotten(&mut events);
        for (key, counts) in (0..KEYS).zip(counts) {
            let breaks = counts.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
            let announced = moved.iter().filter(|keys| keys.contains(&key)).count();
            prop_assert!(breaks <= announced, "key {}: {} of {}", key, breaks, announced);
        }
    }
}

#[test]
fn a_shutdown_with_a_limit_ends_while_a_worker_hangs_and_keys_wait_for_it() {
    let _watchdog = watchdog();
    let pool = builder(1).spawn(|_| Counters::default()).unwrap();
    count_all(&pool);
    let gate = Gate::new();
    pool.tell(Order::Hold(gate.clone())).unwrap();
    gate.reached();
    pool.add_worker(WorkerSpec::new("new")).unwrap();
    for key in 0..KEYS {
        pool.task(Order::Count(key)).key(key).tell().unwrap();
    }
    let error = pool.shutdown(Drain::within(Duration::from_millis(10))).unwrap_err();
    assert_eq!(error.workers, ["w-0"]);
    gate.open();
    assert!(pool.watch().wait_timeout(LONG));
    assert!(pool.account().is_balanced());
    assert_eq!(pool.account().counts.cancelled, KEYS);
}
