//! disruptor: a ring buffer and one thread that spins.

use disruptor::{
    BusySpin, Polling, Producer, SingleConsumerBarrier, SingleProducer, build_multi_producer,
    build_single_producer,
};

use crate::figures::Figures;
use crate::harness::{Asking, BATCH, Driver, Duty, MAILBOX, Task};

/// One worker, and producers that share the ring buffer.
pub fn ring<R: Driver>(driver: R) -> R::Outcome {
    let duty = driver.crew().next();
    let producer = build_multi_producer(MAILBOX, || Task(0), BusySpin)
        .handle_events_with(move |task: &Task, _, _| duty.run(*task))
        .build();
    driver.by_threads(|| {
        let mut producer = producer.clone();
        move |task| producer.publish(|slot| *slot = task)
    })
}

/// One worker, and the only producer of its ring buffer.
pub fn ring_of_one<R: Driver>(driver: R) -> R::Outcome {
    let mut producer = Some(only_producer(&driver));
    driver.by_threads(|| {
        let mut producer = producer.take().expect("there is one producer");
        move |task| producer.publish(|slot| *slot = task)
    })
}

/// The same, which publishes [`BATCH`] tasks at a time.
pub fn batches<R: Driver>(driver: R) -> R::Outcome {
    let mut producer = Some(only_producer(&driver));
    driver.by_threads(|| {
        let mut producer = producer.take().expect("there is one producer");
        let mut batch = Vec::with_capacity(BATCH);
        move |task| {
            batch.push(task);
            if batch.len() == BATCH {
                producer.batch_publish(BATCH, |slots| {
                    slots.zip(&batch).for_each(|(slot, task)| *slot = *task);
                });
                batch.clear();
            }
        }
    })
}

/// Starts one worker, with a ring buffer of its own.
fn only_producer<R: Driver>(driver: &R) -> SingleProducer<Task, SingleConsumerBarrier> {
    let duty = driver.crew().next();
    build_single_producer(MAILBOX, || Task(0), BusySpin)
        .handle_events_with(move |task: &Task, _, _| duty.run(*task))
        .build()
}

/// One ring buffer in each direction; both sides spin.
pub fn ask(asking: &Asking) -> Figures {
    let (mut answers, answering) = build_single_producer(1, || 0u64, BusySpin).new_event_poller();
    let mut answer = answering.build();
    let mut producer = build_single_producer(MAILBOX, || 0u64, BusySpin)
        .handle_events_with(move |number: &u64, _, _| answer.publish(|slot| *slot = *number))
        .build();
    asking.measure(|number| {
        producer.publish(|slot| *slot = number);
        loop {
            match answers.poll() {
                Ok(mut events) => return *(&mut events).next().expect("it is there"),
                Err(Polling::NoEvents) => std::hint::spin_loop(),
                Err(Polling::Shutdown) => panic!("the worker answers"),
            }
        }
    })
}
