//! raddle: a pool at its defaults, and its balancer alone.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use raddle::core::Reservation;
use raddle::prelude::{
    Actor, AskError, BalancerConfig, Context, Outcome, Pool, Reply, Roster, StrategyName,
    TaskProfile, WaitStrategy, WorkerSpec,
};

use crate::figures::Figures;
use crate::harness::{Asking, Driver, Duty, Selecting, Task};

struct Worker<D: Duty>(&'static D);

impl<D: Duty> Actor for Worker<D> {
    type Msg = Task;
    type Reply = ();
    type Error = Infallible;

    fn handle(&mut self, task: Task, _: &mut Context<'_>) -> Result<(), Infallible> {
        self.0.run(task);
        Ok(())
    }
}

/// A pool at its defaults: join idle.
pub fn pool<R: Driver>(driver: R) -> R::Outcome {
    spawn(driver, None)
}

/// A pool with another strategy.
pub fn pool_by<R: Driver>(driver: R, strategy: StrategyName) -> R::Outcome {
    spawn(driver, Some(strategy))
}

fn spawn<R: Driver>(driver: R, strategy: Option<StrategyName>) -> R::Outcome {
    let crew = driver.crew();
    let mut pool = Pool::builder("peers").workers(driver.workers(), WorkerSpec::general());
    if let Some(strategy) = strategy {
        pool = pool.strategy(strategy.build());
    }
    let pool = pool.spawn(move |_| Worker(crew.next())).expect("the pool has no mistakes");
    driver.by_threads(|| {
        let mut handle = pool.local();
        move |task| handle.tell(task).expect("the pool is open")
    })
}

struct Echo;

impl Actor for Echo {
    type Msg = u64;
    type Reply = u64;
    type Error = Infallible;

    fn handle(&mut self, number: u64, _: &mut Context<'_>) -> Result<u64, Infallible> {
        Ok(number)
    }
}

/// Asks one worker that spins.
pub fn ask_spinning(asking: &Asking) -> Figures {
    ask(asking, WaitStrategy::Spin, answer_spinning)
}

/// Asks one worker that waits as it does by default.
pub fn ask_default(asking: &Asking) -> Figures {
    ask(asking, WaitStrategy::default(), Reply::wait)
}

/// How an asker waits that does not want to sleep.
fn answer_spinning(reply: Reply<u64, Infallible>) -> Result<u64, AskError<Infallible>> {
    reply.wait()
}

fn ask(
    asking: &Asking,
    wait: WaitStrategy,
    answer: fn(Reply<u64, Infallible>) -> Result<u64, AskError<Infallible>>,
) -> Figures {
    let pool = Pool::builder("echo")
        .workers(1, WorkerSpec::general())
        .wait(wait)
        .spawn(|_| Echo)
        .expect("the pool has no mistakes");
    let mut handle = pool.local();
    asking.measure(|number| {
        answer(handle.ask(number).expect("the pool is open")).expect("the echo answers")
    })
}

/// The balancer alone: selects, reserves and releases.
pub fn select(selecting: &Selecting, strategy: StrategyName) -> Figures {
    let roster = warm_roster(selecting.targets);
    let balancer = BalancerConfig::new(strategy).build().expect("the defaults have no mistakes");
    balancer.refresh(&roster);
    let task = TaskProfile::default();
    selecting.measure(|| {
        let reservation = balancer.select(black_box(&task), black_box(&roster));
        black_box(reservation.map(|reservation| reservation.position()).ok());
    })
}

/// Workers with some latencies of about a millisecond behind them.
fn warm_roster(workers: usize) -> Roster {
    let roster = Roster::builder()
        .workers(workers, WorkerSpec::general())
        .build()
        .expect("a roster of generalists has no mistakes");
    for (position, member) in roster.members().iter().enumerate() {
        for round in 0..20 {
            let took = Duration::from_nanos(1_000_000 + (position * 7 + round) as u64 * 1_000);
            if let Some(reservation) = Reservation::take(&member.worker, position, None) {
                reservation.finish(Outcome::Completed, took);
            }
        }
    }
    roster
}
