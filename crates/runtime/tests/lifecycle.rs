//! Spawning, full mailboxes, shutdown and refusals.
mod common;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::{
    Answer, Counted, Do, Gate, Obedient, admitted, counted, hold, number, pool, watchdog,
};
use raddle_core::WorkerSpec;
use raddle_runtime::{
    Actor, AskError, Context, Drain, Handler, Overflow, Pool, PoolBuilder, Registry, RegistryError,
    SpawnError,
};
use raddle_strategies::{BalancerConfig, StrategyName};

#[test]
fn errors_name_what_is_wrong_with_a_builder() {
    let spawn = |builder: PoolBuilder<Do, Answer>| {
        builder.spawn(|_| Obedient::default()).unwrap_err().to_string()
    };
    let builder = || Pool::builder("p");
    assert_eq!(spawn(builder()), "pool `p` has no worker; add one with `worker` or `workers`");
    let one = || builder().worker(WorkerSpec::new("w"));
    assert_eq!(
        spawn(one().mailbox(0, Overflow::Block)),
        "mailbox capacity is 0; 1 to 16777216 are allowed, or `mailbox_unbounded()`"
    );
    assert_eq!(
        spawn(one().worker(WorkerSpec::new("w"))),
        "two workers are named `w`; names are unique within a pool"
    );
    assert!(spawn(builder().worker(WorkerSpec::new("a\0b"))).contains("contains a NUL"));
    let config = BalancerConfig::new(StrategyName::LatencyBased).tracking_enabled(false);
    assert!(spawn(one().balancer(config)).starts_with("tracking_enabled is `false`"));
}

#[test]
fn an_actor_that_cannot_be_created_is_an_error_and_leaves_no_thread() {
    let _watchdog = watchdog();
    let (alive, ended) = channel::<()>();
    let error = Pool::builder("p")
        .workers(3, WorkerSpec::new("w"))
        .spawn(move |worker| {
            let _alive = &alive;
            assert_ne!(worker.name(), "w-1", "no disk");
            Obedient::default()
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "the actor of worker `w-1` could not be started");
    let SpawnError::Actor { worker, source } = error else { panic!("{error:?}") };
    assert_eq!(worker, "w-1");
    assert!(source.to_string().contains("no disk"), "{source}");
    assert!(ended.recv().is_err(), "every thread, and with them the factory, is gone");
}

#[test]
fn a_full_mailbox_returns_the_message() {
    let _watchdog = watchdog();
    let pool = pool(1, 2, Overflow::Reject);
    let gate = hold(&pool, 0);
    (0..2).for_each(|number| pool.tell(Do::Return(number)).unwrap());
    let error = pool.tell(Do::Return(77)).unwrap_err();
    assert_eq!(error.to_string(), "the mailbox of the selected worker is full");
    assert!(error.is_full() && error.is_overload() && !error.is_closed());
    assert!(matches!(error.into_message(), Do::Return(77)));
    let account = pool.account();
    assert_eq!((account.counts.admitted, account.rejected), (3, 1));
    gate.open();
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn a_caller_waits_until_a_full_mailbox_has_room() {
    let _watchdog = watchdog();
    let pool = pool(1, 1, Overflow::Block);
    let gate = hold(&pool, 0);
    pool.tell(Do::Return(1)).unwrap();
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| pool.tell(Do::Return(2)));
        gate.open();
        assert!(blocked.join().unwrap().is_ok());
    });
    assert_eq!(pool.shutdown(Drain::all()).unwrap().counts.completed, 3);
}

#[test]
fn a_shutdown_runs_admitted_tasks_and_refuses_others() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    let replies: Vec<_> = (0..50).map(|number| admitted(pool.ask(Do::Return(number)))).collect();
    let account = pool.shutdown(Drain::within(Duration::from_secs(30))).unwrap();
    assert_eq!((account.counts.admitted, account.counts.completed), (50, 50));
    assert!(replies.into_iter().map(number).eq(0..50));
    let error = pool.clone().tell(Do::Return(7)).unwrap_err();
    assert_eq!(error.to_string(), "the pool is shut down");
    assert!(error.is_closed() && !error.is_full());
    assert!(matches!(error.into_message(), Do::Return(7)));
    assert_eq!(pool.shutdown(Drain::all()).unwrap().rejected, 1, "a shutdown may be repeated");
}

#[test]
fn at_the_time_limit_queued_tasks_are_cancelled_and_a_hung_handler_is_named() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    let gate = Gate::new();
    let held = pool.ask(Do::Hold(gate.clone()));
    gate.reached();
    let other = admitted(pool.ask(Do::Return(1)));
    let queued = admitted(pool.ask(Do::Return(2)));
    assert_eq!(number(other), 1);
    let error = pool.shutdown(Drain::now()).unwrap_err();
    assert_eq!(error.workers, ["w-0"]);
    assert_eq!(error.to_string(), "still running: w-0");
    let counts = error.account.counts;
    assert_eq!((counts.admitted, counts.completed, counts.cancelled), (3, 1, 1));
    let queued = queued.wait();
    assert!(matches!(queued, Err(AskError::Cancelled)), "{queued:?}");
    let held = held.wait();
    assert!(matches!(held, Err(AskError::ShutDown)), "{held:?}");
    assert!(matches!(pool.take_unfinished()[..], [Do::Return(2)]));
    gate.open();
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.completed, account.counts.cancelled), (2, 1));
    assert!(account.is_balanced());
}

/// Waits in `on_stop` until the test lets it continue.
struct StopsLate(Receiver<()>);

impl Actor for StopsLate {
    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        let _ = self.0.recv();
    }
}

impl Handler<()> for StopsLate {
    type Reply = ();

    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) {}
}

#[test]
fn a_shutdown_names_a_worker_that_hangs_in_a_hook() {
    let _watchdog = watchdog();
    let (go_on, wait) = channel();
    let wait = Mutex::new(Some(wait));
    let pool = Pool::builder("stops late")
        .worker(WorkerSpec::new("w"))
        .spawn(move |_| StopsLate(wait.lock().unwrap().take().unwrap()))
        .unwrap();
    let error = pool.shutdown(Drain::now()).unwrap_err();
    assert_eq!((error.workers, error.lost_threads), (vec!["w".to_owned()], 0));
    drop(go_on);
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn dropping_the_last_handle_drains_the_pool() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    let (done, all_done) = channel();
    let clone = pool.clone();
    drop(pool);
    for _ in 0..50 {
        let done = done.clone();
        clone.tell(Do::call(move || done.send(()).unwrap())).unwrap();
    }
    let closed = clone.closed();
    drop((clone, done));
    common::block_on(closed);
    assert_eq!(all_done.try_iter().count(), 50, "all tasks ran before the pool ended");
}

#[test]
fn dropping_the_last_handle_does_not_wait_for_a_handler() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    let gate = hold(&pool, 0);
    let behind = pool.ask(Do::Return(7));
    let (mut closed, mut again) = (pool.closed(), pool.closed());
    drop(pool);
    assert!(common::poll(&mut closed).is_pending() && common::poll(&mut again).is_pending());
    drop(again);
    gate.open();
    common::block_on(closed);
    assert_eq!(common::number(behind), 7, "what was admitted has run");
}

#[test]
fn a_future_waits_for_a_shutdown_and_its_limit() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    let gate = hold(&pool, 0);
    let queued = pool.ask(Do::Return(7));
    drop(pool.shutdown_async(Drain::all()));
    assert!(pool.tell(Do::Return(1)).unwrap_err().is_closed(), "it takes effect at once");
    let error = common::block_on(pool.shutdown_async(Drain::now())).unwrap_err();
    assert_eq!((error.workers, error.called_within), (vec!["w-0".to_owned()], false));
    assert!(matches!(queued.wait(), Err(AskError::Cancelled)));
    let closed = pool.closed();
    gate.open();
    let account = common::block_on(pool.shutdown_async(Drain::all())).unwrap();
    assert!(account.is_balanced());
    common::block_on(closed);
    common::block_on(pool.closed());
}

#[test]
fn a_handler_that_shuts_its_pool_down_by_a_future_is_told_at_once() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    let (inner, (result, results)) = (pool.clone(), channel());
    let within = Do::call(move || {
        let ended = common::block_on(inner.shutdown_async(Drain::all()));
        result.send(ended.unwrap_err().called_within).unwrap();
    });
    pool.tell(within).unwrap();
    assert!(results.recv().unwrap());
    common::block_on(pool.closed());
}

#[test]
fn a_handler_may_call_shutdown_and_drop_the_last_handle() {
    let _watchdog = watchdog();
    let (result, results) = channel();
    let pool = pool(2, 8, Overflow::Block);
    let inner = pool.clone();
    let gate = Gate::new();
    pool.tell(Do::Hold(gate.clone())).unwrap();
    let last = move || {
        gate.reached();
        result.send(inner.shutdown(Drain::all()).is_err()).unwrap();
        drop(inner);
        gate.open();
        result.send(true).unwrap();
    };
    pool.tell(Do::call(last)).unwrap();
    drop(pool);
    assert!(results.recv().unwrap(), "a shutdown cannot wait for the handler that calls it");
    assert!(results.recv().unwrap());
}

#[test]
fn no_admitted_message_is_lost_while_the_pool_closes() {
    let _watchdog = watchdog();
    for round in 0..200 {
        let pool = pool(2, 4, if round % 2 == 0 { Overflow::Block } else { Overflow::Reject });
        let (make, dropped) = counted();
        let handled = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (pool, make) = (pool.clone(), &make);
                    scope.spawn(move || {
                        let mut admitted = 0;
                        for _ in 0..50 {
                            let message: Counted = make();
                            match pool.tell(Do::call(move || drop(message))) {
                                Ok(()) => admitted += 1,
                                Err(error) if error.is_full() => {}
                                Err(error) if error.is_closed() => break,
                                Err(error) => panic!("{error}"),
                            }
                        }
                        admitted
                    })
                })
                .collect();
            // Closes the pool at some moment while the others send.
            let account = pool.shutdown(Drain::all()).unwrap();
            let admitted: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
            let after = pool.account();
            assert_eq!(account.counts, after.counts, "no task is admitted after the shutdown");
            assert_eq!(after.counts.completed, admitted, "every admitted task ran");
            assert!(after.is_balanced());
            after.counts.completed + after.rejected
        });
        assert_eq!(dropped.try_iter().count() as u64, handled, "each message is dropped once");
    }
}

#[test]
fn a_registry_finds_pools_by_name_and_type_and_keeps_none_alive() {
    let _watchdog = watchdog();
    let registry = Registry::new();
    let first = pool(1, 8, Overflow::Block);
    registry.register(&first).unwrap();
    assert_eq!(registry.register(&first), Err(RegistryError::NameTaken("test".into())));
    assert_eq!(registry.get::<Do, Answer>("test").unwrap().name(), "test");
    let error = registry.get::<(), ()>("test").unwrap_err();
    assert!(matches!(error, RegistryError::OtherType { .. }), "{error:?}");
    assert!(error.to_string().starts_with("pool `test` is not a "), "{error}");
    let error = registry.get::<Do, Answer>("nothing").unwrap_err();
    assert_eq!(error.to_string(), "no pool is named `nothing`");
    assert_eq!(registry.names(), ["test"]);
    drop(first);
    assert!(registry.names().is_empty(), "the pool is gone");
    assert!(matches!(registry.get::<Do, Answer>("test"), Err(RegistryError::NotFound(_))));
    registry.register(&pool(1, 8, Overflow::Block)).unwrap();
}
