//! What is dropped, cancelled or answered keeps no memory and no thread.
mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context as Polling, Waker};
use std::time::Duration;
use std::{hint, thread};

use allocation_counter::measure;
use common::{
    Counted, Do, Gate, LONG, Obedient, ObedientPool, builder, counted, end, number, so_far,
    watchdog,
};
use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Handler, Pool, Registry, StartError, Supervisor, WeakPool};
use raddle_strategies::RoundRobin;
use raddle_sync::atomic::{AtomicBool, Ordering::SeqCst};

fn pool() -> ObedientPool {
    builder(1).spawn(|_| Obedient::default()).unwrap()
}

/// The bytes that `allocate` leaves allocated on this thread.
fn bytes_left(allocate: impl FnOnce()) -> i64 {
    measure(allocate).bytes_current
}

#[test]
fn a_dropped_subscription_is_gone_and_an_idle_one_costs_little() {
    let _watchdog = watchdog();
    let pool = pool();
    drop(pool.subscribe());
    let dropped = bytes_left(|| (0..1_000).for_each(|_| drop(pool.subscribe())));
    assert!(dropped < 1_024, "1,000 dropped subscriptions keep {dropped} bytes");
    let mut held = Vec::with_capacity(1_000);
    let idle = bytes_left(|| held.extend((0..1_000).map(|_| pool.subscribe())));
    assert!(idle < 2_000_000, "1,000 idle subscriptions take {idle} bytes");
    drop(held);
    assert_eq!(number(pool.ask(Do::Return(7))), 7);
    end(&pool);
}

#[test]
fn a_dropped_subscription_to_a_supervisor_is_gone() {
    let _watchdog = watchdog();
    let supervisor = Supervisor::builder()
        .child("a", || builder(1).spawn(|_| Obedient::default()))
        .start()
        .unwrap();
    drop(supervisor.subscribe());
    let dropped = bytes_left(|| (0..1_000).for_each(|_| drop(supervisor.subscribe())));
    assert!(dropped < 1_024, "1,000 dropped subscriptions keep {dropped} bytes");
}

#[test]
fn a_subscriber_with_1024_unread_events_misses_those_that_follow() {
    let _watchdog = watchdog();
    let pool = pool();
    let (mut slow, mut prompt) = (pool.subscribe(), pool.subscribe());
    for _ in 0..1_030 {
        pool.set_strategy(RoundRobin::new()).unwrap();
        assert_eq!(so_far(&mut prompt).len(), 1);
    }
    assert_eq!(so_far(&mut slow).len(), 1_024);
    pool.set_strategy(RoundRobin::new()).unwrap();
    assert_eq!(so_far(&mut slow).len(), 1, "it has room again");
    end(&pool);
}

type Make = dyn Fn() -> Counted + Send + Sync;

/// Says that it is about to reply.
struct Replying(Arc<Make>);

impl Actor for Replying {}

impl Handler<Arc<AtomicBool>> for Replying {
    type Reply = Result<Counted, ()>;

    fn handle(
        &mut self,
        replies: Arc<AtomicBool>,
        _: &mut Context<'_, Self>,
    ) -> Result<Counted, ()> {
        let reply = (self.0)();
        replies.store(true, SeqCst);
        Ok(reply)
    }
}

#[test]
fn a_future_that_is_dropped_while_its_reply_is_sent_leaves_neither() {
    let _watchdog = watchdog();
    let (make, ended) = counted();
    let make: Arc<Make> = Arc::new(make);
    let pool: Pool<Arc<AtomicBool>, Result<Counted, ()>> =
        builder(1).spawn(move |_| Replying(Arc::clone(&make))).unwrap();
    const TIMES: usize = 4_000;
    for pause in 0..TIMES {
        let replies = Arc::new(AtomicBool::new(false));
        let mut reply = pool.ask(Arc::clone(&replies)).into_future();
        let polled = Pin::new(&mut reply).poll(&mut Polling::from_waker(Waker::noop()));
        // The worker may need this core.
        for spins in 1_u64.. {
            match replies.load(SeqCst) {
                true => break,
                false if spins % 1_024 == 0 => thread::yield_now(),
                false => hint::spin_loop(),
            }
        }
        (0..pause % 64).for_each(|_| hint::spin_loop());
        drop((reply, polled));
    }
    end(&pool);
    assert_eq!(ended.try_iter().count(), TIMES);
}

#[test]
fn a_weak_pool_keeps_nothing_alive() {
    let _watchdog = watchdog();
    let (make, ended) = counted();
    let pool = builder(2).spawn(move |_| Holding { _alive: make(), own: None }).unwrap();
    let weak = pool.downgrade();
    let held = weak.clone();
    let periodic = pool.tell_every(Duration::from_millis(1), move || {
        let _pool = held.upgrade();
        Tell::Nothing
    });
    assert_eq!(weak.upgrade().unwrap().ask(Tell::Nothing).wait().unwrap(), 0);
    drop(pool);
    // The last handle may be the closure's.
    (0..2).for_each(|_| ended.recv_timeout(LONG).unwrap());
    assert!(weak.upgrade().is_none() && !periodic.unwrap().is_active());
}

/// What an actor that uses its own pool does.
enum Tell {
    Nothing,
    /// Tells its pool this many times to do nothing.
    Others(u64),
    /// Keeps its pool, without keeping it alive.
    Keep,
    /// Passes the gate with a handle of its own pool.
    Hold(Gate),
}

/// Returns 1 if it found its pool, and 0 if it did not look.
struct Holding {
    _alive: Counted,
    own: Option<WeakPool<Tell, u64>>,
}

impl Actor for Holding {}

impl Handler<Tell> for Holding {
    type Reply = u64;

    fn handle(&mut self, tell: Tell, cx: &mut Context<'_, Self>) -> u64 {
        let own = cx.pool::<Tell>();
        match tell {
            Tell::Nothing => return 0,
            Tell::Others(count) => {
                let own = own.expect("the pool exists");
                (0..count).for_each(|_| own.tell(Tell::Nothing).unwrap());
            }
            Tell::Keep => self.own = own.map(|pool| pool.downgrade()),
            Tell::Hold(gate) => {
                gate.pass();
                drop(own.expect("the pool exists"));
            }
        }
        u64::from(self.own.as_ref().is_none_or(|own| own.upgrade().is_some()))
    }
}

#[test]
fn an_actor_can_use_its_own_pool_without_keeping_it_alive() {
    let _watchdog = watchdog();
    let (make, ended) = counted();
    let pool = builder(2).spawn(move |_| Holding { _alive: make(), own: None }).unwrap();
    for _ in 0..2 {
        assert_eq!(pool.ask(Tell::Keep).wait().unwrap(), 1);
    }
    assert_eq!(pool.ask(Tell::Others(10)).wait().unwrap(), 1);
    while pool.account().counts.completed < 13 {
        thread::yield_now();
    }
    let (weak, closed) = (pool.downgrade(), pool.closed());
    drop(pool);
    common::block_on(closed);
    assert_eq!(ended.try_iter().count(), 2, "the pool has ended");
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_handler_may_drop_the_last_handle_of_its_own_pool() {
    let _watchdog = watchdog();
    let (make, ended) = counted();
    let pool = builder(1).spawn(move |_| Holding { _alive: make(), own: None }).unwrap();
    let gate = Gate::new();
    let held = pool.ask(Tell::Hold(gate.clone()));
    let behind = pool.ask(Tell::Nothing);
    gate.reached();
    drop(pool);
    gate.open();
    assert_eq!(held.wait().unwrap(), 1);
    assert_eq!(behind.wait().unwrap(), 0, "admitted tasks still run");
    ended.recv_timeout(LONG).unwrap();
}

/// Handles two types of messages, and reports whether it finds a pool of each.
struct Both(Sender<(bool, bool)>);

impl Actor for Both {
    fn on_start(&mut self, cx: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.0.send((cx.pool::<u8>().is_some(), cx.pool::<u16>().is_some()))?;
        Ok(())
    }
}

impl Handler<u8> for Both {
    type Reply = bool;

    fn handle(&mut self, _: u8, cx: &mut Context<'_, Self>) -> bool {
        cx.pool::<u8>().is_some() && cx.pool::<u16>().is_none()
    }
}

impl Handler<u16> for Both {
    type Reply = bool;

    fn handle(&mut self, _: u16, _: &mut Context<'_, Self>) -> bool {
        false
    }
}

#[test]
fn a_context_has_a_pool_of_its_own_messages_once_the_pool_exists() {
    let _watchdog = watchdog();
    let (sender, found) = channel();
    let pool: Pool<u8, bool> = builder(1).spawn(move |_| Both(sender.clone())).unwrap();
    assert_eq!(found.try_iter().collect::<Vec<_>>(), [(false, false)]);
    assert!(pool.ask(1).wait().unwrap());
    pool.add_worker(WorkerSpec::new("late")).unwrap();
    assert_eq!(found.try_iter().collect::<Vec<_>>(), [(true, false)]);
    end(&pool);
}

#[test]
fn a_registry_forgets_pools_that_are_gone() {
    let _watchdog = watchdog();
    let registry = Registry::new();
    for number in 0..20 {
        let pool: ObedientPool = Pool::builder(format!("pool-{number}"))
            .worker(WorkerSpec::general())
            .spawn(|_| Obedient::default())
            .unwrap();
        registry.register(&pool).unwrap();
    }
    let kept = format!("{registry:?}").matches("pool-").count();
    assert_eq!(kept, 1, "the last one is forgotten when another is registered");
}
