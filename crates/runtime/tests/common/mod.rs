//! An actor that does as each message says.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, channel};

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Overflow, Pool};
use raddle_strategies::RoundRobin;

pub enum Do {
    Return(u64),
    Fail(&'static str),
    Panic(&'static str),
    /// Says where it is, then waits for the word to go on.
    Hold(Gate),
    Call(Box<dyn FnOnce() + Send>),
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
            Do::Hold(gate) => {
                gate.reached.wait();
                gate.go_on.wait();
            }
            Do::Call(function) => function(),
            Do::WhoAreYou => {}
        }
        Ok(Said { number, by: cx.worker().name().to_owned() })
    }
}

/// So many obedient workers in rotation, each with its own tasks.
pub fn pool(workers: usize, capacity: usize, overflow: Overflow) -> Pool<Obedient> {
    Pool::builder("test")
        .workers(workers, WorkerSpec::new("w"))
        .strategy(RoundRobin::new())
        .mailbox(capacity, overflow)
        .stealing(false)
        .spawn(|_| Obedient::default())
        .unwrap()
}

/// Ends the process with a word about it when the test does not end: a deadlock is a failure, not
/// a wait for the runner's patience.
pub fn watchdog() -> Watchdog {
    let (alive, ended) = channel();
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    std::thread::spawn(move || {
        use std::sync::mpsc::RecvTimeoutError::Timeout;
        if ended.recv_timeout(std::time::Duration::from_secs(60)) == Err(Timeout) {
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
