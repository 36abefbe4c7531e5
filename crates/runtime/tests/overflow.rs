//! What happens to tasks for which there is no room, and to those that wait too long.
mod common;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::{
    At, Do, Gate, LONG, Obedient, ask_at, await_event, builder, by, end, hold, key_of, names,
    watchdog,
};
use raddle_core::{Clock, Priority, WorkerSpec};
use raddle_runtime::{
    AskError, CoDel, EventKind, Overflow, Pool, PoolBuilder, SendError, ShedReason,
};

/// The number that a message would return.
fn number(order: &Do) -> u64 {
    match order {
        Do::Return(number) => *number,
        _ => panic!("only `Return` is given here"),
    }
}

/// What the callbacks were told: the numbers of shed messages with the reason, and of refused ones.
struct Told {
    shed: Receiver<(u64, ShedReason)>,
    rejected: Receiver<u64>,
}

impl Told {
    fn shed(&self) -> Vec<(u64, ShedReason)> {
        self.shed.try_iter().collect()
    }
    fn rejected(&self) -> Vec<u64> {
        self.rejected.try_iter().collect()
    }
}

fn told_of(builder: PoolBuilder<Obedient>) -> (PoolBuilder<Obedient>, Told) {
    let (shed, all_shed) = channel();
    let (rejected, all_rejected) = channel();
    let builder = builder
        .on_shed(move |order, reason| shed.send((number(&order), reason)).unwrap())
        .on_rejected(move |error| {
            let SendError::Full(order) = error else { panic!("{error}") };
            rejected.send(number(order)).unwrap();
        });
    (builder, Told { shed: all_shed, rejected: all_rejected })
}

/// A pool of so many workers, each in a handler and with `capacity` tasks in its mailbox: 0, 1 and
/// so on at the first, 100 and so on at the second.
fn full(workers: usize, capacity: usize, overflow: Overflow) -> (Pool<Obedient>, Vec<Gate>, Told) {
    let (builder, told) = told_of(builder(workers).mailbox(capacity, overflow));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let gates = (0..workers).map(|index| hold(&pool, index)).collect();
    for index in 0..workers {
        for number in 0..capacity {
            let order = Do::Return((100 * index + number) as u64);
            pool.task(order).strategy(&At(index)).tell().unwrap();
        }
    }
    (pool, gates, told)
}

fn open(gates: Vec<Gate>) {
    gates.iter().for_each(Gate::open);
}

/// Gives one more task to the first worker, which waits for room, and lets the handlers go on; the
/// answer's number.
fn give_while_opening(pool: &Pool<Obedient>, gates: Vec<Gate>) -> u64 {
    std::thread::scope(|scope| {
        let (begun, beginning) = channel();
        let given = scope.spawn(move || {
            begun.send(()).unwrap();
            ask_at(pool, 0, Do::Return(77)).wait().unwrap().number
        });
        beginning.recv().unwrap();
        open(gates);
        given.join().unwrap()
    })
}

#[test]
fn block_waits_for_room() {
    let _watchdog = watchdog();
    let (pool, gates, told) = full(1, 2, Overflow::Block);
    assert_eq!(give_while_opening(&pool, gates), 77);
    assert_eq!((told.shed(), told.rejected()), (vec![], vec![]));
    assert_eq!(end(&pool).counts.completed, 4);
}

#[test]
fn block_for_waits_for_room_and_not_longer() {
    let _watchdog = watchdog();
    let (pool, gates, told) = full(1, 2, Overflow::BlockFor(Duration::from_millis(5)));
    let begun = std::time::Instant::now();
    let refused = pool.tell(Do::Return(7));
    assert!(begun.elapsed() >= Duration::from_millis(5));
    assert!(matches!(refused, Err(SendError::Full(Do::Return(7)))));
    assert_eq!(told.rejected(), [7]);
    open(gates);
    let account = end(&pool);
    assert_eq!((account.counts.admitted, account.counts.completed, account.rejected), (3, 3, 1));

    let (pool, gates, told) = full(1, 2, Overflow::BlockFor(LONG));
    assert_eq!(give_while_opening(&pool, gates), 77);
    assert_eq!(told.rejected(), []);
    assert_eq!(end(&pool).rejected, 0);
}

#[test]
fn reject_hands_the_message_back_and_tells() {
    let _watchdog = watchdog();
    let (pool, gates, told) = full(1, 2, Overflow::Reject);
    assert!(matches!(pool.tell(Do::Return(7)), Err(SendError::Full(Do::Return(7)))));
    assert!(matches!(pool.ask(Do::Return(8)), Err(SendError::Full(Do::Return(8)))));
    assert_eq!(told.rejected(), [7, 8]);
    open(gates);
    let account = end(&pool);
    assert_eq!((account.counts.completed, account.rejected, account.shed), (3, 2, 0));
}

#[test]
fn drop_oldest_lets_the_oldest_go_and_keeps_the_order_of_the_rest() {
    let _watchdog = watchdog();
    let (builder, told) = told_of(builder(1).mailbox(3, Overflow::DropOldest));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    let mut replies: Vec<_> = (0..8).map(|number| pool.ask(Do::Return(number)).unwrap()).collect();
    let low = pool.task(Do::Return(50)).priority(Priority::Low).ask().unwrap();
    let newest = replies.split_off(5);
    for reply in replies {
        assert_eq!(reply.wait(), Err(AskError::Shed), "told while the worker is still held");
    }
    let shed: Vec<_> = (0..5).map(|number| (number, ShedReason::Oldest)).collect();
    assert_eq!(told.shed(), shed);
    let (ran, runs) = channel();
    // Three more, which shed the three that are left: their order is seen as they run.
    for number in 0..3 {
        let ran = ran.clone();
        pool.tell(Do::call(move || ran.send(number).unwrap())).unwrap();
    }
    for (number, reply) in (5..8).zip(newest) {
        assert_eq!(reply.wait(), Err(AskError::Shed));
        assert_eq!(told.shed.recv().unwrap(), (number, ShedReason::Oldest));
    }
    gate.open();
    assert_eq!(low.wait().unwrap().number, 50, "each lane has its own room");
    let account = end(&pool);
    assert_eq!(runs.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((account.counts.admitted, account.counts.completed), (5, 5), "without the shed");
    assert_eq!((account.shed, account.rejected), (8, 0));
}

#[test]
fn a_shed_task_lets_go_of_its_key() {
    let _watchdog = watchdog();
    let (builder, told) = told_of(builder(2).mailbox(1, Overflow::DropOldest));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let key = key_of(&pool, "w-0");
    let mut events = pool.subscribe();
    let gate = hold(&pool, 0);
    let keyed = |number| pool.task(Do::Return(number)).key(key).ask().unwrap();
    let (first, second) = (keyed(1), keyed(2));
    assert_eq!(first.wait(), Err(AskError::Shed));
    assert_eq!(told.shed(), [(1, ShedReason::Oldest)]);
    // The worker can only go when its keys have no task any more.
    pool.retire_worker(common::id(&pool, "w-0")).unwrap();
    gate.open();
    assert_eq!(by(second).unwrap(), "w-0");
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(names(&pool), ["w-1"]);
    assert_eq!(common::owner(&pool, key), "w-1");
    assert_eq!(end(&pool).shed, 1);
}

#[test]
fn drop_newest_lets_the_new_one_go() {
    let _watchdog = watchdog();
    let (pool, gates, told) = full(1, 2, Overflow::DropNewest);
    pool.tell(Do::Return(7)).unwrap();
    assert_eq!(pool.ask(Do::Return(8)).unwrap().wait(), Err(AskError::Shed));
    assert_eq!(told.shed(), [(7, ShedReason::Newest), (8, ShedReason::Newest)]);
    open(gates);
    let account = end(&pool);
    assert_eq!((account.counts.admitted, account.counts.completed), (3, 3));
    assert_eq!((account.shed, account.rejected), (2, 0));
}

#[test]
fn reroute_gives_the_task_to_the_next_with_room() {
    let _watchdog = watchdog();
    let (builder, told) = told_of(builder(3).mailbox(1, Overflow::Reject.after_reroute()));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    // The last has room.
    let gates = vec![hold(&pool, 0), hold(&pool, 1)];
    (0..2).for_each(|index| drop(ask_at(&pool, index, Do::Return(0))));
    for _ in 0..10 {
        assert_eq!(by(ask_at(&pool, 0, Do::WhoAreYou)).unwrap(), "w-2");
        assert_eq!(by(ask_at(&pool, 1, Do::WhoAreYou)).unwrap(), "w-2");
    }
    open(gates);
    let account = end(&pool);
    assert_eq!((account.rejected, account.shed, account.counts.admitted), (0, 0, 24));
    assert_eq!(told.rejected(), []);
}

#[test]
fn reroute_goes_by_capability_and_not_with_a_key() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .worker(WorkerSpec::new("eye").capability("overflow-vision"))
        .worker(WorkerSpec::new("ear").capability("overflow-speech"))
        .mailbox(1, Overflow::Reject.after_reroute())
        .stealing(false)
        .spawn(|_| Obedient::default())
        .unwrap();
    let key = key_of(&pool, "eye");
    let gate = hold(&pool, 0);
    let vision = || pool.task(Do::WhoAreYou).capability("overflow-vision");
    let first = vision().ask().unwrap();
    assert!(matches!(vision().ask(), Err(SendError::Full(_))), "the ear cannot see");
    let keyed = || pool.task(Do::WhoAreYou).key(key);
    let bound = keyed().ask().unwrap();
    assert!(matches!(keyed().ask(), Err(SendError::Full(_))), "a key stays");
    let anything = ask_at(&pool, 0, Do::WhoAreYou);
    assert_eq!(by(anything).unwrap(), "ear");
    gate.open();
    assert_eq!((by(first).unwrap(), by(bound).unwrap()), ("eye".into(), "eye".into()));
    assert_eq!(end(&pool).rejected, 2);
}

#[test]
fn when_all_are_full_the_policy_behind_reroute_decides_at_the_first() {
    let _watchdog = watchdog();
    let give = |pool: &Pool<Obedient>| pool.task(Do::Return(7)).strategy(&At(1)).ask();

    let (pool, gates, told) = full(2, 2, Overflow::Reject.after_reroute());
    assert!(matches!(give(&pool), Err(SendError::Full(Do::Return(7)))));
    assert_eq!(told.rejected(), [7]);
    open(gates);
    end(&pool);

    let limit = Overflow::BlockFor(Duration::from_millis(1));
    let (pool, gates, told) = full(2, 2, limit.after_reroute());
    assert!(matches!(give(&pool), Err(SendError::Full(Do::Return(7)))));
    assert_eq!(told.rejected(), [7]);
    open(gates);
    end(&pool);

    let (pool, gates, told) = full(2, 2, Overflow::DropOldest.after_reroute());
    let given = give(&pool).unwrap();
    assert_eq!(told.shed(), [(100, ShedReason::Oldest)], "of the one that was chosen first");
    open(gates);
    assert_eq!(by(given).unwrap(), "w-1");
    end(&pool);

    let (pool, gates, told) = full(2, 2, Overflow::DropNewest.after_reroute().after_reroute());
    assert_eq!(give(&pool).unwrap().wait(), Err(AskError::Shed));
    assert_eq!(told.shed(), [(7, ShedReason::Newest)]);
    open(gates);
    end(&pool);

    let (pool, gates, _told) = full(2, 2, Overflow::Block.after_reroute());
    assert_eq!(give_while_opening(&pool, gates), 77);
    end(&pool);
}

#[test]
fn callbacks_that_panic_end_nothing_else() {
    let _watchdog = watchdog();
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        let pool = builder(1)
            .mailbox(1, overflow)
            .on_shed(|_, _| panic!("in on_shed"))
            .on_rejected(|_| panic!("in on_rejected"))
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
fn codel_sheds_what_waits_longer_than_the_target_for_an_interval() {
    let _watchdog = watchdog();
    let ms = Duration::from_millis;
    let (clock, time) = Clock::simulated();
    let (builder, told) = told_of(builder(1).clock(clock).codel(CoDel::default()));
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    // Each takes 60 ms of a clock that stands still otherwise.
    let work = || {
        let time = time.clone();
        Do::call(move || time.advance(ms(60)))
    };
    let control = |order| pool.task(order).priority(Priority::Control).ask().unwrap();
    let first = [pool.ask(work()).unwrap(), pool.ask(work()).unwrap()];
    let third = pool.ask(Do::Return(3)).unwrap();
    let rest: Vec<_> = (4..8).map(|number| pool.ask(Do::Return(number)).unwrap()).collect();
    let urgent: Vec<_> = (0..4).map(|_| control(Do::Return(9))).collect();
    time.advance(ms(10));
    gate.open();
    assert!(first.into_iter().all(|reply| reply.wait().is_ok()), "a burst is put up with");
    assert_eq!(third.wait(), Err(AskError::Shed), "all have waited for the target for an interval");
    assert!(rest.into_iter().all(|reply| reply.wait().is_ok()), "the next is due much later");
    assert!(urgent.into_iter().all(|reply| reply.wait().is_ok()), "no control message is shed");
    assert_eq!(told.shed(), [(3, ShedReason::Sojourn)]);
    // One that waits alone is the last of its queue.
    let gate = hold(&pool, 0);
    let alone = pool.ask(Do::Return(1)).unwrap();
    time.advance(Duration::from_secs(10));
    gate.open();
    assert!(alone.wait().is_ok());
    let account = end(&pool);
    assert_eq!((account.shed, account.counts.completed), (1, 13));
}

#[test]
fn a_short_wait_at_another_worker_or_in_another_lane_does_not_excuse_codel_s_long_ones() {
    let _watchdog = watchdog();
    let ms = Duration::from_millis;
    let (clock, time) = Clock::simulated();
    let (builder, told) = told_of(builder(2).clock(clock).codel(CoDel::default()));
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
    assert!(first.into_iter().all(|reply| reply.wait().is_ok()));
    assert_eq!(third.wait(), Err(AskError::Shed));
    assert!(last.wait().is_ok());
    assert_eq!(told.shed(), [(3, ShedReason::Sojourn)]);
    end(&pool);
}

#[test]
fn control_messages_are_never_refused_for_lack_of_room() {
    let _watchdog = watchdog();
    let policies = [
        Overflow::Block,
        Overflow::BlockFor(Duration::ZERO),
        Overflow::Reject,
        Overflow::DropOldest,
        Overflow::DropNewest,
        Overflow::Reject.after_reroute(),
    ];
    for overflow in policies {
        let (pool, gates, told) = full(1, 1, overflow);
        let control = |number| {
            pool.task(Do::Return(number)).priority(Priority::Control).key("none").ask().unwrap()
        };
        let replies: Vec<_> = (0..100).map(control).collect();
        open(gates);
        for (number, reply) in replies.into_iter().enumerate() {
            assert_eq!(reply.wait().unwrap().number, number as u64);
        }
        assert_eq!((told.shed(), told.rejected()), (vec![], vec![]));
        assert_eq!(end(&pool).counts.completed, 102);
    }
}
