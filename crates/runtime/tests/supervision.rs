//! How actors begin, end and are made anew, and what becomes of a worker whose actor is not.
mod common;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{
    Do, Gate, Obedient, Said, ask_at, await_event, builder, by, end, hold, key_of, names, so_far,
    watchdog,
};
use raddle_core::{Priority, Worker, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, Backoff, Context, EventKind, MembershipError, OnRetired, Overflow, Pool,
    PoolBuilder, RestartLimit, RestartPolicy, Restarts, RetireReason, SendError, SpawnError,
    StartError,
};
use raddle_sync::atomic::{AtomicU32, Ordering::SeqCst};

/// A moment in an actor's life.
#[derive(Clone, Debug, PartialEq)]
enum Hook {
    Start,
    Restart,
    Panic(String),
    Stop,
    Drop,
}

type Hooks = dyn Fn(Hook, &str) -> Result<(), StartError> + Send + Sync;

/// An obedient actor that tells of its hooks, each with its worker's name.
struct Hooked {
    obedient: Obedient,
    worker: String,
    hooks: Arc<Hooks>,
}

impl Actor for Hooked {
    type Msg = Do;
    type Reply = Said;
    type Error = &'static str;

    fn handle(&mut self, order: Do, cx: &mut Context<'_>) -> Result<Said, &'static str> {
        self.obedient.handle(order, cx)
    }
    fn on_start(&mut self, _: &Worker) -> Result<(), StartError> {
        (self.hooks)(Hook::Start, &self.worker)
    }
    fn on_restart(&mut self, _: &Worker) -> Result<(), StartError> {
        (self.hooks)(Hook::Restart, &self.worker)
    }
    fn on_panic(&mut self, message: &str, _: &Worker) {
        let _ = (self.hooks)(Hook::Panic(message.to_owned()), &self.worker);
    }
    fn on_stop(&mut self, _: &Worker) {
        let _ = (self.hooks)(Hook::Stop, &self.worker);
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        let _ = (self.hooks)(Hook::Drop, &self.worker);
    }
}

fn spawn(
    builder: PoolBuilder<Hooked>,
    hooks: impl Fn(Hook, &str) -> Result<(), StartError> + Send + Sync + 'static,
) -> Result<Pool<Hooked>, SpawnError> {
    let hooks: Arc<Hooks> = Arc::new(hooks);
    builder.spawn(move |worker| Hooked {
        obedient: Obedient::default(),
        worker: worker.name().to_owned(),
        hooks: Arc::clone(&hooks),
    })
}

/// At once, and with a limit that is far away.
fn restarts(policy: RestartPolicy) -> Restarts {
    let none = Backoff { initial: Duration::ZERO, max: Duration::ZERO, jitter: 0.0 };
    Restarts::default().policy(policy).backoff(none)
}

fn limited(restarts_within: u32) -> Restarts {
    let within = Duration::from_secs(3600);
    restarts(RestartPolicy::Permanent).limit(RestartLimit { restarts: restarts_within, within })
}

fn panicked(message: &str) -> EventKind {
    EventKind::Panicked { message: message.into() }
}

fn is_retired(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Retired { .. })
}

#[test]
fn a_permanent_actor_is_made_anew_after_a_panic_and_a_stop() {
    let _watchdog = watchdog();
    let (told, hooks) = channel();
    let pool = spawn(builder(1).restarts(restarts(RestartPolicy::Permanent)), move |hook, _| {
        let _ = told.send(hook);
        Ok(())
    })
    .unwrap();
    let mut events = pool.subscribe();
    let stopping = pool.ask(Do::stop()).unwrap().wait();
    assert!(stopping.is_ok(), "the handler that asks for the stop still answers");
    assert!(pool.ask(Do::Panic("oh")).unwrap().wait().is_err());
    let count = pool.ask(Do::WhoAreYou).unwrap().wait().unwrap().number;
    assert_eq!(count, 1, "it is another actor");
    assert_eq!(pool.stats().balancer.workers[0].generation, 2);
    end(&pool);
    let kinds: Vec<_> = so_far(&mut events).into_iter().map(|(_, kind)| kind).collect();
    let restarted = |generation| EventKind::Restarted { generation };
    assert_eq!(kinds, [restarted(1), panicked("oh"), restarted(2)]);
    let panic = Hook::Panic("oh".into());
    use Hook::{Drop, Restart, Start, Stop};
    assert_eq!(
        hooks.try_iter().collect::<Vec<_>>(),
        [Start, Stop, Drop, Restart, panic, Drop, Restart, Stop, Drop]
    );
}

/// What is told of the first of two workers that is no more after `order`.
fn retired_by(policy: RestartPolicy, order: Do) -> Vec<(String, EventKind)> {
    let pool = builder(2).restarts(restarts(policy)).spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let _ = ask_at(&pool, 0, order).wait();
    let mut told = vec![events.recv_timeout(common::LONG).unwrap()];
    if !is_retired(&told[0].kind) {
        told.push(events.recv_timeout(common::LONG).unwrap());
    }
    assert_eq!(names(&pool), ["w-1"]);
    assert_eq!(by(pool.ask(Do::WhoAreYou).unwrap()).unwrap(), "w-1", "the pool goes on");
    let account = end(&pool);
    assert_eq!(account.counts.admitted, 2, "what the retired worker had is still counted");
    told.into_iter().map(|event| (event.name, event.kind)).collect()
}

#[test]
fn a_transient_actor_is_not_made_anew_after_a_stop() {
    let _watchdog = watchdog();
    let reason = RetireReason::PolicyForbids(RestartPolicy::Transient);
    assert_eq!(
        retired_by(RestartPolicy::Transient, Do::stop()),
        [("w-0".to_owned(), EventKind::Retired { reason })]
    );
    let pool = builder(1)
        .restarts(restarts(RestartPolicy::Transient))
        .spawn(|_| Obedient::default())
        .unwrap();
    assert!(pool.ask(Do::Panic("oh")).unwrap().wait().is_err());
    assert_eq!(pool.ask(Do::WhoAreYou).unwrap().wait().unwrap().number, 1, "after a panic it is");
    end(&pool);
}

#[test]
fn an_actor_that_is_never_made_anew_retires_its_worker() {
    let _watchdog = watchdog();
    let reason = RetireReason::PolicyForbids(RestartPolicy::Never);
    let retired = ("w-0".to_owned(), EventKind::Retired { reason });
    assert_eq!(
        retired_by(RestartPolicy::Never, Do::Panic("oh")),
        [("w-0".to_owned(), panicked("oh")), retired.clone()]
    );
    assert_eq!(retired_by(RestartPolicy::Never, Do::stop()), [retired]);
}

/// A pool of two whose first worker is held, with tasks of each kind queued behind its end.
struct AtTheEnd {
    pool: Pool<Obedient>,
    gate: Gate,
    free: Vec<raddle_runtime::Reply<Said, &'static str>>,
    bound: Vec<raddle_runtime::Reply<Said, &'static str>>,
    /// Held too, so that nothing is taken from the first before its end.
    sibling: Gate,
}

fn at_the_end(on_retired: OnRetired) -> AtTheEnd {
    let pool = builder(2)
        .restarts(limited(2))
        .on_retired(on_retired)
        .spawn(|_| Obedient::default())
        .unwrap();
    let key = key_of(&pool, "w-0");
    let (gate, sibling) = (hold(&pool, 0), hold(&pool, 1));
    for _ in 0..3 {
        let panic = pool.task(Do::Panic("oh")).strategy(&common::At(0)).priority(Priority::High);
        panic.tell().unwrap();
    }
    let free = (0..5).map(|_| ask_at(&pool, 0, Do::WhoAreYou)).collect();
    let keyed = || pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    let bound = vec![keyed(), keyed()];
    AtTheEnd { pool, gate, free, bound, sibling }
}

#[test]
fn at_the_limit_free_tasks_move_to_siblings_and_keyed_ones_end() {
    let _watchdog = watchdog();
    let AtTheEnd { pool, gate, free, bound, sibling } = at_the_end(OnRetired::Degrade);
    let mut events = pool.subscribe();
    gate.open();
    await_event(&mut events, is_retired);
    sibling.open();
    for reply in free {
        assert_eq!(by(reply).unwrap(), "w-1");
    }
    for reply in bound {
        assert_eq!(reply.wait(), Err(AskError::Retired));
    }
    assert_eq!(names(&pool), ["w-1"]);
    for key in 0..20 {
        assert_eq!(common::owner(&pool, key), "w-1", "its keys are the other's");
    }
    let account = end(&pool);
    assert_eq!((account.counts.panicked, account.counts.cancelled), (3, 2));
}

#[test]
fn the_events_of_a_worker_s_end_come_in_order() {
    let _watchdog = watchdog();
    let AtTheEnd { pool, gate, sibling, .. } = at_the_end(OnRetired::Degrade);
    let mut events = pool.subscribe();
    gate.open();
    sibling.open();
    let mut kinds = Vec::new();
    while !kinds.last().is_some_and(is_retired) {
        kinds.push(events.recv_timeout(common::LONG).unwrap().kind);
    }
    end(&pool);
    let restarted = |generation| EventKind::Restarted { generation };
    let reason = RetireReason::LimitReached { restarts: 2, within: Duration::from_secs(3600) };
    assert_eq!(
        kinds,
        [
            panicked("oh"),
            restarted(1),
            panicked("oh"),
            restarted(2),
            panicked("oh"),
            EventKind::Retired { reason },
        ]
    );
}

#[test]
fn a_pool_that_closes_when_a_worker_is_retired_still_runs_what_was_queued() {
    let _watchdog = watchdog();
    let AtTheEnd { pool, gate, free, bound, sibling } = at_the_end(OnRetired::Close);
    let mut events = pool.subscribe();
    gate.open();
    await_event(&mut events, is_retired);
    let failed = await_event(&mut events, |kind| *kind == EventKind::Failed);
    assert_eq!((failed.worker, failed.name.as_str()), (None, "test"));
    let refused = pool.tell(Do::Return(7));
    assert!(matches!(refused, Err(SendError::Closed(Do::Return(7)))));
    sibling.open();
    for reply in free {
        assert_eq!(by(reply).unwrap(), "w-1");
    }
    for reply in bound {
        assert_eq!(reply.wait(), Err(AskError::Retired));
    }
    assert!(end(&pool).rejected >= 1);
}

#[test]
fn a_shutdown_is_no_failure_of_the_pool() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::new("w"))
        .on_retired(OnRetired::Close)
        .restarts(Restarts::default().backoff(endless()))
        .spawn(|worker| {
            assert_eq!(worker.generation(), 0, "no disk");
            Obedient::default()
        })
        .unwrap();
    let mut events = pool.subscribe();
    assert!(pool.ask(Do::Panic("oh")).unwrap().wait().is_err());
    await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
    end(&pool);
    let told = so_far(&mut events);
    assert!(told.iter().all(|(_, kind)| *kind != EventKind::Failed), "{told:?}");
}

#[test]
fn without_a_worker_tasks_are_refused_until_one_is_added() {
    let _watchdog = watchdog();
    let never = restarts(RestartPolicy::Never);
    let pool = builder(1).restarts(never).spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let key = key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    pool.tell(Do::Panic("oh")).unwrap();
    let queued = pool.ask(Do::Return(1)).unwrap();
    gate.open();
    await_event(&mut events, is_retired);
    assert_eq!(queued.wait(), Err(AskError::Retired), "no other could take it");
    assert!(names(&pool).is_empty());
    let free = pool.tell(Do::Return(2));
    assert!(matches!(free, Err(SendError::NoWorker(Do::Return(2)))), "{free:?}");
    let keyed = pool.task(Do::Return(3)).key(key).tell();
    assert!(matches!(keyed, Err(SendError::NoWorker(Do::Return(3)))), "{keyed:?}");
    pool.add_worker(WorkerSpec::new("next")).unwrap();
    assert_eq!(by(pool.ask(Do::WhoAreYou).unwrap()).unwrap(), "next");
    assert_eq!(common::owner(&pool, key), "next");
    assert_eq!(end(&pool).rejected, 2);
}

#[test]
fn a_pool_is_not_spawned_when_an_actor_does_not_start() {
    let _watchdog = watchdog();
    let (alive, ended) = channel::<()>();
    let error = spawn(builder(3), move |hook, worker| {
        let _alive = &alive;
        match (hook, worker) {
            (Hook::Start, "w-1") => Err("no disk".into()),
            _ => Ok(()),
        }
    })
    .unwrap_err();
    assert!(matches!(&error, SpawnError::Actor { worker, .. } if worker == "w-1"), "{error:?}");
    assert!(error.to_string().contains("no disk"), "{error}");
    assert!(ended.recv().is_err(), "no thread is left");
}

#[test]
fn a_worker_whose_actor_does_not_start_is_not_added_and_the_pool_is_as_before() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1), |hook, worker| match (hook, worker) {
        (Hook::Start, "sick") => Err("no disk".into()),
        (Hook::Start, "mad") => panic!("no sense"),
        _ => Ok(()),
    })
    .unwrap();
    let mut events = pool.subscribe();
    for (name, said) in [("sick", "no disk"), ("mad", "no sense")] {
        let error = pool.add_worker(WorkerSpec::new(name)).unwrap_err();
        assert!(matches!(error, MembershipError::Spawn(SpawnError::Actor { .. })), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(names(&pool), ["w-0"]);
    }
    assert_eq!(pool.ask(Do::Return(1)).unwrap().wait().unwrap().by, "w-0");
    assert_eq!(so_far(&mut events), [], "nothing happened to the pool");
    pool.add_worker(WorkerSpec::new("well")).unwrap();
    assert_eq!(names(&pool), ["w-0", "well"]);
    end(&pool);
}

#[test]
fn workers_that_were_not_added_do_no_harm_to_those_added_after_them() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let slow = gate.clone();
    let pool = spawn(builder(1), move |hook, worker| {
        match (hook, worker) {
            (Hook::Start, "w-2") => return Err("no disk".into()),
            (Hook::Stop, "w-1") => {
                slow.pass();
            }
            _ => {}
        }
        Ok(())
    })
    .unwrap();
    let mut events = pool.subscribe();
    assert!(pool.resize(3).is_err(), "the second of the two does not start");
    gate.reached();
    pool.add_worker(WorkerSpec::new("next")).unwrap();
    gate.open();
    // The one that started ends by and by: its thread is no member's.
    let is_added = |kind: &EventKind| *kind == EventKind::Added;
    assert_eq!(await_event(&mut events, is_added).name, "next");
    for _ in 0..1_000 {
        assert_eq!(names(&pool), ["w-0", "next"]);
        std::thread::yield_now();
    }
    end(&pool);
    assert_eq!(names(&pool), ["w-0", "next"]);
}

#[test]
fn a_restart_that_fails_counts() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2).restarts(limited(3)), |hook, worker| match (hook, worker) {
        (Hook::Restart, "w-0") => Err("still no disk".into()),
        _ => Ok(()),
    })
    .unwrap();
    let mut events = pool.subscribe();
    assert!(ask_at(&pool, 0, Do::Panic("oh")).wait().is_err());
    let mut kinds = Vec::new();
    while !kinds.last().is_some_and(is_retired) {
        kinds.push(events.recv_timeout(common::LONG).unwrap().kind);
    }
    let failed = || EventKind::StartFailed { message: "still no disk".into() };
    let reason = RetireReason::LimitReached { restarts: 3, within: Duration::from_secs(3600) };
    assert_eq!(
        kinds,
        [panicked("oh"), failed(), failed(), failed(), EventKind::Retired { reason }]
    );
    end(&pool);
}

#[test]
fn each_way_to_the_end_calls_on_stop_but_a_panic() {
    let _watchdog = watchdog();
    let (told, hooks) = channel();
    let pool = spawn(builder(4).restarts(restarts(RestartPolicy::Never)), move |hook, worker| {
        let _ = told.send((hook, worker.to_owned()));
        Ok(())
    })
    .unwrap();
    let mut events = pool.subscribe();
    assert!(ask_at(&pool, 3, Do::Panic("oh")).wait().is_err());
    await_event(&mut events, is_retired);
    assert!(ask_at(&pool, 2, Do::stop()).wait().is_ok());
    await_event(&mut events, is_retired);
    pool.retire_worker(common::id(&pool, "w-1")).unwrap();
    await_event(&mut events, is_retired);
    end(&pool);
    let told: Vec<_> = hooks.try_iter().filter(|(hook, _)| *hook != Hook::Start).collect();
    let of = |name: &str| {
        let hooks = told.iter().filter(|(_, worker)| worker == name);
        hooks.map(|(hook, _)| hook.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("w-3"), [Hook::Panic("oh".into()), Hook::Drop]);
    for name in ["w-2", "w-1", "w-0"] {
        assert_eq!(of(name), [Hook::Stop, Hook::Drop], "{name}");
    }
}

/// What panics when it is dropped, and so does the payload of that panic.
struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any(Payload);
    }
}
struct Payload;
impl Drop for Payload {
    fn drop(&mut self) {
        panic!("the payload too");
    }
}

/// An actor that panics wherever it can.
struct Wild;
struct Order(bool, Option<Bomb>);
impl Actor for Wild {
    type Msg = Order;
    type Reply = Option<Bomb>;
    type Error = ();
    fn handle(&mut self, order: Order, _: &mut Context<'_>) -> Result<Option<Bomb>, ()> {
        let Order(panics, bomb) = order;
        if panics {
            // Not while the bomb is here: two panics at once end the process.
            std::mem::forget(bomb);
            std::panic::panic_any(Payload);
        }
        Ok(bomb)
    }
    fn on_panic(&mut self, _: &str, _: &Worker) {
        std::panic::panic_any(Payload);
    }
    fn on_stop(&mut self, _: &Worker) {
        panic!("in on_stop");
    }
}
impl Drop for Wild {
    fn drop(&mut self) {
        panic!("in the actor's drop");
    }
}

#[test]
fn panics_in_hooks_and_drops_end_nothing_else() {
    let _watchdog = watchdog();
    let pool = builder(1)
        .restarts(restarts(RestartPolicy::Permanent))
        .on_shed(|Order(_, bomb), _| drop(bomb))
        .mailbox(1, Overflow::DropNewest)
        .spawn(|_| Wild)
        .unwrap();
    let fine = || matches!(pool.ask(Order(false, None)).unwrap().wait(), Ok(None));
    for _ in 0..3 {
        let answer = pool.ask(Order(true, None)).unwrap().wait();
        let message = "a panic without a message".to_owned();
        assert!(matches!(answer, Err(AskError::Panicked { message: said }) if said == message));
        assert!(fine(), "made anew");
        // A reply that nobody takes, dropped by the worker.
        pool.tell(Order(false, Some(Bomb))).unwrap();
        while !fine() {}
        // A message that is dropped without being run.
        let expired = pool.task(Order(false, Some(Bomb))).timeout(Duration::ZERO).ask().unwrap();
        assert!(matches!(expired.wait(), Err(AskError::Expired)));
        assert!(fine());
    }
    let account = end(&pool);
    assert_eq!((account.counts.panicked, account.counts.expired), (3, 3));
    assert_eq!(pool.stats().balancer.workers[0].generation, 3, "only handlers end an actor");
}

#[test]
fn a_message_whose_drop_panics_in_the_handler_is_a_panic_of_the_handler() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let bomb = Bomb;
    let answer = pool.ask(Do::call(move || drop(bomb))).unwrap().wait();
    let message = "a panic without a message".to_owned();
    assert_eq!(answer, Err(AskError::Panicked { message }));
    assert!(pool.ask(Do::Return(1)).unwrap().wait().is_ok());
    end(&pool);
}

/// The second restart in a row comes in an hour.
fn endless() -> Backoff {
    let hour = Duration::from_secs(3600);
    Backoff { initial: hour, max: hour, jitter: 0.0 }
}

/// A pool whose only worker waits for an hour, with a task queued.
fn waiting_for_a_restart(
    may_start: impl Fn(u32) -> bool + Send + Sync + 'static,
) -> (Pool<Obedient>, raddle_runtime::Reply<Said, &'static str>) {
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::new("w"))
        .restarts(Restarts::default().backoff(endless()))
        .spawn(move |worker| {
            assert!(may_start(worker.generation()), "no disk");
            Obedient::default()
        })
        .unwrap();
    let mut events = pool.subscribe();
    assert!(pool.ask(Do::Panic("oh")).unwrap().wait().is_err());
    await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
    let queued = pool.ask(Do::Return(7)).unwrap();
    (pool, queued)
}

#[test]
fn a_shutdown_does_not_wait_for_a_backoff() {
    let _watchdog = watchdog();
    let (pool, queued) = waiting_for_a_restart(|generation| generation != 1);
    let account = end(&pool);
    assert_eq!(queued.wait().unwrap().number, 7, "the actor was made after all");
    assert_eq!(account.counts.completed, 1);
}

#[test]
fn a_shutdown_ends_the_tasks_of_an_actor_that_cannot_be_made() {
    let _watchdog = watchdog();
    let (pool, queued) = waiting_for_a_restart(|generation| generation == 0);
    let account = end(&pool);
    assert_eq!(queued.wait(), Err(AskError::Retired));
    assert_eq!((account.counts.panicked, account.counts.cancelled), (1, 1));
}

#[test]
fn a_retired_worker_does_not_wait_for_a_backoff() {
    let _watchdog = watchdog();
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let pool = builder(2)
        .restarts(Restarts::default().backoff(endless()))
        // Nor is it a failure: the worker was to end.
        .on_retired(OnRetired::Close)
        .spawn(move |worker| {
            counted.fetch_add(1, SeqCst);
            assert!(worker.name() == "w-1" || worker.generation() == 0, "no disk");
            Obedient::default()
        })
        .unwrap();
    let mut events = pool.subscribe();
    assert!(ask_at(&pool, 0, Do::Panic("oh")).wait().is_err());
    await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
    let queued = ask_at(&pool, 0, Do::WhoAreYou);
    pool.retire_worker(common::id(&pool, "w-0")).unwrap();
    assert_eq!(by(queued).unwrap(), "w-1", "it moves, as its worker has no actor");
    let retired = await_event(&mut events, is_retired);
    let reason = RetireReason::ClosedWithoutActor;
    assert_eq!(retired.kind, EventKind::Retired { reason });
    assert_eq!(starts.load(SeqCst), 4, "two at the start, one after the panic, one at the end");
    assert!(pool.tell(Do::Return(1)).is_ok());
    end(&pool);
}
