//! Tasks that arrive on schedule whatever the pool does, and how long each took from when it was
//! due.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use raddle_runtime::{Actor, Context, Pool};

/// A task that a [`Sleeper`] serves.
#[derive(Clone, Debug)]
pub struct Job {
    /// When it was due.
    pub due: Instant,
    /// How long it takes.
    pub service: Duration,
    /// Where its end is told.
    pub seen: Arc<Seen>,
}

/// What became of the jobs of a run.
#[derive(Debug)]
pub struct Seen(Mutex<Figures>);

/// Figures of a run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Microseconds from when a job was due to its end.
    pub latency: Histogram<u64>,
    /// Jobs that ended within their deadline.
    pub in_time: u64,
    /// Jobs whose handler began after their deadline.
    pub began_late: u64,
}

impl Seen {
    /// Nothing yet.
    pub fn new() -> Arc<Self> {
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3)
            .expect("microseconds up to ten minutes, to three digits, are allowed");
        Arc::new(Self(Mutex::new(Figures { latency, in_time: 0, began_late: 0 })))
    }

    /// The figures so far.
    pub fn figures(&self) -> Figures {
        self.figures_mut().clone()
    }

    fn figures_mut(&self) -> std::sync::MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    /// A quantile of the latency in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// What is wrong with a worker.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// From this time on its handler returns no more until the test lets go.
    HangsFrom(Instant, Arc<Mutex<()>>),
    /// It fails at once.
    Fails,
}

/// Serves a job by sleeping, so that a machine of two cores has as many workers as it likes.
#[derive(Debug)]
pub struct Sleeper {
    /// What is wrong with it.
    pub fault: Fault,
}

impl Actor for Sleeper {
    type Msg = Job;
    type Reply = ();
    type Error = &'static str;

    fn handle(&mut self, job: Job, cx: &mut Context<'_>) -> Result<(), &'static str> {
        match &self.fault {
            Fault::HangsFrom(from, held) if Instant::now() >= *from => {
                drop(held.lock());
                return Ok(());
            }
            Fault::Fails => return Err("always"),
            _ => {}
        }
        let late = cx.remaining() == Some(Duration::ZERO);
        thread::sleep(job.service);
        let in_time = cx.remaining() != Some(Duration::ZERO);
        let latency = job.due.elapsed().as_micros() as u64;
        let mut figures = job.seen.figures_mut();
        figures.latency.saturating_record(latency);
        figures.in_time += u64::from(in_time);
        figures.began_late += u64::from(late);
        Ok(())
    }
}

/// Gives jobs to the pool for a time, at random intervals of this mean (a Poisson process, by the
/// seed), each with a service time that `service` draws, and returns how many.
pub fn drive(
    pool: &Pool<Sleeper>,
    seen: &Arc<Seen>,
    time: Duration,
    interval: Duration,
    deadline: Option<Duration>,
    service: impl Fn(&mut fastrand::Rng) -> Duration,
) -> u64 {
    let mut random = fastrand::Rng::with_seed(7);
    let begin = Instant::now();
    let mut due = begin;
    let mut given = 0;
    loop {
        due += interval.mul_f64(-(1.0 - random.f64()).ln());
        if due >= begin + time {
            return given;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let job = Job { due, service: service(&mut random), seen: Arc::clone(seen) };
        let task = pool.task(job);
        // What is refused or shed is the pool's to count.
        let _ = match deadline {
            Some(within) => task.timeout(within).tell(),
            None => task.tell(),
        };
        given += 1;
    }
}
