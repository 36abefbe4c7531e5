//! Every wait of a caller ends: by what it waits for, by the task's deadline, or by the pool's end.
mod common;

use std::sync::mpsc::RecvTimeoutError::Disconnected;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use common::{
    Answer, At, Do, Gate, LONG, Obedient, ObedientPool, admitted, ask_at, block_on, builder, end,
    hold, key_of, pool, watchdog, worker,
};
use raddle_core::{Clock, WorkerSpec};
use raddle_runtime::{Ask, AskError, Drain, MembershipError, Overflow, Refusal, SendError};

/// Long enough for a caller to begin to wait, and short enough for a test.
const SOON: Duration = Duration::from_millis(20);

/// Waits until this many tasks are in flight at the first worker: callers that wait for room have a
/// reservation.
fn await_in_flight(pool: &ObedientPool, count: u64) {
    while worker(pool, "w-0").in_flight != count {
        std::thread::yield_now();
    }
}

/// A pool of one worker, which is in a handler and whose mailbox of one task is full.
fn full(overflow: Overflow) -> (ObedientPool, Gate) {
    let pool = pool(1, 1, overflow);
    let gate = hold(&pool, 0);
    pool.tell(Do::Return(0)).unwrap();
    (pool, gate)
}

fn number_in(order: Do) -> u64 {
    match order {
        Do::Return(number) => number,
        _ => panic!("only `Return` was sent"),
    }
}

/// The numbers of the messages that a shutdown cancelled, in order.
fn unfinished(pool: &ObedientPool) -> Vec<u64> {
    let mut numbers: Vec<_> = pool.take_unfinished().into_iter().map(number_in).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn at_the_limit_of_a_shutdown_everything_that_waits_is_cancelled_though_all_workers_hang() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    let gates = [Gate::new(), Gate::new()];
    let running = [0, 1].map(|index| ask_at(&pool, index, Do::Hold(gates[index].clone())));
    gates.iter().for_each(Gate::reached);
    let queued: Vec<_> = (0..20)
        .map(|number| {
            let task = pool.task(Do::Return(number));
            admitted(if number % 2 == 0 { task.key(number).ask() } else { task.ask() })
        })
        .collect();
    let error = pool.shutdown(Drain::within(SOON)).unwrap_err();
    assert_eq!(error.workers, ["w-0", "w-1"], "{error}");
    assert!(!error.called_within && error.lost_threads == 0);
    let counts = error.account.counts;
    assert_eq!((counts.admitted, counts.cancelled, counts.ended()), (22, 20, 20), "but for two");
    for ask in queued {
        assert!(matches!(ask.wait(), Err(AskError::Cancelled)));
    }
    for ask in running {
        assert!(matches!(ask.wait(), Err(AskError::ShutDown)));
    }
    assert_eq!(unfinished(&pool), (0..20).collect::<Vec<_>>());
    gates.iter().for_each(Gate::open);
    assert_eq!(end(&pool).counts.completed, 2, "the late replies were discarded");
    assert!(unfinished(&pool).is_empty());
}

#[test]
fn tasks_that_are_kept_back_for_their_key_are_cancelled_at_the_limit() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    let key = key_of(&pool, "w-0");
    let gate = Gate::new();
    let running = admitted(pool.task(Do::Hold(gate.clone())).key(key).ask());
    gate.reached();
    let retired = common::id(&pool, "w-0");
    pool.retire_worker(retired).unwrap();
    let asks: Vec<_> =
        (0..3).map(|number| admitted(pool.task(Do::Return(number)).key(key).ask())).collect();
    assert_eq!(pool.shutdown(Drain::now()).unwrap_err().workers, ["w-0"]);
    for ask in asks {
        assert!(matches!(ask.wait(), Err(AskError::Cancelled)));
    }
    assert_eq!(unfinished(&pool), [0, 1, 2]);
    assert!(matches!(running.wait(), Err(AskError::ShutDown)));
    gate.open();
    end(&pool);
}

#[test]
fn futures_and_hedged_asks_of_running_tasks_end_at_the_limit() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    let gates = [Gate::new(), Gate::new()];
    let plain = ask_at(&pool, 0, Do::Hold(gates[0].clone()));
    let tracked = pool.task(Do::Hold(gates[1].clone())).strategy(&At(1)).cancel_on_drop();
    let tracked = admitted(tracked.timeout(LONG).ask());
    gates.iter().for_each(Gate::reached);
    let waiting = std::thread::spawn(move || block_on(async { (plain.await, tracked.await) }));
    pool.shutdown(Drain::now()).unwrap_err();
    let (plain, tracked) = waiting.join().unwrap();
    assert!(matches!(plain, Err(AskError::ShutDown)), "{plain:?}");
    assert!(matches!(tracked, Err(AskError::ShutDown)), "{tracked:?}");
    gates.iter().for_each(Gate::open);
    assert_eq!(end(&pool).counts.completed, 2);
}

/// Shuts the pool down from a handler that 50 tasks wait behind, and waits until the handler ends.
fn shut_down_within(drain: Drain) -> (ObedientPool, Vec<Ask<Do, Answer>>, String) {
    let pool = pool(1, 64, Overflow::Block);
    let (sender, result) = channel();
    let gate = Gate::new();
    let (handle, held) = (pool.clone(), gate.clone());
    let shut_down = Do::call(move || {
        held.pass();
        sender.send(handle.shutdown(drain).unwrap_err()).unwrap();
        // The last handle must not be dropped here.
        held.pass();
    });
    pool.tell(shut_down).unwrap();
    gate.reached();
    let asks = (0..50).map(|number| admitted(pool.ask(Do::Return(number)))).collect();
    gate.open();
    let error = result.recv().unwrap();
    assert!(error.called_within);
    assert_eq!(error.workers, ["w-0"]);
    gate.reached();
    gate.open();
    (pool, asks, error.to_string())
}

#[test]
fn a_shutdown_within_a_handler_returns_at_once_and_its_drain_takes_effect() {
    let _watchdog = watchdog();
    let (pool, asks, error) = shut_down_within(Drain::now());
    assert_eq!(error, "a thread of the pool cannot wait for the pool's end; still running: w-0");
    assert!(asks.into_iter().all(|ask| matches!(ask.wait(), Err(AskError::Cancelled))));
    assert_eq!(unfinished(&pool).len(), 50);
    assert_eq!(end(&pool).counts.cancelled, 50);

    let (pool, asks, _) = shut_down_within(Drain::all());
    assert!(asks.into_iter().all(|ask| ask.wait().is_ok()));
    assert_eq!(end(&pool).counts.completed, 51);
}

#[test]
fn the_time_limit_of_a_shutdown_within_a_handler_is_kept() {
    let _watchdog = watchdog();
    let pool = pool(1, 64, Overflow::Block);
    let (handle, gate) = (pool.clone(), Gate::new());
    let held = gate.clone();
    pool.tell(Do::call(move || {
        handle.shutdown(Drain::within(SOON)).unwrap_err();
        held.pass();
    }))
    .unwrap();
    gate.reached();
    // Admitted before the pool was closed, or refused after.
    let queued = pool.ask(Do::Return(1));
    assert!(matches!(queued.wait(), Err(AskError::Refused(error)) if error.is_closed()));
    gate.open();
    end(&pool);

    let pool = common::pool(1, 64, Overflow::Block);
    let (handle, gate) = (pool.clone(), Gate::new());
    let held = gate.clone();
    pool.tell(Do::call(move || {
        held.pass();
        handle.shutdown(Drain::within(SOON)).unwrap_err();
        held.pass();
    }))
    .unwrap();
    gate.reached();
    let queued = admitted(pool.ask(Do::Return(1)));
    gate.open();
    assert!(matches!(queued.wait(), Err(AskError::Cancelled)), "at the limit");
    gate.reached();
    gate.open();
    end(&pool);
}

#[test]
fn closing_releases_callers_that_wait_for_room_with_their_messages() {
    let _watchdog = watchdog();
    for overflow in [Overflow::Block, Overflow::BlockFor(LONG)] {
        let (pool, gate) = full(overflow);
        std::thread::scope(|scope| {
            let tell = scope.spawn(|| pool.tell(Do::Return(7)));
            let ask = scope.spawn(|| pool.task(Do::Return(7)).timeout(LONG).ask().into_admitted());
            await_in_flight(&pool, 4);
            let ending = scope.spawn(|| pool.shutdown(Drain::all()).unwrap());
            let refused = [tell.join().unwrap(), ask.join().unwrap().map(drop)];
            for error in refused.map(Result::unwrap_err) {
                assert_eq!(*error.refusal(), Refusal::Closed);
                assert_eq!(number_in(error.into_message()), 7);
            }
            gate.open();
            let account = ending.join().unwrap();
            assert_eq!((account.counts.admitted, account.rejected), (2, 2));
            assert!(account.is_balanced());
        });
    }
}

#[test]
fn callers_that_wait_for_room_of_a_worker_that_leaves_go_to_another() {
    let _watchdog = watchdog();
    let pool = pool(2, 1, Overflow::Block);
    let gate = hold(&pool, 0);
    pool.task(Do::Return(0)).strategy(&At(0)).tell().unwrap();
    let leaving = common::id(&pool, "w-0");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask_at(&pool, 0, Do::WhoAreYou).wait());
        await_in_flight(&pool, 3);
        pool.retire_worker(leaving).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().unwrap().by, "w-1");
    });
    gate.open();
    end(&pool);
}

#[test]
fn a_callers_wait_for_room_ends_at_its_tasks_deadline_with_the_message() {
    let _watchdog = watchdog();
    for overflow in [Overflow::Block, Overflow::BlockFor(LONG)] {
        let (pool, gate) = full(overflow);
        let expired = |refused: Result<(), SendError<Do>>| {
            let error = refused.unwrap_err();
            assert_eq!(*error.refusal(), Refusal::Expired);
            assert!(error.is_overload() && !error.is_full() && !error.is_closed());
            assert_eq!(number_in(error.into_message()), 7);
        };
        pool.task(Do::Return(1)).key(1).tell().unwrap();
        let task = || pool.task(Do::Return(7)).timeout(SOON);
        expired(task().tell());
        expired(task().key(1).tell());
        expired(task().ask().into_admitted().map(drop));
        expired(pool.task(Do::Return(7)).deadline(Instant::now() + SOON).tell());
        gate.open();
        assert_eq!(end(&pool).rejected, 4);
    }
}

#[test]
fn the_asker_of_a_task_that_has_not_started_is_told_at_the_deadline() {
    let _watchdog = watchdog();
    let pool = pool(1, 64, Overflow::Block);
    let gate = hold(&pool, 0);
    let ask = || admitted(pool.task(Do::Return(1)).timeout(SOON).ask());
    assert!(matches!(ask().wait(), Err(AskError::Expired)));
    assert!(matches!(ask().wait_timeout(LONG), Err(AskError::Expired)));
    let mut polled = ask();
    let expired = loop {
        if let Some(reply) = polled.try_recv() {
            break reply;
        }
        std::thread::yield_now();
    };
    assert!(matches!(expired, Err(AskError::Expired)));
    assert!(matches!(polled.try_recv(), Some(Err(AskError::Taken))));
    let awaited = block_on(ask().into_future());
    assert!(matches!(awaited, Err(AskError::Expired)));
    let hedged = pool.task(Do::Return(1)).timeout(SOON);
    assert!(matches!(hedged.cancel_on_drop().ask().wait(), Err(AskError::Expired)));
    gate.open();
    assert_eq!(end(&pool).counts.expired, 5, "as the askers were told");
}

#[test]
fn the_asker_of_a_task_that_has_started_waits_beyond_the_deadline() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
    let asked = || {
        let gate = Gate::new();
        let ask = admitted(pool.task(Do::Hold(gate.clone())).timeout(LONG).ask());
        gate.reached();
        (ask, gate)
    };
    let (mut ask, gate) = asked();
    assert!(matches!(ask.wait_timeout(SOON), Err(AskError::TimedOut)));
    gate.open();
    assert!(ask.wait().is_ok());
    let (ask, gate) = asked();
    // Its deadline passes while it runs.
    time.advance(LONG);
    gate.open();
    assert!(block_on(ask.into_future()).is_ok());
    assert_eq!(end(&pool).counts.completed, 2);
}

#[test]
fn a_wait_for_a_new_workers_start_ends_when_the_pool_is_shut_down() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let held = gate.clone();
    let pool = builder(1).spawn(move |worker| {
        if worker.name() == "slow" {
            held.pass();
        }
        Obedient::default()
    });
    let pool: ObedientPool = pool.unwrap();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| pool.add_worker(WorkerSpec::new("slow")));
        gate.reached();
        assert_eq!(pool.shutdown(Drain::now()).unwrap_err().workers, ["slow"]);
        assert!(matches!(adding.join().unwrap(), Err(MembershipError::Closed)));
        gate.open();
    });
    end(&pool);
}

#[test]
fn handlers_may_drop_the_last_handles_of_each_others_pools() {
    let _watchdog = watchdog();
    let pools = [pool(1, 8, Overflow::Block), pool(1, 8, Overflow::Block)];
    let both = Arc::new(Barrier::new(2));
    let (alive, ended) = channel::<()>();
    for (pool, other) in [(&pools[0], &pools[1]), (&pools[1], &pools[0])] {
        let (other, both, alive) = (other.clone(), Arc::clone(&both), alive.clone());
        pool.tell(Do::call(move || {
            let _alive = alive;
            both.wait();
            // The test's own handles are gone by then.
            both.wait();
            drop(other);
        }))
        .unwrap();
    }
    drop((pools, alive));
    assert!(ended.recv_timeout(LONG).is_err_and(|error| error == Disconnected));
}
