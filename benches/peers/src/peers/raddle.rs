//! raddle: a pool with its defaults, and its balancer alone.

use std::hint::black_box;
use std::time::Duration;

use raddle::strategies::{BalancerConfig, StrategyName};
use raddle::{
    Actor, Ask, AsyncContext, AsyncHandler, Context, Drain, Handler, Outcome, Pool, PoolBuilder,
    Reservation, Roster, SharedHandler, SpawnError, TaskProfile, WaitStrategy, WorkerSpec,
};

use crate::figures::Figures;
use crate::harness::{Asking, Awaiting, Driver, Duty, Selecting, Task, tokio_runtime};

struct Worker<D: Duty>(&'static D);

impl<D: Duty> Actor for Worker<D> {}

impl<D: Duty> Handler<Task> for Worker<D> {
    type Reply = ();

    fn handle(&mut self, task: Task, _: &mut Context<'_, Self>) {
        self.0.run(task);
    }
}

/// A pool with its defaults: join idle.
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
    let pool = pool.spawn(move |_| Worker(crew.next())).expect("the settings are valid");
    driver.by_threads(|| {
        let mut handle = pool.local();
        move |task| handle.tell(task).expect("the pool is open")
    })
}

struct Echo;

impl Actor for Echo {}

impl Handler<u64> for Echo {
    type Reply = u64;

    fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
        number
    }
}

/// Asks one worker that spins.
pub fn ask_spinning(asking: &Asking) -> Figures {
    ask(asking, WaitStrategy::Spin)
}

/// Asks one worker with its default wait strategy.
pub fn ask_default(asking: &Asking) -> Figures {
    ask(asking, WaitStrategy::default())
}

fn ask(asking: &Asking, wait: WaitStrategy) -> Figures {
    let pool = Pool::builder("echo")
        .workers(1, WorkerSpec::general())
        .wait(wait)
        .spawn(|_| Echo)
        .expect("the settings are valid");
    let mut handle = pool.local();
    asking.measure(|number| handle.ask(number).wait().expect("the echo answers"))
}

/// Selects, reserves and releases by the balancer alone.
pub fn select(selecting: &Selecting, strategy: StrategyName) -> Figures {
    let roster = warm_roster(selecting.targets);
    let balancer = BalancerConfig::new(strategy).build().expect("the defaults are valid");
    balancer.refresh(&roster);
    let task = TaskProfile::default();
    selecting.measure(|| {
        let reservation = balancer.select(black_box(&task), black_box(&roster));
        black_box(reservation.map(|reservation| reservation.position()).ok());
    })
}

/// Workers that have recorded some latencies of about a millisecond.
fn warm_roster(workers: usize) -> Roster {
    let roster = Roster::builder()
        .workers(workers, WorkerSpec::general())
        .build()
        .expect("the roster is valid");
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

struct Sleeper(Awaiting);

impl Actor for Sleeper {}

impl AsyncHandler<()> for Sleeper {
    type Reply = ();

    async fn handle(&mut self, (): (), _: &mut AsyncContext<'_, Self>) {
        self.0.pass().await;
    }
}

impl SharedHandler<()> for Sleeper {
    type Reply = ();

    async fn handle(&self, (): (), _: &mut AsyncContext<'_, Self>) {
        self.0.pass().await;
    }
}

/// Handlers side by side, for as many calls as are made at once.
pub fn awaiting_concurrent(awaiting: Awaiting) -> Figures {
    await_by(awaiting, |pool| concurrent(pool, awaiting), |pool| pool.ask(()))
}

/// The same, and each call has a deadline.
pub fn awaiting_in_time(awaiting: Awaiting) -> Figures {
    let limit = Duration::from_secs(10);
    await_by(
        awaiting,
        |pool| concurrent(pool, awaiting),
        move |pool| pool.task(()).timeout(limit).ask(),
    )
}

/// One handler at a time per worker.
pub fn awaiting_exclusive(awaiting: Awaiting) -> Figures {
    await_by(awaiting, |pool| pool.spawn_async(move |_| Sleeper(awaiting)), |pool| pool.ask(()))
}

type Sleepers = Result<Pool<(), ()>, SpawnError>;

fn concurrent(pool: PoolBuilder<(), ()>, awaiting: Awaiting) -> Sleepers {
    let share = awaiting.outstanding().div_ceil(awaiting.workers);
    pool.spawn_concurrent(share, move |_| Sleeper(awaiting))
}

/// All calls must have completed, as the pool counts them.
fn await_by(
    awaiting: Awaiting,
    spawn: impl FnOnce(PoolBuilder<(), ()>) -> Sleepers,
    call: impl Fn(&Pool<(), ()>) -> Ask<(), ()> + Copy + Send + 'static,
) -> Figures {
    let runtime = tokio_runtime();
    let workers = WorkerSpec::general();
    let pool = Pool::builder("sleepers").workers(awaiting.workers, workers);
    let pool = spawn(pool.enter(runtime.handle().clone())).expect("the settings are valid");
    let figures = awaiting.measure(&runtime, || {
        let pool = pool.clone();
        move || {
            let ask = call(&pool);
            async move { ask.await.expect("it ends in time") }
        }
    });
    let account = pool.shutdown(Drain::all()).expect("there is no limit");
    assert!(account.is_balanced() && account.counts.completed == account.counts.ended());
    figures
}
