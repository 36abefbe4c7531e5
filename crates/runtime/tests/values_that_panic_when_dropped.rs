//! A message that panics when it is dropped ends nothing else, wherever that happens.
mod common;

use std::panic::panic_any;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::watchdog;
use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Drain, Handler, Hedge, Overflow, Pool};

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
        while !pool.tell_after(Duration::from_millis(1), soon()).cancel() {}
    }
    let _ = pool.tell_after(Duration::from_millis(2), bomb());
    done.recv().unwrap();
    // When more than half of the timers are cancelled, adding another drops those.
    for _ in 0..8 {
        assert!(pool.tell_after(Duration::from_secs(3600), bomb()).cancel());
    }
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn a_pool_can_be_dropped_with_a_timer_whose_message_panics() {
    let _watchdog = watchdog();
    let pool = pool();
    let _ = pool.tell_after(Duration::from_secs(3600), Bomb { armed: true, handled: channel().0 });
    drop(pool);
}

#[test]
fn a_pool_can_be_dropped_with_a_periodic_timer_whose_closure_panics_when_dropped() {
    let _watchdog = watchdog();
    let pool = pool();
    let (handled, done) = channel();
    let held = Bomb { armed: true, handled: handled.clone() };
    let _ = pool.tell_every(Duration::from_millis(1), move || held.clone());
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
