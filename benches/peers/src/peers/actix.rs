//! actix: an actor in an arbiter, and its thread pool, the `SyncArbiter`.

use std::sync::mpsc;
use std::thread;

use actix::{
    Actor, Addr, Context, Handler, Message, ResponseFuture, SyncArbiter, SyncContext, System,
};
use futures::executor::block_on;

use crate::figures::Figures;
use crate::harness::{Asking, Awaiting, Driver, Duty, MAILBOX, Rotation, Task, tokio_runtime};

impl Message for Task {
    type Result = ();
}

struct Worker<D: Duty>(&'static D);

impl<D: Duty + Unpin> Actor for Worker<D> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl<D: Duty + Unpin> Handler<Task> for Worker<D> {
    type Result = ();

    fn handle(&mut self, task: Task, _: &mut Self::Context) {
        self.0.run(task);
    }
}

/// One actor; messages are sent by `do_send`, which never waits for room.
pub fn actor<R: Driver>(driver: R) -> R::Outcome
where
    R::Duty: Unpin,
{
    let duty = driver.crew().next();
    let address = in_a_system(move || Worker(duty).start());
    driver.by_threads(|| {
        let address = address.clone();
        move |task| address.do_send(task)
    })
}

struct SyncWorker<D: Duty>(&'static D);

impl<D: Duty + Unpin> Actor for SyncWorker<D> {
    type Context = SyncContext<Self>;
}

impl<D: Duty + Unpin> Handler<Task> for SyncWorker<D> {
    type Result = ();

    fn handle(&mut self, task: Task, _: &mut Self::Context) {
        self.0.run(task);
    }
}

/// A `SyncArbiter`: one actor per thread behind one queue.
pub fn sync_arbiter<R: Driver>(driver: R) -> R::Outcome
where
    R::Duty: Unpin,
{
    let (workers, crew) = (driver.workers(), driver.crew());
    let address = in_a_system(move || SyncArbiter::start(workers, move || SyncWorker(crew.next())));
    driver.by_threads(|| {
        let address = address.clone();
        move |task| address.do_send(task)
    })
}

struct Echo;

struct Number(u64);

impl Message for Number {
    type Result = u64;
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Number> for Echo {
    type Result = u64;

    fn handle(&mut self, number: Number, _: &mut Self::Context) -> u64 {
        number.0
    }
}

/// Asks an actor from outside its system.
pub fn ask(asking: &Asking) -> Figures {
    let address = in_a_system(|| Echo.start());
    asking.measure(|number| block_on(address.send(Number(number))).expect("the actor answers"))
}

/// Starts an actor in a system on its own thread.
fn in_a_system<A: Actor>(start: impl FnOnce() -> Addr<A> + Send + 'static) -> Addr<A>
where
    Addr<A>: Send,
{
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let system = System::new();
        let address = system.block_on(async { start() });
        sender.send(address).expect("the caller waits");
        system.run().expect("the system runs until the process ends");
    });
    receiver.recv().expect("the system starts")
}

struct Sleeper(Awaiting);

struct Sleep;

impl Message for Sleep {
    type Result = ();
}

impl Actor for Sleeper {
    type Context = Context<Self>;
}

impl Handler<Sleep> for Sleeper {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Sleep: Sleep, _: &mut Self::Context) -> ResponseFuture<()> {
        Box::pin(self.0.pass())
    }
}

/// Actors whose handlers return futures, which run side by side; each has a thread, and callers take
/// turns with them.
pub fn awaiting(awaiting: Awaiting) -> Figures {
    let actors: Vec<_> =
        (0..awaiting.workers).map(|_| in_a_system(move || Sleeper(awaiting).start())).collect();
    awaiting.measure(&tokio_runtime(), || {
        let mut turns = Rotation::new(actors.clone());
        move || {
            let call = turns.next().send(Sleep);
            async move { call.await.expect("the actor answers") }
        }
    })
}
