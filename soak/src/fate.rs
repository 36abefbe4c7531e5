//! What became of one task, in one word, and whether that can be.
//!
//! A hedged ask has two messages: the original and its clone, which the pool gives to another
//! worker or not. Each is accounted for apart.

use crate::findings::Wrong;

/// What a handler does with a message.
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

    /// What a clone is: where the original does not answer in time, the clone does.
    pub fn of_clone(self) -> Self {
        Self::Ok
    }

    /// Whether a handler that was run answers with a value.
    pub fn completes(self) -> bool {
        matches!(self, Self::Ok | Self::Slow | Self::Hang)
    }
}

/// How a message came to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Tell,
    Ask,
    Hedged,
    Timer,
    /// A timer that is due in an hour.
    Distant,
    Periodic,
}

impl Way {
    const ALL: [Self; 6] =
        [Self::Tell, Self::Ask, Self::Hedged, Self::Timer, Self::Distant, Self::Periodic];

    /// Whether a caller waits for an answer.
    pub fn asks(self) -> bool {
        matches!(self, Self::Ask | Self::Hedged)
    }

    /// Whether the pool's own thread gives it.
    pub fn is_timer(self) -> bool {
        matches!(self, Self::Timer | Self::Distant | Self::Periodic)
    }
}

/// What an asker was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Nothing,
    Ok,
    Failed,
    Panicked,
    Expired,
    Cancelled,
    Shed,
    Retired,
    /// That there is no answer and never will be.
    Lost,
    /// Something else.
    Other,
}

impl Told {
    const ALL: [Self; 10] = [
        Self::Nothing,
        Self::Ok,
        Self::Failed,
        Self::Panicked,
        Self::Expired,
        Self::Cancelled,
        Self::Shed,
        Self::Retired,
        Self::Lost,
        Self::Other,
    ];

    /// The bits of it.
    pub fn bits(self) -> u64 {
        (self as u64) << TOLD
    }
}

/// Something that happens to a task once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The pool took it.
    Given,
    /// `on_rejected` was told of it.
    Refused,
    /// Its message came back to the caller.
    Returned,
    /// Its timer was cancelled in time.
    CalledOff,
    /// The asker dropped its reply before there was an answer.
    LetGo,
}

impl Mark {
    /// The bit of it.
    pub fn bit(self) -> u64 {
        1 << (MARKS + self as u32)
    }
}

/// Something that happens once to a message: the original, or its clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Made,
    Run,
    Shed,
    /// Handed back by the shutdown.
    Kept,
    Dropped,
    AnswerMade,
    AnswerDropped,
}

impl Step {
    const COUNT: u32 = 7;

    /// The bit of it for copy 0, the original, or 1, the clone.
    pub fn bit(self, copy: u8) -> u64 {
        1 << (STEPS + u32::from(copy) * Self::COUNT + self as u32)
    }
}

// The word: kind 0..3, way 3..6, what it was given with 6..10, producer 10..16, marks 16..,
// steps 24.., what the asker was told 40..44, the worker that ran it last 48..64.
const WAY: u32 = 3;
const DEADLINE: u64 = 1 << 6;
const CANCELLABLE: u64 = 1 << 7;
const KEYED: u64 = 1 << 8;
const MISNAMED: u64 = 1 << 9;
const PRODUCER: u32 = 10;
const MARKS: u32 = 16;
const STEPS: u32 = 24;
const TOLD: u32 = 40;
const SEAT: u32 = 48;

/// What is known of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate(pub u64);

/// What the pool of a round may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Retire workers for good, and end tasks with them.
    pub retires: bool,
    /// Cancel tasks at the end.
    pub cancels: bool,
}

impl Fate {
    /// A task that was just made.
    pub fn new(kind: Kind, way: Way, producer: usize) -> Self {
        let made = Step::Made.bit(0);
        Self(kind as u64 | (way as u64) << WAY | (producer as u64 & 63) << PRODUCER | made)
    }

    pub fn with_deadline(self) -> Self {
        Self(self.0 | DEADLINE)
    }

    /// Whose reply's drop cancels it.
    pub fn cancellable(self) -> Self {
        Self(self.0 | CANCELLABLE)
    }

    pub fn keyed(self) -> Self {
        Self(self.0 | KEYED)
    }

    /// Whose capability has no name.
    pub fn misnamed(self) -> Self {
        Self(self.0 | MISNAMED)
    }

    pub fn is_misnamed(self) -> bool {
        self.0 & MISNAMED != 0
    }

    pub fn kind(self) -> Kind {
        Kind::ALL[(self.0 & 7) as usize % Kind::ALL.len()]
    }

    /// What its copy is.
    pub fn kind_of(self, copy: u8) -> Kind {
        if copy == 0 { self.kind() } else { self.kind().of_clone() }
    }

    pub fn way(self) -> Way {
        Way::ALL[(self.0 >> WAY & 7) as usize % Way::ALL.len()]
    }

    pub fn told(self) -> Told {
        Told::ALL[(self.0 >> TOLD & 15) as usize % Told::ALL.len()]
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

    /// The bits that say which worker runs it.
    pub fn seat_bits(seat: u16) -> u64 {
        u64::from(seat) << SEAT
    }

    /// The field of those.
    pub const SEAT_MASK: u64 = 0xffff << SEAT;

    /// In how many ways a copy that was given has ended, being dropped without a run apart.
    fn ends(self, copy: u8) -> usize {
        [Step::Run, Step::Shed, Step::Kept].iter().filter(|step| self.did(**step, copy)).count()
    }

    /// Whether a copy was dropped without a run, a shedding or being handed back.
    pub fn is_idle(self, copy: u8) -> bool {
        self.did(Step::Made, copy) && self.ends(copy) == 0
    }

    /// Whether the pool took the original, at once or by a timer.
    pub fn was_given(self) -> bool {
        match self.way() {
            Way::Timer | Way::Periodic => !self.is(Mark::CalledOff) && !self.is(Mark::Refused),
            Way::Distant => false,
            _ => self.is(Mark::Given),
        }
    }

    /// What is wrong with it, now that all is over.
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
        self.judge_giving().or_else(|| self.judge_idleness(allowed)).or_else(|| {
            if self.way().asks() && self.was_given() { self.judge_answer(allowed) } else { None }
        })
    }

    fn judge_giving(self) -> Option<Wrong> {
        if self.way().is_timer() {
            let waits = self.way() == Way::Distant || self.is(Mark::CalledOff);
            let fired = self.ends(0) > 0 || self.is(Mark::Refused);
            return (waits && fired).then_some(Wrong::FiredAfterCancel);
        }
        let (given, returned) = (self.is(Mark::Given), self.is(Mark::Returned));
        (given == returned || returned != self.is(Mark::Refused)).then_some(Wrong::Refusal)
    }

    /// Whether an original that was given was run, or not run for a reason.
    fn judge_idleness(self, allowed: Allowed) -> Option<Wrong> {
        if !self.was_given() || !self.is_idle(0) {
            return None;
        }
        let has_reason = self.has_deadline()
            || self.0 & CANCELLABLE != 0
            || self.did(Step::Made, 1)
            || allowed.retires;
        (!has_reason).then_some(Wrong::Vanished)
    }

    fn judge_answer(self, allowed: Allowed) -> Option<Wrong> {
        let told = self.told();
        if told == Told::Lost || (told == Told::Nothing) != self.is(Mark::LetGo) {
            return Some(Wrong::Unanswered);
        }
        let ran = |kinds: fn(Kind) -> bool| {
            (0..2).any(|copy| self.did(Step::Run, copy) && kinds(self.kind_of(copy)))
        };
        let (completed, failed) = (ran(Kind::completes), ran(|kind| kind == Kind::Fail));
        // Of the copies of a task, one with an answer comes before those without.
        let without = !completed && !failed;
        let fits = match told {
            Told::Nothing => true,
            Told::Ok => completed,
            Told::Failed => failed,
            Told::Panicked => without && ran(|kind| kind == Kind::Panic),
            Told::Expired => without && self.has_deadline(),
            Told::Cancelled => {
                let kept = self.did(Step::Kept, 0) || self.did(Step::Kept, 1);
                without && (self.did(Step::Made, 1) || (kept && allowed.cancels))
            }
            Told::Shed => without && (self.did(Step::Shed, 0) || self.did(Step::Shed, 1)),
            Told::Retired => without && allowed.retires,
            Told::Lost | Told::Other => false,
        };
        (!fits).then_some(Wrong::OtherAnswer)
    }

    /// Which task it is and where it was last seen.
    pub fn describe(self, id: u64) -> String {
        let set = |bit: u64, word: &'static str| if self.0 & bit != 0 { word } else { "" };
        let mut steps = String::new();
        for mark in [Mark::Given, Mark::Refused, Mark::Returned, Mark::CalledOff, Mark::LetGo] {
            if self.is(mark) {
                steps += &format!(" {mark:?}");
            }
        }
        for copy in 0..2 {
            for step in [Step::Made, Step::Run, Step::Shed, Step::Kept, Step::Dropped] {
                if self.did(step, copy) {
                    steps += &format!(" {step:?}{}", if copy == 0 { "" } else { "(clone)" });
                }
            }
        }
        format!(
            "task {id}: {:?} by {:?} of producer {}{}{}{}; worker #{}; asker told {:?};{steps}",
            self.kind(),
            self.way(),
            self.0 >> PRODUCER & 63,
            set(DEADLINE, ", deadline"),
            set(CANCELLABLE, ", cancelled with its reply"),
            set(KEYED, ", keyed"),
            self.0 >> SEAT,
            self.told(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task with these marks and, beside being made and dropped, these steps.
    fn fate(kind: Kind, way: Way, marks: &[Mark], steps: &[(Step, u8)]) -> Fate {
        let mut fate = Fate::new(kind, way, 3).0 | Step::Dropped.bit(0);
        marks.iter().for_each(|mark| fate |= mark.bit());
        steps.iter().for_each(|(step, copy)| fate |= step.bit(*copy));
        Fate(fate)
    }

    fn told(fate: Fate, told: Told) -> Fate {
        Fate(fate.0 | told.bits())
    }

    const STRICT: Allowed = Allowed { retires: false, cancels: false };
    const RUN: (Step, u8) = (Step::Run, 0);

    #[test]
    fn the_usual_ends_are_right() {
        let right = [
            fate(Kind::Ok, Way::Tell, &[Mark::Given], &[RUN]),
            fate(Kind::Ok, Way::Tell, &[Mark::Refused, Mark::Returned], &[]),
            fate(Kind::Ok, Way::Tell, &[Mark::Given], &[]).with_deadline(),
            fate(Kind::Ok, Way::Tell, &[Mark::Given], &[(Step::Shed, 0)]),
            fate(Kind::Ok, Way::Timer, &[Mark::CalledOff], &[]),
            fate(Kind::Ok, Way::Timer, &[], &[RUN]),
            fate(Kind::Ok, Way::Distant, &[], &[]),
            fate(Kind::Ok, Way::Ask, &[Mark::Given, Mark::LetGo], &[RUN]),
            fate(Kind::Ok, Way::Ask, &[Mark::Given, Mark::LetGo], &[]).cancellable(),
            told(fate(Kind::Ok, Way::Ask, &[Mark::Given], &[RUN]), Told::Ok),
            told(fate(Kind::Panic, Way::Ask, &[Mark::Given], &[RUN]), Told::Panicked),
            told(fate(Kind::Ok, Way::Ask, &[Mark::Given], &[(Step::Shed, 0)]), Told::Shed),
        ];
        for fate in right {
            assert_eq!(fate.judge(STRICT), None, "{}", fate.describe(1));
        }
    }

    #[test]
    fn every_wrong_end_is_found() {
        let given = &[Mark::Given];
        let lost = Fate(Fate::new(Kind::Ok, Way::Tell, 0).0 | Mark::Given.bit() | RUN.0.bit(0));
        let wrong = [
            (lost, Wrong::NeverDropped),
            (fate(Kind::Ok, Way::Tell, given, &[RUN, (Step::Shed, 0)]), Wrong::TwoEnds),
            (fate(Kind::Ok, Way::Tell, given, &[]), Wrong::Vanished),
            (fate(Kind::Ok, Way::Timer, &[], &[]), Wrong::Vanished),
            (fate(Kind::Ok, Way::Timer, &[Mark::CalledOff], &[RUN]), Wrong::FiredAfterCancel),
            (fate(Kind::Ok, Way::Distant, &[], &[RUN]), Wrong::FiredAfterCancel),
            (fate(Kind::Ok, Way::Tell, &[Mark::Returned], &[]), Wrong::Refusal),
            (fate(Kind::Ok, Way::Tell, &[Mark::Refused], &[]), Wrong::Refusal),
            (fate(Kind::Ok, Way::Ask, given, &[RUN]), Wrong::Unanswered),
            (told(fate(Kind::Ok, Way::Ask, given, &[RUN]), Told::Lost), Wrong::Unanswered),
            (told(fate(Kind::Ok, Way::Ask, given, &[RUN]), Told::Failed), Wrong::OtherAnswer),
            (
                told(fate(Kind::Ok, Way::Ask, given, &[(Step::Kept, 0)]), Told::Cancelled),
                Wrong::OtherAnswer,
            ),
            (
                fate(Kind::Ok, Way::Tell, given, &[RUN, (Step::AnswerMade, 0)]),
                Wrong::AnswerNotDroppedOnce,
            ),
        ];
        for (fate, wrong) in wrong {
            assert_eq!(fate.judge(STRICT), Some(wrong), "{}", fate.describe(1));
        }
    }

    #[test]
    fn a_copy_with_an_answer_comes_before_one_without() {
        let steps = [RUN, (Step::Made, 1), (Step::Run, 1), (Step::Dropped, 1)];
        let both = fate(Kind::Panic, Way::Hedged, &[Mark::Given], &steps);
        assert_eq!(told(both, Told::Ok).judge(STRICT), None);
        assert_eq!(told(both, Told::Panicked).judge(STRICT), Some(Wrong::OtherAnswer));
        let idle = fate(Kind::Panic, Way::Hedged, &[Mark::Given], &[RUN, (Step::Made, 1)]);
        assert_eq!(told(idle, Told::Panicked).judge(STRICT), Some(Wrong::NeverDropped));
    }
}
