//! The slot that carries a reply from the worker to the asker.

use std::sync::{Arc, Weak};
use std::time::Duration;

use raddle_core::internal::ClockInternals;
use raddle_core::{Clock, Outcome, Worker};
use raddle_sync::Slot;
use raddle_sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use raddle_sync::lock::ColdLock;

use crate::deadline::{self, NEVER};
use crate::desk::{Desk, Job, Wanted};
use crate::mailbox::{Alarm, Debt, Debtor, OwedEnd};
use crate::panics::{self, Contained};
use crate::race::Race;
use crate::span::Caller;

/// What a worker sends back: the handler's reply, or why there is none.
pub type Answer<R> = Result<R, NoReply>;

/// An answer in its slot. Nobody may take it, and dropping a reply may panic.
pub type Stored<R> = Result<Contained<R>, NoReply>;

/// Why an admitted task has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The handler panicked with this message.
    Panicked(String),
    /// The deadline had passed when the task's turn came, or before its deferred reply.
    Expired,
    /// The same, and the time for the reply has passed, too.
    TimedOut,
    /// The pool was shut down before the task ran, or the asker withdrew.
    Cancelled,
    /// The pool was shut down while the task was running, or its reply was owed.
    ShutDown,
    /// The task's handler hung, and was dropped.
    Hung,
    /// The task was dropped because the pool is overloaded.
    Shed,
    /// The task's worker was retired, and no other could take the task.
    Retired,
    /// The handler deferred its reply, and what was to send it was dropped.
    Unanswered,
    /// The handler gave up, for this reason.
    GaveUp(Box<str>),
}

impl NoReply {
    /// The outcome that the task counts as; a shed task is counted apart.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Panicked(_) => Outcome::Panicked,
            Self::Unanswered => Outcome::Failed,
            Self::Expired | Self::TimedOut => Outcome::Expired,
            Self::Cancelled
            | Self::ShutDown
            | Self::Hung
            | Self::Shed
            | Self::Retired
            | Self::GaveUp(_) => Outcome::Cancelled,
        }
    }
}

/// The asker, as its task's worker sees it.
pub trait Asker {
    /// Whether the task is cancelled because nobody would receive its reply.
    fn has_withdrawn(&self) -> bool;
    /// Notes that the task starts; `false` if its asker was told that it expired.
    fn start(&self) -> bool;
    /// Whether dropping the [`Ask`](crate::Ask) has cancelled a task that has started.
    fn has_cancelled(&self) -> bool;
    /// Rings the alarm when [`has_cancelled`](Self::has_cancelled) becomes true.
    fn on_cancel(&self, alarm: &Arc<Alarm>);
}

/// The worker's end of a reply's slot. The rare ones come first, so that one comparison tells the usual
/// ones, and none at all, from them.
pub enum ReplySender<R> {
    /// One of several.
    Shared(Arc<SharedReply<R>>),
    /// That of a task in another pool, which was forwarded.
    Forwarded(Promise<R>),
    /// Any of the others, or none, of a task that was sent within a span.
    Traced(Box<Traced<R>>),
    /// The only end: the task is answered when its turn comes.
    Own(oneshot::Sender<Stored<R>>),
    /// The only end, while [`RunningAsker`] keeps it.
    Kept,
}

/// The worker's end of a reply, if there is one, and the span of its task's caller. Without the feature
/// `tracing` there is no such span.
pub struct Traced<R> {
    caller: Caller,
    reply: Option<ReplySender<R>>,
}

/// What the asker and the copies of a task share, if the task may be answered by another than its
/// first copy's worker: it is hedged, has a deadline, or ends when its [`Ask`](crate::Ask) is dropped.
pub struct SharedReply<R> {
    /// The copies that have not ended.
    pub copies: Race<oneshot::Sender<Stored<R>>>,
    /// Whether dropping the `Ask` cancels the copies.
    cancellable: bool,
    withdrawn: AtomicBool,
    /// Of the workers whose async handlers run a copy, which withdrawing ends.
    alarms: [Slot<Arc<Alarm>>; 2],
    /// `WAITING` until the first copy starts, or the asker is told that the task expired.
    stage: AtomicU32,
    deadline: Option<ReplyDeadline>,
    /// The second copy of a hedged task, until it is sent. Dropping it cancels it.
    unsent: Slot<Wanted>,
}

const WAITING: u32 = 0;
const STARTED: u32 = 1;
const EXPIRED: u32 = 2;

/// Until when a task may start and be answered, and what tells a future that it was not.
pub(crate) struct ReplyDeadline {
    /// By the clock.
    pub(crate) start_by: u64,
    /// By the clock; [`NEVER`] if only the start is limited. Not before `start_by`.
    pub(crate) reply_by: u64,
    pub(crate) clock: Clock,
    /// Weak: it may hold the reply.
    pub(crate) desk: Weak<Desk>,
}

impl<R> ReplySender<R> {
    /// Stores the answer and wakes the asker; returns the answer if nobody will receive it.
    pub fn send(self, answer: Answer<R>) -> Option<Answer<R>> {
        match self {
            Self::Own(sender) => fill(sender, answer),
            other => other.send_elsewhere(answer),
        }
    }

    #[inline(never)]
    fn send_elsewhere(self, answer: Answer<R>) -> Option<Answer<R>> {
        match self {
            Self::Own(sender) => fill(sender, answer),
            Self::Shared(shared) => match shared.copies.finish(answer.is_ok()) {
                Some(sender) => {
                    let answer = match answer {
                        Err(NoReply::Expired) => Err(shared.expired()),
                        answer => answer,
                    };
                    let unreceived = fill(sender, answer);
                    drop(shared.unsent.take());
                    unreceived
                }
                None => Some(answer),
            },
            Self::Forwarded(promise) => {
                promise.0.end_like(answer);
                None
            }
            Self::Kept => Some(answer),
            Self::Traced(traced) => match traced.reply {
                Some(reply) => reply.send(answer),
                None => Some(answer),
            },
        }
    }

    /// Adds the span of the task's caller.
    pub(crate) fn traced(reply: Option<Self>, caller: Caller) -> Self {
        Self::Traced(Box::new(Traced { caller, reply }))
    }

    /// Takes the span of the task's caller off again, if there is one. What is left without an asker is
    /// [`Kept`](Self::Kept).
    #[inline(always)]
    pub(crate) fn take_caller(reply: &mut Option<Self>) -> Option<Caller> {
        match reply {
            Some(Self::Traced(_)) => Self::take_traced(reply),
            _ => None,
        }
    }

    #[cold]
    #[inline(never)]
    fn take_traced(reply: &mut Option<Self>) -> Option<Caller> {
        let Some(Self::Traced(traced)) = reply.take() else { return None };
        *reply = Some(traced.reply.unwrap_or(Self::Kept));
        Some(traced.caller)
    }
}

/// As [`reply_with`], not inlined.
#[cold]
#[inline(never)]
pub(crate) fn reply_out_of_line<R>(reply: Option<ReplySender<R>>, answer: Answer<R>) {
    reply_with(reply, answer);
}

/// Sends the answer, if there is an asker. Panics are contained, because dropping an answer and
/// waking a future run the user's code.
#[inline(always)]
pub(crate) fn reply_with<R>(reply: Option<ReplySender<R>>, answer: Answer<R>) {
    match reply {
        Some(reply) => panics::contain_inline(|| drop(reply.send(answer))),
        None if std::mem::needs_drop::<R>() => panics::contain(|| drop(answer)),
        // At most a panic's message.
        None => drop(answer),
    }
}

#[inline]
fn fill<R>(sender: oneshot::Sender<Stored<R>>, answer: Answer<R>) -> Option<Answer<R>> {
    let unreceived = sender.send(answer.map(Contained::new)).err()?;
    Some(unreceived.into_inner().map(Contained::into_inner))
}

impl<R> SharedReply<R> {
    pub(crate) fn new(
        sender: oneshot::Sender<Stored<R>>,
        cancellable: bool,
        deadline: Option<ReplyDeadline>,
    ) -> Self {
        Self {
            copies: Race::new(sender),
            cancellable,
            withdrawn: AtomicBool::new(false),
            alarms: Default::default(),
            stage: AtomicU32::new(WAITING),
            deadline,
            unsent: Slot::default(),
        }
    }

    /// Keeps the second copy until there is an answer; cancels it at once if there is one already.
    pub(crate) fn keep_unsent(&self, copy: Wanted) {
        self.unsent.put(copy);
        if self.copies.is_over() {
            drop(self.unsent.take());
        }
    }

    /// The asker will receive no answer any more.
    pub(crate) fn withdraw(&self) {
        self.withdrawn.store(true, Relaxed);
        if self.cancellable {
            self.alarms.iter().filter_map(Slot::take).for_each(|alarm| alarm.ring());
        }
    }

    /// How long to wait for the deadline before it is checked again, zero once it has passed; `None` if
    /// the task cannot expire (any more) and the wait for its reply has no limit.
    pub(crate) fn to_deadline(&self) -> Option<Duration> {
        let ReplyDeadline { start_by, reply_by, clock, .. } = self.deadline.as_ref()?;
        let waits = self.stage.load(Relaxed) == WAITING;
        let until = if waits { *start_by } else { *reply_by };
        (until != NEVER).then(|| clock.sleep_until(until))
    }

    /// Whether the limit for the reply has passed.
    pub(crate) fn is_late(&self) -> bool {
        let deadline = self.deadline.as_ref();
        deadline.is_some_and(|it| it.reply_by != NEVER && it.clock.now() >= it.reply_by)
    }

    /// Why a task that expires now has no reply.
    fn expired(&self) -> NoReply {
        if self.is_late() { NoReply::TimedOut } else { NoReply::Expired }
    }

    /// Lets the task expire; `false` if a copy has started.
    pub fn expire(&self) -> bool {
        // Relaxed: the worker and the asker pass nothing else on by it.
        self.stage.compare_exchange(WAITING, EXPIRED, Relaxed, Relaxed).is_ok()
    }

    /// Ends the asker's wait, if its time is over: the task expires, or nobody receives its reply.
    pub(crate) fn give_up(&self) -> bool {
        if self.to_deadline() != Some(Duration::ZERO) {
            return false;
        }
        if self.expire() {
            return true;
        }
        let is_late = self.is_late();
        if is_late {
            // A handler that runs sees that it is cancelled.
            drop(self.copies.take());
            drop(self.unsent.take());
        }
        is_late
    }
}

impl<R: Send + 'static> SharedReply<R> {
    /// Tells the asker at the deadlines, if there are any, unless the returned values are dropped.
    pub(crate) fn expire_in_time(self: &Arc<Self>) -> [Option<Wanted>; 2] {
        let Some(ReplyDeadline { start_by, reply_by, desk, .. }) = &self.deadline else {
            return [None, None];
        };
        let job = Arc::clone(self) as Arc<dyn Job>;
        let schedule = |due| desk.upgrade()?.schedule_wanted(due, &job);
        let is_another = *reply_by != NEVER && reply_by != start_by;
        [schedule(*start_by), if is_another { schedule(*reply_by) } else { None }]
    }

    /// Tells the asker why there is no reply, whatever becomes of the copies.
    pub(crate) fn answer_without_copies(&self, why: NoReply) {
        if let Some(sender) = self.copies.take() {
            panics::contain(|| drop(fill(sender, Err(why))));
            drop(self.unsent.take());
        }
    }
}

impl<R: Send + 'static> Job for SharedReply<R> {
    /// A deadline has passed.
    fn run(&self) {
        if self.expire() || self.is_late() {
            self.answer_without_copies(self.expired());
        }
    }

    fn abandon(&self) {}

    fn outlives_closing(&self) -> bool {
        true
    }
}

impl<R> Asker for SharedReply<R> {
    fn has_withdrawn(&self) -> bool {
        self.copies.is_over() || self.cancellable && self.withdrawn.load(Relaxed)
    }

    fn start(&self) -> bool {
        let started = self.stage.compare_exchange(WAITING, STARTED, Relaxed, Relaxed);
        // Another copy may have started before.
        started != Err(EXPIRED)
    }

    fn has_cancelled(&self) -> bool {
        // Once another copy has answered, the asker no longer waits for that one's sake.
        self.cancellable && self.withdrawn.load(Relaxed) && !self.copies.is_over()
    }

    fn on_cancel(&self, alarm: &Arc<Alarm>) {
        if self.cancellable {
            // Of `put` and `take`, the second sees what preceded the first: either the alarm is rung,
            // or its worker finds the task withdrawn afterwards. The other copy's moves, and may miss it.
            let other = self.alarms[0].put(Arc::clone(alarm));
            if let Some(other) = other.filter(|other| !Arc::ptr_eq(other, alarm)) {
                drop(self.alarms[1].put(Arc::clone(&other)));
                if self.withdrawn.load(Relaxed) {
                    other.ring();
                }
            }
        }
    }
}

impl<R> Asker for ReplySender<R> {
    #[inline(always)]
    fn has_withdrawn(&self) -> bool {
        match self {
            Self::Own(_) | Self::Kept => false,
            other => other.has_withdrawn_elsewhere(),
        }
    }

    fn start(&self) -> bool {
        match self {
            Self::Own(_) | Self::Kept | Self::Forwarded(_) => true,
            Self::Shared(shared) => shared.start(),
            Self::Traced(traced) => traced.reply.as_ref().is_none_or(Asker::start),
        }
    }

    fn has_cancelled(&self) -> bool {
        match self {
            Self::Own(_) | Self::Kept => false,
            Self::Forwarded(promise) => promise.0.has_cancelled(),
            Self::Shared(shared) => shared.has_cancelled(),
            Self::Traced(traced) => traced.reply.as_ref().is_some_and(Asker::has_cancelled),
        }
    }

    fn on_cancel(&self, alarm: &Arc<Alarm>) {
        match self {
            Self::Own(_) | Self::Kept => {}
            Self::Forwarded(promise) => promise.0.on_cancel(alarm),
            Self::Shared(shared) => shared.on_cancel(alarm),
            Self::Traced(traced) => traced.reply.iter().for_each(|reply| reply.on_cancel(alarm)),
        }
    }
}

impl<R> ReplySender<R> {
    #[inline(never)]
    fn has_withdrawn_elsewhere(&self) -> bool {
        match self {
            Self::Own(_) | Self::Kept => false,
            Self::Shared(shared) => shared.has_withdrawn(),
            Self::Forwarded(promise) => promise.0.is_cancelled(),
            Self::Traced(traced) => traced.reply.as_ref().is_some_and(Asker::has_withdrawn),
        }
    }
}

/// The asker of the task that a thread runs, which a shutdown can answer at its time limit.
pub struct RunningAsker<R> {
    own: Slot<oneshot::Sender<Stored<R>>>,
    shared: Slot<Arc<SharedReply<R>>>,
    forwarded: Slot<Arc<Owed<R>>>,
}

impl<R> Default for RunningAsker<R> {
    fn default() -> Self {
        Self { own: Slot::default(), shared: Slot::default(), forwarded: Slot::default() }
    }
}

impl<R: Send + 'static> RunningAsker<R> {
    /// Keeps the asker's end until [`take_back`](Self::take_back).
    #[inline]
    pub fn keep(&self, reply: &mut ReplySender<R>) {
        match std::mem::replace(reply, ReplySender::Kept) {
            ReplySender::Own(sender) => drop(self.own.put(sender)),
            other => self.keep_rare(reply, other),
        }
    }

    #[inline(never)]
    fn keep_rare(&self, reply: &mut ReplySender<R>, rare: ReplySender<R>) {
        match &rare {
            ReplySender::Shared(shared) => drop(self.shared.put(Arc::clone(shared))),
            ReplySender::Forwarded(promise) => drop(self.forwarded.put(Arc::clone(&promise.0))),
            ReplySender::Traced(_) | ReplySender::Own(_) | ReplySender::Kept => {}
        }
        *reply = rare;
    }

    /// Ends what [`keep`](Self::keep) began: restores the worker's end, unless the asker was answered
    /// meanwhile.
    #[inline]
    pub fn take_back(&self, reply: &mut Option<ReplySender<R>>) {
        match reply {
            Some(ReplySender::Kept) => {
                let own = self.own.take().map(ReplySender::Own);
                // What it replaces holds nothing.
                std::mem::forget(std::mem::replace(reply, own));
            }
            Some(ReplySender::Shared(_)) => drop(self.shared.take()),
            Some(ReplySender::Forwarded(_)) => drop(self.forwarded.take()),
            _ => {}
        }
    }

    /// Tells the asker, if there is one, that the pool was shut down.
    #[cold]
    pub fn abandon(&self) {
        if let Some(sender) = self.own.take() {
            panics::contain(|| drop(fill(sender, Err(NoReply::ShutDown))));
        }
        if let Some(shared) = self.shared.take() {
            shared.answer_without_copies(NoReply::ShutDown);
        }
        if let Some(owed) = self.forwarded.take() {
            owed.end_like(Err(NoReply::ShutDown));
        }
    }
}

/// A reply that its handler has deferred: the task and what may answer its asker meet here.
///
/// # Protocol
/// The task is put here when the handler has returned. Whoever takes it ends it: the first reply, the
/// deadline, or a shutdown. A reply that comes before the task is kept for it, and the worker's thread
/// ends the task with it, like any other.
pub struct Owed<R> {
    worker: Arc<Worker>,
    /// The router's.
    cancelling: Arc<AtomicBool>,
    /// By the clock; [`NEVER`] for none.
    deadline: u64,
    is_failure: fn(&R) -> bool,
    /// Of the worker with an async handler to which the task was forwarded.
    alarm: Slot<Arc<Alarm>>,
    /// Locked when the handler returns, when the task ends, and by
    /// [`is_cancelled`](Self::is_cancelled).
    state: ColdLock<State<R>>,
}

/// How a task has ended: its outcome, and what its asker is told.
pub type Ending<R> = (Outcome, Answer<R>);

enum State<R> {
    /// The handler has not returned.
    Running,
    /// Nor has it, and the reply is there.
    Early(Outcome, Stored<R>),
    Owed(OwedReply<R>),
    /// The task has ended, or never comes.
    Over,
}

/// A task whose reply is owed.
struct OwedReply<R> {
    reply: Option<ReplySender<R>>,
    /// Its index among the owed tasks of the worker.
    index: usize,
    debtor: Arc<dyn Debtor>,
    /// What ends it at its deadline; dropping it prevents that.
    expiry: Option<Wanted>,
}

impl<R> State<R> {
    fn take_owed(&mut self) -> Option<OwedReply<R>> {
        match std::mem::replace(self, Self::Over) {
            Self::Owed(task) => Some(task),
            before => {
                *self = before;
                None
            }
        }
    }
}

impl<R> Owed<R> {
    /// Creates the meeting point of a task of this worker whose handler runs.
    pub fn new(
        worker: Arc<Worker>,
        cancelling: Arc<AtomicBool>,
        deadline: u64,
        is_failure: fn(&R) -> bool,
    ) -> Self {
        let (alarm, state) = (Slot::default(), ColdLock::new(State::Running));
        Self { worker, cancelling, deadline, is_failure, alarm, state }
    }

    /// Ends the task with this answer, or keeps the answer for it; drops the answer if neither can be
    /// done (any more).
    fn end(&self, outcome: Outcome, answer: Answer<R>) {
        let mut state = self.state.lock();
        let Some(task) = state.take_owed() else {
            if let State::Running = *state {
                *state = State::Early(outcome, answer.map(Contained::new));
            } else {
                drop(state);
                panics::contain(|| drop(answer));
            }
            return;
        };
        drop(state);
        let OwedReply { reply, index, debtor, expiry } = task;
        drop(expiry);
        let at = self.worker.clock().now();
        reply_out_of_line(reply, answer);
        debtor.end(OwedEnd { index, outcome, at });
    }

    /// Ends the task with a reply. If judging it panics, there is none.
    pub fn reply(&self, reply: R) {
        let judged = panics::catch(|| {
            let failed = (self.is_failure)(&reply);
            (reply, failed)
        });
        match judged {
            Ok((reply, false)) => self.end(Outcome::Completed, Ok(reply)),
            Ok((reply, true)) => self.end(Outcome::Failed, Ok(reply)),
            Err(_) => self.end_without_reply(NoReply::Unanswered),
        }
    }

    /// Ends the task without a reply.
    pub fn end_without_reply(&self, why: NoReply) {
        self.end(why.outcome(), Err(why));
    }

    /// Ends the task with the answer of another one, to which it was forwarded. What happened to that
    /// one is no fault of this one's worker.
    fn end_like(&self, answer: Answer<R>) {
        match answer {
            Ok(reply) => self.reply(reply),
            Err(NoReply::Expired) => self.end_without_reply(NoReply::Expired),
            Err(why) => self.end(Outcome::Cancelled, Err(why)),
        }
    }

    /// Puts the task here, whose handler has returned; `owe` adds it to the owed tasks of its worker
    /// and returns its index there. Returns its ending instead if the reply has come.
    pub fn put(
        &self,
        reply: &mut Option<ReplySender<R>>,
        debtor: Arc<dyn Debtor>,
        owe: impl FnOnce() -> usize,
    ) -> Option<Ending<R>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Running => {
                let (reply, index) = (reply.take(), owe());
                if let Some(alarm) = self.alarm.take() {
                    reply.iter().for_each(|reply| reply.on_cancel(&alarm));
                    // It may be too late to be told.
                    alarm.ring();
                    drop(self.alarm.put(alarm));
                }
                *state = State::Owed(OwedReply { reply, index, debtor, expiry: None });
                None
            }
            State::Early(outcome, answer) => Some((outcome, answer.map(Contained::into_inner))),
            State::Owed(_) | State::Over => unreachable!("a deferred reply is returned once"),
        }
    }

    /// The task never comes: nobody wants a reply.
    pub(crate) fn abandon(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Over);
        drop(before);
        self.ring();
    }

    /// Makes the worker to which the task was forwarded check whether its own is still wanted.
    fn ring(&self) {
        if let Some(alarm) = self.alarm.take() {
            alarm.ring();
        }
    }

    /// Whether dropping the `Ask` has cancelled the task, or it has ended.
    fn has_cancelled(&self) -> bool {
        match &*self.state.lock() {
            State::Owed(task) => task.reply.as_ref().is_some_and(Asker::has_cancelled),
            State::Running | State::Early(..) => false,
            State::Over => true,
        }
    }

    /// Rings the alarm when [`has_cancelled`](Self::has_cancelled) becomes true.
    fn on_cancel(&self, alarm: &Arc<Alarm>) {
        // Before the state is read: whoever changes that rings the alarm afterwards.
        drop(self.alarm.put(Arc::clone(alarm)));
        match &*self.state.lock() {
            State::Owed(OwedReply { reply: Some(reply), .. }) => reply.on_cancel(alarm),
            State::Over => alarm.ring(),
            _ => {}
        }
    }

    /// The time until the deadline, zero once it has passed.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        deadline::remaining(self.deadline, self.worker.clock())
    }

    /// Whether a reply would be discarded, or is not wanted.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelling.load(Relaxed)
            || match &*self.state.lock() {
                State::Owed(task) => task.reply.as_ref().is_some_and(Asker::has_withdrawn),
                State::Running | State::Early(..) => false,
                State::Over => true,
            }
    }
}

impl<R: Send + 'static> Owed<R> {
    /// Ends the task at its deadline, if it has one and nothing ends it before.
    pub(crate) fn expire_in_time(self: &Arc<Self>, desk: &Desk) {
        if self.deadline == NEVER {
            return;
        }
        let expiry = Arc::clone(self) as Arc<dyn Job>;
        let mut wanted = desk.schedule_wanted(self.deadline, &expiry);
        if let State::Owed(task) = &mut *self.state.lock() {
            task.expiry = wanted.take();
        }
        // If the task has ended meanwhile.
        drop(wanted);
    }
}

impl<R: Send + 'static> Job for Owed<R> {
    /// The deadline has passed.
    fn run(&self) {
        self.end_without_reply(NoReply::Expired);
        self.ring();
    }

    fn abandon(&self) {}

    fn outlives_closing(&self) -> bool {
        true
    }
}

impl<R: Send> Debt for Owed<R> {
    fn cancel(&self) -> bool {
        let owed = self.state.lock().take_owed();
        let Some(OwedReply { reply, expiry, .. }) = owed else { return false };
        drop(expiry);
        reply_out_of_line(reply, Err(NoReply::ShutDown));
        self.ring();
        true
    }
}

/// The right to send an owed reply. Dropped, it ends the task without one.
pub struct Promise<R>(pub(crate) Arc<Owed<R>>);

impl<R> Drop for Promise<R> {
    fn drop(&mut self) {
        self.0.end_without_reply(NoReply::Unanswered);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn why_there_is_no_reply_is_three_words_since_every_slot_has_room_for_it() {
        assert_eq!(size_of::<NoReply>(), 24);
    }
}
