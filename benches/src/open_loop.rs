//! An open-loop load: tasks arrive on schedule whatever the pool does, and latency is measured from
//! the time when each was due.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use raddle_runtime::{Actor, Context, Handler, Pool};

/// A message to a [`Sleeper`].
#[derive(Clone, Debug)]
pub struct Job {
    /// The time when it was due.
    pub due: Instant,
    /// The duration of its handler.
    pub service: Duration,
    /// Where its end is recorded.
    pub seen: Arc<Seen>,
}

/// Records the jobs of a run.
#[derive(Debug)]
pub struct Seen(Mutex<Figures>);

/// Figures of a run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Microseconds from the time when a job was due to its end.
    pub latency: Histogram<u64>,
    /// Number of jobs that ended within their deadline.
    pub in_time: u64,
    /// Number of jobs whose handler started after their deadline.
    pub started_late: u64,
}

impl Seen {
    /// Creates an empty record.
    pub fn new() -> Arc<Self> {
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3)
            .expect("microseconds up to ten minutes, to three digits, are allowed");
        Arc::new(Self(Mutex::new(Figures { latency, in_time: 0, started_late: 0 })))
    }

    /// Returns the figures so far.
    pub fn figures(&self) -> Figures {
        self.figures_mut().clone()
    }

    fn figures_mut(&self) -> std::sync::MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    /// Returns a quantile of the latency in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// A fault of a worker.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No fault.
    None,
    /// From this time on, its handler does not return until the mutex is unlocked.
    HangsFrom(Instant, Arc<Mutex<()>>),
    /// Its handler fails immediately.
    Fails,
}

/// Serves a job by sleeping, so that a machine with two cores can run many workers.
#[derive(Debug)]
pub struct Sleeper {
    /// Its fault.
    pub fault: Fault,
}

/// The reply to a job.
pub type Served = Result<(), &'static str>;

impl Actor for Sleeper {}

impl Handler<Job> for Sleeper {
    type Reply = Served;

    fn handle(&mut self, job: Job, cx: &mut Context<'_, Self>) -> Served {
        match &self.fault {
            Fault::HangsFrom(from, mutex) if Instant::now() >= *from => {
                drop(mutex.lock());
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
        figures.started_late += u64::from(late);
        Ok(())
    }
}

/// Submits jobs to the pool for `time`, at random intervals of mean `interval` (a Poisson process
/// with a fixed seed), each with a service time drawn by `service`. Returns the number of jobs.
pub fn drive(
    pool: &Pool<Job, Served>,
    seen: &Arc<Seen>,
    time: Duration,
    interval: Duration,
    timeout: Option<Duration>,
    service: impl Fn(&mut fastrand::Rng) -> Duration,
) -> u64 {
    let mut random = fastrand::Rng::with_seed(7);
    let begin = Instant::now();
    let mut due = begin;
    let mut submitted = 0;
    loop {
        due += interval.mul_f64(-(1.0 - random.f64()).ln());
        if due >= begin + time {
            return submitted;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let job = Job { due, service: service(&mut random), seen: Arc::clone(seen) };
        let task = pool.task(job);
        // The pool counts what it rejects and sheds.
        let _ = match timeout {
            Some(timeout) => task.timeout(timeout).tell(),
            None => task.tell(),
        };
        submitted += 1;
    }
}
