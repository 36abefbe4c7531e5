//! What happened to one task, packed into one word. `judge.rs` has the rules for which fates are
//! possible.
//!
//! A hedged ask has two messages: the original, and a clone that the pool may submit to another
//! worker. Each is accounted for separately.

use raddle::Overflow;

use crate::kind::Kind;

/// How a message was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Tell,
    Ask,
    Hedged,
    /// A hedged ask whose clone is due in an hour.
    LateHedged,
    Timer,
    /// A timer that is due in an hour.
    Distant,
    Periodic,
    /// By a handler of the round's pool, to another pool that replies in its place.
    Forwarded,
}

impl Way {
    const ALL: [Self; 8] = [
        Self::Tell,
        Self::Ask,
        Self::Hedged,
        Self::LateHedged,
        Self::Timer,
        Self::Distant,
        Self::Periodic,
        Self::Forwarded,
    ];

    /// Returns `true` if there is an asker.
    pub fn asks(self) -> bool {
        self == Self::Ask || self.is_hedged()
    }

    pub fn is_hedged(self) -> bool {
        matches!(self, Self::Hedged | Self::LateHedged)
    }

    /// Returns `true` if the pool's own thread submits it.
    pub fn is_timer(self) -> bool {
        matches!(self, Self::Timer | Self::Distant | Self::Periodic)
    }
}

/// How an ask ended for the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskEnd {
    Nothing,
    Ok,
    Failed,
    Panicked,
    Expired,
    Cancelled,
    Shed,
    Retired,
    ShutDown,
    /// Its handler hung, and was dropped.
    Hung,
    /// What was to send the deferred reply was dropped.
    Unanswered,
    GaveUp,
    /// The time limit of the ask has passed.
    TimedOut,
    /// There is no answer, and never will be.
    Lost,
    /// An answer that does not belong to the task.
    Other,
}

impl AskEnd {
    const ALL: [Self; 15] = [
        Self::Nothing,
        Self::Ok,
        Self::Failed,
        Self::Panicked,
        Self::Expired,
        Self::Cancelled,
        Self::Shed,
        Self::Retired,
        Self::ShutDown,
        Self::Hung,
        Self::Unanswered,
        Self::GaveUp,
        Self::TimedOut,
        Self::Lost,
        Self::Other,
    ];

    /// Returns its bits in the word.
    pub fn bits(self) -> u64 {
        (self as u64) << ASK_END
    }
}

/// An event that happens to a task at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The pool accepted it.
    Admitted,
    /// `on_rejected` was called with it.
    Refused,
    /// Its message was handed back to the caller.
    Returned,
    /// Its timer was cancelled in time.
    Cancelled,
    /// The asker dropped its ask before there was an answer.
    Abandoned,
    /// The pool had accepted it before its shutdown began.
    Early,
    /// Its caller dropped what waited for room, or for the answer without knowing whether there had
    /// been room.
    Withdrawn,
}

impl Mark {
    /// Returns its bit in the word.
    pub fn bit(self) -> u64 {
        1 << (MARKS + self as u32)
    }
}

/// An event that happens at most once to a message, which is the original or its clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Made,
    Run,
    Shed,
    /// Handed back after the shutdown.
    HandedBack,
    Dropped,
    AnswerMade,
    AnswerDropped,
    /// Its handler was dropped while it waited.
    Cut,
    /// Its handler has deferred the reply.
    Deferred,
    /// Its handler has left the reply to another pool.
    PassedOn,
    /// Its handler's thread was perhaps given up.
    Revoked,
    /// Its deferred reply was sent before the pool could cancel it.
    InTime,
}

impl Step {
    const ALL: [Self; 12] = [
        Self::Made,
        Self::Run,
        Self::Shed,
        Self::HandedBack,
        Self::Dropped,
        Self::AnswerMade,
        Self::AnswerDropped,
        Self::Cut,
        Self::Deferred,
        Self::PassedOn,
        Self::Revoked,
        Self::InTime,
    ];
    const COUNT: u32 = Self::ALL.len() as u32;

    /// Returns its bit in the word for copy 0, the original, or 1, the clone.
    pub fn bit(self, copy: u8) -> u64 {
        1 << (STEPS + u32::from(copy) * Self::COUNT + self as u32)
    }
}

// The word: kind 0..3, way 3..6, options 6..10, producer 10..14, further options 14..16, marks 16..23,
// steps 24..48, end of the ask 48..52, waiting for room 52..54, further options 54..56, the low bits of
// the short id of the last worker that ran it 56..64.
const WAY: u32 = 3;
const DEADLINE: u64 = 1 << 6;
const CANCELLABLE: u64 = 1 << 7;
const KEYED: u64 = 1 << 8;
const MISNAMED: u64 = 1 << 9;
const PRODUCER: u32 = 10;
const LATER: u64 = 1 << 14;
const PASSES_ON: u64 = 1 << 15;
const MARKS: u32 = 16;
const STEPS: u32 = 24;
const ASK_END: u32 = 48;
const WAITS: u64 = 1 << 52;
const FINDS_ROOM: u64 = 1 << 53;
const TIMED: u64 = 1 << 54;
const FOR_WORKER: u64 = 1 << 55;
const WORKER: u32 = 56;

/// Everything recorded about one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate(pub u64);

impl Fate {
    /// Creates the fate of a new task.
    pub fn new(kind: Kind, way: Way, producer: usize) -> Self {
        let made = Step::Made.bit(0);
        Self(kind as u64 | (way as u64) << WAY | (producer as u64 & 15) << PRODUCER | made)
    }

    pub fn with_deadline(self) -> Self {
        Self(self.0 | DEADLINE)
    }

    /// Marks a task whose asker waits for a limited time in all.
    pub fn within_time(self) -> Self {
        Self(self.0 | DEADLINE | TIMED)
    }

    /// Marks a task that may run on one worker alone.
    pub fn for_worker(self) -> Self {
        Self(self.0 | FOR_WORKER)
    }

    /// Marks a task whose reply comes later: its handler awaits, or defers the reply.
    pub fn later(self, later: bool) -> Self {
        if later { Self(self.0 | LATER) } else { self }
    }

    /// Marks a task whose handler leaves the reply to another pool.
    pub fn passed_on(self, passed_on: bool) -> Self {
        if passed_on { Self(self.0 | PASSES_ON) } else { self }
    }

    /// Marks a task that is cancelled by dropping its ask.
    pub fn cancellable(self) -> Self {
        Self(self.0 | CANCELLABLE)
    }

    /// Notes what happens to the task if there is no room. A timer does not wait.
    pub fn under(self, overflow: Overflow) -> Self {
        let bits = match overflow {
            Overflow::Block if self.way().is_timer() => 0,
            Overflow::Block => WAITS | FINDS_ROOM,
            Overflow::BlockFor(_) => WAITS,
            Overflow::DropOldest | Overflow::DropNewest => FINDS_ROOM,
            _ => 0,
        };
        Self(self.0 | bits)
    }

    pub fn keyed(self) -> Self {
        Self(self.0 | KEYED)
    }

    /// Marks a task whose capability has an empty name.
    pub fn misnamed(self) -> Self {
        Self(self.0 | MISNAMED)
    }

    /// Returns `true` if it may expire while its caller waits for room.
    pub fn may_expire_waiting(self) -> bool {
        self.0 & WAITS != 0 && self.has_deadline()
    }

    /// Returns `true` if it is never refused for lack of room.
    pub fn finds_room(self) -> bool {
        self.0 & FINDS_ROOM != 0
    }

    pub fn is_misnamed(self) -> bool {
        self.0 & MISNAMED != 0
    }

    pub fn is_for_worker(self) -> bool {
        self.0 & FOR_WORKER != 0
    }

    pub fn is_within_time(self) -> bool {
        self.0 & TIMED != 0
    }

    pub fn is_cancellable(self) -> bool {
        self.0 & CANCELLABLE != 0
    }

    pub fn is_later(self) -> bool {
        self.0 & LATER != 0
    }

    pub fn is_passed_on(self) -> bool {
        self.0 & PASSES_ON != 0
    }

    pub fn kind(self) -> Kind {
        Kind::of(self.0 & 7)
    }

    /// Returns the kind of a copy.
    pub fn kind_of(self, copy: u8) -> Kind {
        if copy == 0 { self.kind() } else { self.kind().of_clone() }
    }

    pub fn way(self) -> Way {
        Way::ALL[(self.0 >> WAY & 7) as usize % Way::ALL.len()]
    }

    pub fn ask_end(self) -> AskEnd {
        AskEnd::ALL[(self.0 >> ASK_END & 15) as usize % AskEnd::ALL.len()]
    }

    pub fn has_deadline(self) -> bool {
        self.0 & DEADLINE != 0
    }

    pub fn is(self, mark: Mark) -> bool {
        self.0 & mark.bit() != 0
    }

    pub fn did(self, step: Step, copy: u8) -> bool {
        self.0 & step.bit(copy) != 0
    }

    /// Returns the bits of the worker that runs it.
    pub fn worker_bits(short_id: u16) -> u64 {
        u64::from(short_id) << WORKER
    }

    /// The mask of the worker's bits.
    pub const WORKER_MASK: u64 = 0xff << WORKER;

    /// Returns in how many ways a copy has ended, apart from being dropped without a run.
    pub fn ends(self, copy: u8) -> usize {
        [Step::Run, Step::Shed, Step::HandedBack]
            .iter()
            .filter(|step| self.did(**step, copy))
            .count()
    }

    /// Returns `true` if a copy was neither run, shed nor handed back.
    pub fn is_idle(self, copy: u8) -> bool {
        self.did(Step::Made, copy) && self.ends(copy) == 0
    }

    /// Returns `true` if the pool accepted the original, immediately or by a timer.
    pub fn was_admitted(self) -> bool {
        match self.way() {
            Way::Timer | Way::Periodic => !self.is(Mark::Cancelled) && !self.is(Mark::Refused),
            Way::Distant => false,
            _ => self.is(Mark::Admitted),
        }
    }

    /// Describes the task, its options and its events.
    pub fn describe(self, id: u64) -> String {
        let set = |bit: u64, word: &'static str| if self.0 & bit != 0 { word } else { "" };
        let mut steps = String::new();
        let (early, cancelled) = (Mark::Early, Mark::Cancelled);
        let (refused, returned) = (Mark::Refused, Mark::Returned);
        let (abandoned, withdrawn) = (Mark::Abandoned, Mark::Withdrawn);
        for mark in [Mark::Admitted, early, refused, returned, cancelled, abandoned, withdrawn] {
            if self.is(mark) {
                steps += &format!(" {mark:?}");
            }
        }
        for copy in 0..2 {
            for step in Step::ALL {
                if self.did(step, copy) {
                    steps += &format!(" {step:?}{}", if copy == 0 { "" } else { "(clone)" });
                }
            }
        }
        format!(
            "task {id}: {:?}{}{} by {:?} from producer {}{}{}{}{}{}; worker #{}; ask ended as {:?};{steps}",
            self.kind(),
            set(LATER, ", later"),
            set(PASSES_ON, ", passed on"),
            self.way(),
            self.0 >> PRODUCER & 15,
            set(DEADLINE, ", deadline"),
            set(TIMED, " of the ask"),
            set(FOR_WORKER, ", for one worker"),
            set(CANCELLABLE, ", cancelled by dropping its ask"),
            set(KEYED, ", keyed"),
            self.0 >> WORKER,
            self.ask_end(),
        )
    }
}
