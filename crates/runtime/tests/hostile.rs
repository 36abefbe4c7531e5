//! Uses of a pool that no one would recommend, and that must not harm it.
mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::task::{Context as Polling, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    At, Do, Gate, LONG, Obedient, admitted, await_event, builder, end, hold, number, pool, watchdog,
};
use raddle_core::{Candidates, Clock, Roster, TaskProfile, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, Context, Drain, EventKind, Handler, Hedge, MembershipError, Overflow, Pool,
    Reply, RestartLimit, RestartPolicy, Restarts, StartError, Supervisor, SupervisorEventKind,
    TimerHandle, WeakPool,
};
use raddle_strategies::{RoundRobin, Strategy, StrategyError};
use raddle_sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

const SOON: Duration = Duration::from_millis(1);

/// A waker that calls a function.
struct Calls<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(on_wake: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Calls(on_wake)))
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Polling::from_waker(waker))
}

/// A waker that says so and panics.
fn panicking() -> (Waker, Receiver<()>) {
    let (sender, woken) = channel();
    let waker = waker(move || {
        sender.send(()).unwrap();
        panic!("as ordered");
    });
    (waker, woken)
}

/// A log subscriber that uses a pool.
#[cfg(feature = "tracing")]
mod log {
    use super::*;

    struct Nosy;

    impl tracing::Subscriber for Nosy {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target().starts_with("raddle")
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut is_nosy = IsNosy(false);
            event.record(&mut is_nosy);
            if let (true, Some(nosy)) = (is_nosy.0, NOSY.get()) {
                nosy();
            }
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    struct IsNosy(bool);

    impl tracing::field::Visit for IsNosy {
        fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            self.0 |= format!("{value:?}").contains("nosy");
        }
    }

    static NOSY: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

    #[test]
    fn a_log_subscriber_may_use_the_pool_and_panic() {
        let _watchdog = watchdog();
        tracing::subscriber::set_global_default(Nosy).unwrap();
        let pool = Pool::builder("nosy").workers(2, WorkerSpec::new("nosy"));
        let pool = pool.spawn(|_| Obedient::default()).unwrap();
        let (inner, calls) = (pool.downgrade(), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&calls);
        let nosy = NOSY.set(Box::new(move || {
            let call = count.fetch_add(1, SeqCst);
            if let Some(pool) = inner.upgrade().filter(|_| call < 8) {
                let added = pool.add_worker(WorkerSpec::new(format!("nosy-new-{call}")));
                let _ =
                    (pool.stats(), pool.set_strategy(RoundRobin::new()), pool.tell(Do::Return(1)));
                let _ = added.map(|id| pool.retire_worker(id));
            }
            panic!("as ordered");
        }));
        assert!(nosy.is_ok());
        let mut events = pool.subscribe();
        pool.resize(4).unwrap();
        pool.set_strategy(RoundRobin::new()).unwrap();
        for _ in 0..20 {
            assert!(matches!(
                pool.ask(Do::Panic("as ordered")).wait(),
                Err(AskError::Panicked { .. })
            ));
        }
        await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
        assert_eq!(number(pool.ask(Do::Return(7))), 7);
        pool.resize(1).unwrap();
        assert_eq!(number(pool.ask(Do::Return(7))), 7);
        assert!(calls.load(SeqCst) > 8);
        end(&pool);
    }
}

struct Undecided;

impl Reply for Undecided {
    fn is_failure(&self) -> bool {
        panic!("as ordered")
    }
}

struct Undecider;

impl Actor for Undecider {}

impl Handler<()> for Undecider {
    type Reply = Undecided;
    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) -> Undecided {
        Undecided
    }
}

#[test]
fn a_reply_that_panics_when_it_is_asked_whether_it_failed_ends_its_task_once() {
    let _watchdog = watchdog();
    let pool = builder(1).spawn(|_| Undecider).unwrap();
    assert!(matches!(pool.ask(()).wait(), Err(AskError::Panicked { .. })));
    pool.tell(()).unwrap();
    pool.task(()).key(1).tell().unwrap();
    assert!(pool.task(()).key(1).ask_hedged(Hedge::after(SOON)).wait().is_err());
    assert!(matches!(pool.task(()).key(1).ask().wait(), Err(AskError::Panicked { .. })));
    assert_eq!(end(&pool).counts.panicked, 4);
}

struct Unspeakable(bool);

impl std::fmt::Debug for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("Debug, as ordered")
    }
}

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 { panic!("Display, as ordered") } else { Err(std::fmt::Error) }
    }
}

impl std::error::Error for Unspeakable {}

impl Drop for Unspeakable {
    fn drop(&mut self) {
        assert!(!self.0 || thread::panicking(), "drop, as ordered");
    }
}

struct FailsOnce(Arc<AtomicBool>, bool);

impl Actor for FailsOnce {
    fn on_restart(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        if self.0.swap(false, SeqCst) { Err(Box::new(Unspeakable(self.1))) } else { Ok(()) }
    }
}

impl Handler<u64> for FailsOnce {
    type Reply = u64;
    fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
        84 / number
    }
}

#[test]
fn a_start_error_that_panics_when_it_is_formatted_or_dropped_is_a_failed_start() {
    let _watchdog = watchdog();
    for panics in [true, false] {
        let fails = Arc::new(AtomicBool::new(true));
        let pool = builder(1).spawn(move |_| FailsOnce(Arc::clone(&fails), panics)).unwrap();
        let mut events = pool.subscribe();
        assert!(matches!(pool.ask(0).wait(), Err(AskError::Panicked { .. })));
        await_event(&mut events, |kind| matches!(kind, EventKind::StartFailed { .. }));
        await_event(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }));
        assert_eq!(pool.ask(2).wait().unwrap(), 42);
        end(&pool);
    }
}

#[test]
fn a_supervised_start_that_returns_a_closed_or_a_shared_pool_ends_at_the_limit() {
    let _watchdog = watchdog();
    let closed = pool(1, 16, Overflow::Reject);
    closed.shutdown(Drain::all()).unwrap();
    let shared = pool(1, 16, Overflow::Reject);
    let same = || {
        let shared = shared.clone();
        move || Ok::<_, StartError>(shared.clone())
    };
    let supervisor = Supervisor::builder()
        .limit(RestartLimit { restarts: 3, within: Duration::from_secs(60) })
        .child("closed", move || Ok::<_, StartError>(closed.clone()))
        .child("one", same())
        .child("two", same())
        .start();
    let supervisor = supervisor.unwrap();
    // By itself: a look-up would wake the supervisor.
    let mut events = supervisor.subscribe();
    let gave_up = |kind: &_| matches!(kind, SupervisorEventKind::GaveUp { .. });
    while !gave_up(&events.recv_timeout(LONG).expect("the supervisor gives up").kind) {}
    assert!(shared.tell(Do::Return(1)).unwrap_err().is_closed());
    let report = supervisor.shutdown(Drain::all());
    assert!(report.is_complete());
}

#[test]
fn a_periodic_closure_that_hangs_holds_up_no_shutdown_with_a_limit() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    let gate = Gate::new();
    let hang = gate.clone();
    let passed = AtomicBool::new(false);
    pool.tell_every(SOON, move || {
        if !passed.swap(true, SeqCst) {
            hang.pass();
        }
        Do::Return(1)
    })
    .unwrap();
    gate.reached();
    let held = hold(&pool, 0);
    let queued = admitted(pool.task(Do::Return(1)).timeout(SOON).ask());
    assert!(matches!(queued.wait(), Err(AskError::Expired)));
    let queued = admitted(pool.ask(Do::Return(1)));
    let error = pool.shutdown(Drain::within(SOON)).unwrap_err();
    assert_eq!(error.workers, ["w-0"]);
    assert!(matches!(queued.wait(), Err(AskError::Cancelled)));
    held.open();
    // Then only the closure is left.
    let error = pool.shutdown(Drain::within(SOON)).unwrap_err();
    assert_eq!(error.workers, ["test-keeper"]);
    gate.open();
    end(&pool);
}

#[test]
fn a_subscription_to_a_pool_that_is_closed_has_no_events_and_ends() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    let before = pool.subscribe();
    pool.shutdown(Drain::all()).unwrap();
    // Both end though the handle remains.
    assert_eq!(pool.subscribe().count(), 0);
    before.for_each(drop);
    assert_eq!(pool.subscribe().recv_timeout(Duration::MAX).map(|event| event.kind), None);
    let supervisor = Supervisor::builder()
        .child("one", || {
            Pool::builder("one").worker(WorkerSpec::general()).spawn(|_| Obedient::default())
        })
        .start()
        .unwrap();
    let before = supervisor.subscribe();
    supervisor.shutdown(Drain::all());
    assert_eq!(supervisor.subscribe().count(), 0);
    before.for_each(drop);
}

#[test]
fn tasks_that_expired_or_were_withdrawn_are_not_handed_back_by_a_shutdown() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    let gate = hold(&pool, 0);
    let expired = admitted(pool.task(Do::Return(1)).timeout(SOON).ask());
    assert!(matches!(expired.wait(), Err(AskError::Expired)));
    drop(admitted(pool.task(Do::Return(2)).cancel_on_drop().ask()));
    let queued = admitted(pool.ask(Do::Return(3)));
    pool.shutdown(Drain::now()).unwrap_err();
    assert!(matches!(queued.wait(), Err(AskError::Cancelled)));
    let unfinished = pool.take_unfinished();
    assert!(matches!(unfinished[..], [Do::Return(3)]), "{} messages", unfinished.len());
    let counts = pool.account().counts;
    assert_eq!((counts.expired, counts.cancelled), (1, 2));
    gate.open();
    end(&pool);
}

#[test]
fn a_waker_that_panics_harms_neither_worker_nor_timers_nor_shutdown() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    // Woken by the worker.
    let gate = Gate::new();
    let mut future = Box::pin(pool.ask(Do::Hold(gate.clone())).into_future());
    let (waker, woken) = panicking();
    gate.reached();
    assert!(poll(&mut future, &waker).is_pending());
    gate.open();
    woken.recv_timeout(LONG).unwrap();
    assert_eq!(number(pool.ask(Do::Return(3))), 3);
    assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Ok(Ok(_)))));
    assert_eq!(pool.account().counts.panicked, 0);
    // Woken at a deadline.
    let gate = hold(&pool, 0);
    let late = pool.task(Do::Return(1)).timeout(SOON).ask();
    let mut future = Box::pin(late.into_future());
    let (waker, woken) = panicking();
    if poll(&mut future, &waker).is_pending() {
        woken.recv_timeout(LONG).unwrap();
        assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Err(AskError::Expired))));
    }
    let (fired, done) = channel();
    pool.tell_after(SOON, Do::call(move || fired.send(()).unwrap())).unwrap();
    gate.open();
    done.recv_timeout(LONG).expect("timers still fire");
    // Woken by a shutdown.
    let gate = hold(&pool, 0);
    let mut futures: Vec<_> =
        (0..3).map(|_| Box::pin(pool.ask(Do::Return(1)).into_future())).collect();
    let wakers: Vec<_> = futures.iter().map(|_| panicking()).collect();
    for (future, (waker, _)) in futures.iter_mut().zip(&wakers) {
        assert!(poll(future, waker).is_pending());
    }
    pool.shutdown(Drain::now()).unwrap_err();
    for future in &mut futures {
        assert!(matches!(poll(future, Waker::noop()), Poll::Ready(Err(AskError::Cancelled))));
    }
    gate.open();
    end(&pool);
}

#[test]
fn a_waker_may_drop_the_future_that_it_wakes() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    for by_deadline in [false, true] {
        let gate = hold(&pool, 0);
        let task = pool.task(Do::Return(7)).cancel_on_drop();
        let task = task.timeout(if by_deadline { Duration::from_millis(30) } else { LONG });
        let shared = Arc::new(Mutex::new(Some(Box::pin(task.ask().into_future()))));
        let (sender, dropped) = channel();
        let dropping = Arc::clone(&shared);
        let waker = waker(move || {
            let future = dropping.lock().unwrap().take();
            drop(future);
            sender.send(()).unwrap();
        });
        let is_pending = poll(shared.lock().unwrap().as_mut().unwrap(), &waker).is_pending();
        if !by_deadline {
            gate.open();
        }
        if is_pending {
            dropped.recv_timeout(LONG).unwrap();
        }
        if by_deadline {
            gate.open();
        }
        assert_eq!(number(pool.ask(Do::Return(1))), 1);
    }
    end(&pool);
}

thread_local! {
    static LAST: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

struct AtExit(Option<Box<dyn FnOnce()>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        (self.0.take().unwrap())();
    }
}

#[test]
fn a_pool_can_be_used_while_a_thread_drops_its_thread_locals() {
    let _watchdog = watchdog();
    for used_before in [false, true] {
        let pool = pool(2, 1024, Overflow::Block);
        let (done, is_done) = channel();
        let handle = pool.clone();
        thread::spawn(move || {
            let at_exit = handle.clone();
            // First, so that it is dropped last.
            LAST.set(Some(AtExit(Some(Box::new(move || {
                let mut local = at_exit.local();
                local.tell(Do::Return(1)).unwrap();
                at_exit.tell(Do::Return(1)).unwrap();
                at_exit.task(Do::Return(1)).key(7).tell().unwrap();
                at_exit.task(Do::Return(1)).capability("at exit").tell().unwrap();
                assert_eq!(number(at_exit.task(Do::Return(2)).timeout(LONG).ask()), 2);
                let timer = at_exit.tell_after(LONG, Do::Return(1)).unwrap();
                assert!(timer.cancel());
                at_exit.resize(3).unwrap();
                let _ = at_exit.subscribe().try_recv();
                let (sender, held) = channel();
                let ask = at_exit.ask(Do::call(move || held.recv().unwrap()));
                let mut ask = ask;
                assert!(matches!(ask.wait_timeout(SOON), Err(AskError::TimedOut)));
                sender.send(()).unwrap();
                ask.wait().unwrap().unwrap();
                drop(at_exit.shutdown(Drain::all()));
                done.send(()).unwrap();
            })))));
            if used_before {
                assert_eq!(number(handle.ask(Do::Return(1))), 1);
                handle.local().tell(Do::Return(1)).unwrap();
                let _ = handle.ask(Do::Return(1)).wait();
            }
        })
        .join()
        .unwrap();
        is_done.recv_timeout(LONG).unwrap();
        end(&pool);
    }
}

#[test]
fn a_handlers_thread_local_may_use_the_pool_when_it_is_dropped() {
    let _watchdog = watchdog();
    let (pool, other) = (pool(1, 1024, Overflow::Block), pool(1, 1024, Overflow::Block));
    let (done, is_done) = channel();
    let (own, another) = (pool.downgrade(), other.clone());
    let ask = pool.ask(Do::call(move || {
        LAST.set(Some(AtExit(Some(Box::new(move || {
            assert_eq!(number(another.ask(Do::Return(2))), 2);
            if let Some(own) = own.upgrade() {
                assert!(own.tell(Do::Return(1)).is_err());
                let _ = own.shutdown(Drain::now());
            }
            done.send(()).unwrap();
        })))));
    }));
    ask.wait().unwrap().unwrap();
    end(&pool);
    is_done.recv_timeout(LONG).unwrap();
    end(&other);
}

#[test]
fn a_shutdown_names_a_new_worker_whose_start_hangs() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let start = gate.clone();
    let pool = builder(1)
        .spawn(move |worker| {
            if worker.name() == "late" {
                start.pass();
            }
            Obedient::default()
        })
        .unwrap();
    thread::scope(|scope| {
        let adding = scope.spawn(|| pool.add_worker(WorkerSpec::new("late")));
        gate.reached();
        for drain in [Drain::now(), Drain::within(SOON)] {
            let error = pool.shutdown(drain).unwrap_err();
            assert_eq!(error.workers, ["late"]);
        }
        gate.open();
        assert!(matches!(adding.join().unwrap(), Err(MembershipError::Closed)));
    });
    end(&pool);
}

/// Uses its timer when it is dropped.
struct Entangled(Arc<OnceLock<TimerHandle<Do>>>, Sender<bool>);

impl Drop for Entangled {
    fn drop(&mut self) {
        if let Some(timer) = self.0.get() {
            let again = timer.is_active() || timer.cancel() || timer.take_message().is_some();
            let _ = self.1.send(again);
        }
    }
}

#[test]
fn a_timers_message_may_use_the_timer_when_it_is_dropped() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    for way in 0..4 {
        let cell = Arc::new(OnceLock::new());
        let (sender, again) = channel();
        let entangled = Entangled(Arc::clone(&cell), sender);
        let delay = if way == 2 { Duration::from_millis(100) } else { LONG };
        let message = Do::call(move || drop(entangled));
        let timer = pool.tell_after(delay, message).unwrap();
        assert!(cell.set(timer.clone()).is_ok());
        match way {
            0 => assert!(timer.cancel()),
            1 => drop(timer.take_message().unwrap()),
            2 => {}
            _ => drop((pool.shutdown(Drain::now()).unwrap(), pool.take_unfinished())),
        }
        assert!(!again.recv_timeout(LONG).unwrap(), "way {way}");
        assert!(!timer.is_active());
    }
}

#[test]
fn a_periodic_closure_may_cancel_itself_and_use_its_timer_when_it_is_dropped() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    let cell = Arc::new(OnceLock::<TimerHandle<Do>>::new());
    let (sender, again) = channel();
    let entangled = Entangled(Arc::clone(&cell), sender);
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, own) = (Arc::clone(&calls), Arc::clone(&cell));
    let timer = pool.tell_every(SOON, move || {
        let _ = &entangled;
        if let Some(own) = own.get() {
            count.fetch_add(1, SeqCst);
            assert!(own.cancel());
            assert!(!own.cancel());
        }
        Do::Return(1)
    });
    assert!(cell.set(timer.unwrap()).is_ok());
    assert!(!again.recv_timeout(LONG).unwrap());
    assert_eq!(calls.load(SeqCst), 1);
    end(&pool);
}

#[test]
fn waits_end_though_the_pools_clock_stands_still() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).mailbox(1, Overflow::BlockFor(SOON)).clock(clock);
    let pool = pool.spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    let mut queued = admitted(pool.task(Do::Return(1)).timeout(SOON).ask());
    assert!(matches!(queued.wait_timeout(SOON), Err(AskError::TimedOut | AskError::Expired)));
    assert!(pool.subscribe().recv_timeout(SOON).is_none());
    let refused = thread::scope(|scope| {
        let waits = scope.spawn(|| pool.tell(Do::Return(2)));
        while !waits.is_finished() {
            time.advance(SOON);
            thread::yield_now();
        }
        waits.join().unwrap()
    });
    assert!(refused.unwrap_err().is_full());
    assert!(matches!(queued.wait(), Err(AskError::Expired)));
    assert_eq!(pool.shutdown(Drain::within(SOON)).unwrap_err().workers, ["w-0"]);
    time.set(1);
    gate.open();
    end(&pool);
}

struct Stops(Arc<AtomicU32>);

impl Actor for Stops {
    fn on_start(&mut self, cx: &mut Context<'_, Self>) -> Result<(), StartError> {
        if self.0.fetch_add(1, SeqCst) == 0 {
            cx.stop();
        }
        Ok(())
    }
}

impl Handler<u64> for Stops {
    type Reply = u64;
    fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
        number
    }
}

#[test]
fn an_actor_that_stops_as_it_starts_is_restarted_or_its_worker_retired() {
    let _watchdog = watchdog();
    let spawn = |policy| {
        let starts = Arc::new(AtomicU32::new(0));
        let pool = builder(1).restarts(Restarts::default().policy(policy));
        (
            pool.spawn({
                let starts = Arc::clone(&starts);
                move |_| Stops(Arc::clone(&starts))
            })
            .unwrap(),
            starts,
        )
    };
    let (pool, starts) = spawn(RestartPolicy::Permanent);
    assert_eq!(pool.ask(7).wait().unwrap(), 7);
    assert_eq!(starts.load(SeqCst), 2);
    end(&pool);
    for policy in [RestartPolicy::Transient, RestartPolicy::Never] {
        let (pool, _) = spawn(policy);
        let error = pool.ask(7).wait().unwrap_err();
        assert!(matches!(error, AskError::Refused(_) | AskError::Retired), "{error:?}");
        let mut events = pool.subscribe();
        while !pool.stats().balancer.workers.is_empty() {
            let _ = events.recv_timeout(SOON);
        }
        assert!(matches!(pool.ask(7).wait(), Err(AskError::Refused(_))));
        end(&pool);
    }
}

/// Asks its own pool of one worker, once, in one place.
#[derive(Clone)]
struct Selfish {
    place: &'static str,
    pool: Arc<OnceLock<WeakPool<Selfishness, Selfishness>>>,
    result: Sender<Result<(), String>>,
}

impl Selfish {
    fn at(&self, place: &'static str) {
        if place != self.place {
            return;
        }
        let Some(pool) = self.pool.get().and_then(WeakPool::upgrade) else { return };
        let plain = Selfish { place: "nowhere", ..self.clone() };
        let result = pool.ask(Selfishness(plain, "")).wait();
        let _ = self.result.send(result.map(drop).map_err(|error| format!("{error:?}")));
    }
}

/// A message, a reply or an actor.
struct Selfishness(Selfish, &'static str);

impl Drop for Selfishness {
    fn drop(&mut self) {
        self.0.at(self.1);
    }
}

impl Reply for Selfishness {
    fn is_failure(&self) -> bool {
        self.0.at("is_failure");
        false
    }
}

impl Actor for Selfishness {
    fn on_restart(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.0.at("on_restart");
        Ok(())
    }
    fn on_panic(&mut self, _: &str, _: &mut Context<'_, Self>) {
        self.0.at("on_panic");
    }
    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        self.0.at("on_stop");
    }
}

impl Handler<Selfishness> for Selfishness {
    type Reply = Selfishness;
    fn handle(&mut self, msg: Selfishness, cx: &mut Context<'_, Self>) -> Selfishness {
        match msg.1 {
            "panic" => panic!("as ordered"),
            "stop" => cx.stop(),
            _ => {}
        }
        Selfishness(msg.0.clone(), "drop of a reply")
    }
}

#[test]
fn hooks_and_drops_that_wait_for_their_own_pool_of_one_worker_get_an_error() {
    let _watchdog = watchdog();
    for (place, order) in [
        ("is_failure", "plain"),
        ("drop of a message", "drop of a message"),
        ("drop of a reply", "plain"),
        ("on_panic", "panic"),
        ("on_restart", "panic"),
        ("factory", "panic"),
        ("drop of an actor", "panic"),
        ("on_stop", "stop"),
        ("on_restart", "stop"),
    ] {
        let (sender, result) = channel();
        let selfish = Selfish { place, pool: Arc::default(), result: sender };
        let make = selfish.clone();
        let pool = builder(1)
            .spawn(move |_| {
                make.at("factory");
                Selfishness(make.clone(), "drop of an actor")
            })
            .unwrap();
        assert!(selfish.pool.set(pool.downgrade()).is_ok());
        pool.tell(Selfishness(selfish, order)).unwrap();
        let result = result.recv_timeout(LONG);
        let result = result.unwrap_or_else(|_| panic!("{place} after {order} hangs"));
        let error = result.unwrap_err();
        assert!(error.contains("Deadlock"), "{place}: {error}");
        pool.shutdown(Drain::all()).unwrap();
    }
}

#[test]
fn concurrent_shutdowns_end_with_the_strictest_of_them() {
    let _watchdog = watchdog();
    let pool = pool(1, 1024, Overflow::Reject);
    let gate = hold(&pool, 0);
    let queued = admitted(pool.ask(Do::Return(1)));
    thread::scope(|scope| {
        let patient = [Drain::all(), Drain::within(Duration::MAX), Drain::all()];
        let patient = patient.map(|drain| {
            scope.spawn({
                let pool = &pool;
                move || pool.shutdown(drain)
            })
        });
        let impatient: [_; 3] =
            std::array::from_fn(|_| scope.spawn(|| pool.shutdown(Drain::now())));
        assert!(matches!(queued.wait(), Err(AskError::Cancelled)));
        for thread in impatient {
            assert_eq!(thread.join().unwrap().unwrap_err().workers, ["w-0"]);
        }
        assert_eq!(pool.take_unfinished().len(), 1);
        gate.open();
        for thread in patient {
            let account = thread.join().unwrap().unwrap();
            assert_eq!((account.counts.completed, account.counts.cancelled), (1, 1));
        }
    });
    end(&pool);
}

#[test]
fn waits_ignore_a_storm_of_unparks() {
    let _watchdog = watchdog();
    let pool = pool(1, 1, Overflow::Block);
    let waiting = thread::current();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                waiting.unpark();
                thread::yield_now();
            }
        });
        for _ in 0..20 {
            let gate = hold(&pool, 0);
            let mut ask = pool.ask(Do::Return(7));
            let begin = Instant::now();
            let early = ask.wait_timeout(Duration::from_millis(2));
            assert!(matches!(early, Err(AskError::TimedOut)));
            assert!(begin.elapsed() >= Duration::from_millis(2));
            let full = pool.task(Do::Return(1)).overflow(Overflow::BlockFor(SOON)).tell();
            assert!(full.unwrap_err().is_full());
            let opens = scope.spawn(move || gate.open());
            pool.tell(Do::call(|| thread::current().unpark())).unwrap();
            assert_eq!(number(ask), 7);
            opens.join().unwrap();
        }
        assert_eq!(end(&pool).counts.completed, 60);
        stop.store(true, SeqCst);
    });
}

#[test]
fn no_code_of_an_actor_runs_after_a_shutdown_that_met_new_workers() {
    let _watchdog = watchdog();
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    impl Actor for Alive {}
    impl Handler<u64> for Alive {
        type Reply = u64;
        fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
            number
        }
    }
    for round in 0..40 {
        let alive = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&alive);
        let pool = builder(1)
            .spawn(move |_| {
                count.fetch_add(1, SeqCst);
                Alive(Arc::clone(&count))
            })
            .unwrap();
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for adder in 0..2 {
                let (pool, start) = (&pool, &start);
                scope.spawn(move || {
                    start.wait();
                    for number in 0.. {
                        let added = pool.add_worker(WorkerSpec::new(format!("{adder}-{number}")));
                        match added {
                            Ok(id) => drop(pool.retire_worker(id)),
                            Err(error) => {
                                assert!(matches!(error, MembershipError::Closed), "{error:?}");
                                break;
                            }
                        }
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    (0..round).for_each(|_| thread::yield_now());
                    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
                    assert_eq!(alive.load(SeqCst), 0, "every actor is gone");
                });
            }
        });
    }
}

#[test]
fn a_pool_can_be_used_and_dropped_while_a_thread_unwinds() {
    let _watchdog = watchdog();
    let (sender, replies) = channel();
    let handler = pool(1, 1024, Overflow::Block);
    let unwind = move |sender: Sender<u64>| {
        let pool = pool(1, 1, Overflow::Block);
        let _unwinding = AtDrop(Some(move || {
            assert!(thread::panicking());
            (0..10).for_each(|_| pool.tell(Do::Return(1)).unwrap());
            let asked = number(pool.task(Do::Return(7)).timeout(LONG).ask());
            pool.resize(2).unwrap();
            let account = end(&pool);
            assert_eq!((account.counts.panicked, account.counts.completed), (0, 11));
            let other = self::pool(1, 1, Overflow::Block);
            other.tell(Do::Return(1)).unwrap();
            drop(other);
            sender.send(asked).unwrap();
        }));
        panic!("as ordered");
    };
    let (first, second) = (sender.clone(), sender);
    assert!(thread::spawn(move || unwind(first)).join().is_err());
    assert_eq!(replies.recv_timeout(LONG).unwrap(), 7);
    assert!(handler.ask(Do::call(move || unwind(second))).wait().is_err());
    assert_eq!(replies.recv_timeout(LONG).unwrap(), 7);
    end(&handler);
}

struct AtDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        (self.0.take().unwrap())();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Where {
    Nowhere,
    Pick,
    Prepare,
    Validate,
    Weights,
    Name,
}

#[derive(Debug)]
struct Panicky(Arc<Mutex<Where>>);

impl Panicky {
    fn at(&self, place: Where) {
        let is_here = *self.0.lock().unwrap() == place;
        assert!(!is_here, "as ordered");
    }
}

impl Strategy for Panicky {
    fn name(&self) -> &'static str {
        self.at(Where::Name);
        "panicky"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        self.at(Where::Pick);
        usize::MAX
    }
    fn prepare(&self, _: &Roster) -> Option<Arc<dyn Strategy>> {
        self.at(Where::Prepare);
        Some(Arc::new(Panicky(Arc::clone(&self.0))))
    }
    fn validate(&self) -> Result<(), StrategyError> {
        self.at(Where::Validate);
        Ok(())
    }
    fn weights(&self, _: &Roster) -> Option<Vec<f64>> {
        self.at(Where::Weights);
        None
    }
}

#[test]
fn a_strategy_that_panics_harms_only_the_call_that_met_it() {
    let _watchdog = watchdog();
    for place in [Where::Pick, Where::Prepare, Where::Validate, Where::Weights, Where::Name] {
        let armed = Arc::new(Mutex::new(Where::Nowhere));
        let (clock, time) = Clock::simulated();
        let pool = builder(2).clock(clock).strategy(Panicky(Arc::clone(&armed)));
        let pool = pool.spawn(|_| Obedient::default()).unwrap();
        *armed.lock().unwrap() = place;
        let call = |call: &dyn Fn()| catch_unwind(AssertUnwindSafe(call)).is_err();
        let calls: [(&str, &dyn Fn()); 8] = [
            ("ask", &|| drop(pool.ask(Do::Return(1)).wait())),
            ("key", &|| drop(pool.task(Do::Return(1)).key(1).ask().wait())),
            ("add", &|| drop(pool.add_worker(WorkerSpec::new("new")))),
            ("stats", &|| drop(pool.stats())),
            ("set", &|| drop(pool.set_strategy(Panicky(Arc::clone(&armed))))),
            ("shadow", &|| drop(pool.set_shadow(Panicky(Arc::clone(&armed))))),
            ("report", &|| _ = pool.shadow_report()),
            ("resize", &|| drop(pool.resize(1))),
        ];
        let panicked = calls.iter().filter(|(_, function)| call(*function)).map(|(name, _)| *name);
        let (panicked, expected): (Vec<_>, &[_]) = (
            panicked.collect(),
            match place {
                Where::Pick => &["ask"],
                Where::Prepare | Where::Validate => &["set", "shadow"],
                Where::Weights => &["stats"],
                _ => &["stats", "set", "shadow"],
            },
        );
        assert_eq!(panicked, expected, "{place:?}");
        // The pool's own thread prepares the strategy and sends the timer's task.
        let timer = pool.tell_every(Duration::from_secs(1), || Do::Return(1)).unwrap();
        for _ in 0..3 {
            time.advance(Duration::from_secs(2));
            let _ = pool.task(Do::Return(1)).strategy(&At(0)).ask().wait();
        }
        *armed.lock().unwrap() = Where::Nowhere;
        timer.cancel();
        let (fired, done) = channel();
        pool.tell_after(SOON, Do::call(move || fired.send(()).unwrap())).unwrap();
        time.advance(Duration::from_secs(2));
        done.recv_timeout(LONG).unwrap_or_else(|_| panic!("{place:?}: timers still fire"));
        pool.set_strategy(RoundRobin::new()).unwrap();
        assert_eq!(number(pool.ask(Do::Return(7))), 7);
        pool.resize(3).unwrap();
        end(&pool);
    }
}

#[derive(Debug)]
struct BadClone(Arc<AtomicUsize>, bool);

impl Clone for BadClone {
    fn clone(&self) -> Self {
        assert!(!self.1, "as ordered");
        self.0.fetch_add(1, SeqCst);
        Self(Arc::clone(&self.0), self.1)
    }
}

impl Drop for BadClone {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

struct Sink(Option<Gate>);

impl Actor for Sink {}

impl Handler<BadClone> for Sink {
    type Reply = ();
    fn handle(&mut self, _: BadClone, _: &mut Context<'_, Self>) {
        if let Some(gate) = self.0.take() {
            gate.pass();
        }
    }
}

#[test]
fn hedged_tasks_with_past_deadlines_and_bad_clones_leave_nothing_behind() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let held = gate.clone();
    let pool = builder(1).hedge_budget(1.0).mailbox(16, Overflow::Reject);
    let pool = pool.spawn(move |_| Sink(Some(held.clone()))).unwrap();
    let alive = Arc::new(AtomicUsize::new(0));
    let message = |bad| {
        alive.fetch_add(1, SeqCst);
        BadClone(Arc::clone(&alive), bad)
    };
    pool.tell(message(false)).unwrap();
    gate.reached();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.task(message(true)).ask_hedged(Hedge::after(Duration::ZERO)).wait()
    }));
    assert!(panicked.is_err());
    let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    for delay in [Duration::ZERO, Duration::MAX] {
        let task = pool.task(message(false)).cancel_on_drop().deadline(past);
        let expired = task.ask_hedged(Hedge::after(delay)).wait();
        assert!(matches!(expired, Err(AskError::Expired)), "{expired:?}");
        let task = pool.task(message(false)).cancel_on_drop().timeout(Duration::MAX);
        drop(task.ask_hedged(Hedge::after(delay)));
    }
    let expired = pool.task(message(false)).deadline(past).ask().wait();
    assert!(matches!(expired, Err(AskError::Expired)), "{expired:?}");
    pool.task(message(false)).deadline(past).key(3).tell().unwrap();
    pool.task(message(false)).deadline(past).tell_after(Duration::ZERO).unwrap();
    gate.open();
    pool.task(message(false)).tell().unwrap();
    let account = end(&pool);
    assert_eq!((account.counts.completed, account.counts.panicked), (2, 0));
    drop(pool.take_unfinished());
    drop(pool);
    assert_eq!(alive.load(SeqCst), 0);
}
