use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::runtime::Runtime;

use crate::figures::{Figures, RATE};

/// Measures calls per second whose handlers await a timer.
#[derive(Clone, Copy, Debug)]
pub struct Awaiting {
    /// The number of workers.
    pub workers: usize,
    /// The number of callers, which are tasks of tokio.
    pub callers: usize,
    /// How many calls a caller makes at once; when all have ended, it makes them again.
    pub at_once: usize,
    /// How long a handler awaits.
    pub pause: Duration,
    /// The approximate duration of the measurement.
    pub seconds: f64,
}

impl Awaiting {
    /// What a handler does: awaits tokio's timer.
    pub async fn pass(self) {
        tokio::time::sleep(self.pause).await;
    }

    /// Returns how many calls are made at once by all callers.
    pub fn outstanding(self) -> usize {
        self.callers * self.at_once
    }

    /// Measures the calls that `caller` makes, for each caller by a function of its own.
    pub fn measure<C, R>(self, runtime: &Runtime, caller: impl Fn() -> C) -> Figures
    where
        C: FnMut() -> R + Send + 'static,
        R: Future<Output = ()> + Send,
    {
        let ended = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let callers: Vec<_> = (0..self.callers)
            .map(|_| {
                let (mut call, ended) = (caller(), Arc::clone(&ended));
                runtime.spawn(async move {
                    let mut calls = 0_u64;
                    while !ended.load(Relaxed) {
                        join_all((0..self.at_once).map(|_| call())).await;
                        calls += self.at_once as u64;
                    }
                    calls
                })
            })
            .collect();
        thread::sleep(Duration::from_secs_f64(self.seconds));
        ended.store(true, Relaxed);
        let calls = callers
            .into_iter()
            .map(|caller| runtime.block_on(caller).expect("calling does not panic"));
        let calls: u64 = calls.sum();
        Figures::one(RATE, calls as f64 / begun.elapsed().as_secs_f64())
    }
}
