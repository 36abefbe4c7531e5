//! How actors start, stop and restart, and what happens to a worker whose actor is not restarted.
mod common;

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::{
    Answer, Do, Gate, LONG, Obedient, ObedientPool, admitted, ask_at, await_event, builder, by,
    end, hold, key_of, names, number, so_far, watchdog, worker,
};
use raddle_core::{Health, Priority, Worker, WorkerSpec};
use raddle_runtime::{
    Actor, Ask, AskError, Backoff, Context, EventKind, Handler, MembershipError, OnRetired,
    Overflow, Pool, PoolBuilder, Refusal, RestartLimit, RestartPolicy, Restarts, RetireReason,
    SpawnError, StartError,
};
use raddle_strategies::StrategyName;
use raddle_sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

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

/// An actor that reports its hooks, each with its worker's name, and does what it is asked.
struct Hooked {
    calls: u64,
    worker: String,
    hooks: Arc<Hooks>,
}

impl Actor for Hooked {
    fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        (self.hooks)(Hook::Start, &self.worker)
    }
    fn on_restart(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        (self.hooks)(Hook::Restart, &self.worker)
    }
    fn on_panic(&mut self, message: &str, _: &mut Context<'_, Self>) {
        let _ = (self.hooks)(Hook::Panic(message.to_owned()), &self.worker);
    }
    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        let _ = (self.hooks)(Hook::Stop, &self.worker);
    }
}

/// What a hooked actor does before it replies.
enum Command {
    Nothing,
    Stop,
    Panic(&'static str),
}

impl Handler<Command> for Hooked {
    /// The number of the actor's calls so far, and its worker.
    type Reply = (u64, String);

    fn handle(&mut self, command: Command, cx: &mut Context<'_, Self>) -> (u64, String) {
        self.calls += 1;
        match command {
            Command::Nothing => {}
            Command::Stop => cx.stop(),
            Command::Panic(message) => panic!("{message}"),
        }
        (self.calls, self.worker.clone())
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        let _ = (self.hooks)(Hook::Drop, &self.worker);
    }
}

fn spawn(
    builder: PoolBuilder<Command, (u64, String)>,
    hooks: impl Fn(Hook, &str) -> Result<(), StartError> + Send + Sync + 'static,
) -> Result<Pool<Command, (u64, String)>, SpawnError> {
    let hooks: Arc<Hooks> = Arc::new(hooks);
    builder.spawn(move |worker| Hooked {
        calls: 0,
        worker: worker.name().to_owned(),
        hooks: Arc::clone(&hooks),
    })
}

/// Restarts without a backoff or a limit.
fn restarts(policy: RestartPolicy) -> Restarts {
    let none = Backoff { initial: Duration::ZERO, max: Duration::ZERO, jitter: 0.0 };
    Restarts::default().policy(policy).backoff(none)
}

/// At most `times` restarts in an hour.
fn limited(times: u32) -> Restarts {
    let within = Duration::from_secs(3600);
    restarts(RestartPolicy::Permanent).limit(RestartLimit { restarts: times, within })
}

fn panicked(message: &str) -> EventKind {
    EventKind::Panicked { message: message.into() }
}

#[track_caller]
fn assert_panics<M, R>(ask: Ask<M, R>) {
    assert!(matches!(ask.wait(), Err(AskError::Panicked { .. })));
}

#[track_caller]
fn assert_panics_without_a_message<M, R>(ask: Ask<M, R>) {
    let Err(AskError::Panicked { message }) = ask.wait() else { panic!("it panics") };
    assert_eq!(message, "a panic without a message");
}

fn is_retired(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Retired { .. })
}

#[test]
fn a_permanent_actor_is_restarted_after_a_panic_and_a_stop() {
    let _watchdog = watchdog();
    let (called, hooks) = channel();
    let pool = spawn(builder(1).restarts(restarts(RestartPolicy::Permanent)), move |hook, _| {
        let _ = called.send(hook);
        Ok(())
    })
    .unwrap();
    let mut events = pool.subscribe();
    let stopping = pool.ask(Command::Stop).wait();
    assert!(stopping.is_ok(), "the handler that stops the actor still replies");
    assert_panics(pool.ask(Command::Panic("oh")));
    let (calls, _) = pool.ask(Command::Nothing).wait().unwrap();
    assert_eq!(calls, 1, "it is another actor");
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

/// The events of the first of two workers, which `order` retires.
fn retired_by(policy: RestartPolicy, order: Do) -> Vec<(String, EventKind)> {
    let pool = builder(2).restarts(restarts(policy)).spawn(|_| Obedient::default()).unwrap();
    let mut events = pool.subscribe();
    let _ = ask_at(&pool, 0, order).wait();
    let mut seen = vec![events.recv_timeout(LONG).unwrap()];
    if !is_retired(&seen[0].kind) {
        seen.push(events.recv_timeout(LONG).unwrap());
    }
    assert_eq!(names(&pool), ["w-1"]);
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-1", "the pool continues");
    let account = end(&pool);
    assert_eq!(account.counts.admitted, 2, "the retired worker's tasks still count");
    seen.into_iter().map(|event| (event.name, event.kind)).collect()
}

#[test]
fn a_transient_actor_is_restarted_after_a_panic_and_not_after_a_stop() {
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
    assert_panics(pool.ask(Do::Panic("oh")));
    assert_eq!(number(pool.ask(Do::WhoAreYou)), 1, "it was restarted after the panic");
    end(&pool);
}

#[test]
fn the_worker_of_an_actor_that_is_never_restarted_is_retired() {
    let _watchdog = watchdog();
    let reason = RetireReason::PolicyForbids(RestartPolicy::Never);
    let retired = ("w-0".to_owned(), EventKind::Retired { reason });
    assert_eq!(
        retired_by(RestartPolicy::Never, Do::Panic("oh")),
        [("w-0".to_owned(), panicked("oh")), retired.clone()]
    );
    assert_eq!(retired_by(RestartPolicy::Never, Do::stop()), [retired]);
}

/// Two held workers, the first of which has more panics queued than restarts are allowed, and then
/// free and keyed tasks.
struct AtTheLimit {
    pool: ObedientPool,
    gate: Gate,
    free: Vec<Ask<Do, Answer>>,
    keyed: Vec<Ask<Do, Answer>>,
    sibling: Gate,
}

fn at_the_limit(on_retired: OnRetired) -> AtTheLimit {
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
    let keyed = || admitted(pool.task(Do::WhoAreYou).key(key).ask());
    let keyed = vec![keyed(), keyed()];
    AtTheLimit { pool, gate, free, keyed, sibling }
}

#[test]
fn at_the_limit_free_tasks_move_to_siblings_and_keyed_ones_end() {
    let _watchdog = watchdog();
    let AtTheLimit { pool, gate, free, keyed, sibling } = at_the_limit(OnRetired::Degrade);
    let mut events = pool.subscribe();
    gate.open();
    await_event(&mut events, is_retired);
    sibling.open();
    for ask in free {
        assert_eq!(by(ask).unwrap(), "w-1");
    }
    for ask in keyed {
        assert!(matches!(ask.wait(), Err(AskError::Retired)));
    }
    assert_eq!(names(&pool), ["w-1"]);
    for key in 0..20 {
        assert_eq!(common::owner(&pool, key), "w-1", "its keys have moved");
    }
    let account = end(&pool);
    assert_eq!((account.counts.panicked, account.counts.cancelled), (3, 2));
}

#[test]
fn the_events_up_to_a_retirement_come_in_order() {
    let _watchdog = watchdog();
    let AtTheLimit { pool, gate, sibling, .. } = at_the_limit(OnRetired::Degrade);
    let mut events = pool.subscribe();
    gate.open();
    sibling.open();
    let mut kinds = Vec::new();
    while !kinds.last().is_some_and(is_retired) {
        let kind = events.recv_timeout(LONG).unwrap().kind;
        // Its keys move when it is expelled, and that may be announced later.
        if !matches!(kind, EventKind::KeysMoved { .. }) {
            kinds.push(kind);
        }
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
fn a_pool_that_closes_when_a_worker_is_retired_still_runs_queued_tasks() {
    let _watchdog = watchdog();
    let AtTheLimit { pool, gate, free, keyed, sibling } = at_the_limit(OnRetired::Close);
    let mut events = pool.subscribe();
    gate.open();
    await_event(&mut events, is_retired);
    let failed = await_event(&mut events, |kind| *kind == EventKind::Failed);
    assert_eq!((failed.worker, failed.name.as_str()), (None, "test"));
    let refused = pool.tell(Do::Return(7)).unwrap_err();
    assert!(refused.is_closed());
    assert!(matches!(refused.into_message(), Do::Return(7)));
    sibling.open();
    for ask in free {
        assert_eq!(by(ask).unwrap(), "w-1");
    }
    for ask in keyed {
        assert!(matches!(ask.wait(), Err(AskError::Retired)));
    }
    assert!(end(&pool).rejected >= 1);
}

#[test]
fn a_shutdown_does_not_count_as_a_failure_of_the_pool() {
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
    assert_panics(pool.ask(Do::Panic("oh")));
    await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
    end(&pool);
    let seen = so_far(&mut events);
    assert!(seen.iter().all(|(_, kind)| *kind != EventKind::Failed), "{seen:?}");
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
    let queued = admitted(pool.ask(Do::Return(1)));
    gate.open();
    await_event(&mut events, is_retired);
    assert!(matches!(queued.wait(), Err(AskError::Retired)), "no other could take it");
    assert!(names(&pool).is_empty());
    let free = pool.tell(Do::Return(2)).unwrap_err();
    assert_eq!(*free.refusal(), Refusal::NoWorker);
    assert!(matches!(free.into_message(), Do::Return(2)));
    let keyed = pool.task(Do::Return(3)).key(key).tell().unwrap_err();
    assert_eq!(*keyed.refusal(), Refusal::NoWorker);
    assert!(matches!(keyed.into_message(), Do::Return(3)));
    pool.add_worker(WorkerSpec::new("next")).unwrap();
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "next");
    assert_eq!(common::owner(&pool, key), "next");
    assert_eq!(end(&pool).rejected, 2);
}

#[test]
fn a_pool_is_not_spawned_if_an_actor_cannot_start() {
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
    assert_eq!(error.source().unwrap().to_string(), "no disk");
    assert!(ended.recv().is_err(), "no thread is left");
}

#[test]
fn a_worker_whose_actor_cannot_start_is_not_added_and_the_pool_is_unchanged() {
    let _watchdog = watchdog();
    let pool = spawn(builder(1), |hook, worker| match (hook, worker) {
        (Hook::Start, "sick") => Err("no disk".into()),
        (Hook::Start, "mad") => panic!("no sense"),
        _ => Ok(()),
    })
    .unwrap();
    let mut events = pool.subscribe();
    for (name, reason) in [("sick", "no disk"), ("mad", "no sense")] {
        let error = pool.add_worker(WorkerSpec::new(name)).unwrap_err();
        assert!(matches!(error, MembershipError::Spawn(SpawnError::Actor { .. })), "{error:?}");
        assert_eq!(error.source().unwrap().to_string(), reason);
        assert_eq!(names(&pool), ["w-0"]);
    }
    assert_eq!(pool.ask(Command::Nothing).wait().unwrap().1, "w-0");
    assert_eq!(so_far(&mut events), [], "nothing happened to the pool");
    pool.add_worker(WorkerSpec::new("well")).unwrap();
    assert_eq!(names(&pool), ["w-0", "well"]);
    end(&pool);
}

#[test]
fn workers_that_could_not_be_added_do_not_affect_those_added_later() {
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
    // The one that did start ends at some point: its thread belongs to no member.
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
fn a_failed_restart_counts_towards_the_limit() {
    let _watchdog = watchdog();
    let pool = spawn(builder(2).restarts(limited(3)), |hook, worker| match (hook, worker) {
        (Hook::Restart, "w-0") => Err("still no disk".into()),
        _ => Ok(()),
    })
    .unwrap();
    let mut events = pool.subscribe();
    assert_panics(ask_at(&pool, 0, Command::Panic("oh")));
    let mut kinds = Vec::new();
    while !kinds.last().is_some_and(is_retired) {
        kinds.push(events.recv_timeout(LONG).unwrap().kind);
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
fn every_end_of_an_actor_but_a_panic_calls_on_stop() {
    let _watchdog = watchdog();
    let (called, hooks) = channel();
    let pool = spawn(builder(4).restarts(restarts(RestartPolicy::Never)), move |hook, worker| {
        let _ = called.send((hook, worker.to_owned()));
        Ok(())
    })
    .unwrap();
    let mut events = pool.subscribe();
    assert_panics(ask_at(&pool, 3, Command::Panic("oh")));
    await_event(&mut events, is_retired);
    assert!(ask_at(&pool, 2, Command::Stop).wait().is_ok());
    await_event(&mut events, is_retired);
    pool.retire_worker(common::id(&pool, "w-1")).unwrap();
    await_event(&mut events, is_retired);
    end(&pool);
    let called: Vec<_> = hooks.try_iter().filter(|(hook, _)| *hook != Hook::Start).collect();
    let of = |name: &str| {
        let hooks = called.iter().filter(|(_, worker)| worker == name);
        hooks.map(|(hook, _)| hook.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("w-3"), [Hook::Panic("oh".into()), Hook::Drop]);
    for name in ["w-2", "w-1", "w-0"] {
        assert_eq!(of(name), [Hook::Stop, Hook::Drop], "{name}");
    }
}

/// Panics when it is dropped, with a payload that does so too.
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

impl Actor for Wild {
    fn on_panic(&mut self, _: &str, _: &mut Context<'_, Self>) {
        std::panic::panic_any(Payload);
    }
    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        panic!("in on_stop");
    }
}
struct Order {
    panics: bool,
    bomb: Option<Bomb>,
}

impl Handler<Order> for Wild {
    type Reply = Option<Bomb>;

    fn handle(&mut self, order: Order, _: &mut Context<'_, Self>) -> Option<Bomb> {
        if order.panics {
            // Without dropping the bomb: two panics at once end the process.
            std::mem::forget(order.bomb);
            std::panic::panic_any(Payload);
        }
        order.bomb
    }
}

impl Drop for Wild {
    fn drop(&mut self) {
        panic!("in the actor's drop");
    }
}

#[test]
fn panics_in_hooks_and_drops_affect_nothing_else() {
    let _watchdog = watchdog();
    let pool = builder(1)
        .restarts(restarts(RestartPolicy::Permanent))
        .on_shed(|order, _| drop(order))
        .mailbox(1, Overflow::DropNewest)
        .spawn(|_| Wild)
        .unwrap();
    let order = |panics, bomb| Order { panics, bomb };
    let replies = || matches!(pool.ask(order(false, None)).wait(), Ok(None));
    for _ in 0..3 {
        assert_panics_without_a_message(pool.ask(order(true, None)));
        assert!(replies(), "the actor was restarted");
        // A reply that nobody receives, which the worker drops.
        pool.tell(order(false, Some(Bomb))).unwrap();
        while !replies() {}
        // A message that is dropped without being handled.
        let expired = pool.task(order(false, Some(Bomb))).timeout(Duration::ZERO).ask();
        assert!(matches!(expired.wait(), Err(AskError::Expired)));
        while !replies() {}
    }
    let account = end(&pool);
    assert_eq!((account.counts.panicked, account.counts.expired), (3, 3));
    assert_eq!(
        pool.stats().balancer.workers[0].generation,
        3,
        "only a panic in a handler ends an actor"
    );
}

#[test]
fn a_message_that_panics_when_dropped_by_the_handler_counts_as_its_panic() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let bomb = Bomb;
    assert_panics_without_a_message(pool.ask(Do::call(move || drop(bomb))));
    assert!(pool.ask(Do::Return(1)).wait().is_ok());
    end(&pool);
}

/// The first restart in a row is immediate; the second comes after an hour.
fn endless() -> Backoff {
    let hour = Duration::from_secs(3600);
    Backoff { initial: hour, max: hour, jitter: 0.0 }
}

/// A pool whose only worker waits an hour for its restart, with a task queued.
fn waiting_for_a_restart(
    may_start: impl Fn(u32) -> bool + Send + Sync + 'static,
) -> (ObedientPool, Ask<Do, Answer>) {
    let pool = Pool::builder("test")
        .workers(1, WorkerSpec::new("w"))
        .restarts(Restarts::default().backoff(endless()))
        .spawn(move |worker| {
            assert!(may_start(worker.generation()), "no disk");
            Obedient::default()
        })
        .unwrap();
    let mut events = pool.subscribe();
    assert_panics(pool.ask(Do::Panic("oh")));
    await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
    let queued = admitted(pool.ask(Do::Return(7)));
    (pool, queued)
}

#[test]
fn a_worker_that_cannot_start_is_out_of_rotation_until_it_has_started_under_every_strategy() {
    let _watchdog = watchdog();
    for name in StrategyName::ALL {
        let broken = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&broken);
        let backoff = Backoff { initial: Duration::from_millis(1), ..Backoff::default() };
        let pool = spawn(
            builder(2)
                .strategy(name.build())
                .mailbox(4, Overflow::Block)
                .restarts(Restarts::default().backoff(backoff)),
            move |hook, worker| match hook {
                Hook::Restart if worker == "w-0" && still.load(SeqCst) => Err("broken".into()),
                _ => Ok(()),
            },
        )
        .unwrap();
        let mut events = pool.subscribe();
        assert_panics(ask_at(&pool, 0, Command::Panic("oh")));
        await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
        assert_eq!(worker(&pool, "w-0").health, Health::Restarting, "{name}");
        for _ in 0..50 {
            assert_eq!(pool.ask(Command::Nothing).wait().unwrap().1, "w-1", "{name}");
        }
        broken.store(false, SeqCst);
        await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
        assert_eq!(worker(&pool, "w-0").health, Health::Active, "{name}");
        assert_eq!(ask_at(&pool, 0, Command::Nothing).wait().unwrap().1, "w-0", "{name}");
        end(&pool);
    }
}

#[test]
fn a_worker_in_its_backoff_takes_tasks_if_there_is_no_other() {
    let _watchdog = watchdog();
    let pool = builder(1)
        .restarts(Restarts::default().backoff(endless()))
        .spawn(|_| Obedient::default())
        .unwrap();
    let mut events = pool.subscribe();
    (0..2).for_each(|_| assert_panics(pool.ask(Do::Panic("oh"))));
    (0..2).for_each(|_| drop(await_event(&mut events, |kind| *kind == panicked("oh"))));
    // Soon after the event.
    while worker(&pool, "w-0").health != Health::Restarting {
        std::thread::yield_now();
    }
    let queued = admitted(pool.ask(Do::WhoAreYou));
    pool.add_worker(WorkerSpec::new("next")).unwrap();
    // The worker in its backoff still has its task.
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "next");
    assert_eq!(worker(&pool, "w-0").health, Health::Restarting);
    pool.resize(1).unwrap();
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "next", "the one that serves stays");
    assert!(by(queued).is_ok(), "a worker that leaves does not wait for its backoff");
    end(&pool);
}

#[test]
fn a_shutdown_does_not_wait_for_a_backoff() {
    let _watchdog = watchdog();
    let (pool, queued) = waiting_for_a_restart(|generation| generation != 1);
    let account = end(&pool);
    assert_eq!(number(queued), 7, "the actor was restarted at once");
    assert_eq!(account.counts.completed, 1);
}

#[test]
fn a_shutdown_cancels_the_tasks_of_an_actor_that_cannot_restart() {
    let _watchdog = watchdog();
    let (pool, queued) = waiting_for_a_restart(|generation| generation == 0);
    let account = end(&pool);
    assert!(matches!(queued.wait(), Err(AskError::Retired)));
    assert_eq!((account.counts.panicked, account.counts.cancelled), (1, 1));
}

#[test]
fn a_retired_worker_does_not_wait_for_a_backoff() {
    let _watchdog = watchdog();
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let pool = builder(2)
        .restarts(Restarts::default().backoff(endless()))
        // A requested retirement is not a failure and does not close the pool.
        .on_retired(OnRetired::Close)
        .spawn(move |worker| {
            counted.fetch_add(1, SeqCst);
            assert!(worker.name() == "w-1" || worker.generation() == 0, "no disk");
            Obedient::default()
        })
        .unwrap();
    let mut events = pool.subscribe();
    assert_panics(ask_at(&pool, 0, Do::Panic("oh")));
    await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
    let queued = ask_at(&pool, 0, Do::WhoAreYou);
    pool.retire_worker(common::id(&pool, "w-0")).unwrap();
    assert_eq!(by(queued).unwrap(), "w-1", "it moves because its worker has no actor");
    let retired = await_event(&mut events, is_retired);
    let reason = RetireReason::ClosedWithoutActor;
    assert_eq!(retired.kind, EventKind::Retired { reason });
    assert_eq!(starts.load(SeqCst), 4, "two at the start, one after the panic, one when retired");
    assert!(pool.tell(Do::Return(1)).is_ok());
    end(&pool);
}

#[test]
fn a_closure_that_fails_fails_the_start_and_a_restart_is_tried_again() {
    let _watchdog = watchdog();
    let failing = |name: &'static str| {
        move |worker: &Worker| match worker.name() == name {
            true => Err("no disk"),
            false => Ok(Obedient::default()),
        }
    };
    match builder(2).spawn(failing("w-1")) {
        Err(SpawnError::Actor { worker, source }) => {
            assert_eq!((worker.as_str(), source.to_string().as_str()), ("w-1", "no disk"));
        }
        other => panic!("{other:?}"),
    }
    let pool = builder(1).spawn(failing("late")).unwrap();
    let error = pool.add_worker(WorkerSpec::new("late")).unwrap_err();
    assert!(matches!(error, MembershipError::Spawn(SpawnError::Actor { .. })), "{error:?}");
    assert_eq!(names(&pool), ["w-0"]);
    end(&pool);

    let calls = AtomicU32::new(0);
    let pool = builder(1).restarts(restarts(RestartPolicy::Permanent)).spawn(move |_| match calls
        .fetch_add(1, SeqCst)
    {
        1 => Err(std::io::Error::other("not yet")),
        _ => Ok(Obedient::default()),
    });
    let pool = pool.unwrap();
    let mut events = pool.subscribe();
    assert_panics(pool.ask(Do::Panic("by order")));
    assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-0");
    let kinds: Vec<_> = so_far(&mut events).into_iter().map(|event| event.1).collect();
    let expected = [
        panicked("by order"),
        EventKind::StartFailed { message: "not yet".into() },
        EventKind::Restarted { generation: 2 },
    ];
    assert_eq!(kinds, expected);
    end(&pool);
}

/// Survives a panic if its message says so, and counts its calls.
struct Survivor {
    calls: u64,
    restarts: u64,
    _dropped: OnDrop,
}

/// Sends a message when it is dropped.
struct OnDrop(Sender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Actor for Survivor {
    fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        Ok(())
    }
    fn on_restart(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.restarts += 1;
        if self.calls == 77 { Err("this state is of no use".into()) } else { Ok(()) }
    }
    fn survives_panic(&mut self, message: &str, _: &mut Context<'_, Self>) -> bool {
        assert_ne!(message, "twice");
        if message == "useless" {
            self.calls = 77;
        }
        message != "die"
    }
}

impl Handler<Option<&'static str>> for Survivor {
    /// The calls, and the restarts of this actor.
    type Reply = (u64, u64);

    fn handle(&mut self, panics: Option<&'static str>, _: &mut Context<'_, Self>) -> (u64, u64) {
        self.calls += 1;
        match panics {
            Some(message) => panic!("{message}"),
            None => (self.calls, self.restarts),
        }
    }
}

#[test]
fn an_actor_that_survives_a_panic_keeps_its_state() {
    let _watchdog = watchdog();
    let (sender, dropped) = channel();
    let make =
        move |_: &Worker| Survivor { calls: 0, restarts: 0, _dropped: OnDrop(sender.clone()) };
    let pool = builder(1).restarts(restarts(RestartPolicy::Permanent)).spawn(make).unwrap();
    let mut events = pool.subscribe();
    assert_eq!(pool.ask(None).wait().unwrap(), (1, 0));
    assert_panics(pool.ask(Some("live")));
    assert_eq!(pool.ask(None).wait().unwrap(), (3, 1), "it goes on as it was");
    let kinds: Vec<_> = so_far(&mut events).into_iter().map(|event| event.1).collect();
    assert_eq!(kinds, [panicked("live"), EventKind::Restarted { generation: 1 }]);
    assert!(dropped.try_recv().is_err());
    for message in ["die", "twice", "useless"] {
        assert_panics(pool.ask(Some(message)));
        assert_eq!(pool.ask(None).wait().unwrap(), (1, 1), "a new actor after {message}");
        assert!(dropped.try_recv().is_ok() && dropped.try_recv().is_err(), "{message}");
    }
    end(&pool);
}

#[test]
fn an_actor_that_survives_but_is_not_restarted_is_dropped() {
    let _watchdog = watchdog();
    let (sender, dropped) = channel();
    let make =
        move |_: &Worker| Survivor { calls: 0, restarts: 0, _dropped: OnDrop(sender.clone()) };
    let pool = builder(1).restarts(restarts(RestartPolicy::Never)).spawn(make).unwrap();
    let mut events = pool.subscribe();
    assert_panics(pool.ask(Some("live")));
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert!(dropped.try_recv().is_ok());
    end(&pool);
}
