//! What happens to tasks that find no room, and to those that wait too long.
mod common;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Answer, At, Do, Gate, LONG, Obedient, ObedientPool, admitted, ask_at, await_event, builder, by,
    end, hold, key_of, names, number, watchdog,
};
use raddle_core::{Candidates, Clock, Priority, TaskProfile, WorkerSpec};
use raddle_runtime::{
    Ask, AskError, CoDel, EventKind, Overflow, Pool, PoolBuilder, Refusal, SendError, ShedReason,
};
use raddle_strategies::Strategy;

/// The number that the message asks for.
fn number_in(order: &Do) -> u64 {
    match order {
        Do::Return(number) => *number,
        _ => panic!("only `Return` is sent here"),
    }
}

/// The numbers in the messages that the callbacks got: shed ones with the reason, and refused ones.
struct Dropped {
    shed: Receiver<(u64, ShedReason)>,
    rejected: Receiver<u64>,
}

impl Dropped {
    fn shed(&self) -> Vec<(u64, ShedReason)> {
        self.shed.try_iter().collect()
    }
    fn rejected(&self) -> Vec<u64> {
        self.rejected.try_iter().collect()
    }
}

/// Collects the builder's shed and refused messages.
fn collecting(builder: PoolBuilder<Do, Answer>) -> (PoolBuilder<Do, Answer>, Dropped) {
    let (shed, all_shed) = channel();
    let (rejected, all_rejected) = channel();
    let builder = builder
        .on_shed(move |order, reason| shed.send((number_in(&order), reason)).unwrap())
        .on_rejected(move |order, refusal| {
            assert_eq!(*refusal, Refusal::Full);
            rejected.send(number_in(order)).unwrap();
        });
    (builder, Dropped { shed: all_shed, rejected: all_rejected })
}

/// A pool whose workers are each in a handler and have a full mailbox of `capacity` tasks, with the
/// numbers 0, 1 and so on at the first, 100, 101 and so on at the second.
fn full(workers: usize, capacity: usize, overflow: Overflow) -> (ObedientPool, Vec<Gate>, Dropped) {
    fill(workers, capacity, builder(workers).mailbox(capacity, overflow))
}

/// As `full`, and with rerouting.
fn full_rerouting(overflow: Overflow) -> (ObedientPool, Vec<Gate>, Dropped) {
    fill(2, 2, builder(2).mailbox(2, overflow).reroute(true))
}

fn fill(
    workers: usize,
    capacity: usize,
    builder: PoolBuilder<Do, Answer>,
) -> (ObedientPool, Vec<Gate>, Dropped) {
    let (builder, dropped) = collecting(builder);
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let gates = (0..workers).map(|index| hold(&pool, index)).collect();
    for index in 0..workers {
        for number in 0..capacity {
            let order = Do::Return((100 * index + number) as u64);
            pool.task(order).strategy(&At(index)).tell().unwrap();
        }
    }
    (pool, gates, dropped)
}

/// Asserts that the message with this number was refused for lack of room.
#[track_caller]
fn assert_full<T>(refused: Result<T, SendError<Do>>, number: u64) {
    let error = refused.err().expect("there is no room");
    assert!(error.is_full(), "{error}");
    assert_eq!(number_in(&error.into_message()), number);
}

#[track_caller]
fn all_reply(asks: impl IntoIterator<Item = Ask<Do, Answer>>, why: &str) {
    for ask in asks {
        assert!(ask.wait().is_ok(), "{why}");
    }
}

fn open(gates: Vec<Gate>) {
    gates.iter().for_each(Gate::open);
}

/// Sends one more task to the first worker, which waits for room, and opens the gates; returns the
/// number in the reply.
fn send_while_opening(pool: &ObedientPool, gates: Vec<Gate>) -> u64 {
    std::thread::scope(|scope| {
        let (begun, beginning) = channel();
        let sending = scope.spawn(move || {
            begun.send(()).unwrap();
            number(ask_at(pool, 0, Do::Return(77)))
        });
        beginning.recv().unwrap();
        open(gates);
        sending.join().unwrap()
    })
}

#[test]
fn block_waits_for_room() {
    let _watchdog = watchdog();
    let (pool, gates, dropped) = full(1, 2, Overflow::Block);
    assert_eq!(send_while_opening(&pool, gates), 77);
    assert_eq!((dropped.shed(), dropped.rejected()), (vec![], vec![]));
    assert_eq!(end(&pool).counts.completed, 4);
}

#[test]
fn block_for_waits_for_room_until_its_limit() {
    let _watchdog = watchdog();
    let (pool, gates, dropped) = full(1, 2, Overflow::BlockFor(Duration::from_millis(5)));
    let begun = std::time::Instant::now();
    let refused = pool.tell(Do::Return(7));
    assert!(begun.elapsed() >= Duration::from_millis(5));
    assert_full(refused, 7);
    assert_eq!(dropped.rejected(), [7]);
    open(gates);
    let account = end(&pool);
    assert_eq!((account.counts.admitted, account.counts.completed, account.rejected), (3, 3, 1));

    let (pool, gates, dropped) = full(1, 2, Overflow::BlockFor(LONG));
    assert_eq!(send_while_opening(&pool, gates), 77);
    assert_eq!(dropped.rejected(), []);
    assert_eq!(end(&pool).rejected, 0);
}

#[test]
fn reject_returns_the_message_and_calls_the_callback() {
    let _watchdog = watchdog();
    let (pool, gates, dropped) = full(1, 2, Overflow::Reject);
    assert_full(pool.tell(Do::Return(7)), 7);
    assert_full(pool.ask(Do::Return(8)).into_admitted(), 8);
    assert_eq!(dropped.rejected(), [7, 8]);
    open(gates);
    let account = end(&pool);
    assert_eq!((account.counts.completed, account.rejected, account.shed), (3, 2, 0));
}

#[test]
fn drop_oldest_sheds_the_oldest_and_keeps_the_order_of_the_rest() {
    let _watchdog = watchdog();
    let (builder, dropped) = collecting(builder(1).mailbox(3, Overflow::DropOldest));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    let mut asks: Vec<_> = (0..8).map(|number| admitted(pool.ask(Do::Return(number)))).collect();
    let low = pool.task(Do::Return(50)).priority(Priority::Low).ask();
    let newest = asks.split_off(5);
    for ask in asks {
        assert!(matches!(ask.wait(), Err(AskError::Shed)), "before the worker is free");
    }
    let shed: Vec<_> = (0..5).map(|number| (number, ShedReason::Oldest)).collect();
    assert_eq!(dropped.shed(), shed);
    let (ran, runs) = channel();
    // Three more shed the three that are left; the order in which they run is recorded.
    for number in 0..3 {
        let ran = ran.clone();
        pool.tell(Do::call(move || ran.send(number).unwrap())).unwrap();
    }
    for (number, ask) in (5..8).zip(newest) {
        assert!(matches!(ask.wait(), Err(AskError::Shed)));
        assert_eq!(dropped.shed.recv().unwrap(), (number, ShedReason::Oldest));
    }
    gate.open();
    assert_eq!(number(low), 50, "each lane has its own room");
    let account = end(&pool);
    assert_eq!(runs.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(
        (account.counts.admitted, account.counts.completed),
        (5, 5),
        "shed tasks do not count"
    );
    assert_eq!((account.shed, account.rejected), (8, 0));
}

#[test]
fn a_shed_task_releases_its_key() {
    let _watchdog = watchdog();
    let (builder, dropped) = collecting(builder(2).mailbox(1, Overflow::DropOldest));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let key = key_of(&pool, "w-0");
    let mut events = pool.subscribe();
    let gate = hold(&pool, 0);
    let keyed = |number| admitted(pool.task(Do::Return(number)).key(key).ask());
    let (first, second) = (keyed(1), keyed(2));
    assert!(matches!(first.wait(), Err(AskError::Shed)));
    assert_eq!(dropped.shed(), [(1, ShedReason::Oldest)]);
    // The worker can leave only when its keys have no more tasks.
    pool.retire_worker(common::id(&pool, "w-0")).unwrap();
    gate.open();
    assert_eq!(by(second).unwrap(), "w-0");
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(names(&pool), ["w-1"]);
    assert_eq!(common::owner(&pool, key), "w-1");
    assert_eq!(end(&pool).shed, 1);
}

#[test]
fn drop_newest_sheds_the_new_task() {
    let _watchdog = watchdog();
    let (pool, gates, dropped) = full(1, 2, Overflow::DropNewest);
    pool.tell(Do::Return(7)).unwrap();
    assert!(matches!(pool.ask(Do::Return(8)).wait(), Err(AskError::Shed)));
    assert_eq!(dropped.shed(), [(7, ShedReason::Newest), (8, ShedReason::Newest)]);
    open(gates);
    let account = end(&pool);
    assert_eq!((account.counts.admitted, account.counts.completed), (3, 3));
    assert_eq!((account.shed, account.rejected), (2, 0));
}

#[test]
fn reroute_sends_the_task_to_a_worker_with_room() {
    let _watchdog = watchdog();
    let (builder, dropped) = collecting(builder(3).mailbox(1, Overflow::Reject).reroute(true));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    // The last worker has room.
    let gates = vec![hold(&pool, 0), hold(&pool, 1)];
    (0..2).for_each(|index| drop(ask_at(&pool, index, Do::Return(0))));
    for _ in 0..10 {
        assert_eq!(by(ask_at(&pool, 0, Do::WhoAreYou)).unwrap(), "w-2");
        assert_eq!(by(ask_at(&pool, 1, Do::WhoAreYou)).unwrap(), "w-2");
    }
    open(gates);
    let account = end(&pool);
    assert_eq!((account.rejected, account.shed, account.counts.admitted), (0, 0, 24));
    assert_eq!(dropped.rejected(), []);
}

#[test]
fn reroute_respects_capabilities_and_keys() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .worker(WorkerSpec::new("eye").capability("overflow-vision"))
        .worker(WorkerSpec::new("ear").capability("overflow-speech"))
        .mailbox(1, Overflow::Reject)
        .reroute(true)
        .stealing(false)
        .spawn(|_| Obedient::default())
        .unwrap();
    let key = key_of(&pool, "eye");
    let gate = hold(&pool, 0);
    let vision = || pool.task(Do::WhoAreYou).capability("overflow-vision");
    let first = admitted(vision().ask());
    assert!(vision().tell().unwrap_err().is_full(), "the ear cannot see");
    let keyed = || pool.task(Do::WhoAreYou).key(key);
    let bound = admitted(keyed().ask());
    assert!(keyed().ask().into_admitted().unwrap_err().is_full(), "a key stays");
    let anything = ask_at(&pool, 0, Do::WhoAreYou);
    assert_eq!(by(anything).unwrap(), "ear");
    gate.open();
    assert_eq!((by(first).unwrap(), by(bound).unwrap()), ("eye".into(), "eye".into()));
    assert_eq!(end(&pool).rejected, 2);
}

#[test]
fn if_no_worker_has_room_the_overflow_policy_applies_at_the_selected_one() {
    let _watchdog = watchdog();
    let ask = |pool: &ObedientPool| pool.task(Do::Return(7)).strategy(&At(1)).ask();

    let (pool, gates, dropped) = full_rerouting(Overflow::Reject);
    assert_full(ask(&pool).into_admitted(), 7);
    assert_eq!(dropped.rejected(), [7]);
    open(gates);
    end(&pool);

    let limit = Overflow::BlockFor(Duration::from_millis(1));
    let (pool, gates, dropped) = full_rerouting(limit);
    assert_full(ask(&pool).into_admitted(), 7);
    assert_eq!(dropped.rejected(), [7]);
    open(gates);
    end(&pool);

    let (pool, gates, dropped) = full_rerouting(Overflow::DropOldest);
    let newest = admitted(ask(&pool));
    assert_eq!(dropped.shed(), [(100, ShedReason::Oldest)], "at the worker that was selected");
    open(gates);
    assert_eq!(by(newest).unwrap(), "w-1");
    end(&pool);

    let (pool, gates, dropped) = full_rerouting(Overflow::DropNewest);
    assert!(matches!(ask(&pool).wait(), Err(AskError::Shed)));
    assert_eq!(dropped.shed(), [(7, ShedReason::Newest)]);
    open(gates);
    end(&pool);

    let (pool, gates, _dropped) = full_rerouting(Overflow::Block);
    assert_eq!(send_while_opening(&pool, gates), 77);
    end(&pool);
}

/// Retires the first worker when it picks, as another thread might at that moment.
#[derive(Debug)]
struct RetiresFirst(Arc<Mutex<Option<ObedientPool>>>);

impl Strategy for RetiresFirst {
    fn name(&self) -> &'static str {
        "retires_first"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        if let Some(pool) = self.0.lock().unwrap().take() {
            pool.retire_worker(candidates.worker(0).id()).unwrap();
        }
        0
    }
}

#[test]
fn an_open_pool_does_not_refuse_as_closed_if_the_selected_worker_leaves_meanwhile() {
    let _watchdog = watchdog();
    let shared = Arc::default();
    let strategy = RetiresFirst(Arc::clone(&shared));
    let builder = builder(2).strategy(strategy).mailbox(1, Overflow::Reject).reroute(true);
    let (pool, gates, dropped) = fill(2, 1, builder);
    *shared.lock().unwrap() = Some(pool.clone());
    // The first worker has no room, and is retired when a second choice is picked.
    let refused = pool.task(Do::Return(7)).strategy(&At(0)).tell();
    open(gates);
    assert_full(refused, 7);
    assert_eq!(dropped.rejected(), [7]);
    end(&pool);
}

#[test]
fn a_panic_in_a_callback_affects_nothing_else() {
    let _watchdog = watchdog();
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        let pool = builder(1)
            .mailbox(1, overflow)
            .on_shed(|_, _| panic!("in on_shed"))
            .on_rejected(|_, _| panic!("in on_rejected"))
            .spawn(|_| Obedient::default())
            .unwrap();
        let gate = hold(&pool, 0);
        for number in 0..4 {
            let _ = pool.tell(Do::Return(number));
        }
        gate.open();
        let account = end(&pool);
        assert_eq!(account.rejected + account.shed, 3);
        assert_eq!(account.counts.completed, 2);
    }
}

#[test]
fn codel_sheds_when_waits_have_exceeded_the_target_for_an_interval() {
    let _watchdog = watchdog();
    let ms = Duration::from_millis;
    let (clock, time) = Clock::simulated();
    let (builder, dropped) = collecting(builder(1).clock(clock).codel(CoDel::default()));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    // Each advances the clock by 60 ms; nothing else does.
    let work = || {
        let time = time.clone();
        Do::call(move || time.advance(ms(60)))
    };
    let control = |order| admitted(pool.task(order).priority(Priority::Control).ask());
    let first = [work(), work()].map(|work| admitted(pool.ask(work)));
    let third = admitted(pool.ask(Do::Return(3)));
    let rest: Vec<_> = (4..8).map(|number| admitted(pool.ask(Do::Return(number)))).collect();
    let urgent: Vec<_> = (0..4).map(|_| control(Do::Return(9))).collect();
    time.advance(ms(10));
    gate.open();
    all_reply(first, "a burst is tolerated");
    assert!(matches!(third.wait(), Err(AskError::Shed)), "waits were too long for an interval");
    all_reply(rest, "the next shedding is due much later");
    all_reply(urgent, "no control message is shed");
    assert_eq!(dropped.shed(), [(3, ShedReason::Sojourn)]);
    // A task that waits alone leaves an empty queue behind, which is no overload.
    let gate = hold(&pool, 0);
    let alone = pool.ask(Do::Return(1));
    time.advance(Duration::from_secs(10));
    gate.open();
    assert!(alone.wait().is_ok());
    let account = end(&pool);
    assert_eq!((account.shed, account.counts.completed), (1, 13));
}

#[test]
fn a_short_wait_at_another_worker_or_in_another_lane_does_not_reset_codel() {
    let _watchdog = watchdog();
    let ms = Duration::from_millis;
    let (clock, time) = Clock::simulated();
    let (builder, dropped) = collecting(builder(2).clock(clock).codel(CoDel::default()));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    let work = || {
        let (time, pool) = (time.clone(), pool.clone());
        Do::call(move || {
            time.advance(ms(60));
            assert!(ask_at(&pool, 1, Do::Return(0)).wait().is_ok());
            pool.task(Do::Return(8)).strategy(&At(0)).priority(Priority::High).tell().unwrap();
        })
    };
    let first = [ask_at(&pool, 0, work()), ask_at(&pool, 0, work())];
    let third = ask_at(&pool, 0, Do::Return(3));
    let last = ask_at(&pool, 0, Do::Return(4));
    time.advance(ms(10));
    gate.open();
    all_reply(first, "a burst is tolerated");
    assert!(matches!(third.wait(), Err(AskError::Shed)));
    assert!(last.wait().is_ok());
    assert_eq!(dropped.shed(), [(3, ShedReason::Sojourn)]);
    end(&pool);
}

#[test]
fn control_messages_are_never_refused_for_lack_of_room() {
    let _watchdog = watchdog();
    let policies = [
        (Overflow::Block, false),
        (Overflow::BlockFor(Duration::ZERO), false),
        (Overflow::Reject, false),
        (Overflow::DropOldest, false),
        (Overflow::DropNewest, false),
        (Overflow::Reject, true),
    ];
    for (overflow, reroute) in policies {
        let builder = builder(1).mailbox(1, overflow).reroute(reroute);
        let (pool, gates, dropped) = fill(1, 1, builder);
        let control = |number| {
            let task = pool.task(Do::Return(number)).priority(Priority::Control);
            admitted(task.ask())
        };
        let asks: Vec<_> = (0..100).map(control).collect();
        open(gates);
        for (sent, ask) in (0..).zip(asks) {
            assert_eq!(number(ask), sent);
        }
        assert_eq!((dropped.shed(), dropped.rejected()), (vec![], vec![]));
        assert_eq!(end(&pool).counts.completed, 102);
    }
}
