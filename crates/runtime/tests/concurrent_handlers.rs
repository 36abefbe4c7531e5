//! Workers whose async handlers run side by side: how many, in which order, and how each ends.
mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::signal::Signal;
use common::waiting::{
    Waiting, assert_hangs, at, builder, by, call, hold, made_on, nothing, number, order,
    spawn_concurrent, wait_for,
};
use common::{At, LONG, admitted, await_event, counted, end, so_far, watchdog, worker};
use raddle_core::Clock;
use raddle_runtime::{
    Ask, AskError, CoDel, Drain, DropReason, EventKind, Hedge, RestartPolicy, Restarts,
    WaitStrategy, Watchdog,
};
use raddle_strategies::LeastLoaded;

#[test]
fn as_many_handlers_as_allowed_run_side_by_side_and_the_next_one_waits() {
    let _watchdog = watchdog();
    for concurrency in [1, 2, 64, 100] {
        let pool = spawn_concurrent(concurrency, builder(1));
        let signals: Vec<_> = (0..=concurrency).map(|_| Signal::default()).collect();
        let mut asks: Vec<_> = signals.iter().map(|signal| pool.ask(wait_for(signal))).collect();
        signals[..concurrency].iter().for_each(|signal| signal.reached(1));
        assert_eq!(worker(&pool, "w-0").in_flight, concurrency as u64 + 1);
        // The last one to start ends first, and makes room for the one that waits.
        let last = asks.remove(concurrency - 1);
        signals[concurrency - 1].set();
        assert_eq!(number(last), concurrency as u64);
        signals[concurrency].reached(1);
        assert_eq!(worker(&pool, "w-0").in_flight, concurrency as u64);
        signals.iter().for_each(Signal::set);
        let numbers: BTreeSet<_> = asks.into_iter().map(number).collect();
        assert_eq!(numbers.len(), concurrency, "one actor for all");
        assert_eq!(end(&pool).counts.completed, concurrency as u64 + 1);
    }
}

#[test]
fn a_concurrency_out_of_bounds_is_refused_with_the_bounds() {
    for concurrency in [0, 65_537] {
        let error = builder(1).spawn_concurrent(concurrency, |_| Waiting::default()).unwrap_err();
        let expected = format!("concurrency is {concurrency}; 1 to 65536 are allowed");
        assert_eq!(error.to_string(), expected);
    }
    end(&spawn_concurrent(65_536, builder(1)));
}

#[test]
fn a_worker_with_a_free_slot_is_idle_for_strategies_and_one_without_is_not() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(3, builder(2).strategy(LeastLoaded::new()));
    let picked = || -> BTreeSet<_> { (0..200).map(|_| by(pool.ask(nothing()))).collect() };
    let signal = Signal::default();
    let mut held = Vec::new();
    for running in 1..=2 {
        held.push(at(&pool, &At(0), wait_for(&signal)).ask());
        signal.reached(running);
        assert_eq!(picked().len(), 2, "{running} of 3 slots are taken");
    }
    held.push(at(&pool, &At(0), wait_for(&signal)).ask());
    signal.reached(3);
    assert_eq!(picked(), ["w-1".to_owned()].into());
    assert_eq!(worker(&pool, "w-0").in_flight, 3);
    signal.set();
    held.into_iter().for_each(|ask| assert_eq!(by(ask), "w-0"));
    assert_eq!(picked().len(), 2);
    end(&pool);
}

#[test]
fn a_panic_lets_the_others_end_and_then_restarts_the_actor() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(4, builder(1));
    let mut events = pool.subscribe();
    let (first, second) = (Signal::default(), Signal::default());
    let waiting = [wait_for(&first), wait_for(&second)].map(|order| pool.ask(order));
    first.reached(1);
    second.reached(1);
    let panics = order(|_| Box::pin(async { panic!("as ordered") }));
    let error = pool.ask(panics).wait().unwrap_err();
    assert!(matches!(error, AskError::Panicked { message } if message == "as ordered"));
    let next = pool.ask(nothing());
    first.set();
    let [first, last] = waiting;
    assert_eq!(number(first), 1);
    assert!(
        !so_far(&mut events).iter().any(|(_, kind)| matches!(kind, EventKind::Restarted { .. }))
    );
    second.set();
    assert_eq!(number(last), 2);
    assert_eq!(number(next), 1, "a new actor");
    await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.panicked), (3, 1));
}

#[test]
fn a_handler_is_dropped_at_its_deadline_and_the_others_keep_their_actor() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn_concurrent(2, builder(1).clock(clock));
    let mut events = pool.subscribe();
    let (other, signal, (value, dropped)) = (Signal::default(), Signal::default(), counted());
    let held = pool.ask(wait_for(&other));
    let ask = pool.task(hold(&signal, value)).timeout(Duration::from_millis(5)).ask();
    other.reached(1);
    signal.reached(1);
    time.advance(Duration::from_millis(5));
    assert!(matches!(ask.wait(), Err(AskError::Expired)));
    dropped.recv_timeout(LONG).expect("what the handler held was dropped");
    let reason = DropReason::Expired;
    await_event(&mut events, |kind| *kind == EventKind::Dropped { reason });
    // Its waker does no harm to the slot's next task.
    signal.set();
    assert_eq!(number(pool.ask(nothing())), 3, "the same actor");
    other.set();
    assert_eq!(number(held), 1);
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.expired), (2, 1));
    let restarted = |kind: &EventKind| matches!(kind, EventKind::Restarted { .. });
    assert!(!so_far(&mut events).iter().any(|(_, kind)| restarted(kind)));
}

#[test]
fn dropping_an_ask_that_cancels_drops_its_handler_alone() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(3, builder(1));
    let (signal, (value, dropped)) = (Signal::default(), counted());
    let order = hold(&signal, value);
    let ask = || admitted(pool.task(order.clone()).cancel_on_drop().ask());
    let (first, kept) = (ask(), ask());
    signal.reached(2);
    drop(first);
    dropped.recv_timeout(LONG).expect("its handler was dropped");
    signal.set();
    assert_eq!(number(kept), 2);
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.cancelled), (1, 1));
}

#[test]
fn a_hung_handler_is_dropped_a_thousand_times_in_a_row_beside_one_that_goes_on() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let limit = Duration::from_millis(1);
    let (make, its_threads) = made_on();
    let pool = builder(1)
        .clock(clock)
        .await_limit(limit)
        .watchdog(Watchdog::after(LONG))
        .spawn_concurrent(2, make)
        .unwrap();
    let other = spawn_concurrent(1, builder(1));
    let signal = Signal::default();
    // A wait inside raddle has no limit.
    let waits = {
        let (other, signal) = (other.clone(), signal.clone());
        order(move |_| {
            let (other, signal) = (other.clone(), signal.clone());
            Box::pin(async move { other.ask(wait_for(&signal)).await.unwrap().map(drop) })
        })
    };
    let kept = pool.ask(waits);
    signal.reached(1);
    for _ in 0..1_000 {
        let signal = Signal::default();
        let ask = pool.ask(wait_for(&signal));
        signal.reached(1);
        assert_hangs(ask, &time, limit);
    }
    signal.set();
    assert_eq!(number(kept), 1);
    let report = worker(&pool, "w-0");
    assert!(report.blocked >= 1_000 * limit, "{:?}", report.blocked);
    assert!(report.service.max < limit, "{:?}", report.service);
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.cancelled), (1_001, 1, 1_000));
    end(&other);
    drop(pool);
    assert_eq!(its_threads.iter().count(), 1, "one actor on one thread");
}

#[test]
fn a_poll_that_hangs_costs_the_thread_and_what_waits_beside_it() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let limit = Duration::from_millis(4);
    let pool = spawn_concurrent(4, builder(1).clock(clock).watchdog(Watchdog::after(limit)));
    let mut events = pool.subscribe();
    let (beside, (value, dropped)) = (Signal::default(), counted());
    let expected = Duration::from_micros(3);
    let waiting = pool.task(hold(&beside, value)).key(7).expected_duration(expected).ask();
    beside.reached(1);
    let gate = common::Gate::new();
    let stuck = {
        let gate = gate.clone();
        call(move |_| gate.pass())
    };
    let stuck = pool.task(stuck).expected_duration(expected).ask();
    gate.reached();
    time.advance(2 * limit);
    await_event(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
    assert_eq!(worker(&pool, "w-0").in_flight, 0);
    assert_eq!(number(pool.task(nothing()).key(7).ask()), 1, "a new actor, on another thread");
    gate.open();
    assert_eq!(number(stuck), 2);
    assert!(matches!(waiting.wait(), Err(AskError::Hung)));
    dropped.recv_timeout(LONG).unwrap();
    await_event(&mut events, |kind| *kind == EventKind::Returned);
    let signal = Signal::default();
    let asks: Vec<_> = (0..4).map(|_| pool.ask(wait_for(&signal))).collect();
    signal.reached(4);
    signal.set();
    asks.into_iter().for_each(|ask| assert_eq!(by(ask), "w-0"));
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.cancelled), (6, 1));
}

#[test]
fn tasks_of_a_key_run_one_after_the_other_and_others_beside_them() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(8, builder(1));
    let signal = Signal::default();
    let first = pool.task(wait_for(&signal)).key(7).ask();
    signal.reached(1);
    let rest: Vec<_> = (0..3).map(|_| pool.task(nothing()).key(7).ask()).collect();
    let other = Signal::default();
    let beside = pool.task(wait_for(&other)).key(8).ask();
    other.reached(1);
    other.set();
    assert_eq!(number(beside), 2, "another key's");
    assert_eq!(number(pool.ask(nothing())), 3, "one without a key");
    signal.set();
    assert_eq!(number(first), 1);
    assert_eq!(rest.into_iter().map(number).collect::<Vec<_>>(), [4, 5, 6]);
    end(&pool);
}

#[test]
fn an_idle_worker_steals_from_one_whose_slots_are_full() {
    let _watchdog = watchdog();
    // A parked worker is not woken for a single task of unknown length.
    let pool = spawn_concurrent(2, builder(2).stealing(true).wait(WaitStrategy::Yield));
    let signal = Signal::default();
    // Those for one worker are not stolen themselves.
    let first = worker(&pool, "w-0").id;
    let held = [(); 2].map(|()| pool.task(wait_for(&signal)).worker(first).ask());
    signal.reached(2);
    assert_eq!(by(at(&pool, &At(0), nothing()).ask()), "w-1");
    signal.set();
    assert_eq!(held.map(by), ["w-0", "w-0"]);
    end(&pool);
}

#[test]
fn codel_sheds_what_has_waited_too_long_for_a_slot() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn_concurrent(1, builder(1).clock(clock).codel(CoDel::default()));
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
    let shed = asks.into_iter().map(Ask::wait);
    let shed = shed.filter(|ended| matches!(ended, Err(AskError::Shed))).count() as u64;
    let account = end(&pool);
    assert_eq!((account.counts.completed, account.shed), (65 - shed, shed));
    assert!(shed > 0);
}

#[test]
fn a_drain_waits_for_all_slots_and_the_mailbox() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(2, builder(1));
    let signal = Signal::default();
    let asks: Vec<_> = (0..2).map(|_| pool.ask(wait_for(&signal))).collect();
    signal.reached(2);
    let queued = pool.ask(nothing());
    let ending = std::thread::spawn({
        let pool = pool.clone();
        move || end(&pool)
    });
    while pool.ask(nothing()).into_admitted().is_ok() {}
    signal.set();
    assert_eq!(asks.into_iter().map(number).collect::<BTreeSet<_>>(), [1, 2].into());
    assert_eq!(number(queued), 3);
    assert!(ending.join().unwrap().counts.completed >= 3);
}

#[test]
fn a_shutdown_drops_at_its_limit_what_waits_and_tells_the_askers() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(2, builder(2));
    let (signal, (value, dropped)) = (Signal::default(), counted());
    let order = hold(&signal, value);
    let running = [(); 4].map(|()| pool.ask(order.clone()));
    signal.reached(4);
    let queued = pool.ask(nothing());
    // Its threads may need longer than a shutdown waits for, on a busy machine.
    let _ = pool.shutdown(Drain::within(Duration::from_millis(1)));
    let account = end(&pool);
    for ask in running {
        assert!(matches!(ask.wait(), Err(AskError::ShutDown)));
    }
    assert!(matches!(queued.wait(), Err(AskError::Cancelled)));
    assert_eq!(dropped.try_iter().count(), 4, "no thread is left");
    assert_eq!((account.counts.cancelled, account.is_balanced()), (5, true));
}

#[test]
fn a_shutdown_tells_the_askers_of_slots_whose_thread_hangs() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(2, builder(1));
    let (signal, gate) = (Signal::default(), common::Gate::new());
    let waiting = pool.ask(wait_for(&signal));
    signal.reached(1);
    let stuck = {
        let gate = gate.clone();
        pool.ask(call(move |_| gate.pass()))
    };
    gate.reached();
    assert!(pool.shutdown(Drain::within(Duration::from_millis(1))).is_err());
    assert!(matches!(waiting.wait(), Err(AskError::ShutDown)));
    assert!(matches!(stuck.wait(), Err(AskError::ShutDown)));
    gate.open();
    assert!(end(&pool).is_balanced());
}

#[test]
fn a_hedged_task_is_answered_by_the_copy_that_does_not_wait() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn_concurrent(2, builder(2).hedge_budget(1.0).clock(clock));
    let (signal, delay) = (Signal::default(), Duration::from_millis(1));
    let stuck_on_the_first = {
        let signal = signal.clone();
        order(move |cx| {
            let (signal, waits) = (signal.clone(), cx.worker().name() == "w-0");
            Box::pin(async move {
                if waits {
                    signal.wait().await;
                }
                Ok(())
            })
        })
    };
    let ask = pool.task(stuck_on_the_first).ask_hedged(Hedge::after(delay));
    // The first copy has started.
    signal.reached(1);
    time.advance(delay);
    assert_eq!(by(ask), "w-1");
    signal.set();
    assert_eq!(end(&pool).counts.completed, 2);
}

#[test]
fn an_actor_that_stops_itself_lets_the_others_end() {
    let _watchdog = watchdog();
    let restarts = Restarts::default().policy(RestartPolicy::Never);
    let pool = spawn_concurrent(2, builder(2).restarts(restarts));
    let mut events = pool.subscribe();
    let signal = Signal::default();
    let held = at(&pool, &At(0), wait_for(&signal)).ask();
    signal.reached(1);
    assert_eq!(number(at(&pool, &At(0), call(|cx| cx.stop())).ask()), 2);
    signal.set();
    assert_eq!(number(held), 1);
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(by(pool.ask(nothing())), "w-1");
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
    let pool = spawn_concurrent(2, builder(1).clock(clock));
    let (signal, limit) = (Signal::default(), Duration::from_millis(1));
    let ask = pool.task(hold(&signal, || Bomb)).timeout(limit).ask();
    signal.reached(1);
    time.advance(limit);
    assert!(matches!(ask.wait(), Err(AskError::Expired)));
    assert_eq!(number(pool.ask(nothing())), 2);
    end(&pool);
}

#[test]
fn a_worker_knows_how_long_its_handlers_ran_and_how_long_they_took() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = spawn_concurrent(3, builder(1).clock(clock));
    let signal = Signal::default();
    let on_core = Duration::from_millis(3);
    let works = {
        let (signal, time) = (signal.clone(), time.clone());
        order(move |_| {
            let (signal, time) = (signal.clone(), time.clone());
            Box::pin(async move {
                time.advance(on_core);
                signal.wait().await;
                Ok(())
            })
        })
    };
    let asks = [(); 2].map(|()| pool.ask(works.clone()));
    signal.reached(2);
    // The worker has left both when it runs another.
    let _ = number(pool.ask(nothing()));
    let awaited = Duration::from_millis(50);
    time.advance(awaited);
    signal.set();
    assert_eq!(asks.map(by), ["w-0", "w-0"]);
    let report = worker(&pool, "w-0");
    // The first one waits while the second runs.
    assert_eq!(report.busy, 2 * (on_core + awaited) + on_core);
    assert_eq!(report.on_core, 2 * on_core);
    end(&pool);
}

#[test]
fn boosted_mailboxes_and_expected_durations_balance() {
    let _watchdog = watchdog();
    let pool = spawn_concurrent(3, builder(2).mailbox_order(raddle_core::MailboxOrder::Boost));
    let signal = Signal::default();
    let asks: Vec<_> = (0..200)
        .map(|number| {
            let order = if number % 3 == 0 { wait_for(&signal) } else { nothing() };
            let task = pool.task(order).expected_duration(Duration::from_micros(number + 1));
            if number % 2 == 0 { task.key(number % 5).ask() } else { task.ask() }
        })
        .collect();
    signal.set();
    asks.into_iter().for_each(|ask| assert!(ask.wait().unwrap().is_ok()));
    assert_eq!(end(&pool).counts.completed, 200);
}
