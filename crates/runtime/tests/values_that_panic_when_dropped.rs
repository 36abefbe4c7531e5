//! A message that panics when it is dropped ends nothing else, wherever that is.
mod common;

use std::convert::Infallible;
use std::panic::panic_any;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::watchdog;
use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Drain, Hedge, Overflow, Pool, SendError};

/// Panics when it is dropped, unless it is handled.
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

impl Actor for Defuser {
    type Msg = Bomb;
    type Reply = ();
    type Error = Infallible;

    fn handle(&mut self, mut bomb: Bomb, _: &mut Context<'_>) -> Result<(), Infallible> {
        bomb.armed = false;
        let _ = bomb.handled.send(());
        Ok(())
    }
}

fn pool() -> Pool<Defuser> {
    Pool::builder("bombs")
        .worker(WorkerSpec::general())
        .mailbox(1, Overflow::Reject)
        .hedge_budget(1.0)
        .spawn(|_| Defuser)
        .unwrap()
}

#[test]
fn timers_fire_after_one_was_cancelled_whose_message_panics() {
    let _watchdog = watchdog();
    let pool = pool();
    let (handled, done) = channel();
    let bomb = || Bomb { armed: true, handled: handled.clone() };
    let idle = channel().0;
    for _ in 0..3 {
        // Until one is cancelled before it is due.
        let soon = || Bomb { armed: true, handled: idle.clone() };
        while !pool.tell_after(Duration::from_millis(1), soon()).cancel() {}
    }
    let _ = pool.tell_after(Duration::from_millis(2), bomb());
    done.recv().unwrap();
    // The cancelled ones that are more than half of all are dropped by the next.
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
fn a_pool_can_be_dropped_with_a_periodic_timer_that_holds_what_panics() {
    let _watchdog = watchdog();
    let pool = pool();
    let (handled, done) = channel();
    let held = Bomb { armed: true, handled: handled.clone() };
    let _ = pool.tell_every(Duration::from_millis(1), move || held.clone());
    done.recv().unwrap();
    drop(pool);
}

#[test]
fn a_hedged_ask_that_is_refused_hands_its_message_back_though_the_copy_panics() {
    let _watchdog = watchdog();
    let pool = pool();
    pool.shutdown(Drain::all()).unwrap();
    let bomb = Bomb { armed: false, handled: channel().0 };
    let refused = pool.task(bomb).ask_hedged(Hedge::after(Duration::ZERO));
    let Err(SendError::Closed(bomb)) = refused else { panic!("the pool is closed") };
    assert!(!bomb.armed, "the original");
}
