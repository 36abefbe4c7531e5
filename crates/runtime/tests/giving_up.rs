//! A handler that gives up: its task is cancelled with a reason, and its worker is not blamed.

mod common;

use std::sync::mpsc::channel;

use common::signal::Signal;
use common::waiting::{self, nothing, number};
use common::{Answer, Do, builder, end, pool, watchdog, worker};
use raddle_core::Priority;
use raddle_runtime::{Actor, AskError, Context, Deferred, EventKind, Handler, Overflow};

fn reason<M, R>(result: Result<R, AskError<M>>) -> String {
    match result.err() {
        Some(AskError::GaveUp { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn gives_up(why: &'static str) -> Do {
    Do::with(move |cx| cx.give_up(why))
}

#[test]
fn the_asker_gets_the_reason_and_the_worker_no_blame() {
    let pool = pool(1, 8, Overflow::Block);
    for _ in 0..64 {
        assert_eq!(reason(pool.ask(gives_up("no")).wait()), "no");
    }
    pool.tell(gives_up("unheard")).unwrap();
    let counts = end(&pool).counts;
    assert_eq!((counts.cancelled, counts.failed), (65, 0));
    let report = worker(&pool, "w-0");
    assert_eq!((report.success_rate, report.service.max.as_nanos()), (1.0, 0), "{report:?}");
    assert_eq!(report.mean_latency, None);
}

#[test]
fn the_last_reason_counts_and_a_panic_more_than_any() {
    let pool = pool(1, 8, Overflow::Block);
    let twice = Do::with(|cx| {
        cx.give_up("first");
        cx.give_up(String::from("second"));
    });
    assert_eq!(reason(pool.ask(twice).wait()), "second");
    let panics = Do::with(|cx| {
        cx.give_up("no");
        panic!("planted");
    });
    assert!(
        matches!(pool.ask(panics).wait(), Err(AskError::Panicked { message }) if message == "planted")
    );
    assert!(pool.ask(Do::Return(1)).wait().is_ok());
    let counts = end(&pool).counts;
    assert_eq!((counts.cancelled, counts.panicked, counts.completed), (1, 1, 1));
}

#[test]
fn an_actor_that_gives_up_may_stop() {
    let pool = pool(1, 8, Overflow::Block);
    let mut events = pool.subscribe();
    let both = Do::with(|cx| {
        cx.stop();
        cx.give_up("no");
    });
    assert_eq!(reason(pool.ask(both).wait()), "no");
    common::await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
    assert_eq!(common::number(pool.ask(Do::WhoAreYou)), 1, "it is another actor");
    end(&pool);
}

struct Defers;

impl Actor for Defers {}

type Order = Box<dyn FnOnce(&mut Defers, &mut Context<'_, Defers>) -> Deferred<Answer> + Send>;

impl Handler<Order> for Defers {
    type Reply = Deferred<Answer>;

    fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> Deferred<Answer> {
        order(self, cx)
    }
}

fn order(
    order: impl FnOnce(&mut Defers, &mut Context<'_, Defers>) -> Deferred<Answer> + Send + 'static,
) -> Order {
    Box::new(order)
}

#[test]
fn a_deferred_reply_can_be_given_up_by_its_handler_or_its_replier() {
    let pool = builder(1).spawn(|_| Defers).unwrap();
    let by_handler = pool.ask(order(|_, cx| {
        let (replier, deferred) = cx.defer();
        std::thread::spawn(move || {
            while !replier.is_cancelled() {
                std::thread::yield_now();
            }
            replier.reply(Err("too late"));
        });
        cx.give_up("handler");
        deferred
    }));
    assert_eq!(reason(by_handler.wait()), "handler");
    let by_replier = pool.ask(order(|_, cx| {
        let (replier, deferred) = cx.defer();
        std::thread::spawn(move || replier.give_up("replier"));
        deferred
    }));
    assert_eq!(reason(by_replier.wait()), "replier");
    let counts = end(&pool).counts;
    assert_eq!((counts.cancelled, counts.failed), (2, 0));
}

#[test]
fn a_task_at_a_checkpoint_gives_up_for_itself_alone() {
    let _watchdog = watchdog();
    let quantum = std::time::Duration::from_micros(10);
    let pool = builder(1).quantum(quantum).spawn(|_| Defers).unwrap();
    let (go_on, wait) = channel::<()>();
    let (begun, has_begun) = channel();
    let outer = pool.ask(order(move |actor, cx| {
        begun.send(()).unwrap();
        while wait.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            cx.checkpoint(actor);
        }
        Deferred::ready(Err("the outer's"))
    }));
    has_begun.recv().unwrap();
    let inner = order(|_, cx| {
        cx.give_up("inner");
        Deferred::ready(Err("dropped"))
    });
    let inner = pool.task(inner).priority(Priority::High).ask();
    assert_eq!(reason(inner.wait()), "inner");
    drop(go_on);
    assert_eq!(outer.wait().unwrap(), Err("the outer's"));
    end(&pool);
}

#[test]
fn an_async_handler_gives_up_before_or_after_it_has_waited() {
    let _watchdog = watchdog();
    let gives_up = |signal: &Signal| {
        let signal = signal.clone();
        waiting::order(move |cx| {
            let signal = signal.clone();
            Box::pin(async move {
                signal.wait().await;
                cx.give_up("no");
                Ok(())
            })
        })
    };
    for pool in [waiting::spawn(builder(1)), waiting::spawn_concurrent(2, builder(1))] {
        for waits in [false, true] {
            let signal = Signal::default();
            if !waits {
                signal.set();
            }
            let ask = pool.ask(gives_up(&signal));
            if waits {
                signal.reached(1);
                signal.set();
            }
            assert_eq!(reason(ask.wait()), "no");
        }
        assert_eq!(number(pool.ask(nothing())), 3, "by the same actor");
        let report = worker(&pool, "w-0");
        assert_eq!(report.success_rate, 1.0, "{report:?}");
        let counts = end(&pool).counts;
        assert_eq!((counts.cancelled, counts.completed), (2, 1));
    }
}
