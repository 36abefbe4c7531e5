//! Streams of messages, for those who use the crate `futures`.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;

use super::handle::Pool;
use super::tell::Tell;
use crate::error::{Refusal, SendError};

/// A pool as a sink of messages, which are sent as by [`tell_async`](Pool::tell_async). Created by
/// [`Pool::sink`].
///
/// It is ready for the next message when the last one was admitted, so the mailboxes' bound slows down what
/// sends into it. Flushing waits for admission, not for the tasks; closing it flushes, and leaves the pool
/// open. A message that is refused is an error, which has the message; the sink goes on.
pub struct PoolSink<M, R> {
    pool: Pool<M, R>,
    /// The message that may wait for room.
    told: Option<Tell<M>>,
}

impl<M: Send + 'static, R: Send + 'static> Pool<M, R> {
    /// Creates a sink of messages. Needs the feature `futures`.
    pub fn sink(&self) -> PoolSink<M, R> {
        PoolSink { pool: self.clone(), told: None }
    }

    /// Sends each message of a stream, and takes the next one when that was admitted: while there is no room,
    /// the stream is not polled. Needs the feature `futures`.
    ///
    /// For the replies, `stream.map(|msg| pool.ask(msg)).buffered(n)` of `StreamExt` keeps up to `n` asks
    /// under way.
    ///
    /// # Errors
    /// Returns the first message that is not admitted; the stream is dropped then.
    pub fn forward<S: Stream<Item = M>>(
        &self,
        stream: S,
    ) -> impl Future<Output = Result<(), SendError<M>>> + use<M, R, S> {
        let pool = self.clone();
        async move {
            let mut stream = pin!(stream);
            while let Some(msg) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
                pool.tell_async(msg).await?;
            }
            Ok(())
        }
    }
}

impl<M: Send + 'static, R: Send + 'static> Sink<M> for PoolSink<M, R> {
    type Error = SendError<M>;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<M>>> {
        let Some(told) = &mut self.told else { return Poll::Ready(Ok(())) };
        let result = ready!(Pin::new(told).poll(cx));
        self.told = None;
        Poll::Ready(result)
    }

    /// A message that comes while the last one waits is refused as [`Full`](Refusal::Full): the sink was not
    /// ready.
    fn start_send(mut self: Pin<&mut Self>, msg: M) -> Result<(), SendError<M>> {
        if self.told.is_some() {
            return Err(SendError::new(Refusal::Full, msg));
        }
        self.told = Some(self.pool.tell_async(msg));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<M>>> {
        self.poll_ready(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<M>>> {
        self.poll_ready(cx)
    }
}

impl<M, R> fmt::Debug for PoolSink<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSink").field("pool", &self.pool).finish_non_exhaustive()
    }
}
