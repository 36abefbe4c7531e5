//! Hedged tasks: a second worker gets a copy when the first one takes long.
mod common;

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Once};
use std::time::Duration;

use common::{At, Gate, admitted, await_event, builder, end, watchdog, worker};
use raddle_core::{Candidates, TaskProfile, WorkerSpec};
use raddle_runtime::{
    Actor, Ask, AskError, Context, EventKind, Handler, Hedge, Overflow, Pool, PoolBuilder, Refusal,
    SpawnError, TaskBuilder,
};
use raddle_strategies::Strategy;
use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What an actor does; two actors may do it.
#[derive(Clone)]
struct Order(Arc<Work>);

type Work = dyn Fn(&Context<'_, Signs>) -> Result<(), &'static str> + Send + Sync;

fn order(
    work: impl Fn(&Context<'_, Signs>) -> Result<(), &'static str> + Send + Sync + 'static,
) -> Order {
    Order(Arc::new(work))
}

/// Does nothing.
fn nothing() -> Order {
    order(|_| Ok(()))
}

/// Passes the gate on the first worker, and does nothing on others.
fn stuck_on_the_first(gate: &Gate) -> Order {
    let gate = gate.clone();
    order(move |cx| {
        if cx.worker().name() == "w-0" {
            gate.pass();
        }
        Ok(())
    })
}

/// Does as ordered, and returns the name of its worker.
struct Signs;

impl Actor for Signs {}

/// What it returns.
type Signed = Result<String, &'static str>;

impl Handler<Order> for Signs {
    type Reply = Signed;

    fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> Signed {
        (order.0)(cx).map(|()| cx.worker().name().to_owned())
    }
}

type SignedPool = Pool<Order, Signed>;

/// A pool in which each task may have a copy.
fn generous(workers: usize) -> PoolBuilder<Order, Signed> {
    builder(workers).hedge_budget(1.0)
}

fn pool(workers: usize) -> SignedPool {
    generous(workers).spawn(|_| Signs).unwrap()
}

/// Holds the first worker.
fn hold(pool: &SignedPool) -> Gate {
    let gate = Gate::new();
    at_first(pool, stuck_on_the_first(&gate)).tell().unwrap();
    gate.reached();
    gate
}

fn at_first(pool: &SignedPool, order: Order) -> TaskBuilder<'_, Order, Signed> {
    pool.task(order).shared_strategy(Arc::new(At(0)))
}

/// Asks the first worker, and lets a second one have a copy at once.
fn hedged(pool: &SignedPool, order: Order) -> Ask<Order, Signed> {
    admitted(at_first(pool, order).ask_hedged(at_once()))
}

fn at_once() -> Hedge {
    Hedge::after(Duration::ZERO)
}

/// Calls `code` on the pool's own thread, which also sends copies, without sending a task.
fn on_the_pools_thread(pool: &SignedPool, code: impl Fn() + Send + Sync + 'static) {
    let timer = pool.tell_every(Duration::from_millis(1), move || {
        code();
        resume_unwind(Box::new("no message"))
    });
    timer.unwrap();
}

/// Waits until every copy that is due by now was sent or dropped, which is when a timer that is due
/// later has fired.
fn await_copies(pool: &SignedPool) {
    let (sender, fired) = channel();
    on_the_pools_thread(pool, move || sender.send(()).unwrap_or_default());
    fired.recv().unwrap();
}

/// Returns the number of copies that were sent by the time that no more are due.
fn copies(pool: &SignedPool) -> u64 {
    await_copies(pool);
    pool.stats().hedges
}

/// Waits for the name of the worker that replies.
fn signed_by(ask: Ask<Order, Signed>) -> String {
    ask.wait().unwrap().unwrap()
}

#[test]
fn another_worker_replies_for_a_stuck_one_and_the_queued_copy_is_cancelled() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    assert_eq!(signed_by(hedged(&pool, nothing())), "w-1");
    assert_eq!(copies(&pool), 1);
    assert!(!pool.account().is_balanced(), "the first copy is still queued");
    gate.open();
    let counts = end(&pool).counts;
    assert_eq!(
        (counts.admitted, counts.completed, counts.cancelled),
        (3, 2, 1),
        "each copy counts"
    );
    assert_eq!(worker(&pool, "w-0").counts.cancelled, 1);
}

#[test]
fn copies_are_spread_though_the_strategy_always_picks_the_same_worker() {
    let _watchdog = watchdog();
    let pool = generous(3).strategy(At(0)).spawn(|_| Signs).unwrap();
    let gate = hold(&pool);
    let repliers: HashSet<_> = (0..40).map(|_| signed_by(hedged(&pool, nothing()))).collect();
    // The probability that only one of the two replies is 2^-39.
    assert_eq!(repliers, HashSet::from(["w-1".to_owned(), "w-2".to_owned()]));
    gate.open();
    end(&pool);
}

#[test]
fn the_copy_is_cancelled_if_the_first_replies_before_the_copy_runs() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let (first, second) = (Gate::new(), Gate::new());
    let held = second.clone();
    let busy = order(move |_| {
        held.pass();
        Ok(())
    });
    pool.task(busy).strategy(&At(1)).tell().unwrap();
    second.reached();
    let ask = hedged(&pool, stuck_on_the_first(&first));
    first.reached();
    assert_eq!(copies(&pool), 1);
    first.open();
    assert_eq!(signed_by(ask), "w-0");
    second.open();
    end(&pool);
    let counts = worker(&pool, "w-1").counts;
    assert_eq!((counts.completed, counts.cancelled), (1, 1));
}

/// Returns when the handler sees that it is cancelled.
fn await_cancelled(cx: &Context<'_, Signs>) {
    while !cx.is_cancelled() {
        std::thread::yield_now();
    }
}

#[test]
fn the_first_copy_sees_that_the_second_has_replied() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let started = Barrier::new(2);
    let ask = hedged(
        &pool,
        order(move |cx| {
            started.wait();
            if cx.worker().name() == "w-0" {
                await_cancelled(cx);
            }
            Ok(())
        }),
    );
    assert_eq!(signed_by(ask), "w-1");
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed), (2, 2), "a superfluous copy completes too");
}

#[test]
fn the_second_copy_sees_that_the_first_has_replied() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let started = Barrier::new(2);
    let ask = hedged(
        &pool,
        order(move |cx| {
            started.wait();
            if cx.worker().name() == "w-1" {
                await_cancelled(cx);
            }
            Ok(())
        }),
    );
    assert_eq!(signed_by(ask), "w-0");
    assert_eq!(end(&pool).counts.completed, 2);
}

#[test]
fn a_failure_is_a_reply() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    assert_eq!(hedged(&pool, order(|_| Err("no"))).wait().unwrap(), Err("no"));
    gate.open();
    let counts = end(&pool).counts;
    assert_eq!((counts.failed, counts.cancelled), (1, 1));
}

#[test]
fn after_a_panic_the_other_copy_may_still_reply() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let gate = hold(&pool);
    let panics = hedged(&pool, order(|cx| panic!("on {}", cx.worker().name())));
    let panics_elsewhere = order(|cx| match cx.worker().name() {
        "w-0" => Ok(()),
        other => panic!("on {other}"),
    });
    let panics_elsewhere = hedged(&pool, panics_elsewhere);
    for _ in 0..2 {
        await_event(&mut events, |kind| *kind == EventKind::Panicked { message: "on w-1".into() });
    }
    gate.open();
    let Err(AskError::Panicked { message }) = panics.wait() else { panic!("both copies panic") };
    assert_eq!(message, "on w-0", "the last panic is the one reported");
    assert_eq!(signed_by(panics_elsewhere), "w-0");
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.panicked), (5, 2, 3));
}

#[test]
fn both_copies_have_the_task_s_deadline() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    let late = at_first(&pool, nothing()).timeout(Duration::ZERO).ask_hedged(at_once());
    assert_eq!(copies(&pool), 1);
    gate.open();
    let late = late.wait();
    assert!(matches!(late, Err(AskError::Expired)), "{late:?}");
    assert_eq!(end(&pool).counts.expired, 2);
}

#[test]
fn the_budget_is_a_share_of_the_hedged_tasks() {
    let _watchdog = watchdog();
    for (budget, allowed) in [(0.0, 0), (0.25, 10), (1.0, 40)] {
        let pool = generous(2).hedge_budget(budget).spawn(|_| Signs).unwrap();
        let gate = hold(&pool);
        let asks: Vec<_> = (0..40).map(|_| hedged(&pool, nothing())).collect();
        assert_eq!(copies(&pool), allowed, "with a budget of {budget}");
        gate.open();
        asks.into_iter().for_each(|ask| drop(signed_by(ask)));
        assert_eq!(end(&pool).counts.admitted, 41 + allowed);
    }
    for budget in [-0.1, 1.1, f64::NAN] {
        let error = generous(1).hedge_budget(budget).spawn(|_| Signs).unwrap_err();
        assert!(matches!(error, SpawnError::HedgeBudget(_)), "{error:?}");
    }
}

#[test]
fn a_task_with_a_reply_in_time_has_no_copy_and_a_shutdown_does_not_wait_for_one() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let ask = at_first(&pool, nothing()).ask_hedged(patient());
    assert_eq!(signed_by(ask), "w-0");
    assert_eq!(copies(&pool), 0);
    assert_eq!(end(&pool).counts.admitted, 1);
}

#[test]
fn a_hedged_task_that_waits_for_room_goes_to_another_worker_when_its_own_leaves() {
    let _watchdog = watchdog();
    let pool = generous(1).mailbox(1, Overflow::Block).spawn(|_| Signs).unwrap();
    let gate = hold(&pool);
    at_first(&pool, nothing()).tell().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| signed_by(pool.task(nothing()).ask_hedged(patient())));
        while worker(&pool, "w-0").in_flight != 3 {
            std::thread::yield_now();
        }
        // Unknown to the caller that waits.
        pool.add_worker(WorkerSpec::new("late")).unwrap();
        pool.retire_worker(worker(&pool, "w-0").id).unwrap();
        assert_eq!(waiting.join().unwrap(), "late");
    });
    gate.open();
    assert_eq!(end(&pool).counts.completed, 3);
}

#[test]
fn without_another_worker_with_room_there_is_no_copy() {
    let _watchdog = watchdog();
    let alone = pool(1);
    let gate = hold(&alone);
    let ask = hedged(&alone, nothing());
    assert_eq!(copies(&alone), 0);
    gate.open();
    assert_eq!(signed_by(ask), "w-0");
    end(&alone);

    let pool = generous(2).mailbox(1, Overflow::Reject).spawn(|_| Signs).unwrap();
    let (gate, full) = (hold(&pool), Gate::new());
    let held = full.clone();
    let busy = order(move |_| {
        held.pass();
        Ok(())
    });
    pool.task(busy).strategy(&At(1)).tell().unwrap();
    full.reached();
    pool.task(nothing()).strategy(&At(1)).tell().unwrap();
    let ask = hedged(&pool, nothing());
    assert_eq!(copies(&pool), 0);
    gate.open();
    assert_eq!(signed_by(ask), "w-0");
    full.open();
    assert_eq!(end(&pool).counts.admitted, 4);
}

#[test]
fn the_copy_goes_to_a_worker_with_the_capability() {
    let _watchdog = watchdog();
    let able = |name: &str| WorkerSpec::new(name).capability("hedged-skill");
    let pool = Pool::builder("test")
        .worker(able("w-0"))
        .worker(WorkerSpec::new("unable").capability("another-skill"))
        .worker(able("able"))
        .stealing(false)
        .hedge_budget(1.0)
        .spawn(|_| Signs)
        .unwrap();
    let gate = hold(&pool);
    for _ in 0..5 {
        let task = at_first(&pool, nothing()).capability("hedged-skill");
        assert_eq!(signed_by(task.ask_hedged(at_once())), "able");
    }
    gate.open();
    end(&pool);
}

#[test]
fn a_quantile_is_taken_of_the_pool_s_own_tasks() {
    let _watchdog = watchdog();
    let median = Hedge::at_quantile(0.5);
    let fresh = pool(2);
    let gate = hold(&fresh);
    let ask = at_first(&fresh, nothing()).ask_hedged(median);
    assert_eq!(copies(&fresh), 0, "no task has been measured");
    gate.open();
    assert_eq!(signed_by(ask), "w-0");
    end(&fresh);

    let pool = pool(2);
    for _ in 0..20 {
        signed_by(pool.ask(nothing()));
    }
    let gate = hold(&pool);
    let ask = at_first(&pool, nothing()).ask_hedged(median);
    assert_eq!(signed_by(ask), "w-1", "a copy was sent after the median time");
    gate.open();
    end(&pool);
}

#[test]
fn a_quantile_that_is_out_of_bounds_is_refused_with_the_message() {
    let _watchdog = watchdog();
    let pool = pool(2);
    for quantile in [0.0, 1.0, -0.5, f64::NAN] {
        let ask = pool.task(nothing()).ask_hedged(Hedge::at_quantile(quantile));
        let error = ask.into_admitted().unwrap_err();
        assert!(matches!(error.refusal(), Refusal::Hedge(_)), "{error:?}");
    }
    assert_eq!(end(&pool).rejected, 4);
}

#[test]
fn dropping_the_ask_cancels_both_copies_if_requested() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let started = Arc::new(Barrier::new(3));
    let both = Arc::clone(&started);
    let task = order(move |cx| {
        both.wait();
        await_cancelled(cx);
        Ok(())
    });
    let running = at_first(&pool, task).cancel_on_drop().ask_hedged(at_once());
    started.wait();
    let queued = at_first(&pool, nothing()).cancel_on_drop().ask_hedged(at_once());
    assert_eq!(copies(&pool), 2);
    // Before the running one, since the queued copies run as soon as that has ended.
    drop(queued);
    drop(running);
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.cancelled), (4, 2, 2));
}

#[test]
fn no_copy_is_sent_of_a_task_that_was_cancelled() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    // Nothing else that is due happens meanwhile.
    let late = Gate::new();
    let (passes, first) = (late.clone(), Once::new());
    on_the_pools_thread(&pool, move || first.call_once(|| passes.pass()));
    late.reached();
    let ask = at_first(&pool, nothing()).cancel_on_drop().ask_hedged(at_once());
    drop(admitted(ask));
    late.open();
    assert_eq!(copies(&pool), 0);
    gate.open();
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.cancelled), (1, 1));
}

/// Picks the first candidate and the third one in turn.
#[derive(Debug, Default)]
struct FirstAndThird(AtomicUsize);

impl Strategy for FirstAndThird {
    fn name(&self) -> &'static str {
        "first_and_third"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        self.0.fetch_add(1, Relaxed) % 2 * 2
    }
}

#[test]
fn a_shared_strategy_also_picks_the_worker_of_the_copy() {
    let _watchdog = watchdog();
    let pool = pool(3);
    let gate = hold(&pool);
    let strategy: Arc<dyn Strategy> = Arc::new(FirstAndThird::default());
    for _ in 0..10 {
        let task = pool.task(nothing()).shared_strategy(Arc::clone(&strategy));
        assert_eq!(signed_by(admitted(task.ask_hedged(at_once()))), "w-2");
    }
    gate.open();
    end(&pool);
}

#[test]
fn the_first_answer_drops_the_copy_that_was_not_sent() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let order = nothing();
    for _ in 0..100 {
        signed_by(admitted(at_first(&pool, order.clone()).ask_hedged(patient())));
    }
    // The worker that replies drops the copy just after that.
    await_dropped(&order);
    end(&pool);
}

#[test]
fn a_closing_pool_drops_copies_that_were_not_sent() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    let order = nothing();
    let ask = admitted(at_first(&pool, order.clone()).ask_hedged(patient()));
    assert_eq!(Arc::strong_count(&order.0), 3, "the task and its copy");
    std::thread::scope(|scope| {
        scope.spawn(|| end(&pool));
        while Arc::strong_count(&order.0) > 2 {
            std::thread::yield_now();
        }
        gate.open();
    });
    assert_eq!(signed_by(ask), "w-0");
}

fn patient() -> Hedge {
    Hedge::after(Duration::from_secs(3600))
}

/// Waits until no other copy of the order is left.
fn await_dropped(order: &Order) {
    while Arc::strong_count(&order.0) > 1 {
        std::thread::yield_now();
    }
}
