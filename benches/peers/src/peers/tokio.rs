//! tokio: one tokio task per worker behind a channel, and one tokio task per task.

use tokio::sync::{mpsc, oneshot};

use crate::figures::Figures;
use crate::harness::{
    Asking, Awaiting, Crew, Driver, Duty, Inlet, MAILBOX, Rotation, Task, Throughput, tokio_runtime,
};

impl Inlet for Rotation<mpsc::Sender<Task>> {
    async fn send(&mut self, task: Task) {
        self.next().send(task).await.expect("the worker lives");
    }
}

/// One tokio task per worker, in turn.
pub fn tasks<R: Driver>(driver: R) -> R::Outcome {
    let runtime = tokio_runtime();
    let senders: Vec<_> = (0..driver.workers())
        .map(|_| {
            let (sender, mut receiver) = mpsc::channel(MAILBOX);
            let duty = driver.crew().next();
            runtime.spawn(async move {
                while let Some(task) = receiver.recv().await {
                    duty.run_async(task).await;
                }
            });
            sender
        })
        .collect();
    driver.by_tasks(&runtime, || Rotation::new(senders.clone()))
}

struct Spawner<D: Duty>(Crew<D>);

impl<D: Duty> Inlet for Spawner<D> {
    async fn send(&mut self, task: Task) {
        let crew = self.0;
        tokio::spawn(async move { crew.here().run(task) });
    }
}

/// One tokio task per task; the runtime decides how many run at a time.
pub fn spawn(throughput: Throughput) -> Figures {
    let runtime = tokio_runtime();
    let crew = throughput.crew();
    throughput.by_tasks(&runtime, || Spawner(crew))
}

/// Asks a tokio task from outside the runtime; it replies through a oneshot channel.
pub fn ask(asking: &Asking) -> Figures {
    let runtime = tokio_runtime();
    let (sender, mut receiver) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(MAILBOX);
    runtime.spawn(async move {
        while let Some((number, answer)) = receiver.recv().await {
            answer.send(number).expect("the asker lives");
        }
    });
    asking.measure(|number| {
        let (answer, answered) = oneshot::channel();
        sender.blocking_send((number, answer)).expect("the worker lives");
        answered.blocking_recv().expect("the worker answers")
    })
}

/// The futures alone, each awaited by its caller.
pub fn awaiting(awaiting: Awaiting) -> Figures {
    let runtime = tokio_runtime();
    awaiting.measure(&runtime, || move || awaiting.pass())
}
