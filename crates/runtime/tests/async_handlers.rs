//! Workers with async handlers, one at a time: what a handler may do, and how its task ends.
mod common;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::signal::Signal;
use common::waiting::{
    Answer, Order, Waiting, assert_hangs, at, builder, by, call, hold, made_on, nothing, number,
    order, spawn, wait_for,
};
use common::{At, LONG, admitted, await_event, counted, end, so_far, watchdog, worker};
use raddle_core::{Clock, Priority, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, AsyncContext, AsyncHandler, CoDel, Drain, DropReason, EventKind, Hedge,
    Overflow, Pool, RestartLimit, RestartPolicy, Restarts, RetireReason, SpawnError, WaitStrategy,
    Watchdog,
};

#[test]
fn a_handler_keeps_its_actor_across_awaits_and_tasks_run_one_at_a_time() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (first, second) = (Signal::default(), Signal::default());
    let asks = [wait_for(&first), wait_for(&second), nothing()].map(|order| pool.ask(order));
    first.reached(1);
    assert_eq!(pool.stats().balancer.workers[0].in_flight, 3, "in flight until they end");
    // The second handler does not start before the first has ended.
    second.set();
    second.wake();
    first.set();
    let numbers = asks.map(number);
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(end(&pool).counts.completed, 3);
}

#[test]
fn a_handler_may_await_many_times_and_fail() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let signals: [Signal; 3] = Default::default();
    let ask = pool.ask({
        let signals = signals.clone();
        order(move |_| {
            let signals = signals.clone();
            Box::pin(async move {
                for signal in &signals {
                    signal.wait().await;
                }
                Err("as ordered")
            })
        })
    });
    for signal in &signals {
        signal.reached(1);
        // A wake in vain changes nothing.
        signal.wake();
        signal.reached(2);
        signal.set();
    }
    assert_eq!(ask.wait().unwrap(), Err("as ordered"));
    assert_eq!(end(&pool).counts.failed, 1);
}

#[test]
fn a_panic_before_or_after_an_await_restarts_the_actor() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let mut events = pool.subscribe();
    let signal = Signal::default();
    signal.set();
    let panics = |message: &'static str, signal: Option<Signal>| {
        order(move |_| {
            let signal = signal.clone();
            Box::pin(async move {
                if let Some(signal) = signal {
                    signal.wait().await;
                }
                panic!("{message}");
            })
        })
    };
    let late = Signal::default();
    for (message, signal) in [("at once", None), ("later", Some(late.clone()))] {
        assert_eq!(number(pool.ask(nothing())), 1, "a new actor");
        let ask = pool.ask(panics(message, signal));
        if message == "later" {
            late.reached(1);
            late.set();
        }
        let error = ask.wait().unwrap_err();
        assert!(matches!(error, AskError::Panicked { message: said } if said == message));
        await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
    }
    assert_eq!(number(pool.ask(nothing())), 1);
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.panicked), (3, 2));
}

#[test]
fn a_handler_that_waits_is_dropped_at_its_deadline() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(1).clock(clock));
    let mut events = pool.subscribe();
    let (signal, (value, dropped)) = (Signal::default(), counted());
    assert_eq!(number(pool.ask(nothing())), 1);
    let task = pool.task(hold(&signal, value)).timeout(Duration::from_millis(5));
    let ask = task.ask();
    signal.reached(1);
    time.advance(Duration::from_millis(6));
    assert!(matches!(ask.wait(), Err(AskError::Expired)));
    dropped.recv_timeout(LONG).expect("what the handler held was dropped");
    let reason = DropReason::Expired;
    await_event(&mut events, |kind| *kind == EventKind::Dropped { reason });
    await_event(&mut events, |kind| *kind == EventKind::Restarted { generation: 1 });
    assert_eq!(number(pool.ask(nothing())), 1, "a new actor");
    // Its waker is of no use any more, and does no harm.
    signal.set();
    assert_eq!(number(pool.ask(nothing())), 2);
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.expired), (3, 1));
}

#[test]
fn a_tell_and_a_handler_that_wakes_itself_are_dropped_at_their_deadlines_too() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(1).clock(clock));
    let (value, dropped) = counted();
    let (starts, started) = channel();
    let restless = order(move |_| {
        let value = value();
        starts.send(()).unwrap();
        Box::pin(async move {
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                std::task::Poll::<()>::Pending
            })
            .await;
            drop(value);
            Ok(())
        })
    });
    pool.task(restless).timeout(Duration::from_millis(2)).tell().unwrap();
    started.recv_timeout(LONG).unwrap();
    time.advance(Duration::from_millis(2));
    dropped.recv_timeout(LONG).expect("it was dropped");
    assert_eq!(end(&pool).counts.expired, 1);
}

#[test]
fn dropping_an_ask_that_cancels_drops_its_handler() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let mut events = pool.subscribe();
    let (signal, (value, dropped)) = (Signal::default(), counted());
    let ask = admitted(pool.task(hold(&signal, value)).cancel_on_drop().ask());
    signal.reached(1);
    drop(ask);
    dropped.recv_timeout(LONG).expect("its handler was dropped");
    let reason = DropReason::Cancelled;
    await_event(&mut events, |kind| *kind == EventKind::Dropped { reason });
    // Without `cancel_on_drop` it goes on.
    let (signal, (value, dropped)) = (Signal::default(), counted());
    let task = pool.task(hold(&signal, value)).timeout(LONG);
    let ask = admitted(task.ask());
    signal.reached(1);
    drop(ask);
    signal.set();
    dropped.recv_timeout(LONG).unwrap();
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.cancelled), (1, 1));
}

#[test]
fn a_hung_handler_is_dropped_at_the_await_limit_a_thousand_times_in_a_row() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let limit = Duration::from_millis(1);
    let (make, its_threads) = made_on();
    let pool = builder(1)
        .clock(clock)
        .await_limit(limit)
        .watchdog(Watchdog::after(LONG))
        .spawn_async(make)
        .unwrap();
    for _ in 0..1_000 {
        let signal = Signal::default();
        let ask = pool.ask(wait_for(&signal));
        signal.reached(1);
        assert_hangs(ask, &time, limit);
    }
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.cancelled), (1_000, 1_000));
    drop(pool);
    let all: Vec<_> = its_threads.iter().collect();
    assert_eq!(all.len(), 1_001, "a new actor each time");
    assert!(all.iter().all(|thread| *thread == all[0]), "on the same thread");
}

#[test]
fn the_await_limit_is_the_watchdogs_by_default_and_begins_again_with_each_wake() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let limit = Duration::from_millis(4);
    let pool = spawn(builder(1).clock(clock).watchdog(Watchdog::after(limit)));
    let mut events = pool.subscribe();
    let signal = Signal::default();
    let ask = pool.ask(wait_for(&signal));
    for wakes in 1..=5 {
        signal.reached(wakes);
        time.advance(limit / 2);
        signal.wake();
    }
    signal.reached(6);
    assert_hangs(ask, &time, limit);
    await_event(&mut events, |kind| *kind == EventKind::Dropped { reason: DropReason::Hung });
    end(&pool);
    let events = so_far(&mut events);
    assert!(!events.iter().any(|(_, kind)| *kind == EventKind::Quarantined), "{events:?}");
}

#[test]
fn an_await_limit_is_refused_where_it_has_no_meaning_or_is_too_short() {
    let error = common::builder(1)
        .await_limit(Duration::from_secs(1))
        .spawn(|_| common::Obedient::default())
        .unwrap_err();
    assert!(matches!(error, SpawnError::Meaningless { option: "await_limit", .. }));
    let error =
        builder(1).await_limit(Duration::from_micros(999)).spawn_async(|_| Waiting::default());
    assert_eq!(error.unwrap_err().to_string(), "the await limit is 999µs; at least 1ms is allowed");
}

#[test]
fn awaiting_a_reply_room_or_an_end_is_not_hanging_and_no_service_time() {
    let _watchdog = watchdog();
    let limit = Duration::from_millis(2);
    for awaited in ["reply", "room", "end"] {
        let (clock, time) = Clock::simulated();
        let other = spawn(builder(1).mailbox(1, Overflow::Block));
        let signal = Signal::default();
        let held = admitted(other.ask(wait_for(&signal)));
        signal.reached(1);
        if awaited == "room" {
            other.tell(nothing()).unwrap();
        }
        let pool = spawn(builder(1).clock(clock).await_limit(limit));
        let ask = pool.ask({
            let other = other.clone();
            order(move |_| {
                let other = other.clone();
                Box::pin(async move {
                    match awaited {
                        "reply" => drop(other.ask(nothing()).await.unwrap()),
                        "room" => other.tell_async(nothing()).await.unwrap(),
                        _ => other.watch().await,
                    }
                    Ok(())
                })
            })
        });
        let ask = admitted(ask);
        while !worker(&pool, "w-0").is_blocked {
            std::thread::yield_now();
        }
        time.advance(1_000 * limit);
        // Longer than a worker with a limit would wait.
        let quiet = pool.subscribe().recv_timeout(5 * limit);
        assert!(quiet.is_none(), "{awaited}: {quiet:?}");
        signal.set();
        assert!(held.wait().is_ok());
        if awaited == "end" {
            end(&other);
        }
        assert!(ask.wait().unwrap().is_ok(), "{awaited}");
        let report = worker(&pool, "w-0");
        assert_eq!(report.blocked, 1_000 * limit, "{awaited}");
        assert!(report.service.max < limit, "{awaited}: {:?}", report.service);
        end(&pool);
        end(&other);
    }
}

#[test]
fn a_poll_that_hangs_is_the_watchdogs_business() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let limit = Duration::from_millis(4);
    let pool = spawn(builder(1).clock(clock).watchdog(Watchdog::after(limit)));
    let mut events = pool.subscribe();
    // Once in the handler's first poll, and once in a later one; and with and without a wait to come.
    for (first, waits) in [(true, false), (true, true), (false, false), (false, true)] {
        let (before, after) = (Signal::default(), Signal::default());
        if first {
            before.set();
        }
        let gate = common::Gate::new();
        let stuck = {
            let (before, after, gate) = (before.clone(), after.clone(), gate.clone());
            order(move |_| {
                let (before, after, gate) = (before.clone(), after.clone(), gate.clone());
                Box::pin(async move {
                    before.wait().await;
                    gate.pass();
                    if waits {
                        after.wait().await;
                    }
                    Ok(())
                })
            })
        };
        let ask = pool.ask(stuck);
        if !first {
            before.reached(1);
            before.set();
        }
        gate.reached();
        time.advance(2 * limit);
        await_event(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
        assert_eq!(number(pool.ask(nothing())), 1, "a new actor, on another thread");
        gate.open();
        match ask.wait() {
            Ok(reply) => assert!(!waits && reply.is_ok()),
            Err(error) => assert!(waits && matches!(error, AskError::Hung)),
        }
        await_event(&mut events, |kind| *kind == EventKind::Returned);
    }
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.cancelled), (6, 2));
}

#[test]
fn tasks_of_a_key_run_in_order() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2));
    let signal = Signal::default();
    let first = pool.task(wait_for(&signal)).key(7).ask();
    let rest: Vec<_> = (0..9).map(|_| pool.task(nothing()).key(7).ask()).collect();
    signal.reached(1);
    signal.set();
    assert_eq!(number(first), 1);
    let numbers: Vec<_> = rest.into_iter().map(number).collect();
    assert_eq!(numbers, (2..=10).collect::<Vec<_>>());
    end(&pool);
}

#[test]
fn idle_workers_steal_what_waits_behind_a_handler() {
    let _watchdog = watchdog();
    // A parked worker is not woken for a single task of unknown length.
    let pool = spawn(builder(2).stealing(true).wait(WaitStrategy::Yield));
    let signal = Signal::default();
    // A task for one worker is not stolen itself.
    let held = pool.task(wait_for(&signal)).worker(worker(&pool, "w-0").id).ask();
    signal.reached(1);
    let stolen = at(&pool, &At(0), nothing()).ask();
    assert_eq!(by(stolen), "w-1");
    signal.set();
    assert_eq!(by(held), "w-0");
    end(&pool);
}

#[test]
fn codel_sheds_what_has_waited_too_long_behind_a_handler() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(1).clock(clock).codel(CoDel::default()));
    let signal = Signal::default();
    let held = pool.ask(wait_for(&signal));
    signal.reached(1);
    // Each task that runs takes a while, and the others wait for as long.
    let slow = {
        let time = time.clone();
        call(move |_| time.advance(Duration::from_millis(200)))
    };
    let asks: Vec<_> = (0..64).map(|_| pool.ask(slow.clone())).collect();
    time.advance(Duration::from_secs(10));
    signal.set();
    assert!(held.wait().is_ok());
    let (mut ran, mut shed) = (0, 0);
    for ask in asks {
        match ask.wait() {
            Ok(_) => ran += 1,
            Err(AskError::Shed) => shed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let account = end(&pool);
    assert_eq!((account.counts.completed, account.shed), (1 + ran, shed));
    assert!(shed > 0);
}

#[test]
fn a_drain_waits_for_handlers_and_their_mailbox() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let signal = Signal::default();
    let asks = [pool.ask(wait_for(&signal)), pool.ask(nothing())];
    signal.reached(1);
    let ending = std::thread::spawn({
        let pool = pool.clone();
        move || end(&pool)
    });
    while pool.ask(nothing()).into_admitted().is_ok() {}
    signal.set();
    assert_eq!(asks.map(number), [1, 2]);
    assert!(ending.join().unwrap().counts.completed >= 2);
}

#[test]
fn a_shutdown_drops_at_its_limit_what_waits_and_tells_the_askers() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2));
    let (signal, (value, dropped)) = (Signal::default(), counted());
    let order = hold(&signal, value);
    let running = [(); 2].map(|()| pool.ask(order.clone()));
    signal.reached(2);
    let queued = pool.ask(nothing());
    // Its threads may need longer than a shutdown waits for, on a busy machine.
    let _ = pool.shutdown(Drain::within(Duration::from_millis(1)));
    let account = end(&pool);
    for ask in running {
        let error = ask.wait().unwrap_err();
        assert!(matches!(error, AskError::ShutDown) && error.is_closed());
    }
    assert!(matches!(queued.wait(), Err(AskError::Cancelled)));
    assert!(dropped.try_recv().is_ok() && dropped.try_recv().is_ok(), "no thread is left");
    assert_eq!((account.counts.cancelled, account.is_balanced()), (3, true));
}

#[test]
fn a_hedged_task_is_answered_by_the_copy_that_does_not_wait() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(2).hedge_budget(1.0).clock(clock));
    let (signal, delay) = (Signal::default(), Duration::from_millis(1));
    let stuck_on_the_first = {
        let signal = signal.clone();
        order(move |cx| {
            let (signal, waits) = (signal.clone(), cx.worker().name() == "w-0");
            Box::pin(async move {
                if waits {
                    signal.wait().await;
                    assert!(cx.is_cancelled(), "the other copy was answered");
                }
                Ok(())
            })
        })
    };
    let task = pool.task(stuck_on_the_first).shared_strategy(Arc::new(At(0)));
    let ask = task.ask_hedged(Hedge::after(delay));
    // The first copy has started.
    signal.reached(1);
    time.advance(delay);
    assert_eq!(by(ask), "w-1");
    // The other copy goes on, and its actor is kept.
    signal.set();
    assert_eq!(number(at(&pool, &At(0), nothing()).ask()), 2);
    assert_eq!(end(&pool).counts.completed, 3);
}

#[test]
fn both_copies_of_a_hedged_task_are_dropped_with_its_ask() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2).hedge_budget(1.0));
    let (signal, (value, dropped)) = (Signal::default(), counted());
    let task = pool.task(hold(&signal, value)).cancel_on_drop();
    let ask = admitted(task.ask_hedged(Hedge::after(Duration::from_micros(100))));
    signal.reached(2);
    drop(ask);
    dropped.recv_timeout(LONG).unwrap();
    dropped.recv_timeout(LONG).unwrap();
    assert_eq!(end(&pool).counts.cancelled, 2);
}

/// A pool whose first task was dropped at its deadline.
fn after_a_drop(restarts: Restarts) -> (Pool<Order, Answer>, raddle_runtime::Events) {
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(2).restarts(restarts).clock(clock));
    let events = pool.subscribe();
    let (signal, limit) = (Signal::default(), Duration::from_millis(1));
    let ask = pool.task(wait_for(&signal)).strategy(&At(0)).timeout(limit).ask();
    signal.reached(1);
    time.advance(limit);
    assert!(matches!(ask.wait(), Err(AskError::Expired)));
    (pool, events)
}

#[test]
fn a_policy_without_restarts_retires_the_worker_of_a_dropped_handler() {
    let _watchdog = watchdog();
    let (pool, mut events) = after_a_drop(Restarts::default().policy(RestartPolicy::Never));
    let reason = RetireReason::PolicyForbids(RestartPolicy::Never);
    await_event(&mut events, |kind| *kind == EventKind::Retired { reason });
    assert_eq!(by(pool.ask(nothing())), "w-1");
    end(&pool);
}

#[test]
fn deadlines_do_not_count_for_the_limit_of_restarts_and_hung_handlers_do() {
    let _watchdog = watchdog();
    let limit = RestartLimit { restarts: 0, within: LONG };
    let (pool, mut events) = after_a_drop(Restarts::default().limit(limit));
    await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
    end(&pool);

    let pool = spawn(
        builder(2).restarts(Restarts::default().limit(limit)).await_limit(Duration::from_millis(1)),
    );
    let mut events = pool.subscribe();
    assert!(matches!(pool.ask(wait_for(&Signal::default())).wait(), Err(AskError::Hung)));
    let expected = RetireReason::LimitReached { restarts: 0, within: LONG };
    await_event(&mut events, |kind| *kind == EventKind::Retired { reason: expected });
    end(&pool);
}

#[test]
fn an_actor_that_stops_itself_ends_with_its_handler() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    assert_eq!(number(pool.ask(call(|cx| cx.stop()))), 1);
    assert_eq!(number(pool.ask(nothing())), 1, "a new actor");
    end(&pool);
}

#[test]
fn a_worker_that_is_retired_waits_for_its_handler() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2));
    let mut events = pool.subscribe();
    let signal = Signal::default();
    let ask = at(&pool, &At(0), wait_for(&signal)).ask();
    signal.reached(1);
    pool.retire_worker(common::id(&pool, "w-0")).unwrap();
    await_event(&mut events, |kind| *kind == EventKind::Draining);
    signal.set();
    assert_eq!(by(ask), "w-0");
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    end(&pool);
}

#[test]
fn a_waker_may_be_used_after_its_handler_has_ended_and_by_any_thread() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (signal, late) = (Signal::default(), Signal::default());
    let ask = pool.ask(wait_for(&signal));
    signal.reached(1);
    let wakers = signal.wakers();
    signal.set();
    number(ask);
    let ask = pool.ask(wait_for(&late));
    late.reached(1);
    std::thread::spawn(move || wakers.into_iter().for_each(std::task::Waker::wake)).join().unwrap();
    late.reached(2);
    late.set();
    assert_eq!(number(ask), 2, "the late wake polled it in vain");
    end(&pool);
}

#[test]
fn a_panic_while_a_handler_is_dropped_is_contained() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn(builder(1).clock(clock));
    let (signal, limit) = (Signal::default(), Duration::from_millis(1));
    let ask = pool.task(hold(&signal, || Bomb)).timeout(limit).ask();
    signal.reached(1);
    time.advance(limit);
    assert!(matches!(ask.wait(), Err(AskError::Expired)));
    assert_eq!(number(pool.ask(nothing())), 1);
    end(&pool);
}

#[test]
fn a_handler_sees_its_worker_its_pool_and_its_deadline() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let (sender, seen) = channel();
    let order = call(move |cx| {
        let left = cx.remaining();
        let is_own = cx.pool::<Order>().is_some()
            && cx.pool::<Order>().unwrap().account().counts.admitted > 0;
        let debug = format!("{cx:?}");
        sender
            .send((cx.worker().name().to_owned(), left, is_own, cx.is_cancelled(), debug))
            .unwrap();
    });
    pool.ask(order.clone()).wait().unwrap().unwrap();
    pool.task(order).timeout(LONG).ask().wait().unwrap().unwrap();
    let (name, left, is_own, cancelled, debug) = seen.recv().unwrap();
    assert_eq!((name.as_str(), left, is_own, cancelled), ("w-0", None, true, false));
    assert!(debug.contains("w-0"), "{debug}");
    assert!(seen.recv().unwrap().1.is_some_and(|left| left <= LONG));
    end(&pool);
}

#[test]
fn control_messages_wait_for_the_handler_and_come_first_then() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1));
    let signal = Signal::default();
    let held = pool.ask(wait_for(&signal));
    signal.reached(1);
    let last = pool.ask(nothing());
    let control = pool.task(nothing()).priority(Priority::Control).ask();
    signal.set();
    assert_eq!([held, control, last].map(number), [1, 2, 3]);
    end(&pool);
}

#[test]
fn a_full_mailbox_refuses_while_a_handler_waits() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1).mailbox(1, Overflow::Reject));
    let signal = Signal::default();
    let held = pool.ask(wait_for(&signal));
    signal.reached(1);
    let queued = admitted(pool.ask(nothing()));
    assert!(pool.tell(nothing()).unwrap_err().is_full());
    signal.set();
    assert_eq!([held, queued].map(number), [1, 2]);
    end(&pool);
}

/// Sums what it is sent, in an `async fn` that never waits.
struct Sum(u64);

impl Actor for Sum {}

impl AsyncHandler<u64> for Sum {
    type Reply = u64;

    async fn handle(&mut self, number: u64, _: &mut AsyncContext<'_, Self>) -> u64 {
        self.0 += number;
        self.0
    }
}

#[test]
fn handlers_that_never_wait_run_in_order() {
    let _watchdog = watchdog();
    let pool = Pool::builder("sum").worker(WorkerSpec::general()).spawn_async(|_| Sum(0)).unwrap();
    (1..=10_000).for_each(|number| pool.tell(number).unwrap());
    assert_eq!(pool.ask(0).wait().unwrap(), 50_005_000);
    assert_eq!(end(&pool).counts.completed, 10_001);
}
