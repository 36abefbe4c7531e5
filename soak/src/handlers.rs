//! The handlers of all modes. What they do is common to them (`actor.rs`); they differ in how they wait.

use std::cell::Cell;
use std::hint;
use std::iter;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use raddle::{
    AskError, AsyncContext, AsyncHandler, Context, Deferred, Handler, ReadWrite, SharedHandler,
    Worker,
};

use crate::actor::Faulty;
use crate::fate::Step;
use crate::findings::Wrong;
use crate::kind::Kind;
use crate::message::{Failure, Message, Pool, Reply};
use crate::mode::{CONCURRENCY, Mode};
use crate::running::Running;
use crate::sabotage::Sabotage;
use crate::surroundings::Surroundings;
use crate::tally::Occurrence;
use crate::unknown::Unknown;

/// How often a slow handler lets others run.
const PIECES: usize = 4;

/// A part of the time that a slow handler takes.
#[derive(Clone)]
struct Piece {
    time: Duration,
    spins: bool,
}

impl Piece {
    fn take(self) {
        if !self.spins {
            return thread::sleep(self.time);
        }
        let begin = Instant::now();
        while begin.elapsed() < self.time / 10 {
            hint::spin_loop();
        }
    }
}

impl<const HANDS_OVER: bool> Faulty<HANDS_OVER> {
    /// Hangs if the message demands it. Returns the pieces in which its handler blocks its thread.
    fn take_time(&self, message: &Message) -> impl Iterator<Item = Piece> + use<HANDS_OVER> {
        if message.fills && self.records.holding.load(Relaxed) {
            self.count(Occurrence::Held);
            self.records.hangs.hang(self.records.plan.hold());
        }
        if message.kind == Kind::Hang {
            let long = message.hangs_long;
            self.count(if long { Occurrence::HungLong } else { Occurrence::Hung });
            self.records.hangs.hang((!long).then(|| self.records.plan.hang()));
        }
        let is_slow = message.kind == Kind::Slow;
        if is_slow {
            self.count(Occurrence::Slow);
        }
        let time = Duration::from_micros(self.draw(|rng| rng.u64(100..=2_000))) / PIECES as u32;
        // Mostly sleeps, as the machine has only a few cores.
        let piece = Piece { time, spins: self.chance(8) };
        iter::repeat_n(piece, if is_slow { PIECES } else { 0 })
    }

    /// Draws how long after its message a late reply comes.
    fn delay(&self, message: &Message) -> Duration {
        let micros = match message.kind {
            Kind::Hang => return self.records.plan.hang(),
            Kind::Slow => 100..10_000,
            _ if message.fate.is_cancellable() || self.chance(8) => 0..10_000,
            _ => 0..1_000,
        };
        Duration::from_micros(self.draw(|rng| rng.u64(micros)))
    }

    /// Lets the reply come later, from another thread or at once.
    fn defer(&self, running: Running, cx: &mut Context<'_, Self>) -> Deferred<Reply> {
        let (replier, deferred) = cx.defer();
        if running.message.kind == Kind::Panic {
            self.count(Occurrence::PanickedDeferring);
            return Deferred::ready(self.end(running, cx));
        }
        self.count(Occurrence::Deferred);
        running.mark(Step::Deferred);
        if self.chance(8) {
            self.count(Occurrence::RepliedEarly);
            running.reply(replier);
        } else {
            let delay = self.delay(&running.message);
            self.records.later.after(delay, move || running.reply(replier));
        }
        deferred
    }

    /// Lets another pool reply in place of this handler, if that has room.
    fn forward(&self, running: &Running, cx: &Context<'_, Self>) -> Option<Deferred<Reply>> {
        let back = self.back.as_ref()?;
        let message = running.message.forwarded(cx.remaining().is_some());
        let id = message.id;
        match cx.forward(back, message) {
            Ok(deferred) => {
                self.records.admitted(id);
                self.count(Occurrence::Forwarded);
                running.mark(Step::Deferred);
                running.pass_on(id);
                Some(deferred)
            }
            Err(error) => {
                error.into_message().returned(id);
                None
            }
        }
    }

    /// The same for an async handler, which waits for the other pool.
    async fn ask_back(&self, running: &Running, cx: &mut AsyncContext<'_, Self>) -> Option<Reply> {
        let back = self.back.as_ref()?;
        let remaining = cx.remaining();
        let message = running.message.forwarded(remaining.is_some());
        let id = message.id;
        let unknown = Unknown::new(&self.records, id);
        let mut task = back.task(message);
        if let Some(left) = remaining {
            task = task.timeout(left);
        }
        let end = task.ask().await;
        if let Err(AskError::Refused(error)) = end {
            unknown.refused(error.into_message());
            return None;
        }
        unknown.admitted();
        self.count(Occurrence::AskedInHandler);
        running.pass_on(id);
        Some(end.unwrap_or_else(|_| {
            cx.give_up("planted: the other pool did not answer");
            Err(Failure(running.message.asker))
        }))
    }

    /// Handles a message, and awaits where its reply comes later.
    async fn obey(&self, message: Message, cx: &mut AsyncContext<'_, Self>) -> Reply {
        let beside = Beside::begin(&self.running);
        if self.records.saboteur.strikes(Sabotage::Beside) {
            std::mem::forget(beside);
        }
        let mut running = self.begin(message, cx);
        if running.message.fate.is_passed_on()
            && let Some(reply) = self.ask_back(&running, cx).await
        {
            self.leave(&mut running, cx);
            return reply;
        }
        if running.message.fate.is_later() {
            self.wait(&running.message).await;
        } else {
            self.take_time(&running.message).for_each(Piece::take);
        }
        self.end(running, cx)
    }

    /// Waits to be woken, by another thread or never.
    async fn wait(&self, message: &Message) {
        self.count(Occurrence::AwaitedInHandler);
        if message.kind == Kind::Lose {
            return std::future::pending().await;
        }
        self.records.later.pause(self.delay(message)).await;
        self.count(Occurrence::WokenInHandler);
    }

    /// Checks how many handlers of the actor run already, at most `most`.
    fn check_beside(&self, most: usize, message: &Message) {
        let beside = self.running.get();
        if beside > most {
            let describe = || format!("beside {beside}: {}", self.records.describe(message.id));
            self.records.findings.report(Wrong::NotAlone, describe);
        }
    }

    /// Counts by which kind of handler the round's pool runs a message.
    fn count_run(&self, message: &Message, occurrence: Occurrence) {
        if !message.is_forwarded() {
            self.count(occurrence);
        }
    }
}

/// A handler that runs, perhaps beside others.
struct Beside<'a>(&'a Cell<usize>);

impl<'a> Beside<'a> {
    fn begin(running: &'a Cell<usize>) -> Self {
        running.update(|running| running + 1);
        Self(running)
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        self.0.update(|running| running - 1);
    }
}

impl<const HANDS_OVER: bool> Handler<Message> for Faulty<HANDS_OVER> {
    type Reply = Deferred<Reply>;

    fn handle(&mut self, message: Message, cx: &mut Context<'_, Self>) -> Deferred<Reply> {
        self.count_run(&message, Occurrence::RanPlain);
        if self.at_checkpoint.get() {
            self.count(Occurrence::RanAtCheckpoint);
        }
        let mut running = self.begin(message, cx);
        if running.message.fate.is_passed_on()
            && let Some(deferred) = self.forward(&running, cx)
        {
            self.leave(&mut running, cx);
            return deferred;
        }
        if running.message.fate.is_later() {
            return self.defer(running, cx);
        }
        for piece in self.take_time(&running.message) {
            piece.take();
            let outer = self.at_checkpoint.replace(true);
            cx.checkpoint(self);
            self.at_checkpoint.set(outer);
        }
        Deferred::ready(self.end(running, cx))
    }
}

impl<const HANDS_OVER: bool> AsyncHandler<Message> for Faulty<HANDS_OVER> {
    type Reply = Reply;

    async fn handle(&mut self, message: Message, cx: &mut AsyncContext<'_, Self>) -> Reply {
        let writes = self.records.plan.mode == Mode::ReadWrite;
        let occurrence = if writes { Occurrence::RanWrite } else { Occurrence::RanAsync };
        self.count_run(&message, occurrence);
        self.check_beside(0, &message);
        self.obey(message, cx).await
    }
}

impl<const HANDS_OVER: bool> SharedHandler<Message> for Faulty<HANDS_OVER> {
    type Reply = Reply;

    async fn handle(&self, message: Message, cx: &mut AsyncContext<'_, Self>) -> Reply {
        let reads = self.records.plan.mode == Mode::ReadWrite;
        self.count_run(&message, if reads { Occurrence::RanRead } else { Occurrence::RanShared });
        self.check_beside(CONCURRENCY - 1, &message);
        if self.running.get() > 0 {
            self.count(Occurrence::RanBeside);
        }
        self.obey(message, cx).await
    }
}

impl ReadWrite for Message {
    fn is_read(&self) -> bool {
        !self.id.is_multiple_of(4)
    }
}

macro_rules! surroundings {
    ($($context:ident),*) => {
        $(
            impl<const HANDS_OVER: bool> Surroundings for $context<'_, Faulty<HANDS_OVER>> {
                fn worker(&self) -> &Worker {
                    self.worker()
                }

                fn is_cancelled(&self) -> bool {
                    self.is_cancelled()
                }

                fn stop(&mut self) {
                    self.stop();
                }

                fn give_up(&mut self, reason: &str) {
                    self.give_up(reason);
                }

                fn pool(&self) -> Option<Pool> {
                    self.pool::<Message>()
                }
            }
        )*
    };
}

surroundings!(Context, AsyncContext);
