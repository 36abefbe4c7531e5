//! Waiting for the end of a pool or worker, and recipients that hide a pool.
mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{Do, Gate, LONG, Obedient, builder, by, end, hold, id, watchdog};
use raddle_core::{WorkerId, WorkerSpec};
use raddle_runtime::{Overflow, Recipient, RestartPolicy, Restarts, Watch};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn the_end_of_a_pool_is_seen_by_threads_and_futures_before_and_after_it() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn(|_| Obedient::default()).unwrap();
    let watch = pool.watch();
    assert!(!watch.has_ended() && !watch.wait_timeout(Duration::from_millis(1)));
    let gate = hold(&pool, 0);
    let thread = {
        let watch = watch.clone();
        thread::spawn(move || watch.wait_timeout(LONG))
    };
    let future = {
        let watch = watch.clone();
        thread::spawn(move || block_on(watch))
    };
    let closing = {
        let pool = pool.clone();
        thread::spawn(move || end(&pool))
    };
    while pool.tell(Do::Return(0)).is_ok() {}
    assert!(!watch.has_ended(), "a handler still runs");
    gate.open();
    assert!(thread.join().unwrap());
    future.join().unwrap();
    closing.join().unwrap();
    assert!(watch.has_ended());
    assert!(pool.watch().wait_timeout(Duration::ZERO), "after the end");
    block_on(pool.watch());
    block_on(pool.watch_worker(WorkerId(0)));
}

#[test]
fn a_watch_does_not_keep_the_pool_alive() {
    let _watchdog = watchdog();
    let pool = builder(1).spawn(|_| Obedient::default()).unwrap();
    let (of_pool, of_worker) = (pool.watch(), pool.watch_worker(id(&pool, "w-0")));
    drop(pool);
    assert!(of_pool.wait_timeout(LONG) && of_worker.has_ended());
}

#[test]
fn the_end_of_a_worker_is_seen_however_it_ends() {
    let _watchdog = watchdog();
    let pool = builder(3)
        .restarts(Restarts::default().policy(RestartPolicy::Never))
        .spawn(|_| Obedient::default())
        .unwrap();
    let watches = |name: &str| {
        let id = id(&pool, name);
        (pool.watch_worker(id), pool.watch_worker(id))
    };
    let (retired, awaited) = watches("w-0");
    let gate = hold(&pool, 0);
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    assert!(!retired.wait_timeout(Duration::from_millis(1)), "it has a task");
    gate.open();
    assert!(retired.wait_timeout(LONG));
    block_on(awaited);

    let second = id(&pool, "w-1");
    let (dead, _) = watches("w-1");
    assert!(pool.task(Do::Panic("for good")).worker(second).ask().wait().is_err());
    assert!(dead.wait_timeout(LONG));
    assert!(pool.watch_worker(second).has_ended(), "it has left");
    assert!(pool.watch_worker(WorkerId(99)).has_ended(), "there never was one");

    let added = pool.add_worker(WorkerSpec::new("late")).unwrap();
    let (late, last) = (pool.watch_worker(added), watches("w-2").0);
    assert!(!late.has_ended() && !last.has_ended());
    end(&pool);
    assert!(late.has_ended() && last.has_ended());
}

/// Counts its wakes.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_future_that_is_dropped_is_not_woken_and_the_last_waker_is() {
    let _watchdog = watchdog();
    let pool = builder(1).spawn(|_| Obedient::default()).unwrap();
    let poll = |watch: &mut std::pin::Pin<&mut Watch>, woken: &Arc<Woken>| {
        let waker = Waker::from(Arc::clone(woken));
        watch.as_mut().poll(&mut Context::from_waker(&waker))
    };
    let wakers = [(); 3].map(|()| Arc::<Woken>::default());
    let mut kept = pin!(pool.watch());
    {
        let mut dropped = pin!(pool.watch());
        assert_eq!(poll(&mut dropped, &wakers[0]), Poll::Pending);
    }
    assert_eq!(Arc::strong_count(&wakers[0]), 1, "nothing is left of it");
    assert_eq!(poll(&mut kept, &wakers[1]), Poll::Pending);
    assert_eq!(poll(&mut kept, &wakers[2]), Poll::Pending);
    assert_eq!(Arc::strong_count(&wakers[1]), 1);
    end(&pool);
    assert_eq!(poll(&mut kept, &wakers[0]), Poll::Ready(()));
    assert_eq!(wakers.map(|woken| woken.0.load(SeqCst)), [0, 0, 1]);
}

/// Panics when it is woken.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("by order");
    }
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_being_woken() {
    let _watchdog = watchdog();
    let pool = builder(1).spawn(|_| Obedient::default()).unwrap();
    let mut bomb = pin!(pool.watch());
    let waker = Waker::from(Arc::new(Bomb));
    assert_eq!(bomb.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
    let other = pool.watch();
    let other = thread::spawn(move || block_on(other));
    end(&pool);
    other.join().unwrap();
}

#[test]
fn a_recipient_stands_for_pools_of_any_reply_and_for_fakes() {
    let _watchdog = watchdog();
    fn is_shared<T: Send + Sync + Clone>(_: &T) {}
    let pool = builder(1).mailbox(1, Overflow::Block).spawn(|_| Obedient::default()).unwrap();
    let recipient = pool.recipient();
    is_shared(&recipient);
    let (ran, run) = channel();
    let note = || {
        let ran = ran.clone();
        Do::call(move || ran.send(()).unwrap())
    };
    recipient.tell(note()).unwrap();
    run.recv_timeout(LONG).unwrap();
    Recipient::from(pool.clone()).try_tell(note()).unwrap();
    run.recv_timeout(LONG).unwrap();
    let gate = Gate::new();
    recipient.clone().tell(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    recipient.try_tell(note()).unwrap();
    let full = recipient.try_tell(Do::Return(7)).unwrap_err();
    assert!(full.is_full() && matches!(full.into_message(), Do::Return(7)), "it does not wait");
    gate.open();
    run.recv_timeout(LONG).unwrap();
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-0");
    end(&pool);
    assert!(recipient.tell(Do::Return(1)).unwrap_err().is_closed());

    let (sender, received) = channel();
    let fake = Recipient::from(sender);
    fake.tell(1).unwrap();
    fake.try_tell(2).unwrap();
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [1, 2]);
    drop(received);
    let refused = fake.tell(3).unwrap_err();
    assert!(refused.is_closed() && refused.into_message() == 3);
    let panics = Recipient::from_fn(|_: u32| panic!("by order"));
    assert!(catch_unwind(AssertUnwindSafe(|| panics.tell(1))).is_err(), "on its sender's thread");
}
