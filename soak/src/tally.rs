//! Counts of everything that happened to the pools: what did not occur was not tested.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! occurrences {
    ($($occurrence:ident $name:literal,)*) => {
        /// Something done to a pool, or by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Occurrence {
            $($occurrence,)*
        }

        impl Occurrence {
            /// Every occurrence.
            pub const ALL: &[Self] = &[$(Self::$occurrence,)*];

            /// Returns a description.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$occurrence => $name,)*
                }
            }
        }
    };
}

occurrences! {
    // Faults.
    Failed "handler failed",
    Panicked "handler panicked",
    Slow "handler slow",
    Hung "handler hung",
    HungLong "handler hung beyond the shutdown",
    Held "handler held while mailboxes fill",
    RanAtCheckpoint "handler ran at the checkpoint of another",
    Revoked "handler saw that it was revoked",
    KeyRevoked "keyed handler overlapped after it was revoked",
    Stopped "handler requested a stop",
    MessageBlewUp "message panicked when dropped",
    AnswerBlewUp "answer panicked when dropped",
    ActorBlewUp "actor panicked when dropped",
    PayloadBlewUp "handler panicked with a payload that panics",
    FactoryPanicked "creating an actor panicked",
    StartFailed "on_start failed",
    RestartFailed "on_restart failed",
    RestartPanicked "on_restart panicked",
    RestartHung "on_restart hung",
    HookPanicked "on_panic or on_stop panicked",
    CallbackPanicked "on_shed or on_rejected panicked",
    // Modes.
    RanPlain "run by a plain handler",
    RanAsync "run by an async handler",
    RanShared "run by a shared handler",
    RanBeside "run beside others",
    RanRead "run as a read",
    RanWrite "run as a write",
    GaveUp "handler gave up",
    Deferred "handler deferred its reply",
    RepliedEarly "deferred reply sent before the handler returned",
    PanickedDeferring "handler panicked after it deferred its reply",
    Forwarded "handler forwarded to another pool",
    AskedInHandler "handler awaited the reply of another pool",
    AwaitedInHandler "handler waited to be woken",
    WokenInHandler "handler was woken",
    Cut "handler dropped while it waited",
    Survived "actor survived its panic",
    StateMade "state of a key created",
    StateLost "state of a key given away",
    StateGained "state of a key taken over",
    StateWithheld "actor gave no state away",
    StateChecked "rounds whose state was checked",
    HandOverPanicked "handing state over panicked",
    HandOverHung "handing state over hung",
    // Actions of callers.
    Sent "sent by tell",
    Asked "sent by ask",
    Hedged "sent by a hedged ask",
    LateHedged "sent by a hedged ask with a distant clone",
    TriedTell "sent by try_tell",
    ToldAsync "sent by tell_async",
    TellAwaited "awaited room",
    TellDropped "dropped what awaited room",
    TriedAsk "sent by try_ask",
    AskedOpen "sent by ask, without waiting for room",
    OpenDropped "dropped an ask that may wait for room",
    AskedWithin "sent by ask_within",
    Broadcast "sent by a broadcast",
    ForWorker "sent to one worker",
    Waited "waited for an answer",
    TimedOut "timed out waiting for an answer",
    Polled "polled for an answer",
    Awaited "awaited an answer",
    Abandoned "dropped an ask",
    FutureDropped "dropped a future",
    CancelledByDrop "dropped an ask to cancel the task",
    ToldExpired "told that the task had expired",
    ToldCancelled "told that the task was cancelled",
    ToldShutDown "told that the pool was shut down",
    ToldHung "told that the handler hung",
    ToldUnanswered "told that nothing will reply",
    ToldGaveUp "told that the handler gave up",
    ToldTimedOut "told that the time of the ask is over",
    Keyed "sent with a key",
    Controlled "sent with control priority",
    Prioritised "sent with another priority",
    Capable "sent with a capability",
    OwnStrategy "sent with its own strategy",
    OwnOverflow "sent with its own overflow policy",
    Deadlined "sent with a deadline",
    Expired "sent with a deadline in the past",
    TimerSet "set a timer",
    TimerCancelled "cancelled a timer",
    TimerFired "timer fired",
    PeriodicFired "periodic timer fired",
    Misnamed "refused, invalid capability",
    // Ends of tasks.
    RefusedFull "refused, mailbox full",
    RefusedClosed "refused, pool closed",
    RefusedNoWorker "refused, no worker",
    RefusedNoSuchWorker "refused, the task's own worker has left",
    RefusedExpired "refused, expired waiting for room",
    BlockedTell "blocked at the shutdown, tell",
    BlockedAsk "blocked at the shutdown, ask",
    BlockedKeyed "blocked at the shutdown, with a key",
    BlockedForTime "blocked at the shutdown, for a time",
    BlockedFuture "blocked at the shutdown, a future",
    BlockedDeadlined "blocked at the shutdown, with a deadline",
    ShedOldest "shed as the oldest",
    ShedNewest "shed as the newest",
    ShedSojourn "shed after too long a wait",
    HandedBack "handed back unfinished",
    // Changes of the pool.
    StrategySwapped "strategy swapped",
    ShadowSet "shadow set or cleared",
    Resized "resized",
    WorkerAdded "worker added",
    WorkerRetired "worker retired",
    StatsRead "statistics read",
    Subscribed "subscribed",
    SubscriptionDropped "dropped a subscription",
    // Uses of the pool by the user's code that it calls.
    CalledFromRejected "on_rejected used the pool",
    CalledFromShed "on_shed used the pool",
    CalledFromHook "a hook used the pool",
    CalledFromDrop "a drop used the pool",
    CalledFromWaker "a waker used the pool",
    CallbackChangedWorkers "a callback added or retired a worker",
    // Events.
    EventAdded "event: added",
    EventPanicked "event: panicked",
    EventStartFailed "event: start failed",
    EventRestarted "event: restarted",
    EventDroppedExpired "event: handler dropped at the deadline",
    EventDroppedCancelled "event: cancelled handler dropped",
    EventDroppedHung "event: hung handler dropped",
    EventKeysMoved "event: keys moved without their state",
    EventQuarantined "event: quarantined",
    EventReplaced "event: replaced",
    EventRecovered "event: recovered",
    EventReturned "event: returned",
    EventEjected "event: ejected",
    EventReadmitted "event: readmitted",
    EventDraining "event: draining",
    EventRetired "event: retired",
    EventFailed "event: pool closed itself",
    EventStrategy "event: strategy changed",
    // Shutdowns.
    DrainedAll "drained without a limit",
    DrainedWithin "drained within a limit",
    DrainedNow "drained at once",
    DrainedByHandler "shut down by a handler",
    ClosedUnderFire "shut down while producers run",
    ShutdownFailed "shutdown reported what still runs",
}

/// Occurrences that are too rare to be required of a run.
const RARE: &[Occurrence] = &[
    Occurrence::RefusedNoWorker,
    Occurrence::EventFailed,
    Occurrence::EventRecovered,
    Occurrence::KeyRevoked,
    Occurrence::HungLong,
    Occurrence::RestartHung,
    Occurrence::HandOverHung,
];

/// A count for each occurrence.
#[derive(Debug)]
pub struct Tally(Box<[AtomicU64]>);

impl Tally {
    pub fn new() -> Self {
        Self(Occurrence::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub fn count(&self, occurrence: Occurrence) {
        self.add(occurrence, 1);
    }

    pub fn add(&self, occurrence: Occurrence, times: u64) {
        self.0[occurrence as usize].fetch_add(times, Relaxed);
    }

    pub fn of(&self, occurrence: Occurrence) -> u64 {
        self.0[occurrence as usize].load(Relaxed)
    }

    pub fn add_all(&self, other: &Self) {
        for occurrence in Occurrence::ALL {
            self.add(*occurrence, other.of(*occurrence));
        }
    }

    /// Returns what a run should have seen and has not.
    pub fn missing(&self) -> impl Iterator<Item = Occurrence> {
        let required = Occurrence::ALL.iter().filter(|occurrence| !RARE.contains(occurrence));
        required.copied().filter(|occurrence| self.of(*occurrence) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_occurrence_is_found() {
        let tally = Tally::new();
        for occurrence in
            Occurrence::ALL.iter().filter(|occurrence| **occurrence != Occurrence::Hung)
        {
            tally.count(*occurrence);
        }
        assert_eq!(tally.missing().collect::<Vec<_>>(), [Occurrence::Hung]);
    }
}
