//! Hand-written pools over kanal's channel.

use std::thread;

use crate::figures::Figures;
use crate::harness::{Asking, Driver, Duty, MAILBOX};

/// One channel for all workers.
pub fn shared_channel<R: Driver>(driver: R) -> R::Outcome {
    let (sender, receiver) = kanal::bounded(MAILBOX);
    for _ in 0..driver.workers() {
        let (receiver, duty) = (receiver.clone(), driver.crew().next());
        thread::spawn(move || receiver.for_each(|task| duty.run(task)));
    }
    driver.by_threads(|| {
        let sender = sender.clone();
        move |task| sender.send(task).expect("a worker lives")
    })
}

/// One channel in each direction; both sides block in the channel.
pub fn ask(asking: &Asking) -> Figures {
    let (sender, receiver) = kanal::bounded::<u64>(MAILBOX);
    let (answer, answers) = kanal::bounded::<u64>(1);
    thread::spawn(move || {
        receiver.for_each(|number| answer.send(number).expect("the asker lives"))
    });
    asking.measure(|number| {
        sender.send(number).expect("the worker lives");
        answers.recv().expect("the worker answers")
    })
}
