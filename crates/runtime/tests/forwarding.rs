//! A task that its handler forwards to another pool: that pool answers the asker, and each pool counts
//! its own task.

mod common;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{Answer, Do, Gate, LONG, ObedientPool, builder, end, pool, watchdog};
use raddle_runtime::{
    Actor, AskError, AsyncContext, AsyncHandler, Context, Deferred, Drain, Handler, OptionError,
    Overflow, Pool, Refusal,
};

/// Forwards what it gets, with options or without.
struct Forwards(ObedientPool);

impl Actor for Forwards {}

enum Forward {
    Plain(Do),
    Within(Duration, Do),
    /// Not what the pool can do.
    CancelOnDrop(Do),
    Keyed(u64, Do),
}

impl Handler<Forward> for Forwards {
    type Reply = Deferred<Answer>;

    fn handle(&mut self, forward: Forward, cx: &mut Context<'_, Self>) -> Deferred<Answer> {
        let forwarded = match forward {
            Forward::Plain(order) => cx.forward(&self.0, order),
            Forward::Within(timeout, order) => self.0.task(order).timeout(timeout).forward(cx),
            Forward::CancelOnDrop(order) => self.0.task(order).cancel_on_drop().forward(cx),
            Forward::Keyed(key, order) => self.0.task(order).key(key).forward(cx),
        };
        forwarded.unwrap_or_else(|error| match error.refusal() {
            Refusal::Options(OptionError::NothingToDrop) => Deferred::ready(Err("nothing to drop")),
            Refusal::Closed => Deferred::ready(Err("closed")),
            other => panic!("{other}"),
        })
    }
}

fn pools() -> (Pool<Forward, Answer>, ObedientPool) {
    let last = pool(1, 8, Overflow::Block);
    let first = builder(1).spawn({
        let last = last.clone();
        move |_| Forwards(last.clone())
    });
    (first.unwrap(), last)
}

#[test]
fn the_other_pool_answers_the_asker_and_each_counts_its_own_task() {
    let _watchdog = watchdog();
    let (first, last) = pools();
    let reply = first.ask(Forward::Plain(Do::Return(7))).wait().unwrap().unwrap();
    assert_eq!(reply.number, 7);
    let failed = first.ask(Forward::Keyed(3, Do::Fail("no"))).wait().unwrap();
    assert_eq!(failed.unwrap_err(), "no");
    first.tell(Forward::Plain(Do::Return(8))).unwrap();
    for counts in [end(&first).counts, end(&last).counts] {
        assert_eq!((counts.admitted, counts.completed, counts.failed), (3, 2, 1));
    }
}

#[test]
fn the_first_pools_worker_runs_other_tasks_meanwhile_and_its_drain_waits() {
    let _watchdog = watchdog();
    let (first, last) = pools();
    let gate = Gate::new();
    let held = first.ask(Forward::Plain(Do::Hold(gate.clone())));
    gate.reached();
    let more = first.ask(Forward::Plain(Do::Return(1)));
    let closing = thread::spawn({
        let first = first.clone();
        move || first.shutdown(Drain::all()).unwrap()
    });
    while !first.tell(Forward::Plain(Do::Return(0))).is_err_and(|error| error.is_closed()) {}
    assert!(!closing.is_finished());
    gate.open();
    held.wait().unwrap().unwrap();
    assert_eq!(more.wait().unwrap().unwrap().number, 1);
    assert!(closing.join().unwrap().is_balanced());
    end(&last);
}

#[test]
fn a_panic_in_the_other_pool_is_told_and_not_blamed_on_the_first_ones_worker() {
    let _watchdog = watchdog();
    let (first, last) = pools();
    // Whichever comes first: the reply, or the end of the handler that forwards.
    for _ in 0..4 {
        let panicked = first.ask(Forward::Plain(Do::Panic("planted"))).wait();
        assert!(
            matches!(&panicked, Err(AskError::Panicked { message }) if message == "planted"),
            "{:?}",
            panicked.err()
        );
    }
    let gave_up = first.ask(Forward::Plain(Do::with(|cx| cx.give_up("no")))).wait();
    assert!(matches!(gave_up, Err(AskError::GaveUp { reason }) if reason == "no"));
    let counts = end(&first).counts;
    assert_eq!((counts.cancelled, counts.panicked), (5, 0));
    assert_eq!(end(&last).counts.panicked, 4);
}

#[test]
fn the_deadline_goes_along_and_the_earlier_one_counts() {
    let _watchdog = watchdog();
    let (first, last) = pools();
    let (sender, left) = channel();
    let asks = |timeout: Option<Duration>| {
        let sender = sender.clone();
        let order = Do::with(move |cx| sender.send(cx.remaining()).unwrap());
        match timeout {
            Some(timeout) => Forward::Within(timeout, order),
            None => Forward::Plain(order),
        }
    };
    first.ask(asks(None)).wait().unwrap().unwrap();
    assert_eq!(left.recv().unwrap(), None);
    first.task(asks(None)).timeout(LONG).ask().wait().unwrap().unwrap();
    assert!(left.recv().unwrap().unwrap() <= LONG);
    for (timeout, own) in [(LONG, LONG / 2), (LONG / 2, LONG)] {
        first.task(asks(Some(own))).timeout(timeout).ask().wait().unwrap().unwrap();
        assert!(left.recv().unwrap().unwrap() <= LONG / 2);
    }
    // One that expires in the other pool's mailbox.
    let gate = common::hold(&last, 0);
    let before = last.account().counts.admitted;
    let expires = Forward::Plain(Do::Return(1));
    let expired = first.task(expires).timeout(Duration::from_millis(200)).ask().wait();
    // None, if the first pool's worker did not run for as long.
    let forwarded = last.account().counts.admitted - before;
    assert!(matches!(expired, Err(AskError::Expired)));
    gate.open();
    assert_eq!(end(&first).counts.expired, 1);
    // Or cancelled, if its turn came in the microseconds between the two deadlines.
    let counts = end(&last).counts;
    assert_eq!(counts.expired + counts.cancelled, forwarded);
}

#[test]
fn a_task_is_not_wanted_when_the_forwarded_one_is_not() {
    let _watchdog = watchdog();
    let (first, last) = pools();
    let (begun, has_begun) = channel();
    let order = Do::with(move |cx| {
        begun.send(()).unwrap();
        while !cx.is_cancelled() {
            thread::yield_now();
        }
    });
    let ask = first.task(Forward::Plain(order)).cancel_on_drop().ask();
    has_begun.recv().unwrap();
    drop(ask);
    assert_eq!((end(&first).counts.completed, end(&last).counts.completed), (1, 1));
}

/// Awaits what never comes.
struct Waits;

impl Actor for Waits {}

impl AsyncHandler<Do> for Waits {
    type Reply = Answer;

    async fn handle(&mut self, order: Do, _: &mut AsyncContext<'_, Self>) -> Answer {
        if let Do::Call(function) = order {
            function();
        }
        std::future::pending().await
    }
}

#[test]
fn an_async_handler_ends_when_the_forwarded_task_is_not_wanted() {
    let _watchdog = watchdog();
    // Dropped before and after the first handler has returned, or cancelled by a shutdown.
    for (early, shuts_down) in [(true, false), (false, false), (false, true)] {
        let last = builder(1).spawn_async(|_| Waits).unwrap();
        let first = builder(1).spawn({
            let last = last.clone();
            move |_| Forwards(last.clone())
        });
        let first = first.unwrap();
        let (begun, has_begun) = channel();
        let order = Do::call(move || begun.send(()).unwrap());
        let ask = first.task(Forward::Plain(order)).cancel_on_drop().ask();
        if !early {
            has_begun.recv().unwrap();
        }
        if shuts_down {
            assert_eq!(first.shutdown(Drain::now()).unwrap().counts.cancelled, 1);
            assert!(matches!(ask.wait(), Err(AskError::ShutDown)));
        } else {
            drop(ask);
            assert_eq!(end(&first).counts.cancelled, 1);
        }
        let counts = end(&last).counts;
        assert_eq!(counts.cancelled, counts.admitted);
    }
}

#[test]
fn a_shutdown_of_either_pool_tells_the_asker() {
    let _watchdog = watchdog();
    for of_first in [true, false] {
        let (first, last) = pools();
        let gate = Gate::new();
        let running = first.ask(Forward::Plain(Do::Hold(gate.clone())));
        gate.reached();
        let queued = first.ask(Forward::Plain(Do::Return(1)));
        // The handler that forwards it has ended.
        while last.account().counts.admitted < 2 {
            thread::yield_now();
        }
        // It may fail, because a handler still runs.
        let _ = if of_first { first.shutdown(Drain::now()) } else { last.shutdown(Drain::now()) };
        assert!(matches!(running.wait(), Err(AskError::ShutDown)));
        let queued = queued.wait().map(drop);
        assert!(
            matches!(queued, Err(AskError::ShutDown | AskError::Cancelled)),
            "{:?}",
            queued.err()
        );
        gate.open();
        let (first, last) = (end(&first).counts, end(&last).counts);
        assert_eq!((first.cancelled, first.completed), (2, 0));
        assert_eq!((last.cancelled, last.completed), (1, 1));
    }
}

#[test]
fn a_refused_task_returns_to_the_handler_which_then_answers_itself() {
    let _watchdog = watchdog();
    let (first, last) = pools();
    let refused = first.ask(Forward::CancelOnDrop(Do::Return(1))).wait().unwrap();
    assert_eq!(refused.unwrap_err(), "nothing to drop");
    end(&last);
    let closed = first.ask(Forward::Plain(Do::Return(1))).wait().unwrap();
    assert_eq!(closed.unwrap_err(), "closed");
    assert_eq!(end(&first).counts.failed, 2);
}
