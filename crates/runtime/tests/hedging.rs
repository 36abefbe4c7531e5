//! Tasks of which a second worker is given a copy when the first one takes long.
mod common;

use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{At, Gate, await_event, builder, counted, end, watchdog, worker};
use raddle_core::{Priority, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, Context, EventKind, Hedge, Overflow, Pool, PoolBuilder, Reply, SpawnError,
    TaskBuilder,
};

/// What an actor is to do; it may be done twice.
#[derive(Clone)]
struct Order(Arc<Work>);

type Work = dyn Fn(&Context<'_>) -> Result<(), &'static str> + Send + Sync;

fn order(work: impl Fn(&Context<'_>) -> Result<(), &'static str> + Send + Sync + 'static) -> Order {
    Order(Arc::new(work))
}

/// Nothing but to say who did it.
fn call() -> Order {
    order(|_| Ok(()))
}

/// Something that takes until the gate opens on the first worker, and no time on others.
fn stuck_on_the_first(gate: &Gate) -> Order {
    let gate = gate.clone();
    order(move |cx| {
        if cx.worker().name() == "w-0" {
            gate.pass();
        }
        Ok(())
    })
}

/// Says which worker it is.
struct Signs;

impl Actor for Signs {
    type Msg = Order;
    type Reply = String;
    type Error = &'static str;

    fn handle(&mut self, order: Order, cx: &mut Context<'_>) -> Result<String, &'static str> {
        (order.0)(cx).map(|()| cx.worker().name().to_owned())
    }
}

type Answer = Reply<String, &'static str>;

/// A pool in which each task may have a copy.
fn generous(workers: usize) -> PoolBuilder<Signs> {
    builder(workers).hedge_budget(1.0)
}

fn pool(workers: usize) -> Pool<Signs> {
    generous(workers).spawn(|_| Signs).unwrap()
}

/// Lets the first worker wait.
fn hold(pool: &Pool<Signs>) -> Gate {
    let gate = Gate::new();
    at_first(pool, stuck_on_the_first(&gate)).tell().unwrap();
    gate.reached();
    gate
}

fn at_first(pool: &Pool<Signs>, order: Order) -> TaskBuilder<'_, Signs> {
    pool.task(order).strategy(&At(0))
}

/// Asks the first worker, with a copy at once.
fn hedged(pool: &Pool<Signs>, order: Order) -> Answer {
    at_first(pool, order).ask_hedged(at_once()).unwrap()
}

fn at_once() -> Hedge {
    Hedge::after(Duration::ZERO)
}

/// Returns when every copy that was due by now has been given, or not: a timer that is due later
/// has fired, and dropped what it could not give.
fn copies_are_given(pool: &Pool<Signs>) {
    let (counted, dropped) = counted();
    let counted = counted();
    let unfit = order(move |_| {
        let _ = &counted;
        Ok(())
    });
    let _timer = pool.task(unfit).capability("").tell_after(Duration::from_millis(1));
    dropped.recv().unwrap();
}

/// How many copies were given, at last.
fn copies(pool: &Pool<Signs>) -> u64 {
    copies_are_given(pool);
    pool.stats().hedges
}

fn said_by(answer: Answer) -> String {
    answer.wait().expect("it is answered")
}

#[test]
fn another_worker_answers_for_one_that_is_stuck_and_the_queued_copy_is_cancelled() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    assert_eq!(said_by(hedged(&pool, call())), "w-1");
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
fn copies_do_not_all_go_to_the_neighbour_of_the_one_that_the_strategy_names() {
    let _watchdog = watchdog();
    let pool = generous(3).strategy(At(0)).spawn(|_| Signs).unwrap();
    let gate = hold(&pool);
    let answered: HashSet<_> = (0..40).map(|_| said_by(hedged(&pool, call()))).collect();
    // By chance it is one of the two alone once in 2^39 runs.
    assert_eq!(answered, HashSet::from(["w-1".to_owned(), "w-2".to_owned()]));
    gate.open();
    end(&pool);
}

#[test]
fn the_copy_is_cancelled_when_the_first_answers_before_it_is_run() {
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
    let answer = hedged(&pool, stuck_on_the_first(&first));
    first.reached();
    assert_eq!(copies(&pool), 1);
    first.open();
    assert_eq!(said_by(answer), "w-0");
    second.open();
    end(&pool);
    let counts = worker(&pool, "w-1").counts;
    assert_eq!((counts.completed, counts.cancelled), (1, 1));
}

/// A handler that has nothing to do but to see that it is cancelled.
fn await_cancelled(cx: &Context<'_>) {
    while !cx.is_cancelled() {
        std::thread::yield_now();
    }
}

#[test]
fn the_first_copy_sees_that_the_second_has_answered() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let begun = Barrier::new(2);
    let answer = hedged(
        &pool,
        order(move |cx| {
            begun.wait();
            if cx.worker().name() == "w-0" {
                await_cancelled(cx);
            }
            Ok(())
        }),
    );
    assert_eq!(said_by(answer), "w-1");
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed), (2, 2), "it ends as any other");
}

#[test]
fn the_second_copy_sees_that_the_first_has_answered() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let begun = Barrier::new(2);
    let answer = hedged(
        &pool,
        order(move |cx| {
            begun.wait();
            if cx.worker().name() == "w-1" {
                await_cancelled(cx);
            }
            Ok(())
        }),
    );
    assert_eq!(said_by(answer), "w-0");
    assert_eq!(end(&pool).counts.completed, 2);
}

#[test]
fn a_failure_is_an_answer() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    assert_eq!(hedged(&pool, order(|_| Err("no"))).wait(), Err(AskError::Failed("no")));
    gate.open();
    let counts = end(&pool).counts;
    assert_eq!((counts.failed, counts.cancelled), (1, 1));
}

#[test]
fn a_panic_leaves_the_answer_to_the_other_copy() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let gate = hold(&pool);
    let answer = hedged(&pool, order(|cx| panic!("on {}", cx.worker().name())));
    let gentle = order(|cx| match cx.worker().name() {
        "w-0" => Ok(()),
        other => panic!("on {other}"),
    });
    let gentle = hedged(&pool, gentle);
    for _ in 0..2 {
        await_event(&mut events, |kind| *kind == EventKind::Panicked { message: "on w-1".into() });
    }
    gate.open();
    assert_eq!(answer.wait(), Err(AskError::Panicked { message: "on w-0".into() }), "the last one");
    assert_eq!(said_by(gentle), "w-0");
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.panicked), (5, 2, 3));
}

#[test]
fn the_deadline_is_both_copies() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    let late = at_first(&pool, call()).timeout(Duration::ZERO).ask_hedged(at_once()).unwrap();
    assert_eq!(copies(&pool), 1);
    gate.open();
    assert_eq!(late.wait(), Err(AskError::Expired));
    assert_eq!(end(&pool).counts.expired, 2);
}

#[test]
fn copies_are_a_share_of_the_tasks_that_asked_for_one() {
    let _watchdog = watchdog();
    for (budget, allowed) in [(0.0, 0), (0.25, 10), (1.0, 40)] {
        let pool = generous(2).hedge_budget(budget).spawn(|_| Signs).unwrap();
        let gate = hold(&pool);
        let answers: Vec<_> = (0..40).map(|_| hedged(&pool, call())).collect();
        assert_eq!(copies(&pool), allowed, "of a budget of {budget}");
        gate.open();
        answers.into_iter().for_each(|answer| drop(said_by(answer)));
        assert_eq!(end(&pool).counts.admitted, 41 + allowed);
    }
    for budget in [-0.1, 1.1, f64::NAN] {
        let error = generous(1).hedge_budget(budget).spawn(|_| Signs).unwrap_err();
        assert!(matches!(error, SpawnError::HedgeBudget(_)), "{error:?}");
    }
}

#[test]
fn what_is_answered_in_time_has_no_copy_and_a_shutdown_waits_for_none() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let patient = Hedge::after(Duration::from_secs(3600));
    let answer = at_first(&pool, call()).ask_hedged(patient).unwrap();
    assert_eq!(said_by(answer), "w-0");
    assert_eq!(copies(&pool), 0);
    assert_eq!(end(&pool).counts.admitted, 1);
}

#[test]
fn tasks_with_a_key_and_control_messages_have_no_copy() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let is_first_s = |key: &u64| said_by(pool.task(call()).key(key).ask().unwrap()) == "w-0";
    let key = (0..).find(is_first_s).unwrap();
    let gate = hold(&pool);
    let keyed = pool.task(call()).key(key).ask_hedged(at_once()).unwrap();
    let control = at_first(&pool, call()).priority(Priority::Control);
    let control = control.ask_hedged(at_once()).unwrap();
    assert_eq!(copies(&pool), 0);
    gate.open();
    assert_eq!([said_by(keyed), said_by(control)], ["w-0", "w-0"]);
    end(&pool);
}

#[test]
fn where_no_other_has_room_there_is_no_copy_and_nothing_is_spent() {
    let _watchdog = watchdog();
    let alone = pool(1);
    let gate = hold(&alone);
    let answer = hedged(&alone, call());
    assert_eq!(copies(&alone), 0);
    gate.open();
    assert_eq!(said_by(answer), "w-0");
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
    pool.task(call()).strategy(&At(1)).tell().unwrap();
    let answer = hedged(&pool, call());
    assert_eq!(copies(&pool), 0);
    gate.open();
    assert_eq!(said_by(answer), "w-0");
    full.open();
    assert_eq!(end(&pool).counts.admitted, 4);
}

#[test]
fn the_copy_goes_to_a_worker_that_can() {
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
        let task = at_first(&pool, call()).capability("hedged-skill");
        assert_eq!(said_by(task.ask_hedged(at_once()).unwrap()), "able");
    }
    gate.open();
    end(&pool);
}

#[test]
fn a_quantile_is_that_of_the_pool_s_own_tasks() {
    let _watchdog = watchdog();
    let median = Hedge::at_quantile(0.5).unwrap();
    let fresh = pool(2);
    let gate = hold(&fresh);
    let answer = at_first(&fresh, call()).ask_hedged(median).unwrap();
    assert_eq!(copies(&fresh), 0, "nothing is known of how long tasks take");
    gate.open();
    assert_eq!(said_by(answer), "w-0");
    end(&fresh);

    let pool = pool(2);
    for _ in 0..20 {
        said_by(pool.ask(call()).unwrap());
    }
    let gate = hold(&pool);
    let answer = at_first(&pool, call()).ask_hedged(median).unwrap();
    assert_eq!(said_by(answer), "w-1", "sent when half of them were done");
    gate.open();
    end(&pool);
}

#[test]
fn a_reply_that_is_dropped_cancels_both_copies_where_that_was_asked_for() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let begun = Arc::new(Barrier::new(3));
    let both = Arc::clone(&begun);
    let task = order(move |cx| {
        both.wait();
        await_cancelled(cx);
        Ok(())
    });
    let running = at_first(&pool, task).cancel_on_drop().ask_hedged(at_once()).unwrap();
    begun.wait();
    let queued = at_first(&pool, call()).cancel_on_drop().ask_hedged(at_once()).unwrap();
    assert_eq!(copies(&pool), 2);
    // First: what is queued comes after what runs.
    drop(queued);
    drop(running);
    let counts = end(&pool).counts;
    assert_eq!((counts.admitted, counts.completed, counts.cancelled), (4, 2, 2));
}

#[test]
fn a_task_that_was_withdrawn_is_not_copied() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let gate = hold(&pool);
    // While this is dropped, nothing that is due is done.
    let late = Gate::new();
    let stopped = StaysWhenDropped(late.clone());
    let unfit = order(move |_| {
        let _ = &stopped;
        Ok(())
    });
    let _timer = pool.task(unfit).capability("").tell_after(Duration::ZERO);
    late.reached();
    drop(at_first(&pool, call()).cancel_on_drop().ask_hedged(at_once()).unwrap());
    late.open();
    assert_eq!(copies(&pool), 0);
    gate.open();
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.cancelled), (1, 1));
}

struct StaysWhenDropped(Gate);

impl Drop for StaysWhenDropped {
    fn drop(&mut self) {
        self.0.pass();
    }
}
