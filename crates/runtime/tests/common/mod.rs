//! An actor that obeys its messages, and what tests do with pools of it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod key_order;
pub mod signal;
pub mod waiting;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::task::{Poll, Waker};
use std::time::Duration;

use raddle_core::{Candidates, Priority, TaskProfile, WorkerId, WorkerSpec};
use raddle_runtime::{
    Account, Actor, Ask, AskError, Context, Drain, Event, EventKind, Events, Handler, Overflow,
    Pool, PoolBuilder, Reply,
};
use raddle_strategies::{Strategy, WorkerReport};

/// Longer than anything that must happen takes.
pub const LONG: Duration = Duration::from_secs(30);

pub enum Do {
    Return(u64),
    Fail(&'static str),
    Panic(&'static str),
    /// Passes the gate.
    Hold(Gate),
    Call(Box<dyn FnOnce() + Send>),
    With(Box<WithContext>),
    /// Returns the worker and the actor's number of calls so far.
    WhoAreYou,
}

/// Runs in the handler.
type WithContext = dyn FnOnce(&mut Context<'_, Obedient>) + Send;

/// Stops a handler where the test expects it.
#[derive(Clone)]
pub struct Gate {
    reached: Arc<Barrier>,
    go_on: Arc<Barrier>,
}

impl Gate {
    pub fn new() -> Self {
        Self { reached: Arc::new(Barrier::new(2)), go_on: Arc::new(Barrier::new(2)) }
    }
    /// Waits until the handler has reached the gate.
    pub fn reached(&self) {
        self.reached.wait();
    }
    /// Called by the handler: stops until the gate opens.
    pub fn pass(&self) {
        self.reached.wait();
        self.go_on.wait();
    }
    pub fn open(&self) {
        self.go_on.wait();
    }
}

#[derive(Default)]
pub struct Obedient {
    calls: u64,
    /// Makes the actor not `Send`.
    _here: std::rc::Rc<()>,
}

#[derive(Debug, PartialEq)]
pub struct Said {
    pub number: u64,
    pub by: String,
}

/// What an obedient actor returns.
pub type Answer = Result<Said, &'static str>;

/// A pool of obedient actors.
pub type ObedientPool = Pool<Do, Answer>;

impl Actor for Obedient {}

impl Handler<Do> for Obedient {
    type Reply = Answer;

    fn handle(&mut self, order: Do, cx: &mut Context<'_, Self>) -> Answer {
        self.calls += 1;
        let mut number = self.calls;
        match order {
            Do::Return(given) => number = given,
            Do::Fail(why) => return Err(why),
            Do::Panic(why) => panic!("{why}"),
            Do::Hold(gate) => gate.pass(),
            Do::Call(function) => function(),
            Do::With(function) => function(cx),
            Do::WhoAreYou => {}
        }
        Ok(Said { number, by: cx.worker().name().to_owned() })
    }
}

impl Do {
    pub fn call(function: impl FnOnce() + Send + 'static) -> Self {
        Self::Call(Box::new(function))
    }

    pub fn with(function: impl FnOnce(&mut Context<'_, Obedient>) + Send + 'static) -> Self {
        Self::With(Box::new(function))
    }

    /// Stops its actor.
    pub fn stop() -> Self {
        Self::with(|cx| cx.stop())
    }
}

/// Obedient workers in rotation, without stealing.
pub fn pool(workers: usize, capacity: usize, overflow: Overflow) -> ObedientPool {
    builder(workers).mailbox(capacity, overflow).spawn(|_| Obedient::default()).unwrap()
}

/// Workers in rotation, `w-0` and so on, without stealing.
pub fn builder<M: Send + 'static, R: Reply>(workers: usize) -> PoolBuilder<M, R> {
    Pool::builder("test")
        .workers(workers, WorkerSpec::new("w"))
        .strategy(InTurn::default())
        .stealing(false)
}

/// Picks the candidates in turn, from the first one on, where `RoundRobin` starts at random.
#[derive(Debug, Default)]
pub struct InTurn(AtomicUsize);

impl Strategy for InTurn {
    fn name(&self) -> &'static str {
        "in_turn"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        self.0.fetch_add(1, SeqCst) % candidates.len()
    }
    fn lets_steal(&self) -> bool {
        true
    }
}

/// Always picks this one of the candidates, by the order of their positions.
#[derive(Debug)]
pub struct At(pub usize);

impl Strategy for At {
    fn name(&self) -> &'static str {
        "at"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let mut indices: Vec<_> = (0..candidates.len()).collect();
        indices.sort_by_key(|index| candidates.position(*index));
        indices.get(self.0).copied().unwrap_or(self.0)
    }
}

/// Asks the candidate at this index, which has room.
pub fn ask_at<M: Send + 'static, R: Reply>(pool: &Pool<M, R>, index: usize, msg: M) -> Ask<M, R> {
    admitted(pool.task(msg).strategy(&At(index)).ask())
}

/// The ask of a task that must have been admitted.
pub fn admitted<M, R>(ask: Ask<M, R>) -> Ask<M, R> {
    ask.into_admitted().unwrap()
}

/// Waits for the number that an obedient actor returns.
pub fn number(ask: Ask<Do, Answer>) -> u64 {
    ask.wait().unwrap().unwrap().number
}

/// Stops the handler of the candidate at this index, with a task that no other can steal.
pub fn hold<R: Reply>(pool: &Pool<Do, R>, index: usize) -> Gate {
    let gate = Gate::new();
    let task = pool.task(Do::Hold(gate.clone())).priority(Priority::Control);
    task.strategy(&At(index)).tell().unwrap();
    gate.reached();
    gate
}

/// Waits for the name of the worker that replies.
pub fn by(ask: Ask<Do, Answer>) -> Result<String, AskError<Do>> {
    ask.wait().map(|answer| answer.unwrap().by)
}

/// Shuts the pool down when every admitted task has run. Its account must be balanced then, and no
/// worker may have a task or work in flight.
pub fn end<M: Send + 'static, R: Reply>(pool: &Pool<M, R>) -> Account {
    let account = pool.shutdown(Drain::all()).unwrap();
    assert!(account.is_balanced(), "{account:?}");
    assert_eq!(pool.account().counts, account.counts, "nothing happens after a shutdown");
    for worker in pool.stats().balancer.workers {
        assert_eq!((worker.in_flight, worker.work_in_flight), (0, 0), "{}", worker.name);
    }
    account
}

/// The report on the worker with this name.
pub fn worker<M: Send + 'static, R: Reply>(pool: &Pool<M, R>, name: &str) -> WorkerReport {
    let mut workers = pool.stats().balancer.workers.into_iter();
    workers.find(|worker| worker.name == name).unwrap_or_else(|| panic!("no worker {name}"))
}

pub fn id<M: Send + 'static, R: Reply>(pool: &Pool<M, R>, name: &str) -> WorkerId {
    worker(pool, name).id
}

/// The names of the workers.
pub fn names<M: Send + 'static, R: Reply>(pool: &Pool<M, R>) -> Vec<String> {
    pool.stats().balancer.workers.into_iter().map(|worker| worker.name).collect()
}

/// A key that belongs to the worker with this name. All workers must be free.
pub fn key_of(pool: &ObedientPool, name: &str) -> u64 {
    (0..).find(|key| owner(pool, *key) == name).unwrap()
}

/// The name of the worker that a key belongs to.
pub fn owner(pool: &ObedientPool, key: u64) -> String {
    by(pool.task(Do::WhoAreYou).key(key).ask()).expect("the owner replies")
}

/// Waits for the next event that is `wanted`, and skips others.
pub fn await_event(events: &mut Events, wanted: impl Fn(&EventKind) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(LONG).expect("the event is sent");
        if wanted(&event.kind) {
            return event;
        }
    }
}

/// The unread events, each with the name of its worker or of the pool.
pub fn so_far(events: &mut Events) -> Vec<(String, EventKind)> {
    std::iter::from_fn(|| events.try_recv()).map(|event| (event.name, event.kind)).collect()
}

/// Aborts the process, naming the test, if the test does not end: a deadlock is a failure, and the test
/// runner would wait for it forever.
pub fn watchdog() -> Watchdog {
    let (alive, ended) = channel();
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    std::thread::spawn(move || {
        use std::sync::mpsc::RecvTimeoutError::Timeout;
        if ended.recv_timeout(Duration::from_secs(60)) == Err(Timeout) {
            eprintln!("test {name} is stuck");
            std::process::abort();
        }
    });
    Watchdog(alive)
}

pub struct Watchdog(#[allow(dead_code)] std::sync::mpsc::Sender<()>);

/// Runs a future on an executor of the calling thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Polls a future whose wake-ups nobody waits for.
pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut std::task::Context::from_waker(Waker::noop()))
}

/// A message whose drop is counted.
pub fn counted() -> (impl Fn() -> Counted, Receiver<()>) {
    let (sender, receiver) = channel();
    (move || Counted(sender.clone()), receiver)
}

pub struct Counted(std::sync::mpsc::Sender<()>);

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
