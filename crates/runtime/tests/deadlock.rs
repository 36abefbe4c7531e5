//! Handlers that wait for themselves or for each other.
mod common;

use std::sync::mpsc::channel;
use std::time::Duration;

use common::{
    Do, LONG, Obedient, ObedientPool, admitted, await_event, by, end, hold, key_of, number, so_far,
    watchdog,
};
use raddle_runtime::{AskError, EventKind, Pool};

type Failed = AskError<Do>;

fn named(name: &str, workers: usize) -> ObedientPool {
    let builder = Pool::builder(name).workers(workers, raddle_core::WorkerSpec::new("w"));
    builder.spawn(|_| Obedient::default()).unwrap()
}

/// Runs `inner` in a handler of the pool, and returns what it returns.
fn in_handler<T: Send + 'static>(
    pool: &ObedientPool,
    inner: impl FnOnce() -> T + Send + 'static,
) -> impl FnOnce() -> T {
    let (sender, receiver) = channel();
    let ask = admitted(pool.ask(Do::call(move || sender.send(inner()).unwrap())));
    move || {
        let result = receiver.recv_timeout(LONG).expect("the handler does not hang");
        assert!(ask.wait().is_ok());
        result
    }
}

#[track_caller]
fn assert_deadlock<T: std::fmt::Debug>(result: Result<T, Failed>, expected: &[&str]) {
    let Err(AskError::Deadlock { mut workers }) = result else { panic!("{result:?}") };
    workers.sort_unstable();
    assert_eq!(workers, expected);
}

#[test]
fn a_handler_that_waits_for_its_own_pool_gets_an_error_and_not_a_hang() {
    let _watchdog = watchdog();
    let pool = named("own", 1);
    let mut events = pool.subscribe();
    let own = pool.clone();
    let result = in_handler(&pool, move || own.ask(Do::WhoAreYou).wait());
    assert_deadlock(result(), &["own/w-0"]);
    let event = await_event(&mut events, |kind| matches!(kind, EventKind::Deadlock { .. }));
    assert_eq!(event.name, "w-0");
    assert_eq!(event.kind.to_string(), "handlers that wait for each other: own/w-0");
    let own = pool.clone();
    let result = in_handler(&pool, move || own.ask(Do::WhoAreYou).wait_timeout(LONG));
    assert_deadlock(result(), &["own/w-0"]);
    let own = pool.clone();
    let result = in_handler(&pool, move || own.local().ask(Do::WhoAreYou).wait());
    assert_deadlock(result(), &["own/w-0"]);
    assert_eq!(end(&pool).counts.completed, 6, "the tasks themselves run");
}

#[test]
fn a_handler_that_waits_for_a_task_with_its_own_key_gets_an_error() {
    let _watchdog = watchdog();
    let pool = named("keys", 3);
    let key = key_of(&pool, "w-1");
    let (own, (sender, receiver)) = (pool.clone(), channel());
    let outer = pool.task(Do::call(move || {
        sender.send(own.task(Do::WhoAreYou).key(key).ask().wait()).unwrap();
    }));
    let outer = admitted(outer.key(key).ask());
    assert_deadlock(receiver.recv_timeout(LONG).unwrap(), &["keys/w-1"]);
    assert_eq!(by(outer).unwrap(), "w-1");
    end(&pool);
}

#[test]
fn handlers_of_two_pools_that_wait_for_each_other_get_one_error() {
    let _watchdog = watchdog();
    let (first, second) = (named("first", 1), named("second", 1));
    let (one, two) = (first.clone(), second.clone());
    let (sender, inner) = channel();
    let outer = in_handler(&first, move || {
        let back = Do::call(move || sender.send(one.ask(Do::WhoAreYou).wait()).unwrap());
        two.ask(back).wait().map(|answer| answer.unwrap().by)
    });
    let (outer, inner) = (outer(), inner.recv_timeout(LONG).unwrap());
    // The one that began to wait last gets the error, and then the other its reply.
    assert_ne!(outer.is_ok(), inner.is_ok(), "{outer:?}, {inner:?}");
    let error = outer.map(drop).and(inner.map(drop));
    assert_deadlock(error, &["first/w-0", "second/w-0"]);
    end(&first);
    end(&second);
}

#[test]
fn a_pool_whose_handlers_all_wait_for_it_does_not_hang() {
    let _watchdog = watchdog();
    let pool = named("all", 3);
    let gate = std::sync::Arc::new(std::sync::Barrier::new(3));
    let asks: Vec<_> = (0..3)
        .map(|_| {
            let (own, gate) = (pool.clone(), gate.clone());
            in_handler(&pool, move || {
                gate.wait();
                own.ask(Do::Return(7)).wait().map(|answer| answer.unwrap().number)
            })
        })
        .collect();
    let results: Vec<_> = asks.into_iter().map(|result| result()).collect();
    let (replies, errors): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert!(!errors.is_empty() && replies.iter().all(|reply| matches!(reply, Ok(7))));
    assert!(errors.iter().all(|error| matches!(error, Err(AskError::Deadlock { .. }))));
    end(&pool);
}

#[test]
fn a_wait_that_another_worker_can_end_is_no_deadlock() {
    let _watchdog = watchdog();
    let pool = named("two", 2);
    let mut events = pool.subscribe();
    // The second worker is busy for several searches, and then runs the task.
    let gate = hold(&pool, 1);
    let own = pool.clone();
    let (waiting, inner) = channel();
    let result = in_handler(&pool, move || {
        let mut ask = own.ask(Do::Return(7));
        let early = ask.wait_timeout(Duration::from_millis(250));
        waiting.send(matches!(early, Err(AskError::TimedOut))).unwrap();
        ask.wait().map(|answer| answer.unwrap().number)
    });
    assert!(inner.recv_timeout(LONG).unwrap(), "it timed out, and is no deadlock");
    gate.open();
    assert_eq!(result().unwrap(), 7);
    assert_eq!(so_far(&mut events), []);
    end(&pool);
}

#[test]
fn one_who_waits_for_less_time_is_not_waited_for_in_vain() {
    let _watchdog = watchdog();
    let (first, second) = (named("first", 1), named("second", 1));
    let (one, two) = (first.clone(), second.clone());
    // The handler of the first pool gives up early. Until then the other waits, and then gets its reply.
    let outer = in_handler(&first, move || {
        let back = Do::call(move || {
            assert_eq!(number(one.ask(Do::Return(7))), 7);
        });
        let mut ask = two.ask(back);
        let early = ask.wait_timeout(Duration::from_millis(1));
        (early.map(drop), ask)
    });
    let (early, ask) = outer();
    assert!(matches!(early, Err(AskError::TimedOut | AskError::Deadlock { .. })), "{early:?}");
    assert_eq!(by(ask).unwrap(), "w-0");
    end(&first);
    end(&second);
}
