//! Spawning, overflow, shutdown and what is refused.
mod common;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::{Counted, Do, Gate, Obedient, counted, pool, watchdog};
use raddle_core::{Worker, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, Context, Drain, Overflow, Pool, Registry, RegistryError, SendError,
};
use raddle_strategies::{BalancerConfig, StrategyName};

#[test]
fn mistakes_in_the_description_are_named() {
    let spawn = |builder: raddle_runtime::PoolBuilder<Obedient>| {
        builder.spawn(|_| Obedient::default()).unwrap_err().to_string()
    };
    let builder = || Pool::builder("p");
    assert_eq!(spawn(builder()), "pool `p` has no worker; add one with `worker` or `workers`");
    let one = || builder().worker(WorkerSpec::new("w"));
    assert_eq!(
        spawn(one().mailbox(0, Overflow::Block)),
        "mailbox capacity is 0, allowed is at least 1"
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
fn an_actor_that_cannot_be_made_is_an_error_and_leaves_no_thread() {
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
    assert!(error.to_string().contains("the actor of worker `w-1` could not be made"), "{error}");
    assert!(error.to_string().contains("no disk"), "{error}");
    assert!(ended.recv().is_err(), "the maker, and so every thread, is gone");
}

#[test]
fn threads_are_named_for_pool_and_worker() {
    let _watchdog = watchdog();
    let pool = pool(1, 8, Overflow::Block);
    let (name, names) = channel();
    let told = move || name.send(std::thread::current().name().map(str::to_owned)).unwrap();
    pool.tell(Do::Call(Box::new(told))).unwrap();
    assert_eq!(names.recv().unwrap().as_deref(), Some("raddle-test-w-0"));
}

#[test]
fn a_full_mailbox_rejects_with_the_message() {
    let _watchdog = watchdog();
    let pool = pool(1, 2, Overflow::Reject);
    let gate = Gate::new();
    pool.tell(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    (0..2).for_each(|number| pool.tell(Do::Return(number)).unwrap());
    let error = pool.tell(Do::Return(77)).unwrap_err();
    assert_eq!(error.to_string(), "the mailbox of the selected worker is full");
    assert!(matches!(error, SendError::Full(Do::Return(77))));
    let account = pool.account();
    assert_eq!((account.counts.admitted, account.rejected), (3, 1));
    gate.open();
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}

#[test]
fn a_full_mailbox_blocks_until_there_is_room() {
    let _watchdog = watchdog();
    let pool = pool(1, 1, Overflow::Block);
    let gate = Gate::new();
    pool.tell(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    pool.tell(Do::Return(1)).unwrap();
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| pool.tell(Do::Return(2)));
        gate.open();
        assert!(blocked.join().unwrap().is_ok());
    });
    assert_eq!(pool.shutdown(Drain::all()).unwrap().counts.completed, 3);
}

#[test]
fn shutdown_runs_what_was_admitted_and_refuses_the_rest() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    let replies: Vec<_> = (0..50).map(|number| pool.ask(Do::Return(number)).unwrap()).collect();
    let account = pool.shutdown(Drain::within(Duration::from_secs(30))).unwrap();
    assert_eq!((account.counts.admitted, account.counts.completed), (50, 50));
    assert!(replies.into_iter().all(|reply| reply.wait().is_ok()));
    let error = pool.clone().tell(Do::Return(7)).unwrap_err();
    assert_eq!(error.to_string(), "the pool is shut down");
    assert!(matches!(error, SendError::Closed(Do::Return(7))));
    assert_eq!(pool.shutdown(Drain::all()).unwrap().rejected, 1, "it may be called again");
}

#[test]
fn what_the_limit_leaves_queued_is_cancelled_and_a_hung_handler_is_named() {
    let _watchdog = watchdog();
    let pool = pool(2, 8, Overflow::Block);
    let gate = Gate::new();
    let held = pool.ask(Do::Hold(gate.clone())).unwrap();
    gate.reached();
    let other = pool.ask(Do::Return(1)).unwrap();
    let queued = pool.ask(Do::Return(2)).unwrap();
    assert!(other.wait().is_ok());
    let error = pool.shutdown(Drain::now()).unwrap_err();
    assert_eq!(error.workers, ["w-0"]);
    assert!(error.to_string().contains("workers w-0 were still running"), "{error}");
    assert_eq!(error.account.counts.admitted, 3);
    gate.open();
    assert!(held.wait().is_ok(), "a late answer is an answer");
    assert_eq!(queued.wait(), Err(AskError::Cancelled));
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!((account.counts.completed, account.counts.cancelled), (2, 1));
    assert!(account.is_balanced());
}

/// Waits in `on_stop` until the test says so.
struct StopsLate(Receiver<()>);

impl Actor for StopsLate {
    type Msg = ();
    type Reply = ();
    type Error = std::convert::Infallible;

    fn handle(&mut self, (): (), _: &mut Context<'_>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn on_stop(&mut self, _: &Worker) {
        let _ = self.0.recv();
    }
}

#[test]
fn a_worker_that_hangs_in_a_hook_is_named_by_the_shutdown() {
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
fn the_last_handle_drains_when_it_is_dropped() {
    let _watchdog = watchdog();
    let pool = pool(2, 64, Overflow::Block);
    let (done, all_done) = channel();
    let clone = pool.clone();
    drop(pool);
    for _ in 0..50 {
        let done = done.clone();
        clone.tell(Do::Call(Box::new(move || done.send(()).unwrap()))).unwrap();
    }
    drop((clone, done));
    assert_eq!(all_done.try_iter().count(), 50, "all were run before the drop returned");
}

#[test]
fn a_handler_may_drop_the_last_handle_or_call_shutdown() {
    let _watchdog = watchdog();
    let (answer, answers) = channel();
    let pool = pool(2, 8, Overflow::Block);
    let inner = pool.clone();
    let gate = Gate::new();
    pool.tell(Do::Hold(gate.clone())).unwrap();
    let last = move || {
        gate.reached();
        answer.send(inner.shutdown(Drain::all()).is_err()).unwrap();
        drop(inner);
        gate.open();
        answer.send(true).unwrap();
    };
    pool.tell(Do::Call(Box::new(last))).unwrap();
    drop(pool);
    assert!(answers.recv().unwrap(), "a handler cannot wait for its own end");
    assert!(answers.recv().unwrap());
}

#[test]
fn no_message_is_accepted_and_then_lost_while_the_pool_closes() {
    let _watchdog = watchdog();
    for round in 0..200 {
        let pool = pool(2, 4, if round % 2 == 0 { Overflow::Block } else { Overflow::Reject });
        let (make, dropped) = counted();
        let handled = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (pool, make) = (pool.clone(), &make);
                    scope.spawn(move || {
                        let mut accepted = 0;
                        for _ in 0..50 {
                            let message: Counted = make();
                            match pool.tell(Do::Call(Box::new(move || drop(message)))) {
                                Ok(()) => accepted += 1,
                                Err(SendError::Full(_)) => {}
                                Err(SendError::Closed(_)) => break,
                                Err(other) => panic!("{other}"),
                            }
                        }
                        accepted
                    })
                })
                .collect();
            // Closes somewhere within the sending.
            let account = pool.shutdown(Drain::all()).unwrap();
            let accepted: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
            let after = pool.account();
            assert_eq!(account.counts, after.counts, "nothing is admitted after the shutdown");
            assert_eq!(after.counts.completed, accepted, "accepted is handled");
            assert!(after.is_balanced());
            after.counts.completed + after.rejected
        });
        assert_eq!(dropped.try_iter().count() as u64, handled, "each message is dropped once");
    }
}

struct Other;
impl Actor for Other {
    type Msg = ();
    type Reply = ();
    type Error = ();
    fn handle(&mut self, (): (), _: &mut Context<'_>) -> Result<(), ()> {
        Ok(())
    }
}

#[test]
fn a_registry_finds_living_pools_by_name_and_type() {
    let _watchdog = watchdog();
    let registry = Registry::new();
    let first = pool(1, 8, Overflow::Block);
    registry.register(&first).unwrap();
    assert_eq!(registry.register(&first), Err(RegistryError::NameTaken("test".into())));
    assert_eq!(registry.get::<Obedient>("test").unwrap().name(), "test");
    let error = registry.get::<Other>("test").unwrap_err();
    assert!(error.to_string().starts_with("pool `test` does not run actors of type"), "{error}");
    let error = registry.get::<Obedient>("nothing").unwrap_err();
    assert_eq!(error.to_string(), "no pool is named `nothing`");
    assert_eq!(registry.names(), ["test"]);
    drop(first);
    assert!(registry.names().is_empty(), "it keeps no pool alive");
    assert!(matches!(registry.get::<Obedient>("test"), Err(RegistryError::NotFound(_))));
    registry.register(&pool(1, 8, Overflow::Block)).unwrap();
}
