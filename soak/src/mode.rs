use std::fmt;

/// How the handlers of a round's pool are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `Handler`: one at a time, some of which defer or forward their replies.
    Plain,
    /// `AsyncHandler`: one at a time, some of which await.
    Async,
    /// `SharedHandler`: several side by side.
    Shared,
    /// Reads side by side, writes alone.
    ReadWrite,
}

/// What becomes of the state that an actor keeps for keys when they move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is handed over.
    Handed,
    /// It stays, and an event names the keys.
    Announced,
    /// It is a cache: strategies move keys as they like.
    Cached,
}

/// What six rounds in a row go through.
pub const MODES: [(Mode, Keeping); 6] = [
    (Mode::Plain, Keeping::Cached),
    (Mode::Async, Keeping::Handed),
    (Mode::Shared, Keeping::Announced),
    (Mode::Plain, Keeping::Handed),
    (Mode::ReadWrite, Keeping::Cached),
    (Mode::Async, Keeping::Announced),
];

/// How many handlers run side by side, writes not counted.
pub const CONCURRENCY: usize = 6;

impl Mode {
    /// Returns how many tasks a thread runs at most at the same time.
    pub fn tasks_per_thread(self) -> usize {
        match self {
            // One in a handler, and one at its checkpoint.
            Self::Plain => 2,
            Self::Async => 1,
            Self::Shared => CONCURRENCY,
            Self::ReadWrite => CONCURRENCY + 1,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain handlers",
            Self::Async => "async handlers",
            Self::Shared => "shared handlers",
            Self::ReadWrite => "reads and writes",
        })
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handed => "state handed over",
            Self::Announced => "state announced as lost",
            Self::Cached => "state cached",
        })
    }
}
