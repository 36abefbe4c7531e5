use fastrand::Rng;

use crate::sabotage::{Sabotage, Saboteur};

/// How a handler treats a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ok,
    Fail,
    Panic,
    Slow,
    Hang,
    /// It gives up, or what was to send its reply does.
    GiveUp,
    /// Nothing replies: the `Replier` is dropped, or nothing wakes the handler.
    Lose,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Ok, Self::Fail, Self::Panic, Self::Slow, Self::Hang, Self::GiveUp, Self::Lose];

    /// Returns the kind with this number.
    pub fn of(number: u64) -> Self {
        Self::ALL[number as usize % Self::ALL.len()]
    }

    /// Draws one: of 10,000 tasks, 500 fail, 100 panic, 50 give up, 40 are slow, 5 are never answered,
    /// and 1 hangs.
    pub fn draw(rng: &mut Rng, saboteur: &Saboteur) -> Self {
        // A short run needs more hangs to exceed a bound of none.
        let hangs = if saboteur.is(Sabotage::Bound) { 50 } else { 1 };
        let hangs = if saboteur.is(Sabotage::Absent) { 0 } else { hangs };
        match rng.u32(..10_000) {
            number if number < hangs => Self::Hang,
            100..200 => Self::Panic,
            200..700 => Self::Fail,
            700..740 => Self::Slow,
            740..790 => Self::GiveUp,
            790..795 => Self::Lose,
            _ => Self::Ok,
        }
    }

    /// Draws whether the reply comes later: the handler awaits, or defers it.
    pub fn draw_later(self, rng: &mut Rng) -> bool {
        match self {
            Self::Lose => true,
            Self::Hang => rng.bool(),
            _ => rng.u8(..50) == 0,
        }
    }

    /// Returns the kind of a clone, which always answers.
    pub fn of_clone(self) -> Self {
        Self::Ok
    }

    /// Returns `true` if the handler answers with a value.
    pub fn completes(self) -> bool {
        matches!(self, Self::Ok | Self::Slow | Self::Hang)
    }
}
