//! Pools as sinks, streams of messages, and events as streams.
mod common;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use common::{Do, block_on, end, hold, pool, watchdog};
use futures_core::Stream;
use futures_sink::Sink;
use raddle_core::WorkerSpec;
use raddle_runtime::{Drain, EventKind, Overflow};

/// Yields the numbers in turn, as messages, and counts how many it has yielded.
struct Numbers(VecDeque<u64>, Arc<AtomicU64>);

impl Stream for Numbers {
    type Item = Do;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Do>> {
        let next = self.0.pop_front().map(Do::Return);
        self.1.fetch_add(u64::from(next.is_some()), SeqCst);
        Poll::Ready(next)
    }
}

fn no_waker() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_stream_is_forwarded_as_fast_as_there_is_room() {
    let _watchdog = watchdog();
    let pool = pool(1, 2, Overflow::Block);
    let gate = hold(&pool, 0);
    let yielded = Arc::new(AtomicU64::new(0));
    let mut forwarding = Box::pin(pool.forward(Numbers((0..10).collect(), Arc::clone(&yielded))));
    assert!(forwarding.as_mut().poll(&mut no_waker()).is_pending());
    assert_eq!(yielded.load(SeqCst), 3, "two have room, and one waits");
    gate.open();
    block_on(forwarding).unwrap();
    assert_eq!(end(&pool).counts.completed, 11);
    let refused = block_on(pool.forward(Numbers((0..10).collect(), Arc::clone(&yielded))));
    let error = refused.unwrap_err();
    assert!(error.is_closed() && matches!(error.into_message(), Do::Return(0)));
}

#[test]
fn a_sink_is_ready_when_its_last_message_was_admitted() {
    let _watchdog = watchdog();
    let pool = pool(1, 1, Overflow::Block);
    let gate = hold(&pool, 0);
    let mut sink = pool.sink();
    for number in 0..2 {
        assert!(matches!(Pin::new(&mut sink).poll_ready(&mut no_waker()), Poll::Ready(Ok(()))));
        Pin::new(&mut sink).start_send(Do::Return(number)).unwrap();
    }
    assert!(Pin::new(&mut sink).poll_ready(&mut no_waker()).is_pending());
    let error = Pin::new(&mut sink).start_send(Do::Return(2)).unwrap_err();
    assert!(error.is_full());
    gate.open();
    block_on(poll_fn(|cx| Pin::new(&mut sink).poll_close(cx))).unwrap();
    assert_eq!(end(&pool).counts.completed, 3);
    Pin::new(&mut sink).start_send(Do::Return(3)).unwrap();
    let closed = block_on(poll_fn(|cx| Pin::new(&mut sink).poll_flush(cx))).unwrap_err();
    assert!(closed.is_closed());
}

#[test]
fn events_are_a_stream_that_ends_with_the_pool() {
    let _watchdog = watchdog();
    let pool = pool(1, 1, Overflow::Block);
    let (mut events, unread) = (pool.subscribe(), pool.subscribe());
    assert!(Pin::new(&mut events).poll_next(&mut no_waker()).is_pending());
    let reading = std::thread::spawn(move || {
        block_on(async {
            let mut kinds = Vec::new();
            while let Some(event) = poll_fn(|cx| Pin::new(&mut events).poll_next(cx)).await {
                kinds.push(event.kind);
            }
            kinds
        })
    });
    pool.add_worker(WorkerSpec::new("late")).unwrap();
    pool.shutdown(Drain::all()).unwrap();
    assert_eq!(reading.join().unwrap(), [EventKind::Added]);
    assert_eq!(unread.count(), 1);
}
