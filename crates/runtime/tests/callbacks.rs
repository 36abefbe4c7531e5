//! The user's code is called with nothing held: it may use the pool that calls it.
mod common;

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context as Polling, Wake, Waker};
use std::time::Duration;

use common::{Gate, LONG, builder, watchdog};
use raddle_core::{Candidates, Roster, TaskProfile, WorkerSpec};
use raddle_runtime::{
    Actor, Context, Drain, Handler, Hedge, Overflow, Pool, Reply, Restarts, StartError,
};
use raddle_strategies::{Random, RoundRobin, Strategy};

/// Calls every method of the pool but those that wait for its end.
fn use_all(pool: &Pool<Order, Answer>, name: &str) {
    let added = pool.add_worker(WorkerSpec::new(name));
    let _ = (pool.set_strategy(Random::new()), pool.set_shadow(RoundRobin::new()));
    let _ = (pool.shadow_report(), pool.account(), pool.stats(), pool.name(), pool.local());
    pool.clear_shadow();
    drop((pool.subscribe(), pool.take_unfinished(), pool.tell(Order::plain())));
    let task = || pool.task(Order::plain());
    drop((task().ask(), task().key(7).ask(), task().capability("c").ask()));
    drop((task().timeout(LONG).ask(), task().ask_hedged(Hedge::after(Duration::ZERO))));
    let later = pool.tell_after(LONG, Order::plain());
    let every = pool.tell_every(LONG, Order::plain);
    let _ = (later.map(|timer| timer.cancel()), every.map(|timer| timer.cancel()));
    if let Ok(added) = added {
        let _ = pool.retire_worker(added);
    }
    let _ = pool.resize(2);
}

/// Uses a pool once from each of some places that call it.
#[derive(Clone)]
struct Spy(Arc<Inner>);

struct Inner {
    pool: OnceLock<Pool<Order, Answer>>,
    /// Where the pool has yet to be used.
    places: Mutex<HashSet<&'static str>>,
    done: Sender<&'static str>,
}

/// Says from where the pool was used.
struct Done {
    places: HashSet<&'static str>,
    done: Receiver<&'static str>,
}

fn spy<const N: usize>(places: [&'static str; N]) -> (Spy, Done) {
    let (done, all_done) = channel();
    let places = HashSet::from(places);
    let inner = Inner { pool: OnceLock::new(), places: Mutex::new(places.clone()), done };
    (Spy(Arc::new(inner)), Done { places, done: all_done })
}

impl Spy {
    fn call(&self, from: &'static str) {
        let Some(pool) = self.0.pool.get() else { return };
        let is_wanted = self.0.places.lock().unwrap().remove(from);
        if is_wanted {
            use_all(pool, from);
            self.0.done.send(from).unwrap();
        }
    }
}

impl Done {
    /// Waits until the pool was used from everywhere.
    fn await_all(mut self) {
        while !self.places.is_empty() {
            let from = self.done.recv_timeout(LONG);
            self.places.remove(from.unwrap_or_else(|_| panic!("not used from {:?}", self.places)));
        }
    }
}

/// What a handler does, and a value that uses the pool when it is dropped or cloned.
#[derive(Clone)]
struct Order {
    act: Act,
    _value: Value,
}

#[derive(Clone)]
enum Act {
    Return,
    Panic,
    Stop,
    Hold(Gate),
}

impl Order {
    fn plain() -> Self {
        Self { act: Act::Return, _value: Value(None) }
    }
    fn that(act: Act) -> Self {
        Self { act, ..Self::plain() }
    }
    fn with(spy: &Spy, from: &'static str) -> Self {
        Self { act: Act::Return, _value: Value(Some((spy.clone(), from))) }
    }
}

/// Uses the pool when it is dropped.
#[derive(Clone)]
struct Value(Option<(Spy, &'static str)>);

impl Drop for Value {
    fn drop(&mut self) {
        if let Some((spy, from)) = self.0.take() {
            spy.call(from);
        }
    }
}

struct Answer {
    spy: Spy,
    _value: Value,
}

impl Reply for Answer {
    fn is_failure(&self) -> bool {
        self.spy.call("is_failure");
        false
    }
}

struct Spying(Spy);

impl Drop for Spying {
    fn drop(&mut self) {
        self.0.call("drop of an actor");
    }
}

impl Actor for Spying {
    fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.0.call("on_start");
        Ok(())
    }
    fn on_restart(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.0.call("on_restart");
        Ok(())
    }
    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        self.0.call("on_stop");
    }
    fn on_panic(&mut self, _: &str, _: &mut Context<'_, Self>) {
        self.0.call("on_panic");
    }
}

impl Handler<Order> for Spying {
    type Reply = Answer;

    fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> Answer {
        self.0.call("handle");
        match order.act {
            Act::Return => {}
            Act::Panic => panic!("as ordered"),
            Act::Stop => cx.stop(),
            Act::Hold(gate) => gate.pass(),
        }
        Answer { spy: self.0.clone(), _value: Value(Some((self.0.clone(), "drop of a reply"))) }
    }
}

/// A strategy that uses the pool.
struct Curious(Spy);

impl std::fmt::Debug for Curious {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Curious")
    }
}

impl Strategy for Curious {
    fn name(&self) -> &'static str {
        "curious"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        self.0.call("pick");
        0
    }
    fn prepare(&self, _: &Roster) -> Option<Arc<dyn Strategy>> {
        self.0.call("prepare");
        None
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.0.call("drop of a strategy");
    }
}

impl Wake for Spy {
    fn wake(self: Arc<Self>) {
        self.call("wake");
    }
}

fn pool(spy: &Spy, capacity: usize, overflow: Overflow) -> Pool<Order, Answer> {
    let (make, shed, rejected) = (spy.clone(), spy.clone(), spy.clone());
    let pool = builder(2)
        .mailbox(capacity, overflow)
        .restarts(Restarts::default())
        .on_shed(move |_, _| shed.call("on_shed"))
        .on_rejected(move |_, _| rejected.call("on_rejected"))
        .spawn(move |_| {
            make.call("factory");
            Spying(make.clone())
        })
        .unwrap();
    assert!(spy.0.pool.set(pool.clone()).is_ok());
    pool
}

#[test]
fn actors_messages_and_replies_may_use_their_own_pool() {
    let _watchdog = watchdog();
    let (spy, done) = spy([
        "handle",
        "is_failure",
        "drop of a message",
        "drop of a reply",
        "on_panic",
        "drop of an actor",
        "factory",
        "on_restart",
        "on_start",
        "on_stop",
    ]);
    let pool = pool(&spy, 1024, Overflow::Reject);
    pool.tell(Order::with(&spy, "drop of a message")).unwrap();
    let _ = pool.ask(Order::that(Act::Panic)).wait();
    pool.add_worker(WorkerSpec::new("one more")).unwrap();
    let _ = pool.ask(Order::that(Act::Stop)).wait();
    done.await_all();
    pool.shutdown(Drain::now()).unwrap();
}

#[test]
fn strategies_may_use_the_pool_that_they_are_given_to() {
    let _watchdog = watchdog();
    for places in [["prepare", "drop of a strategy"], ["pick", "drop of a strategy"]] {
        let (spy, done) = spy(places);
        let pool = pool(&spy, 1024, Overflow::Reject);
        pool.set_strategy(Curious(spy.clone())).unwrap();
        let _ = pool.tell(Order::plain());
        pool.set_strategy(Random::new()).unwrap();
        done.await_all();
        pool.shutdown(Drain::now()).unwrap();
    }
}

/// Fills a pool of two workers that are held, and a mailbox of one task each.
fn fill(pool: &Pool<Order, Answer>) -> [Gate; 2] {
    let gates = [Gate::new(), Gate::new()];
    for gate in &gates {
        pool.tell(Order::that(Act::Hold(gate.clone()))).unwrap();
        gate.reached();
    }
    for _ in 0..4 {
        let _ = pool.tell(Order::plain());
    }
    gates
}

#[test]
fn callbacks_may_use_their_pool() {
    let _watchdog = watchdog();
    for (overflow, place) in [
        (Overflow::DropOldest, "on_shed"),
        (Overflow::DropNewest, "on_shed"),
        (Overflow::Reject, "on_rejected"),
    ] {
        let (spy, done) = spy([place]);
        let pool = pool(&spy, 1, overflow);
        let gates = fill(&pool);
        done.await_all();
        gates.iter().for_each(Gate::open);
        pool.shutdown(Drain::all()).unwrap();
    }
}

#[test]
fn timers_may_use_their_pool() {
    let _watchdog = watchdog();
    let (spy, done) = spy(["a periodic message", "drop in a timer"]);
    let pool = pool(&spy, 1024, Overflow::Reject);
    let make = spy.clone();
    let every = pool.tell_every(Duration::from_millis(1), move || {
        make.call("a periodic message");
        Order::plain()
    });
    let every = every.unwrap();
    pool.tell_after(LONG, Order::with(&spy, "drop in a timer")).unwrap().cancel();
    done.await_all();
    every.cancel();
    pool.shutdown(Drain::now()).unwrap();
}

/// A subscriber of the log that uses the pool for each line.
#[cfg(feature = "tracing")]
struct Ships(Spy);

#[cfg(feature = "tracing")]
impl tracing::Subscriber for Ships {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let level = *event.metadata().level();
        self.0.call(if level == tracing::Level::ERROR { "an error" } else { "an event" });
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Panics when it prepares for a roster.
#[cfg(feature = "tracing")]
#[derive(Debug)]
struct Unprepared;

#[cfg(feature = "tracing")]
impl Strategy for Unprepared {
    fn name(&self) -> &'static str {
        "unprepared"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        0
    }
    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        assert!(roster.members().len() < 3, "it is prepared for two workers");
        None
    }
}

#[test]
#[cfg(feature = "tracing")]
fn a_subscriber_of_the_log_may_use_the_pool() {
    let _watchdog = watchdog();
    let changes: [fn(&Pool<Order, Answer>); 2] = [
        |pool| pool.set_strategy(Random::new()).unwrap(),
        |pool| _ = pool.add_worker(WorkerSpec::new("one more")).unwrap(),
    ];
    for change in changes {
        let (spy, done) = spy(["an event"]);
        let pool = pool(&spy, 1024, Overflow::Reject);
        tracing::subscriber::with_default(Ships(spy), || change(&pool));
        done.await_all();
        pool.shutdown(Drain::now()).unwrap();
    }
    // The panic of a strategy is logged.
    let (spy, done) = spy(["an error"]);
    let pool = pool(&spy, 1024, Overflow::Reject);
    pool.set_strategy(Unprepared).unwrap();
    tracing::subscriber::with_default(Ships(spy), || {
        pool.add_worker(WorkerSpec::new("one more")).unwrap();
    });
    done.await_all();
    pool.shutdown(Drain::now()).unwrap();
}

#[test]
fn wakers_may_use_the_pool_whose_worker_or_shutdown_wakes_them() {
    let _watchdog = watchdog();
    for by_shutdown in [false, true] {
        let (spy, done) = spy(["wake"]);
        let pool = pool(&spy, 1024, Overflow::Reject);
        let gate = Gate::new();
        let ask = pool.ask(Order::that(Act::Hold(gate.clone())));
        let mut ask = std::pin::pin!(ask.into_future());
        gate.reached();
        let waker = Waker::from(Arc::new(spy.clone()));
        assert!(Future::poll(ask.as_mut(), &mut Polling::from_waker(&waker)).is_pending());
        if by_shutdown {
            pool.shutdown(Drain::now()).unwrap_err();
        } else {
            gate.open();
        }
        done.await_all();
        if by_shutdown {
            gate.open();
        }
        pool.shutdown(Drain::now()).unwrap();
    }
}
