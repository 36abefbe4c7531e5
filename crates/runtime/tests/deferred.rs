//! A handler that defers its reply: the task is in flight until it is answered, dropped, expired or
//! cancelled, and everything that holds for a running task holds for it.

mod common;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{At, LONG, await_event, builder, end, watchdog, worker};
use raddle_core::{Health, MailboxOrder, Priority, WorkerSpec};
use raddle_runtime::{
    Actor, Ask, AskError, Context, Deferred, Drain, EventKind, Handler, Hedge, Overflow, Pool,
    PoolBuilder, Replier, RestartLimit, Restarts, WaitStrategy, Watchdog,
};

type Answer = Result<u64, &'static str>;
type Order = Box<dyn FnOnce(&mut Context<'_, Obeys>) -> Deferred<Answer> + Send>;
type Obedient = Pool<Order, Answer>;

struct Obeys;

impl Actor for Obeys {}

impl Handler<Order> for Obeys {
    type Reply = Deferred<Answer>;

    fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> Deferred<Answer> {
        order(cx)
    }
}

fn order(
    order: impl FnOnce(&mut Context<'_, Obeys>) -> Deferred<Answer> + Send + 'static,
) -> Order {
    Box::new(order)
}

/// Returns this number.
fn ready(number: u64) -> Order {
    order(move |_| Deferred::ready(Ok(number)))
}

/// Defers its reply, and hands out what sends it.
fn defers(repliers: &Sender<Replier<Answer>>) -> Order {
    let repliers = repliers.clone();
    order(move |cx| {
        let (replier, deferred) = cx.defer();
        repliers.send(replier).unwrap();
        deferred
    })
}

fn spawn(builder: PoolBuilder<Order, Answer>) -> Obedient {
    builder.spawn(|_| Obeys).unwrap()
}

/// An ask whose handler has deferred its reply, and returned.
fn owed(pool: &Obedient) -> (Ask<Order, Answer>, Replier<Answer>) {
    let (repliers, handed_out) = channel();
    let ask = pool.ask(defers(&repliers));
    let replier = handed_out.recv_timeout(LONG).unwrap();
    (ask, replier)
}

/// Waits until this many tasks are in flight in the pool.
fn await_in_flight(pool: &Obedient, tasks: u64) {
    let in_flight =
        || pool.stats().balancer.workers.iter().map(|worker| worker.in_flight).sum::<u64>();
    while in_flight() != tasks {
        thread::yield_now();
    }
}

#[test]
fn the_worker_runs_other_tasks_while_a_reply_is_owed_and_the_task_stays_in_flight() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (ask, replier) = owed(&pool);
    assert_eq!(pool.ask(ready(7)).wait().unwrap(), Ok(7));
    await_in_flight(&pool, 1);
    assert!(!replier.is_cancelled());
    assert_eq!(replier.remaining(), None);
    thread::spawn(move || replier.reply(Ok(42))).join().unwrap();
    assert_eq!(ask.wait().unwrap(), Ok(42));
    await_in_flight(&pool, 0);
    assert_eq!(end(&pool).counts.completed, 2);
}

#[test]
fn a_reply_may_come_before_the_handler_returns() {
    let pool = spawn(builder(1));
    let early = |reply: Answer| {
        pool.ask(order(move |cx| {
            let (replier, deferred) = cx.defer();
            replier.reply(reply);
            deferred
        }))
    };
    assert_eq!(early(Ok(1)).wait().unwrap(), Ok(1));
    assert_eq!(early(Err("no")).wait().unwrap(), Err("no"));
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.failed), (1, 1));
}

#[test]
fn a_reply_that_is_a_failure_counts_as_failed() {
    let pool = spawn(builder(1));
    let (ask, replier) = owed(&pool);
    replier.reply(Err("no"));
    assert_eq!(ask.wait().unwrap(), Err("no"));
    assert_eq!(pool.ask(order(|_| Deferred::ready(Err("nor")))).wait().unwrap(), Err("nor"));
    assert_eq!(end(&pool).counts.failed, 2);
}

#[test]
fn dropping_the_replier_tells_the_asker_and_counts_as_failed() {
    let pool = spawn(builder(1));
    let (ask, replier) = owed(&pool);
    drop(replier);
    assert!(matches!(ask.wait(), Err(AskError::Unanswered)));
    let early = pool.ask(order(|cx| cx.defer().1));
    assert!(matches!(early.wait(), Err(AskError::Unanswered)));
    assert_eq!(end(&pool).counts.failed, 2);
}

#[test]
fn a_handler_that_panics_after_it_deferred_is_answered_as_panicked() {
    let pool = spawn(builder(1));
    let (repliers, handed_out) = channel();
    let ask = pool.ask(order(move |cx| {
        let (replier, _deferred) = cx.defer::<Answer>();
        repliers.send(replier).unwrap();
        panic!("after all");
    }));
    let message = match ask.wait() {
        Err(AskError::Panicked { message }) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(message, "after all");
    let replier = handed_out.recv().unwrap();
    assert!(replier.is_cancelled());
    replier.reply(Ok(1));
    assert_eq!(end(&pool).counts.panicked, 1);
}

#[test]
fn a_handler_that_drops_what_it_deferred_ends_by_what_it_returns() {
    let pool = spawn(builder(1));
    let ask = pool.ask(order(|cx| {
        let (replier, deferred) = cx.defer::<Answer>();
        drop(deferred);
        assert!(replier.is_cancelled());
        replier.reply(Ok(1));
        Deferred::ready(Ok(2))
    }));
    assert_eq!(ask.wait().unwrap(), Ok(2));
    assert_eq!(end(&pool).counts.completed, 1);
}

#[test]
fn an_owed_reply_expires_at_the_tasks_deadline_and_a_late_one_is_discarded() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (repliers, handed_out) = channel();
    let timeout = Duration::from_millis(200);
    let begun = Instant::now();
    let ask = pool.task(defers(&repliers)).timeout(timeout).ask();
    let replier = handed_out.recv().unwrap();
    assert!(replier.remaining().unwrap() <= timeout);
    assert!(matches!(ask.wait(), Err(AskError::Expired)));
    assert!(begun.elapsed() >= timeout);
    assert!(replier.is_cancelled());
    assert_eq!(replier.remaining(), Some(Duration::ZERO));
    replier.reply(Ok(1));

    // Without an asker, and while the worker is busy.
    pool.task(defers(&repliers)).timeout(Duration::from_millis(20)).tell().unwrap();
    let replier = handed_out.recv().unwrap();
    let (busy, free) = channel::<()>();
    pool.tell(order(move |_| {
        let _ = free.recv();
        Deferred::ready(Ok(0))
    }))
    .unwrap();
    while !replier.is_cancelled() {
        thread::yield_now();
    }
    drop(busy);

    // One that is answered in time does not expire.
    let ask = pool.task(defers(&repliers)).timeout(LONG).ask();
    handed_out.recv().unwrap().reply(Ok(3));
    assert_eq!(ask.wait().unwrap(), Ok(3));
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.expired), (2, 2));
}

#[test]
fn what_is_learned_of_a_task_is_the_time_until_its_reply() {
    let pool = spawn(builder(1));
    let (ask, replier) = owed(&pool);
    let time = Duration::from_millis(50);
    thread::sleep(time);
    replier.reply(Ok(1));
    ask.wait().unwrap().unwrap();
    end(&pool);
    assert!(worker(&pool, "w-0").service.max >= time);
}

#[test]
fn a_drain_waits_for_owed_replies() {
    let _watchdog = watchdog();
    for wait in [WaitStrategy::Park, WaitStrategy::Spin, WaitStrategy::default()] {
        let pool = spawn(builder(2).wait(wait));
        let (ask, replier) = owed(&pool);
        let closing = thread::spawn({
            let pool = pool.clone();
            move || pool.shutdown(Drain::all()).unwrap()
        });
        while !pool.tell(ready(0)).is_err_and(|error| error.is_closed()) {}
        thread::yield_now();
        assert!(!closing.is_finished());
        replier.reply(Ok(5));
        assert_eq!(ask.wait().unwrap(), Ok(5));
        assert!(closing.join().unwrap().is_balanced());
    }
}

#[test]
fn a_shutdown_at_its_limit_cancels_owed_replies() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2));
    let (asks, repliers): (Vec<_>, Vec<_>) = (0..5).map(|_| owed(&pool)).unzip();
    let account = pool.shutdown(Drain::within(Duration::from_millis(20))).unwrap();
    assert!(account.is_balanced());
    assert_eq!(account.counts.cancelled, 5);
    for ask in asks {
        assert!(matches!(ask.wait(), Err(AskError::ShutDown)));
    }
    for replier in repliers {
        assert!(replier.is_cancelled());
        replier.reply(Ok(1));
    }
    assert_eq!(pool.account(), account);
}

#[test]
fn the_next_task_of_a_key_waits_for_the_reply_and_others_do_not() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (repliers, handed_out) = channel();
    let first = pool.task(defers(&repliers)).key("a").ask();
    let replier = handed_out.recv().unwrap();
    let (ran, order_of_ends) = channel();
    let notes = |name: &'static str| {
        let ran = ran.clone();
        order(move |_| {
            ran.send(name).unwrap();
            Deferred::ready(Ok(0))
        })
    };
    let next: Vec<_> =
        ["a1", "a2"].into_iter().map(|name| pool.task(notes(name)).key("a").ask()).collect();
    assert_eq!(pool.task(notes("b")).key("b").ask().wait().unwrap(), Ok(0));
    assert_eq!(pool.ask(notes("free")).wait().unwrap(), Ok(0));
    ran.send("reply").unwrap();
    replier.reply(Ok(1));
    assert_eq!(first.wait().unwrap(), Ok(1));
    next.into_iter().for_each(|ask| assert_eq!(ask.wait().unwrap(), Ok(0)));
    let order: Vec<_> = order_of_ends.try_iter().collect();
    assert_eq!(order, ["b", "free", "reply", "a1", "a2"]);
    end(&pool);
}

#[test]
fn tasks_behind_an_owed_one_of_their_key_take_the_room_of_the_mailbox_and_no_more() {
    let _watchdog = watchdog();
    for boosted in [false, true] {
        let mut described = builder(1).mailbox(8, Overflow::Reject).wait(WaitStrategy::Park);
        if boosted {
            described = described.mailbox_order(MailboxOrder::Boost);
        }
        let pool = spawn(described);
        let (repliers, handed_out) = channel();
        let first = pool.task(defers(&repliers)).key(1).ask();
        let replier = handed_out.recv().unwrap();
        let mut waiting = 0;
        // The worker takes a task out of the lane only until 64 wait.
        let mut refused = 0;
        while refused < 1_000 {
            match pool.task(ready(0)).key(1).tell() {
                Ok(()) => (waiting, refused) = (waiting + 1, 0),
                Err(error) => {
                    assert!(error.is_full());
                    refused += 1;
                    thread::yield_now();
                }
            }
        }
        assert!((8..=64 + 8 + 1).contains(&waiting), "{waiting}");
        assert_eq!(pool.ask(ready(7)).wait().unwrap(), Ok(7), "a task without a key still runs");
        replier.reply(Ok(1));
        assert_eq!(first.wait().unwrap(), Ok(1));
        assert_eq!(end(&pool).counts.completed, waiting + 2);
    }
}

#[test]
fn a_key_that_moves_waits_for_the_reply_at_its_old_worker() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (repliers, handed_out) = channel();
    // So few that no two share a partition.
    let keys = 0..8_u64;
    let asks: Vec<_> =
        keys.clone().map(|key| pool.task(defers(&repliers)).key(key).ask()).collect();
    let mut owed: Vec<_> = keys.clone().map(|_| handed_out.recv().unwrap()).collect();
    pool.resize(3).unwrap();
    let (ran, ran_before) = channel();
    let next: Vec<_> = keys
        .map(|key| {
            let ran = ran.clone();
            let order = order(move |_| {
                ran.send(key).unwrap();
                Deferred::ready(Ok(key))
            });
            pool.task(order).key(key).ask()
        })
        .collect();
    assert_eq!(pool.ask(ready(7)).wait().unwrap(), Ok(7));
    assert_eq!(ran_before.try_iter().count(), 0, "each waits for the reply before");
    owed.drain(..).for_each(|replier| replier.reply(Ok(1)));
    asks.into_iter().chain(next).for_each(|ask| assert!(ask.wait().unwrap().is_ok()));
    end(&pool);
}

#[test]
fn the_other_copy_of_a_hedged_task_is_not_wanted_once_one_is_answered() {
    let _watchdog = watchdog();
    let (repliers, handed_out) = channel::<Replier<Answer>>();

    #[derive(Clone)]
    struct Copies(Sender<Replier<Answer>>);
    struct Hedged;
    impl Actor for Hedged {}
    impl Handler<Copies> for Hedged {
        type Reply = Deferred<Answer>;
        fn handle(&mut self, copies: Copies, cx: &mut Context<'_, Self>) -> Deferred<Answer> {
            let (replier, deferred) = cx.defer();
            copies.0.send(replier).unwrap();
            deferred
        }
    }
    let hedged = builder(2).hedge_budget(1.0).spawn(|_| Hedged).unwrap();
    let ask = hedged.task(Copies(repliers)).ask_hedged(Hedge::after(Duration::ZERO));
    let (first, second) = (handed_out.recv().unwrap(), handed_out.recv().unwrap());
    assert!(!first.is_cancelled() && !second.is_cancelled());
    second.reply(Ok(2));
    assert_eq!(ask.wait().unwrap(), Ok(2));
    assert!(first.is_cancelled());
    first.reply(Ok(1));
    let counts = end(&hedged).counts;
    assert_eq!((counts.admitted, counts.completed), (2, 2));
}

#[test]
fn an_ask_that_is_dropped_cancels_its_owed_reply() {
    let pool = spawn(builder(1));
    let (repliers, handed_out) = channel();
    let ask = pool.task(defers(&repliers)).cancel_on_drop().ask();
    let replier = handed_out.recv().unwrap();
    assert!(!replier.is_cancelled());
    drop(ask);
    // The handler may not have returned yet.
    while !replier.is_cancelled() {
        thread::yield_now();
    }
    drop(replier);
    assert_eq!(end(&pool).counts.failed, 1);
}

#[test]
fn a_restart_of_the_actor_loses_no_owed_reply() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (ask, replier) = owed(&pool);
    let panicked = pool.ask(order(|_| panic!("planted")));
    assert!(matches!(panicked.wait(), Err(AskError::Panicked { .. })));
    let stops = pool.ask(order(|cx| {
        cx.stop();
        let (replier, deferred) = cx.defer();
        thread::spawn(move || replier.reply(Ok(2)));
        deferred
    }));
    assert_eq!(stops.wait().unwrap(), Ok(2));
    replier.reply(Ok(1));
    assert_eq!(ask.wait().unwrap(), Ok(1));
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.panicked), (2, 1));
}

#[test]
fn a_worker_that_is_retired_leaves_when_its_owed_replies_have_come() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 0, within: LONG };
    for by_restarts in [false, true] {
        let pool = spawn(builder(2).restarts(Restarts::default().limit(limit)));
        let mut events = pool.subscribe();
        let (repliers, handed_out) = channel();
        let ask = pool.task(defers(&repliers)).strategy(&At(0)).ask();
        let replier = handed_out.recv().unwrap();
        if by_restarts {
            let planted = order(|_| panic!("planted"));
            let panicked = pool.task(planted).strategy(&At(0)).ask();
            assert!(matches!(panicked.wait(), Err(AskError::Panicked { .. })));
        } else {
            pool.retire_worker(common::id(&pool, "w-0")).unwrap();
        }
        while !pool.stats().balancer.workers.iter().any(|worker| worker.health == Health::Draining)
        {
            thread::yield_now();
        }
        assert!(common::names(&pool).contains(&"w-0".to_owned()), "it waits");
        replier.reply(Ok(1));
        assert_eq!(ask.wait().unwrap(), Ok(1));
        await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
        assert_eq!(end(&pool).counts.completed, 1);
    }
}

#[test]
fn a_replaced_thread_records_what_the_hung_one_owed() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1).watchdog(Watchdog::after(Duration::from_millis(20))));
    let mut events = pool.subscribe();
    let (ask, replier) = owed(&pool);
    let (busy, free) = channel::<()>();
    let (late, came_late) = channel();
    let hung = pool.ask(order(move |cx| {
        let _ = free.recv();
        let (replier, deferred) = cx.defer();
        late.send(replier).unwrap();
        deferred
    }));
    await_event(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
    replier.reply(Ok(1));
    assert_eq!(ask.wait().unwrap(), Ok(1));
    await_in_flight(&pool, 0);
    drop(busy);
    assert!(matches!(hung.wait(), Err(AskError::Unanswered)), "it had been given up");
    assert!(came_late.recv().unwrap().is_cancelled());
    await_event(&mut events, |kind| matches!(kind, EventKind::Returned));
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.failed), (1, 1));
}

#[test]
fn a_task_at_a_checkpoint_may_defer_its_reply() {
    let _watchdog = watchdog();
    let (repliers, handed_out) = channel();
    let (gate, opened) = channel::<()>();
    let (begun, has_begun) = channel();

    struct Long;
    impl Actor for Long {}
    type Job = Box<dyn FnOnce(&mut Long, &mut Context<'_, Long>) -> Deferred<Answer> + Send>;
    impl Handler<Job> for Long {
        type Reply = Deferred<Answer>;
        fn handle(&mut self, job: Job, cx: &mut Context<'_, Self>) -> Deferred<Answer> {
            job(self, cx)
        }
    }
    let long = builder(1).quantum(Duration::from_micros(10)).spawn(|_| Long).unwrap();
    let outer = long.ask(Box::new(move |actor: &mut Long, cx: &mut Context<'_, Long>| {
        begun.send(()).unwrap();
        while opened.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            cx.checkpoint(actor);
        }
        Deferred::ready(Answer::Ok(1))
    }) as Job);
    has_begun.recv().unwrap();
    let inner: Job = Box::new(move |_, cx| {
        let (replier, deferred) = cx.defer();
        repliers.send(replier).unwrap();
        deferred
    });
    let inner = long.task(inner).priority(Priority::High).ask();
    let replier = handed_out.recv().unwrap();
    replier.reply(Ok(2));
    assert_eq!(inner.wait().unwrap(), Ok(2));
    drop(gate);
    assert_eq!(outer.wait().unwrap(), Ok(1));
    assert_eq!(end(&long).counts.completed, 2);
}

#[test]
fn handlers_that_wait_for_an_owed_reply_are_no_deadlock() {
    let _watchdog = watchdog();
    let (first, second) = (spawn(builder(1)), spawn(builder(1)));
    let (repliers, handed_out) = channel();
    let outer = first.ask(order({
        let (second, defers) = (second.clone(), defers(&repliers));
        move |_| Deferred::ready(second.ask(defers).wait().unwrap())
    }));
    let replier = handed_out.recv().unwrap();
    let inner = second.ask(order({
        let first = first.clone();
        move |_| Deferred::ready(first.ask(ready(1)).wait().unwrap())
    }));
    // Longer than it takes to find handlers that wait for each other.
    thread::sleep(Duration::from_millis(300));
    replier.reply(Ok(5));
    assert_eq!((outer.wait().unwrap(), inner.wait().unwrap()), (Ok(5), Ok(1)));
    end(&first);
    end(&second);
}

#[test]
fn replies_from_many_threads_are_all_received_and_recorded() {
    let _watchdog = watchdog();
    for wait in [WaitStrategy::Park, WaitStrategy::default()] {
        let pool = spawn(Pool::builder("many").workers(2, WorkerSpec::general()).wait(wait));
        let (repliers, handed_out) = channel::<Replier<Answer>>();
        let handed_out = Arc::new(std::sync::Mutex::new(handed_out));
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let handed_out = Arc::clone(&handed_out);
                thread::spawn(move || {
                    loop {
                        let Ok(replier) = handed_out.lock().unwrap().recv() else { return };
                        replier.reply(Ok(number));
                    }
                })
            })
            .collect();
        let asks: Vec<_> = (0..5_000_u64)
            .map(|key| {
                let task = pool.task(defers(&repliers));
                if key % 3 == 0 { task.key(key % 50).ask() } else { task.ask() }
            })
            .collect();
        assert!(asks.into_iter().all(|ask| ask.wait().unwrap().unwrap() < 3));
        drop(repliers);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(end(&pool).counts.completed, 5_000);
    }
}
