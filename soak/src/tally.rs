//! How often each thing was done to the pools: what did not occur was not tested.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! deeds {
    ($($deed:ident $name:literal,)*) => {
        /// Something that was done to a pool, or that it did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Deed {
            $($deed,)*
        }

        impl Deed {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$deed,)*];

            /// In words.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$deed => $name,)*
                }
            }
        }
    };
}

deeds! {
    // Faults.
    Failed "handler failed",
    Panicked "handler panicked",
    Slow "handler slow",
    Hung "handler hung",
    HungLong "handler hung beyond the shutdown",
    GivenUp "handler found itself given up",
    KeyGivenUp "keyed handler was overlapped as it was given up",
    Stopped "handler asked to stop",
    MessageBlewUp "message panicked when dropped",
    AnswerBlewUp "answer panicked when dropped",
    ActorBlewUp "actor panicked when dropped",
    PayloadBlewUp "handler panicked with a payload that panics",
    FactoryPanicked "making an actor panicked",
    StartFailed "on_start failed",
    RestartFailed "on_restart failed",
    RestartPanicked "on_restart panicked",
    RestartHung "on_restart hung",
    HookPanicked "on_panic or on_stop panicked",
    CallbackPanicked "on_shed or on_rejected panicked",
    // What callers did.
    Told "told",
    Asked "asked",
    Hedged "asked hedged",
    Waited "waited for the answer",
    TimedOut "waited in vain",
    Polled "polled for the answer",
    Awaited "awaited the answer",
    LetGo "dropped the reply",
    Withdrew "dropped the reply to cancel",
    Keyed "gave a key",
    Controlled "gave a control message",
    Prioritised "gave a priority",
    Capable "asked for a capability",
    OwnStrategy "brought a strategy",
    Deadlined "gave a deadline",
    Expired "gave a deadline that had passed",
    TimerSet "set a timer",
    TimerCancelled "cancelled a timer",
    TimerFired "timer fired",
    PeriodicFired "periodic timer fired",
    Misnamed "asked for a capability without a name",
    // What became of tasks.
    RefusedFull "refused, mailbox full",
    RefusedClosed "refused, pool closed",
    RefusedNoWorker "refused, no worker",
    ShedOldest "shed, the oldest",
    ShedNewest "shed, the newest",
    ShedSojourn "shed, waited too long",
    Kept "kept unfinished at the end",
    // Chaos.
    StrategySwapped "strategy swapped",
    ShadowSet "shadow set or cleared",
    Resized "resized",
    WorkerAdded "worker added",
    WorkerRetired "worker retired",
    StatsRead "statistics read",
    Subscribed "subscribed",
    // Events.
    EventAdded "event: added",
    EventPanicked "event: panicked",
    EventStartFailed "event: start failed",
    EventRestarted "event: restarted",
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
    // Ends.
    DrainedAll "drained without a limit",
    DrainedWithin "drained within a limit",
    ClosedUnderFire "closed under fire",
    ShutdownFailed "shutdown told of what still runs",
}

/// What may be missing from a run: it takes a pool of bad luck.
const RARE: &[Deed] = &[
    Deed::RefusedNoWorker,
    Deed::EventFailed,
    Deed::EventRecovered,
    Deed::KeyGivenUp,
    Deed::HungLong,
    Deed::ShutdownFailed,
    Deed::RestartHung,
    Deed::Kept,
];

/// A count for each deed.
#[derive(Debug)]
pub struct Tally(Box<[AtomicU64]>);

impl Tally {
    pub fn new() -> Self {
        Self(Deed::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub fn count(&self, deed: Deed) {
        self.add(deed, 1);
    }

    pub fn add(&self, deed: Deed, times: u64) {
        self.0[deed as usize].fetch_add(times, Relaxed);
    }

    pub fn of(&self, deed: Deed) -> u64 {
        self.0[deed as usize].load(Relaxed)
    }

    pub fn add_all(&self, other: &Self) {
        for deed in Deed::ALL {
            self.add(*deed, other.of(*deed));
        }
    }

    /// What a long run must have seen and has not.
    pub fn missing(&self) -> impl Iterator<Item = Deed> {
        Deed::ALL.iter().copied().filter(|deed| !RARE.contains(deed) && self.of(*deed) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_occur_is_missed() {
        let tally = Tally::new();
        for deed in Deed::ALL.iter().filter(|deed| **deed != Deed::Hung) {
            tally.count(*deed);
        }
        assert_eq!(tally.missing().collect::<Vec<_>>(), [Deed::Hung]);
    }
}
