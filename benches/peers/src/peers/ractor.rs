//! ractor: actors in tokio tasks, in turn and behind its factory. Their mailboxes are unbounded.

use ::ractor::factory::queues::DefaultQueue;
use ::ractor::factory::routing::{QueuerRouting, RoundRobinRouting, Router};
use ::ractor::factory::{self, Factory, FactoryArguments, FactoryRef, Job, WorkerId};
use ::ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use futures::executor::block_on;

use crate::figures::Figures;
use crate::harness::{Asking, Awaiting, Driver, Duty, Rotation, Task, tokio_runtime};

struct Worker<D: Duty>(&'static D);

impl<D: Duty> Actor for Worker<D> {
    type Msg = Task;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Task>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Task>,
        task: Task,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.0.run_async(task).await;
        Ok(())
    }
}

/// Actors in turn.
pub fn actors<R: Driver>(driver: R) -> R::Outcome {
    let runtime = tokio_runtime();
    let actors: Vec<_> = (0..driver.workers())
        .map(|_| {
            let spawned = Actor::spawn(None, Worker(driver.crew().next()), ());
            runtime.block_on(spawned).expect("the actor starts").0
        })
        .collect();
    driver.by_threads(|| {
        let mut turns = Rotation::new(actors.clone());
        move |task| turns.next().cast(task).expect("the actor lives")
    })
}

struct FactoryWorker<D: Duty>(&'static D);

impl<D: Duty> factory::Worker for FactoryWorker<D> {
    type Key = ();
    type Message = Task;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _: WorkerId,
        _: &FactoryRef<(), Task>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: WorkerId,
        _: &FactoryRef<(), Task>,
        job: Job<(), Task>,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.0.run_async(job.msg).await;
        Ok(())
    }
}

/// Its factory with one queue for all workers.
pub fn factory_queuer<R: Driver>(driver: R) -> R::Outcome {
    in_a_factory(driver, QueuerRouting::default())
}

/// Its factory with one queue per worker.
pub fn factory_round_robin<R: Driver>(driver: R) -> R::Outcome {
    in_a_factory(driver, RoundRobinRouting::default())
}

fn in_a_factory<R: Driver>(driver: R, router: impl Router<(), Task>) -> R::Outcome {
    let runtime = tokio_runtime();
    let crew = driver.crew();
    let factory =
        Factory::<(), Task, (), FactoryWorker<R::Duty>, _, DefaultQueue<(), Task>>::default();
    let arguments = FactoryArguments::builder()
        .worker_builder(Box::new(factory::worker_builder(move |_| {
            (FactoryWorker(crew.next()), ())
        })))
        .queue(DefaultQueue::default())
        .router(router)
        .num_initial_workers(driver.workers())
        .build();
    let spawned = runtime.block_on(Actor::spawn(None, factory, arguments));
    let (factory, _) = spawned.expect("the factory starts");
    driver.by_threads(|| {
        let factory = factory.clone();
        move |task| factory.dispatch((), task).expect("the factory lives")
    })
}

struct Echo;

struct Number(u64, RpcReplyPort<u64>);

impl Actor for Echo {
    type Msg = Number;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Number>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Number>,
        Number(number, port): Number,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        port.send(number)?;
        Ok(())
    }
}

/// Asks an actor from outside the runtime.
pub fn ask(asking: &Asking) -> Figures {
    let runtime = tokio_runtime();
    let (echo, _) = runtime.block_on(Actor::spawn(None, Echo, ())).expect("the actor starts");
    asking.measure(|number| {
        let answer = echo.call(|port| Number(number, port), None);
        block_on(answer).expect("the actor lives").expect("the actor answers")
    })
}

struct Sleeper(Awaiting);

struct Sleep(RpcReplyPort<()>);

impl Actor for Sleeper {
    type Msg = Sleep;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Sleep>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Sleep>,
        Sleep(port): Sleep,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let pause = self.0.pass();
        ::tokio::spawn(async move {
            pause.await;
            port.send(())
        });
        Ok(())
    }
}

/// Actors that spawn a task of tokio for each reply; callers take turns with them.
pub fn awaiting(awaiting: Awaiting) -> Figures {
    let runtime = tokio_runtime();
    let actors: Vec<_> = (0..awaiting.workers)
        .map(|_| {
            let spawned = Actor::spawn(None, Sleeper(awaiting), ());
            runtime.block_on(spawned).expect("the actor starts").0
        })
        .collect();
    awaiting.measure(&runtime, || {
        let mut turns = Rotation::new(actors.clone());
        move || {
            let actor = turns.next().clone();
            async move {
                let called = actor.call(Sleep, None).await.expect("the actor lives");
                called.expect("the actor answers");
            }
        }
    })
}
