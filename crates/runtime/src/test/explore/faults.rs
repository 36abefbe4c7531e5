use std::fmt;

/// The faults of a run, by how often they are injected. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    panics: u32,
    hangs: u32,
    slow: u32,
    lost_replies: u32,
    pub(super) membership: bool,
}

/// What is injected into a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Panic,
    Hang,
    Slow,
    LostReply,
}

impl Faults {
    /// Shares are of this many.
    pub(super) const ALL: u32 = 1_000;

    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every kind: in 30 handlers of 1,000 a panic, 20 hang, 100 are slow, 20 lose their reply, and
    /// workers come and go.
    pub fn all() -> Self {
        Self::none().panics(30).hangs(20).slow(100).lost_replies(20).membership(true)
    }

    /// Sets how many handlers of 1,000 panic before they do anything. The number is limited so that all
    /// kinds together are at most 1,000; so are the others.
    #[must_use]
    pub fn panics(mut self, share: u32) -> Self {
        self.panics = share;
        self
    }

    /// Sets how many handlers of 1,000 hang: they sleep for ten seconds before they do anything.
    #[must_use]
    pub fn hangs(mut self, share: u32) -> Self {
        self.hangs = share;
        self
    }

    /// Sets how many handlers of 1,000 sleep for up to 50 milliseconds first.
    #[must_use]
    pub fn slow(mut self, share: u32) -> Self {
        self.slow = share;
        self
    }

    /// Sets how many handlers of 1,000 do their work, and panic before they reply.
    #[must_use]
    pub fn lost_replies(mut self, share: u32) -> Self {
        self.lost_replies = share;
        self
    }

    /// Sets whether workers are added and retired meanwhile.
    #[must_use]
    pub fn membership(mut self, changes: bool) -> Self {
        self.membership = changes;
        self
    }

    /// The fault that a choice of 0 to 999 stands for. 0 stands for none, unless all fail.
    pub(super) fn of(self, choice: u32) -> Option<Fault> {
        let shares = [
            (self.panics, Fault::Panic),
            (self.hangs, Fault::Hang),
            (self.slow, Fault::Slow),
            (self.lost_replies, Fault::LostReply),
        ];
        let mut from = Self::ALL;
        shares.into_iter().find_map(|(share, fault)| {
            from = from.saturating_sub(share);
            (choice >= from && share > 0).then_some(fault)
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panic => "panics",
            Self::Hang => "hangs",
            Self::Slow => "is slow",
            Self::LostReply => "loses its reply",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_share_and_0_stands_for_none() {
        let faults = Faults::all();
        let count = |fault| (0..Faults::ALL).filter(|choice| faults.of(*choice) == fault).count();
        let all = [Fault::Panic, Fault::Hang, Fault::Slow, Fault::LostReply];
        assert_eq!(all.map(|fault| count(Some(fault))), [30, 20, 100, 20]);
        assert_eq!((faults.of(0), count(None)), (None, 830));
    }

    #[test]
    fn shares_above_all_are_limited() {
        let faults = Faults::none().panics(u32::MAX).hangs(7);
        assert!((0..Faults::ALL).all(|choice| faults.of(choice) == Some(Fault::Panic)));
    }
}
