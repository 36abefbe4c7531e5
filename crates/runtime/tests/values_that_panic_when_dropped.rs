//! A message that panics when it is dropped ends nothing else, wherever that happens.
mod common;

use std::future::IntoFuture;
use std::panic::panic_any;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::watchdog;
use raddle_core::{Candidates, TaskProfile, WorkerSpec};
use raddle_runtime::{
    Actor, Context, Drain, Handler, Hedge, Overflow, Pool, Reply, SpawnError, StartError,
};
use raddle_strategies::Strategy;

/// Panics when it is dropped, unless it was handled.
struct Bomb {
    armed: bool,
    handled: Sender<()>,
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Self { armed: true, handled: self.handled.clone() }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.armed && !std::thread::panicking() {
            panic_any("a bomb");
        }
    }
}

struct Defuser;

impl Actor for Defuser {}

impl Handler<Bomb> for Defuser {
    type Reply = ();

    fn handle(&mut self, mut bomb: Bomb, _: &mut Context<'_, Self>) {
        bomb.armed = false;
        let _ = bomb.handled.send(());
    }
}

fn pool() -> Pool<Bomb, ()> {
    Pool::builder("bombs")
        .worker(WorkerSpec::general())
        .mailbox(1, Overflow::Reject)
        .hedge_budget(1.0)
        .spawn(|_| Defuser)
        .unwrap()
}

#[test]
fn timers_still_fire_after_the_message_of_a_cancelled_one_panicked() {
    let _watchdog = watchdog();
    let pool = pool();
    let (handled, done) = channel();
    let bomb = || Bomb { armed: true, handled: handled.clone() };
    let unread = channel().0;
    for _ in 0..3 {
        // Repeats until one is cancelled before it is due.
        let soon = || Bomb { armed: true, handled: unread.clone() };
        while !pool.tell_after(Duration::from_millis(1), soon()).unwrap().cancel() {}
    }
    pool.tell_after(Duration::from_millis(2), bomb()).unwrap();
    done.recv().unwrap();
    for _ in 0..8 {
        assert!(pool.tell_after(Duration::from_secs(3600), bomb()).unwrap().cancel());
    }
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn a_pool_can_be_dropped_with_a_timer_whose_message_panics() {
    let _watchdog = watchdog();
    let pool = pool();
    let bomb = Bomb { armed: true, handled: channel().0 };
    pool.tell_after(Duration::from_secs(3600), bomb).unwrap();
    drop(pool);
}

#[test]
fn a_pool_can_be_dropped_with_a_periodic_timer_whose_closure_panics_when_dropped() {
    let _watchdog = watchdog();
    let pool = pool();
    let (handled, done) = channel();
    let held = Bomb { armed: true, handled: handled.clone() };
    pool.tell_every(Duration::from_millis(1), move || held.clone()).unwrap();
    done.recv().unwrap();
    drop(pool);
}

#[test]
fn a_refused_hedged_ask_returns_its_message_although_the_copy_panics() {
    let _watchdog = watchdog();
    let pool = pool();
    pool.shutdown(Drain::all()).unwrap();
    let bomb = Bomb { armed: false, handled: channel().0 };
    let ask = pool.task(bomb).ask_hedged(Hedge::after(Duration::ZERO));
    let error = ask.into_admitted().expect_err("the pool is closed");
    assert!(error.is_closed());
    assert!(!error.into_message().armed, "the original is returned");
}

/// Panics when it is dropped.
#[derive(Debug)]
struct Grudge;

impl Drop for Grudge {
    fn drop(&mut self) {
        panic_any("a grudge");
    }
}

impl Reply for Grudge {}

impl Strategy for Grudge {
    fn name(&self) -> &'static str {
        "grudge"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        0
    }
}

#[test]
fn values_of_the_factory_the_callbacks_and_the_strategy_may_panic_when_the_pool_is_dropped() {
    let _watchdog = watchdog();
    let builder = || Pool::<Bomb, ()>::builder("grudges").worker(WorkerSpec::general());
    let grudge = Grudge;
    drop(builder().spawn(move |_| {
        let _ = &grudge;
        Defuser
    }));
    let (shed, rejected) = (Grudge, Grudge);
    let callbacks = builder()
        .on_shed(move |_, _| _ = &shed)
        .on_rejected(move |_, _| _ = &rejected)
        .strategy(Grudge);
    drop(callbacks.spawn(|_| Defuser));
}

struct Unwilling;

impl Actor for Unwilling {
    fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        Err("not today".into())
    }
}

impl Handler<()> for Unwilling {
    type Reply = ();

    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) {}
}

impl Drop for Unwilling {
    fn drop(&mut self) {
        panic_any("an actor");
    }
}

#[test]
fn an_actor_that_panics_when_dropped_does_not_hide_why_it_did_not_start() {
    let _watchdog = watchdog();
    let pool = Pool::builder("unwilling").worker(WorkerSpec::general()).spawn(|_| Unwilling);
    let Err(SpawnError::Actor { source, .. }) = pool else { panic!("it cannot start: {pool:?}") };
    assert_eq!(source.to_string(), "not today");
}

struct Willing;

impl Actor for Willing {}

impl Handler<()> for Willing {
    type Reply = Grudge;

    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) -> Grudge {
        Grudge
    }
}

#[test]
fn an_ask_can_be_dropped_with_a_reply_that_panics() {
    let _watchdog = watchdog();
    let pool = Pool::builder("grudges").worker(WorkerSpec::general()).spawn(|_| Willing).unwrap();
    let (ask, future) = (pool.ask(()), pool.ask(()).into_future());
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
    // The replies are there.
    drop(ask);
    drop(future);
}
