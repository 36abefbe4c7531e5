//! The fate of one task, packed into one word, and the rules for which fates are possible.
//!
//! A hedged ask has two messages: the original, and a clone that the pool may submit to another
//! worker. Each is accounted for separately.

use raddle::Overflow;

use crate::findings::Wrong;

/// How a handler treats a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ok,
    Fail,
    Panic,
    Slow,
    Hang,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Ok, Self::Fail, Self::Panic, Self::Slow, Self::Hang];

    /// Returns the kind of a clone, which always answers.
    pub fn of_clone(self) -> Self {
        Self::Ok
    }

    /// Returns `true` if the handler answers with a value.
    pub fn completes(self) -> bool {
        matches!(self, Self::Ok | Self::Slow | Self::Hang)
    }
}

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
}

impl Way {
    const ALL: [Self; 7] = [
        Self::Tell,
        Self::Ask,
        Self::Hedged,
        Self::LateHedged,
        Self::Timer,
        Self::Distant,
        Self::Periodic,
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
    /// There is no answer, and never will be.
    Lost,
    /// An answer that does not belong to the task.
    Other,
}

impl AskEnd {
    const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Ok,
        Self::Failed,
        Self::Panicked,
        Self::Expired,
        Self::Cancelled,
        Self::Shed,
        Self::Retired,
        Self::ShutDown,
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
}

impl Step {
    const COUNT: u32 = 7;

    /// Returns its bit in the word for copy 0, the original, or 1, the clone.
    pub fn bit(self, copy: u8) -> u64 {
        1 << (STEPS + u32::from(copy) * Self::COUNT + self as u32)
    }
}

// The word: kind 0..3, way 3..6, options 6..10, producer 10..16, marks 16..22, steps 24..38,
// end of the ask 40..44, overflow policy 44..46, short id of the last worker that ran it 48..64.
const WAY: u32 = 3;
const DEADLINE: u64 = 1 << 6;
const CANCELLABLE: u64 = 1 << 7;
const KEYED: u64 = 1 << 8;
const MISNAMED: u64 = 1 << 9;
const PRODUCER: u32 = 10;
const MARKS: u32 = 16;
const STEPS: u32 = 24;
const ASK_END: u32 = 40;
const WAITS: u64 = 1 << 44;
const FINDS_ROOM: u64 = 1 << 45;
const WORKER: u32 = 48;

/// Everything recorded about one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate(pub u64);

/// What the pool of a round may do to tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Retire workers permanently, and end their tasks.
    pub retires: bool,
    /// Cancel tasks at the end.
    pub cancels: bool,
}

impl Fate {
    /// Creates the fate of a new task.
    pub fn new(kind: Kind, way: Way, producer: usize) -> Self {
        let made = Step::Made.bit(0);
        Self(kind as u64 | (way as u64) << WAY | (producer as u64 & 63) << PRODUCER | made)
    }

    pub fn with_deadline(self) -> Self {
        Self(self.0 | DEADLINE)
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

    pub fn kind(self) -> Kind {
        Kind::ALL[(self.0 & 7) as usize % Kind::ALL.len()]
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
    pub const WORKER_MASK: u64 = 0xffff << WORKER;

    /// Returns in how many ways a copy has ended, apart from being dropped without a run.
    fn ends(self, copy: u8) -> usize {
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

    /// Returns what is wrong with the task after the end of the pool.
    pub fn judge(self, allowed: Allowed) -> Option<Wrong> {
        for copy in (0..2).filter(|copy| self.did(Step::Made, *copy)) {
            if !self.did(Step::Dropped, copy) {
                return Some(Wrong::NeverDropped);
            }
            if self.did(Step::AnswerMade, copy) != self.did(Step::AnswerDropped, copy) {
                return Some(Wrong::AnswerNotDroppedOnce);
            }
            let refused = usize::from(copy == 0 && self.is(Mark::Refused));
            if self.ends(copy) + refused > 1 {
                return Some(Wrong::TwoEnds);
            }
        }
        if self.way() == Way::LateHedged && self.ends(1) > 0 {
            return Some(Wrong::FiredAfterCancel);
        }
        self.judge_admission().or_else(|| self.judge_idleness(allowed)).or_else(|| {
            if self.way().asks() && self.was_admitted() { self.judge_answer(allowed) } else { None }
        })
    }

    fn judge_admission(self) -> Option<Wrong> {
        if self.way().is_timer() {
            let sent = self.did(Step::Run, 0) || self.did(Step::Shed, 0);
            let refused = self.is(Mark::Refused) && !self.is(Mark::Returned);
            let handed_back = self.did(Step::HandedBack, 0);
            let wrong = match self.way() {
                _ if self.is(Mark::Cancelled) => sent || refused || handed_back,
                Way::Distant => sent || refused,
                _ => false,
            };
            return wrong.then_some(Wrong::FiredAfterCancel);
        }
        let (admitted, returned) = (self.is(Mark::Admitted), self.is(Mark::Returned));
        (admitted == returned || returned != self.is(Mark::Refused)).then_some(Wrong::Refusal)
    }

    /// Checks that an admitted original was run, or not run for a reason.
    fn judge_idleness(self, allowed: Allowed) -> Option<Wrong> {
        if !self.was_admitted() || !self.is_idle(0) {
            return None;
        }
        let has_reason =
            self.has_deadline() || self.0 & CANCELLABLE != 0 || self.has_rival() || allowed.retires;
        (!has_reason).then_some(Wrong::Vanished)
    }

    /// Returns `true` if there is a clone that may have been submitted.
    fn has_rival(self) -> bool {
        self.way() == Way::Hedged && self.did(Step::Made, 1)
    }

    fn judge_answer(self, allowed: Allowed) -> Option<Wrong> {
        let end = self.ask_end();
        if end == AskEnd::Lost || (end == AskEnd::Nothing) != self.is(Mark::Abandoned) {
            return Some(Wrong::Unanswered);
        }
        let ran = |kinds: fn(Kind) -> bool| {
            (0..2).any(|copy| self.did(Step::Run, copy) && kinds(self.kind_of(copy)))
        };
        let (completed, failed) = (ran(Kind::completes), ran(|kind| kind == Kind::Fail));
        // A copy with an answer takes precedence over one without.
        let without = !completed && !failed;
        let fits = match end {
            AskEnd::Nothing => true,
            AskEnd::Ok => completed,
            AskEnd::Failed => failed,
            AskEnd::Panicked => without && ran(|kind| kind == Kind::Panic),
            AskEnd::Expired => without && self.has_deadline(),
            AskEnd::Cancelled => {
                let handed_back = self.did(Step::HandedBack, 0) || self.did(Step::HandedBack, 1);
                without && (self.has_rival() || (handed_back && allowed.cancels))
            }
            AskEnd::Shed => without && (self.did(Step::Shed, 0) || self.did(Step::Shed, 1)),
            AskEnd::Retired => without && allowed.retires,
            AskEnd::ShutDown => ran(|_| true),
            AskEnd::Lost | AskEnd::Other => false,
        };
        (!fits).then_some(Wrong::OtherAnswer)
    }

    /// Describes the task, its options and its events.
    pub fn describe(self, id: u64) -> String {
        let set = |bit: u64, word: &'static str| if self.0 & bit != 0 { word } else { "" };
        let mut steps = String::new();
        let (early, cancelled) = (Mark::Early, Mark::Cancelled);
        let (refused, returned) = (Mark::Refused, Mark::Returned);
        for mark in [Mark::Admitted, early, refused, returned, cancelled, Mark::Abandoned] {
            if self.is(mark) {
                steps += &format!(" {mark:?}");
            }
        }
        for copy in 0..2 {
            for step in [Step::Made, Step::Run, Step::Shed, Step::HandedBack, Step::Dropped] {
                if self.did(step, copy) {
                    steps += &format!(" {step:?}{}", if copy == 0 { "" } else { "(clone)" });
                }
            }
        }
        format!(
            "task {id}: {:?} by {:?} from producer {}{}{}{}; worker #{}; ask ended as {:?};{steps}",
            self.kind(),
            self.way(),
            self.0 >> PRODUCER & 63,
            set(DEADLINE, ", deadline"),
            set(CANCELLABLE, ", cancelled by dropping its ask"),
            set(KEYED, ", keyed"),
            self.0 >> WORKER,
            self.ask_end(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task that was made and dropped, with these marks and further steps.
    fn fate(kind: Kind, way: Way, marks: &[Mark], steps: &[(Step, u8)]) -> Fate {
        let mut fate = Fate::new(kind, way, 3).0 | Step::Dropped.bit(0);
        marks.iter().for_each(|mark| fate |= mark.bit());
        steps.iter().for_each(|(step, copy)| fate |= step.bit(*copy));
        Fate(fate)
    }

    fn ended(fate: Fate, end: AskEnd) -> Fate {
        Fate(fate.0 | end.bits())
    }

    const STRICT: Allowed = Allowed { retires: false, cancels: false };
    const RUN: (Step, u8) = (Step::Run, 0);

    #[test]
    fn possible_fates_are_accepted() {
        let late = [RUN, (Step::Made, 1), (Step::Dropped, 1)];
        let right = [
            fate(Kind::Ok, Way::Tell, &[Mark::Admitted], &[RUN]),
            fate(Kind::Ok, Way::Tell, &[Mark::Refused, Mark::Returned], &[]),
            fate(Kind::Ok, Way::Tell, &[Mark::Admitted], &[]).with_deadline(),
            fate(Kind::Ok, Way::Tell, &[Mark::Admitted], &[(Step::Shed, 0)]),
            fate(Kind::Ok, Way::Timer, &[Mark::Cancelled], &[]),
            fate(Kind::Ok, Way::Timer, &[], &[RUN]),
            fate(Kind::Ok, Way::Distant, &[Mark::Cancelled], &[]),
            fate(Kind::Ok, Way::Distant, &[], &[(Step::HandedBack, 0)]),
            fate(Kind::Ok, Way::Distant, &[Mark::Refused, Mark::Returned], &[]),
            fate(Kind::Ok, Way::Ask, &[Mark::Admitted, Mark::Abandoned], &[RUN]),
            fate(Kind::Ok, Way::Ask, &[Mark::Admitted, Mark::Abandoned], &[]).cancellable(),
            ended(fate(Kind::Ok, Way::Ask, &[Mark::Admitted], &[RUN]), AskEnd::Ok),
            ended(fate(Kind::Panic, Way::Ask, &[Mark::Admitted], &[RUN]), AskEnd::Panicked),
            ended(fate(Kind::Ok, Way::Ask, &[Mark::Admitted], &[(Step::Shed, 0)]), AskEnd::Shed),
            ended(fate(Kind::Hang, Way::Ask, &[Mark::Admitted], &[RUN]), AskEnd::ShutDown),
            ended(fate(Kind::Ok, Way::LateHedged, &[Mark::Admitted], &late), AskEnd::Ok),
        ];
        for fate in right {
            assert_eq!(fate.judge(STRICT), None, "{}", fate.describe(1));
        }
    }

    #[test]
    fn every_impossible_fate_is_found() {
        let admitted = &[Mark::Admitted];
        let late = [RUN, (Step::Made, 1), (Step::Run, 1), (Step::Dropped, 1)];
        let lost = Fate(Fate::new(Kind::Ok, Way::Tell, 0).0 | Mark::Admitted.bit() | RUN.0.bit(0));
        let wrong = [
            (lost, Wrong::NeverDropped),
            (fate(Kind::Ok, Way::Tell, admitted, &[RUN, (Step::Shed, 0)]), Wrong::TwoEnds),
            (fate(Kind::Ok, Way::Tell, admitted, &[]), Wrong::Vanished),
            (fate(Kind::Ok, Way::Timer, &[], &[]), Wrong::Vanished),
            (fate(Kind::Ok, Way::Timer, &[Mark::Cancelled], &[RUN]), Wrong::FiredAfterCancel),
            (fate(Kind::Ok, Way::Distant, &[], &[RUN]), Wrong::FiredAfterCancel),
            (fate(Kind::Ok, Way::Tell, &[Mark::Returned], &[]), Wrong::Refusal),
            (fate(Kind::Ok, Way::Tell, &[Mark::Refused], &[]), Wrong::Refusal),
            (fate(Kind::Ok, Way::Ask, admitted, &[RUN]), Wrong::Unanswered),
            (ended(fate(Kind::Ok, Way::Ask, admitted, &[RUN]), AskEnd::Lost), Wrong::Unanswered),
            (ended(fate(Kind::Ok, Way::Ask, admitted, &[RUN]), AskEnd::Failed), Wrong::OtherAnswer),
            (
                ended(
                    fate(Kind::Ok, Way::Ask, admitted, &[(Step::HandedBack, 0)]),
                    AskEnd::Cancelled,
                ),
                Wrong::OtherAnswer,
            ),
            (
                ended(fate(Kind::Ok, Way::Ask, admitted, &[(Step::Shed, 0)]), AskEnd::ShutDown),
                Wrong::OtherAnswer,
            ),
            (fate(Kind::Ok, Way::LateHedged, admitted, &late), Wrong::FiredAfterCancel),
            (
                fate(Kind::Ok, Way::Tell, admitted, &[RUN, (Step::AnswerMade, 0)]),
                Wrong::AnswerNotDroppedOnce,
            ),
        ];
        for (fate, wrong) in wrong {
            assert_eq!(fate.judge(STRICT), Some(wrong), "{}", fate.describe(1));
        }
    }

    #[test]
    fn a_copy_with_an_answer_takes_precedence() {
        let steps = [RUN, (Step::Made, 1), (Step::Run, 1), (Step::Dropped, 1)];
        let both = fate(Kind::Panic, Way::Hedged, &[Mark::Admitted], &steps);
        assert_eq!(ended(both, AskEnd::Ok).judge(STRICT), None);
        assert_eq!(ended(both, AskEnd::Panicked).judge(STRICT), Some(Wrong::OtherAnswer));
        let idle = fate(Kind::Panic, Way::Hedged, &[Mark::Admitted], &[RUN, (Step::Made, 1)]);
        assert_eq!(ended(idle, AskEnd::Panicked).judge(STRICT), Some(Wrong::NeverDropped));
    }
}
