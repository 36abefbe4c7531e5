//! The standard library's bounded channel and one thread.

use std::sync::mpsc;
use std::thread;

use crate::harness::{Driver, Duty, MAILBOX};

/// One worker behind a `sync_channel`.
pub fn channel<R: Driver>(driver: R) -> R::Outcome {
    let (sender, receiver) = mpsc::sync_channel(MAILBOX);
    let duty = driver.crew().next();
    thread::spawn(move || receiver.iter().for_each(|task| duty.run(task)));
    driver.by_threads(|| {
        let sender = sender.clone();
        move |task| sender.send(task).expect("the worker lives")
    })
}
