//! An actor that does as each message says.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod key_order;

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use raddle_core::{Candidates, TaskProfile, WorkerId, WorkerSpec};
use raddle_runtime::{
    Account, Actor, AskError, Context, Drain, Event, EventKind, Events, Overflow, Pool,
    PoolBuilder, Reply,
};
use raddle_strategies::{RoundRobin, Strategy, WorkerReport};

/// Longer than anything takes that is to happen.
pub const LONG: Duration = Duration::from_secs(30);

pub enum Do {
    Return(u64),
    Fail(&'static str),
    Panic(&'static str),
    /// Says where it is, then waits for the word to go on.
    Hold(Gate),
    Call(Box<dyn FnOnce() + Send>),
    With(Box<dyn FnOnce(&mut Context<'_>) + Send>),
    /// Which worker, and the actor's number of calls so far.
    WhoAreYou,
}

/// A handler stopped at a place that the test knows.
#[derive(Clone)]
pub struct Gate {
    reached: Arc<Barrier>,
    go_on: Arc<Barrier>,
}

impl Gate {
    pub fn new() -> Self {
        Self { reached: Arc::new(Barrier::new(2)), go_on: Arc::new(Barrier::new(2)) }
    }
    /// Waits until the handler is there.
    pub fn reached(&self) {
        self.reached.wait();
    }
    /// What the handler does.
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
    /// Makes the actor something that is not `Send`.
    _here: std::rc::Rc<()>,
}

#[derive(Debug, PartialEq)]
pub struct Said {
    pub number: u64,
    pub by: String,
}

impl Actor for Obedient {
    type Msg = Do;
    type Reply = Said;
    type Error = &'static str;

    fn handle(&mut self, order: Do, cx: &mut Context<'_>) -> Result<Said, &'static str> {
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

    pub fn with(function: impl FnOnce(&mut Context<'_>) + Send + 'static) -> Self {
        Self::With(Box::new(function))
    }

    /// Stops its actor.
    pub fn stop() -> Self {
        Self::with(|cx| cx.stop())
    }
}

/// So many obedient workers in rotation, each with its own tasks.
pub fn pool(workers: usize, capacity: usize, overflow: Overflow) -> Pool<Obedient> {
    builder(workers).mailbox(capacity, overflow).spawn(|_| Obedient::default()).unwrap()
}

/// A pool of so many workers in rotation, `w-0` and so on, each with its own tasks.
pub fn builder<A: Actor>(workers: usize) -> PoolBuilder<A> {
    Pool::builder("test")
        .workers(workers, WorkerSpec::new("w"))
        .strategy(RoundRobin::new())
        .stealing(false)
}

/// Picks the candidate at this index, for every task.
#[derive(Debug)]
pub struct At(pub usize);

impl Strategy for At {
    fn name(&self) -> &'static str {
        "at"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        self.0
    }
}

/// A task for the candidate at this index.
pub fn ask_at<A: Actor>(pool: &Pool<A>, index: usize, msg: A::Msg) -> Reply<A::Reply, A::Error> {
    pool.task(msg).strategy(&At(index)).ask().unwrap()
}

/// Lets the handler of the candidate at this index wait.
pub fn hold<A: Actor<Msg = Do>>(pool: &Pool<A>, index: usize) -> Gate {
    let gate = Gate::new();
    pool.task(Do::Hold(gate.clone())).strategy(&At(index)).tell().unwrap();
    gate.reached();
    gate
}

/// The name of the worker that answers.
pub fn by(reply: Reply<Said, &'static str>) -> Result<String, AskError<&'static str>> {
    reply.wait().map(|said| said.by)
}

/// Shuts the pool down when every admitted task has been run: its account is balanced then and
/// no worker has a task, nor work.
pub fn end<A: Actor>(pool: &Pool<A>) -> Account {
    let account = pool.shutdown(Drain::all()).unwrap();
    assert!(account.is_balanced(), "{account:?}");
    assert_eq!(pool.account().counts, account.counts, "nothing happens after a shutdown");
    for worker in pool.stats().balancer.workers {
        assert_eq!((worker.in_flight, worker.work_in_flight), (0, 0), "{}", worker.name);
    }
    account
}

/// What is known of the worker of this name.
pub fn worker<A: Actor>(pool: &Pool<A>, name: &str) -> WorkerReport {
    let mut workers = pool.stats().balancer.workers.into_iter();
    workers.find(|worker| worker.name == name).unwrap_or_else(|| panic!("no worker {name}"))
}

pub fn id<A: Actor>(pool: &Pool<A>, name: &str) -> WorkerId {
    worker(pool, name).id
}

/// The names of the workers.
pub fn names<A: Actor>(pool: &Pool<A>) -> Vec<String> {
    pool.stats().balancer.workers.into_iter().map(|worker| worker.name).collect()
}

/// A key that belongs to the worker of this name, which must be free.
pub fn key_of<A: Actor<Msg = Do, Reply = Said>>(pool: &Pool<A>, name: &str) -> u64 {
    (0..).find(|key| owner(pool, *key) == name).unwrap()
}

/// The worker that a key belongs to.
pub fn owner<A: Actor<Msg = Do, Reply = Said>>(pool: &Pool<A>, key: u64) -> String {
    let reply = pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    reply.wait().ok().expect("the owner answers").by
}

/// The next event that is wanted; the others are passed over.
pub fn await_event(events: &mut Events, wanted: impl Fn(&EventKind) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(LONG).expect("the event comes");
        if wanted(&event.kind) {
            return event;
        }
    }
}

/// The events so far, each with its worker's or the pool's name.
pub fn so_far(events: &mut Events) -> Vec<(String, EventKind)> {
    std::iter::from_fn(|| events.try_next()).map(|event| (event.name, event.kind)).collect()
}

/// Ends the process with a word about it when the test does not end: a deadlock is a failure, not
/// a wait for the runner's patience.
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
