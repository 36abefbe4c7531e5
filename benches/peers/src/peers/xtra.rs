//! xtra: actors in tokio tasks, in turn and behind one mailbox.

use ::xtra::{Actor, Address, Context, Handler, Mailbox};
use futures::executor::block_on;

use crate::figures::Figures;
use crate::harness::{
    Asking, Awaiting, Driver, Duty, Inlet, MAILBOX, Rotation, Task, tokio_runtime,
};

struct Worker<D: Duty>(&'static D);

impl<D: Duty> Actor for Worker<D> {
    type Stop = ();

    async fn stopped(self) {}
}

impl<D: Duty> Handler<Task> for Worker<D> {
    type Return = ();

    async fn handle(&mut self, task: Task, _: &mut Context<Self>) {
        self.0.run_async(task).await;
    }
}

impl<D: Duty> Inlet for Rotation<Address<Worker<D>>> {
    async fn send(&mut self, task: Task) {
        // Nobody waits for the reply.
        drop(self.next().send(task).detach().await.expect("the actor lives"));
    }
}

/// Actors in turn.
pub fn actors<R: Driver>(driver: R) -> R::Outcome {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let addresses: Vec<_> = (0..driver.workers())
        .map(|_| ::xtra::spawn_tokio(Worker(driver.crew().next()), Mailbox::bounded(MAILBOX)))
        .collect();
    drop(entered);
    driver.by_tasks(&runtime, || Rotation::new(addresses.clone()))
}

/// Actors that share one mailbox.
pub fn shared<R: Driver>(driver: R) -> R::Outcome {
    let runtime = tokio_runtime();
    let (address, mailbox) = Mailbox::bounded(MAILBOX);
    for _ in 0..driver.workers() {
        runtime.spawn(::xtra::run(mailbox.clone(), Worker(driver.crew().next())));
    }
    driver.by_tasks(&runtime, || Rotation::new(vec![address.clone()]))
}

struct Echo;

impl Actor for Echo {
    type Stop = ();

    async fn stopped(self) {}
}

impl Handler<u64> for Echo {
    type Return = u64;

    async fn handle(&mut self, number: u64, _: &mut Context<Self>) -> u64 {
        number
    }
}

/// Asks an actor from outside the runtime.
pub fn ask(asking: &Asking) -> Figures {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let address = ::xtra::spawn_tokio(Echo, Mailbox::bounded(MAILBOX));
    drop(entered);
    asking.measure(|number| block_on(address.send(number)).expect("the actor answers"))
}

struct Sleeper(Awaiting);

impl Actor for Sleeper {
    type Stop = ();

    async fn stopped(self) {}
}

struct Sleep;

impl Handler<Sleep> for Sleeper {
    type Return = ();

    async fn handle(&mut self, Sleep: Sleep, _: &mut Context<Self>) {
        self.0.pass().await;
    }
}

/// As many actors as calls are made at once, which share one mailbox: one actor awaits one call at a time.
pub fn awaiting(awaiting: Awaiting) -> Figures {
    let runtime = tokio_runtime();
    let (address, mailbox) = Mailbox::bounded(MAILBOX);
    for _ in 0..awaiting.outstanding() {
        runtime.spawn(::xtra::run(mailbox.clone(), Sleeper(awaiting)));
    }
    awaiting.measure(&runtime, || {
        let address = address.clone();
        move || {
            let call = address.send(Sleep);
            async move { call.await.expect("the actor answers") }
        }
    })
}
