//! What the samples take for granted: the names of raddle, a pool, and the types of its messages.

#![allow(dead_code, unused_imports, reason = "samples use some of this")]

pub use std::collections::HashMap;
use std::fmt;
pub use std::time::{Duration, Instant};

pub use raddle::strategies::{
    BalancerConfig, Ejection, JoinIdle, LatencyBased, LeastLoaded, SlowStart,
};
pub use raddle::{
    Actor, AskError, AsyncContext, AsyncHandler, Context, Deferred, Handler, Hedge, KeyedState,
    OnRetired, Outcome, Overflow, Pool, Priority, ReadWrite, Reply, RestartLimit, Restarts, Roster,
    SharedHandler, SpawnError, StartError, SupervisionStrategy, Supervisor, TaskProfile, Watchdog,
    WeakPool, WorkerSpec,
};

#[derive(Clone, Copy, Debug)]
pub struct Image {
    size: u32,
}

#[derive(Debug)]
pub struct Thumbnail {
    pub size: u32,
    pub quality: u8,
}

#[derive(Debug)]
pub struct EmptyImage;

impl Image {
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub fn shrink(&self, quality: u8) -> Thumbnail {
        Thumbnail { size: self.size / 8, quality }
    }
}

impl fmt::Display for EmptyImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the image is empty")
    }
}

impl std::error::Error for EmptyImage {}

pub struct Resizer {
    pub quality: u8,
}

impl Actor for Resizer {}

impl Handler<Image> for Resizer {
    type Reply = Result<Thumbnail, EmptyImage>;

    fn handle(&mut self, image: Image, _: &mut Context<'_, Self>) -> Self::Reply {
        if image.is_empty() { Err(EmptyImage) } else { Ok(image.shrink(self.quality)) }
    }
}

pub fn photo() -> Image {
    Image { size: 800 }
}

pub fn resizers() -> Result<Pool<Image, Result<Thumbnail, EmptyImage>>, SpawnError> {
    Pool::builder("resize").workers(2, WorkerSpec::general()).spawn(|_| Resizer { quality: 80 })
}

/// The address of a page.
pub struct Url;

impl Url {
    pub fn links(&self) -> Vec<Url> {
        Vec::new()
    }
}

/// The message of a timer.
#[derive(Clone)]
pub struct Tick;

struct Ticker;

impl Actor for Ticker {}

impl Handler<Tick> for Ticker {
    type Reply = ();

    fn handle(&mut self, _: Tick, _: &mut Context<'_, Self>) {}
}

pub fn tickers() -> Result<Pool<Tick, ()>, SpawnError> {
    Pool::builder("tick").workers(2, WorkerSpec::general()).spawn(|_| Ticker)
}

/// A call of an upstream server.
pub fn call(_server: &str) -> Result<(), ()> {
    Ok(())
}

pub type Request = Image;
pub type Response = Result<Thumbnail, EmptyImage>;

pub fn parse_pool() -> Result<Pool<Request, Response>, SpawnError> {
    resizers()
}

pub fn store_pool() -> Result<Pool<Tick, ()>, SpawnError> {
    tickers()
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without I/O starts").block_on(future)
}
