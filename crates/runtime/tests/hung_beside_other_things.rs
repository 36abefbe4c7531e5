//! A worker that hangs while something else happens to it.
mod common;

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::watchdog;
use raddle_core::{Health, Worker, WorkerSpec};
use raddle_runtime::{Actor, Context, Drain, EventKind, Events, Pool, StartError, Watchdog};

/// Waits in the handler, and in each `on_restart`, until the test says so.
struct Waits {
    restarts: Arc<Mutex<Receiver<()>>>,
    panics_when_dropped: bool,
}

impl Actor for Waits {
    type Msg = Option<Receiver<()>>;
    type Reply = ();
    type Error = Infallible;

    fn handle(&mut self, wait: Self::Msg, _: &mut Context<'_>) -> Result<(), Infallible> {
        let wait = wait.expect("the message that panics");
        let _ = wait.recv();
        Ok(())
    }

    fn on_restart(&mut self, _: &Worker) -> Result<(), StartError> {
        let _ = self.restarts.lock().unwrap().recv();
        self.panics_when_dropped = true;
        Ok(())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        assert!(!self.panics_when_dropped || std::thread::panicking(), "dropped");
    }
}

fn pool(workers: usize) -> (Pool<Waits>, Sender<()>) {
    let (restart, restarts) = channel();
    let restarts = Arc::new(Mutex::new(restarts));
    let make =
        move |_: &Worker| Waits { restarts: Arc::clone(&restarts), panics_when_dropped: false };
    let pool = Pool::builder("waits")
        .workers(workers, WorkerSpec::new("w"))
        .watchdog(Watchdog::after(Duration::from_millis(5)))
        .stealing(false)
        .spawn(make)
        .unwrap();
    (pool, restart)
}

fn wait_for(events: &mut Events, is_it: impl Fn(&EventKind) -> bool) {
    loop {
        let event = events.next_within(Duration::from_secs(30)).expect("the event comes");
        if is_it(&event.kind) {
            return;
        }
    }
}

#[test]
fn a_draining_worker_whose_handler_hangs_stays_draining() {
    let _watchdog = watchdog();
    let (pool, restart) = pool(2);
    let mut events = pool.subscribe();
    let (go_on, wait) = channel();
    pool.tell(Some(wait)).unwrap();
    let stats = pool.stats();
    let busy = stats.balancer.workers.iter().find(|worker| worker.in_flight > 0).unwrap();
    pool.retire_worker(busy.id).unwrap();
    wait_for(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
    // Its next actor is being made, so that it is still there.
    let stats = pool.stats();
    let health = stats.balancer.workers.iter().find(|worker| worker.id == busy.id).unwrap().health;
    assert_eq!(health, Health::Draining);
    drop(restart);
    wait_for(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    drop(go_on);
    wait_for(&mut events, |kind| *kind == EventKind::Returned);
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn a_lost_thread_ends_well_when_the_actor_that_it_made_panics_when_dropped() {
    let _watchdog = watchdog();
    let (pool, restart) = pool(1);
    let mut events = pool.subscribe();
    pool.tell(None).unwrap();
    // Its next actor is not made in time, nor is the one after that: both threads are lost.
    for _ in 0..2 {
        wait_for(&mut events, |kind| matches!(kind, EventKind::Replaced { .. }));
    }
    drop(restart);
    for _ in 0..2 {
        wait_for(&mut events, |kind| *kind == EventKind::Returned);
    }
    let (_, wait) = channel();
    pool.ask(Some(wait)).unwrap().wait().unwrap();
    while pool.stats().lost_threads > 0 {
        std::thread::yield_now();
    }
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}
