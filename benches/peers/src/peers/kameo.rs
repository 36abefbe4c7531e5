//! kameo: actors in tokio tasks, in turn and behind its `ActorPool`.

use std::convert::Infallible;

use ::kameo::actor::{ActorRef, Spawn};
use ::kameo::message::{Context, Message};
use ::kameo::reply::DelegatedReply;
use ::kameo::{Actor, mailbox};
use kameo_actors::pool::{ActorPool, Dispatch};

use crate::figures::Figures;
use crate::harness::{
    Asking, Awaiting, Crew, Driver, Duty, Inlet, MAILBOX, Rotation, Task, tokio_runtime,
};

struct Worker<D: Duty>(&'static D);

impl<D: Duty> Actor for Worker<D> {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(worker: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(worker)
    }
}

impl<D: Duty> Message<Task> for Worker<D> {
    type Reply = ();

    async fn handle(&mut self, task: Task, _: &mut Context<Self, ()>) {
        self.0.run_async(task).await;
    }
}

impl<D: Duty> Inlet for Rotation<ActorRef<Worker<D>>> {
    async fn send(&mut self, task: Task) {
        self.next().tell(task).send().await.expect("the actor lives");
    }
}

/// Actors in turn.
pub fn actors<R: Driver>(driver: R) -> R::Outcome {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let actors: Vec<_> = (0..driver.workers())
        .map(|_| {
            let worker = Worker(driver.crew().next());
            Worker::spawn_with_mailbox(worker, mailbox::bounded(MAILBOX))
        })
        .collect();
    drop(entered);
    driver.by_tasks(&runtime, || Rotation::new(actors.clone()))
}

struct PoolInlet<D: Duty>(ActorRef<ActorPool<Worker<D>>>);

impl<D: Duty> Inlet for PoolInlet<D> {
    async fn send(&mut self, task: Task) {
        self.0.tell(Dispatch(task)).send().await.expect("the pool lives");
    }
}

/// Its pool, an actor that forwards each task to the actor with the fewest.
pub fn actor_pool<R: Driver>(driver: R) -> R::Outcome {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let crew: Crew<R::Duty> = driver.crew();
    let workers = driver.workers();
    let pool =
        ActorPool::spawn(ActorPool::new(workers, move || Worker::spawn(Worker(crew.next()))));
    drop(entered);
    driver.by_tasks(&runtime, || PoolInlet(pool.clone()))
}

struct Echo;

impl Actor for Echo {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(echo: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(echo)
    }
}

impl Message<u64> for Echo {
    type Reply = u64;

    async fn handle(&mut self, number: u64, _: &mut Context<Self, u64>) -> u64 {
        number
    }
}

/// Asks an actor from outside the runtime.
pub fn ask(asking: &Asking) -> Figures {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let actor = Echo::spawn(Echo);
    drop(entered);
    asking.measure(|number| actor.ask(number).blocking_send().expect("the actor answers"))
}

struct Sleeper(Awaiting);

impl Actor for Sleeper {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(sleeper: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(sleeper)
    }
}

struct Sleep;

impl Message<Sleep> for Sleeper {
    type Reply = DelegatedReply<()>;

    async fn handle(&mut self, _: Sleep, context: &mut Context<Self, Self::Reply>) -> Self::Reply {
        context.spawn(self.0.pass())
    }
}

/// Actors that delegate each reply to a task of tokio; callers take turns with them.
pub fn awaiting(awaiting: Awaiting) -> Figures {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let actors: Vec<_> = (0..awaiting.workers).map(|_| Sleeper::spawn(Sleeper(awaiting))).collect();
    drop(entered);
    awaiting.measure(&runtime, || {
        let mut turns = Rotation::new(actors.clone());
        move || {
            let actor = turns.next().clone();
            async move { actor.ask(Sleep).await.expect("the actor answers") }
        }
    })
}
