//! Hand-written pools over crossbeam's channels.

use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use crossbeam_utils::Backoff;

use crate::figures::Figures;
use crate::harness::{Asking, Driver, Duty, MAILBOX, Rotation, Task};

/// A task that takes as much room as one of raddle's, with its reply, deadline and label: seven words.
struct Wide {
    task: Task,
    _rest: [u64; 6],
}

impl From<Task> for Wide {
    fn from(task: Task) -> Self {
        Self { task, _rest: [task.0; 6] }
    }
}

impl From<Wide> for Task {
    fn from(wide: Wide) -> Self {
        wide.task
    }
}

/// One channel and thread per worker, in turn.
pub fn own_channels<R: Driver>(driver: R) -> R::Outcome {
    own_channels_of::<Task, R>(driver)
}

/// The same, with messages of seven words.
pub fn own_wide_channels<R: Driver>(driver: R) -> R::Outcome {
    own_channels_of::<Wide, R>(driver)
}

/// One channel for all workers; with a single worker, the bare channel.
pub fn shared_channel<R: Driver>(driver: R) -> R::Outcome {
    shared_channel_of::<Task, R>(driver)
}

/// The same, with messages of seven words.
pub fn wide_channel<R: Driver>(driver: R) -> R::Outcome {
    shared_channel_of::<Wide, R>(driver)
}

/// What can be sent in place of a task.
trait Message: From<Task> + Into<Task> + Send + 'static {}

impl<M: From<Task> + Into<Task> + Send + 'static> Message for M {}

fn own_channels_of<M: Message, R: Driver>(driver: R) -> R::Outcome {
    let senders: Vec<Sender<M>> = (0..driver.workers())
        .map(|_| {
            let (sender, receiver) = bounded(MAILBOX);
            serve(receiver, driver.crew().next());
            sender
        })
        .collect();
    driver.by_threads(|| {
        let mut turns = Rotation::new(senders.clone());
        move |task| turns.next().send(task.into()).expect("the worker lives")
    })
}

fn shared_channel_of<M: Message, R: Driver>(driver: R) -> R::Outcome {
    let (sender, receiver) = bounded::<M>(MAILBOX);
    for _ in 0..driver.workers() {
        serve(receiver.clone(), driver.crew().next());
    }
    driver.by_threads(|| {
        let sender = sender.clone();
        move |task| sender.send(task.into()).expect("a worker lives")
    })
}

fn serve<M: Message, D: Duty>(tasks: Receiver<M>, duty: &'static D) {
    thread::spawn(move || tasks.iter().for_each(|task| duty.run(task.into())));
}

/// How one side waits for the other.
type Wait = fn(&Receiver<u64>) -> Option<u64>;

/// Both sides spin.
pub fn ask_spinning(asking: &Asking) -> Figures {
    ask(asking, |receiver| {
        loop {
            match receiver.try_recv() {
                Ok(number) => return Some(number),
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    })
}

/// Both sides spin, then yield, then block.
pub fn ask_backoff(asking: &Asking) -> Figures {
    ask(asking, |receiver| {
        let backoff = Backoff::new();
        loop {
            match receiver.try_recv() {
                Ok(number) => return Some(number),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if backoff.is_completed() => return receiver.recv().ok(),
                Err(TryRecvError::Empty) => backoff.snooze(),
            }
        }
    })
}

/// Both sides block in the channel.
pub fn ask_blocking(asking: &Asking) -> Figures {
    ask(asking, |receiver| receiver.recv().ok())
}

/// The asker keeps one channel for its answers, which is the cheapest: no slot per ask.
fn ask(asking: &Asking, wait: Wait) -> Figures {
    let (sender, receiver) = bounded(MAILBOX);
    let (answer, answers) = bounded(1);
    thread::spawn(move || {
        while let Some(number) = wait(&receiver) {
            answer.send(number).expect("the asker lives");
        }
    });
    asking.measure(|number| {
        sender.send(number).expect("the worker lives");
        wait(&answers).expect("the worker answers")
    })
}

/// Like [`ask_spinning`], but with an allocated slot for each answer, so that any number of askers
/// can ask.
pub fn ask_spinning_oneshot(asking: &Asking) -> Figures {
    let (sender, receiver) = bounded::<(u64, oneshot::Sender<u64>)>(MAILBOX);
    thread::spawn(move || {
        loop {
            match receiver.try_recv() {
                Ok((number, answer)) => answer.send(number).expect("the asker lives"),
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    });
    asking.measure(|number| {
        let (answer, answered) = oneshot::channel();
        sender.send((number, answer)).expect("the worker lives");
        loop {
            match answered.try_recv() {
                Ok(number) => return number,
                Err(oneshot::TryRecvError::Empty) => std::hint::spin_loop(),
                Err(oneshot::TryRecvError::Disconnected) => panic!("the worker answers"),
            }
        }
    })
}
