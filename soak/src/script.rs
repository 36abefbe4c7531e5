use crate::kind::Kind;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::shape::Call;

/// The first tasks of each producer: every kind of handler, at once and later, in every round, however
/// slow the machine is.
pub struct Script {
    next: usize,
    end: usize,
}

const KINDS: [(Kind, bool); 13] = [
    (Kind::Ok, true),
    (Kind::Fail, true),
    (Kind::GiveUp, false),
    (Kind::Lose, true),
    (Kind::Panic, true),
    (Kind::Ok, false),
    (Kind::Slow, false),
    (Kind::GiveUp, true),
    (Kind::Fail, false),
    (Kind::Hang, true),
    (Kind::Panic, false),
    (Kind::Slow, true),
    (Kind::Hang, false),
];

impl Script {
    /// Producers begin at different places.
    pub fn new(producer: usize) -> Self {
        let next = 3 * producer;
        Self { next, end: next + 2 * KINDS.len() }
    }

    /// Returns the next task: how it is sent, its kind, and whether its reply comes later.
    pub fn next(&mut self, records: &Records) -> Option<(Call, Kind, bool)> {
        if self.next == self.end {
            return None;
        }
        let (kind, later) = KINDS[self.next % KINDS.len()];
        // Its length is odd, so each kind is told once and asked once.
        let call = if self.next.is_multiple_of(2) { Call::Ask } else { Call::Tell };
        self.next += 1;
        let hangs = kind == Kind::Hang && !records.saboteur.is(Sabotage::Absent);
        Some((call, if kind == Kind::Hang && !hangs { Kind::Ok } else { kind }, later))
    }
}
