//! The rules for which fates are possible, and the outcomes that each may have had.

use crate::fate::{AskEnd, Fate, Mark, Step, Way};
use crate::findings::Wrong;
use crate::kind::Kind;
use crate::outcomes::Outcomes;

/// What the pool of a round may do to tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Retire workers permanently, and end their tasks.
    pub retires: bool,
    /// Cancel tasks at the end.
    pub cancels: bool,
    /// End this task as another one did, in the pool to which it was forwarded.
    pub like: Outcomes,
}

impl Fate {
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
        let wrong = if self.is(Mark::Withdrawn) {
            admitted || returned
        } else {
            admitted == returned || returned != self.is(Mark::Refused)
        };
        wrong.then_some(Wrong::Refusal)
    }

    /// Checks that an admitted original was run, or not run for a reason.
    fn judge_idleness(self, allowed: Allowed) -> Option<Wrong> {
        let needs_reason = self.was_admitted() && self.is_idle(0);
        (needs_reason && self.outcomes_if_idle(allowed).is_empty()).then_some(Wrong::Vanished)
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
        let ran = |is_so: &dyn Fn(u8) -> bool| {
            (0..2).any(|copy| self.did(Step::Run, copy) && is_so(copy))
        };
        let of_kind = |kind| ran(&|copy| self.kind_of(copy) == kind);
        let could =
            |outcome: Outcomes| ran(&|copy| outcome.is_within(self.outcomes_if_run(copy, allowed)));
        let passed_on = ran(&|copy| self.did(Step::PassedOn, copy));
        // A copy with an answer takes precedence over one without.
        let answers = |copy| {
            let outcomes = self.outcomes_if_run(copy, allowed);
            outcomes.is_within(Outcomes::ANSWERED) && !self.may_be_unanswered(copy)
        };
        let without = !ran(&answers);
        let fits = match end {
            AskEnd::Nothing => true,
            AskEnd::Ok => could(Outcomes::COMPLETED),
            AskEnd::Failed => could(Outcomes::FAILED) && of_kind(Kind::Fail),
            AskEnd::Panicked => without && of_kind(Kind::Panic),
            AskEnd::Expired => without && self.has_deadline(),
            AskEnd::Cancelled => {
                let handed_back = self.did(Step::HandedBack, 0) || self.did(Step::HandedBack, 1);
                without && (self.has_rival() || allowed.cancels && (handed_back || passed_on))
            }
            AskEnd::Shed => without && (self.did(Step::Shed, 0) || self.did(Step::Shed, 1)),
            AskEnd::Retired => without && allowed.retires,
            AskEnd::ShutDown => ran(&|_| true),
            AskEnd::Hung => without && (passed_on || ran(&|copy| self.did(Step::Cut, copy))),
            AskEnd::Unanswered => {
                without && (passed_on || ran(&|copy| self.may_be_unanswered(copy)))
            }
            AskEnd::GaveUp => without && (passed_on || of_kind(Kind::GiveUp)),
            AskEnd::TimedOut => self.is_within_time(),
            AskEnd::Lost | AskEnd::Other => false,
        };
        let agrees = !self.tells_outcome()
            || !self.outcomes_of(0, allowed).and(self.outcomes_told()).is_empty();
        (!fits || !agrees).then_some(Wrong::OtherAnswer)
    }

    /// Returns `true` if a handler has deferred the reply, and nothing may have replied.
    fn may_be_unanswered(self, copy: u8) -> bool {
        let loses = self.kind_of(copy) == Kind::Lose || self.did(Step::Revoked, copy);
        self.did(Step::Deferred, copy) && loses
    }

    /// Returns the outcomes that a copy may have had, as far as its handler and its asker know.
    pub fn outcomes(self, copy: u8, allowed: Allowed) -> Outcomes {
        let outcomes = self.outcomes_of(copy, allowed);
        let told = outcomes.and(self.outcomes_told());
        if self.tells_outcome() && !told.is_empty() { told } else { outcomes }
    }

    /// Returns `true` if the answer belongs to the outcome of the original.
    fn tells_outcome(self) -> bool {
        // Others were shed or handed back after their askers were told that they had expired.
        !self.way().is_hedged() && (self.did(Step::Run, 0) || self.is_idle(0))
    }

    /// Returns the outcomes of a task whose asker is told so.
    fn outcomes_told(self) -> Outcomes {
        match self.ask_end() {
            AskEnd::Ok => Outcomes::COMPLETED,
            AskEnd::Failed => Outcomes::FAILED,
            // That of another pool is not this one's.
            AskEnd::Panicked | AskEnd::Unanswered if self.did(Step::PassedOn, 0) => {
                Outcomes::CANCELLED | Outcomes::FAILED
            }
            AskEnd::Panicked => Outcomes::PANICKED,
            AskEnd::Unanswered => Outcomes::FAILED,
            AskEnd::Expired => Outcomes::EXPIRED,
            AskEnd::Cancelled | AskEnd::Retired | AskEnd::Hung | AskEnd::GaveUp => {
                Outcomes::CANCELLED
            }
            // The handler may end as it likes after that.
            _ => Outcomes::ANY,
        }
    }

    fn outcomes_of(self, copy: u8, allowed: Allowed) -> Outcomes {
        if !self.did(Step::Made, copy) || self.did(Step::Shed, copy) {
            Outcomes::NONE
        } else if self.did(Step::Run, copy) {
            self.outcomes_if_run(copy, allowed)
        } else if self.did(Step::HandedBack, copy) {
            // A distant timer never sends its task. Whether another had sent it shows only in the
            // account.
            let sent = Outcomes::CANCELLED | Outcomes::UNSENT.when(self.way().is_timer());
            sent.when(self.way() != Way::Distant)
        } else if copy == 1 {
            self.outcomes_if_idle(allowed) | Outcomes::CLONE_UNSENT
        } else if self.is(Mark::Withdrawn) && !self.is(Mark::Refused) {
            self.outcomes_if_idle(allowed) | Outcomes::UNSENT
        } else {
            self.outcomes_if_idle(allowed).when(self.was_admitted())
        }
    }

    fn outcomes_if_idle(self, allowed: Allowed) -> Outcomes {
        let cancelled = self.is_cancellable() || self.has_rival() || allowed.retires;
        Outcomes::EXPIRED.when(self.has_deadline()) | Outcomes::CANCELLED.when(cancelled)
    }

    fn outcomes_if_run(self, copy: u8, allowed: Allowed) -> Outcomes {
        let kind = self.kind_of(copy);
        let expired = Outcomes::EXPIRED.when(self.has_deadline());
        if self.did(Step::Cut, copy) {
            return Outcomes::CANCELLED | expired;
        }
        let by_kind = match kind {
            Kind::Ok | Kind::Slow | Kind::Hang => Outcomes::COMPLETED,
            Kind::Fail => Outcomes::FAILED,
            Kind::Panic => Outcomes::PANICKED,
            Kind::GiveUp => Outcomes::CANCELLED,
            Kind::Lose => Outcomes::FAILED,
        };
        // A thread that was given up owes no reply.
        let revoked = Outcomes::FAILED.when(self.did(Step::Revoked, copy));
        let by_handler = if self.did(Step::PassedOn, copy) { allowed.like } else { by_kind };
        if !self.did(Step::Deferred, copy) {
            return by_handler;
        }
        let may_be_cancelled = allowed.cancels && !self.did(Step::InTime, copy);
        by_handler | Outcomes::CANCELLED.when(may_be_cancelled) | expired | revoked
    }

    /// Returns the outcomes of a task that was forwarded to another pool, where it has this fate.
    pub fn outcomes_like(self, other: Self, allowed: Allowed) -> Outcomes {
        let its = other.outcomes(0, allowed);
        let same =
            if other.kind() == Kind::Fail { Outcomes::ANSWERED } else { Outcomes::COMPLETED };
        // A deadline is that of both; an async handler gives up for want of an answer.
        let same = same
            | Outcomes::EXPIRED.when(self.did(Step::Deferred, 0) || self.did(Step::Deferred, 1));
        let differs = !its.is_within(same) || other.did(Step::Revoked, 0);
        its.and(same) | Outcomes::CANCELLED.when(differs)
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

    const STRICT: Allowed = Allowed { retires: false, cancels: false, like: Outcomes::NONE };
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

    #[test]
    fn what_a_handler_does_and_the_answer_decide_on_the_outcome() {
        let run = |kind, step| fate(kind, Way::Ask, &[Mark::Admitted], &[RUN, (step, 0)]);
        let cut = run(Kind::Ok, Step::Cut);
        assert_eq!(cut.outcomes(0, STRICT), Outcomes::CANCELLED);
        assert_eq!(ended(cut, AskEnd::Hung).judge(STRICT), None);
        assert_eq!(ended(cut, AskEnd::Ok).judge(STRICT), Some(Wrong::OtherAnswer));
        let late = cut.with_deadline();
        assert_eq!(late.outcomes(0, STRICT), Outcomes::CANCELLED | Outcomes::EXPIRED);
        assert_eq!(ended(late, AskEnd::Expired).outcomes(0, STRICT), Outcomes::EXPIRED);
        assert_eq!(ended(late, AskEnd::Expired).judge(STRICT), None);

        let deferred = run(Kind::Ok, Step::Deferred);
        assert_eq!(deferred.outcomes(0, STRICT), Outcomes::COMPLETED);
        assert_eq!(ended(deferred, AskEnd::Unanswered).judge(STRICT), Some(Wrong::OtherAnswer));
        let lost = ended(run(Kind::Lose, Step::Deferred), AskEnd::Unanswered);
        assert_eq!(lost.outcomes(0, STRICT), Outcomes::FAILED);
        assert_eq!(lost.judge(STRICT), None);
        let revoked = Fate(deferred.0 | Step::Revoked.bit(0));
        assert_eq!(ended(revoked, AskEnd::Unanswered).judge(STRICT), None);

        let passed_on = ended(run(Kind::Panic, Step::PassedOn), AskEnd::Panicked);
        let other = fate(Kind::Panic, Way::Forwarded, &[Mark::Admitted], &[RUN]);
        let like = passed_on.outcomes_like(other, STRICT);
        assert_eq!(like, Outcomes::CANCELLED);
        assert_eq!(passed_on.judge(Allowed { like, ..STRICT }), None);
        let failed = fate(Kind::Fail, Way::Forwarded, &[Mark::Admitted], &[RUN]);
        assert_eq!(passed_on.outcomes_like(failed, STRICT), Outcomes::FAILED);
        let gave_up = fate(Kind::GiveUp, Way::Ask, &[Mark::Admitted], &[RUN]);
        assert_eq!(ended(gave_up, AskEnd::GaveUp).judge(STRICT), None);
        assert_eq!(ended(gave_up, AskEnd::Ok).judge(STRICT), Some(Wrong::OtherAnswer));
    }

    #[test]
    fn a_withdrawn_task_may_have_been_sent_or_not() {
        let idle = fate(Kind::Ok, Way::Tell, &[Mark::Withdrawn], &[]);
        assert_eq!((idle.judge(STRICT), idle.outcomes(0, STRICT)), (None, Outcomes::UNSENT));
        let run = fate(Kind::Ok, Way::Tell, &[Mark::Withdrawn], &[RUN]);
        assert_eq!((run.judge(STRICT), run.outcomes(0, STRICT)), (None, Outcomes::COMPLETED));
        let both = fate(Kind::Ok, Way::Tell, &[Mark::Withdrawn, Mark::Admitted], &[RUN]);
        assert_eq!(both.judge(STRICT), Some(Wrong::Refusal));
    }
}
