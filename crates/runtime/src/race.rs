use raddle_sync::Slot;
use raddle_sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Relaxed},
};

/// Decides which copy of a task answers: the first one with a reply, or the last one to end if none
/// has a reply.
///
/// # Protocol
/// `copies` counts the copies that have not ended. A copy that ends with a reply takes the prize, if
/// it is still there, and then counts itself out; the one that lowers the count to 0 takes what is
/// left. A copy joins only while another has not ended. If it joins just as the prize is taken, it runs in
/// vain.
#[derive(Debug)]
pub struct Race<S> {
    copies: AtomicU32,
    over: AtomicBool,
    prize: Slot<S>,
}

impl<S> Race<S> {
    /// Starts a race of one copy.
    pub fn new(prize: S) -> Self {
        Self {
            copies: AtomicU32::new(1),
            over: AtomicBool::new(false),
            prize: Slot::new(Some(prize)),
        }
    }

    /// Adds a copy; `false` if all have ended or one has replied.
    pub fn join(&self) -> bool {
        // Relaxed: as a read-modify-write it continues the release sequences of `finish`.
        let joined = self.copies.fetch_update(Relaxed, Relaxed, |copies| {
            (copies > 0 && !self.is_over()).then_some(copies + 1)
        });
        joined.is_ok()
    }

    /// Ends a copy, with or without a reply. Returns the prize if this copy must answer.
    pub fn finish(&self, has_reply: bool) -> Option<S> {
        // Before it counts itself out: the last copy may have no reply.
        let prize = if has_reply { self.take() } else { None };
        // AcqRel pairs with that of the other copies: the last one comes after all that they did, and
        // so does an asker that learns that there is no reply.
        let last = self.copies.fetch_sub(1, AcqRel) == 1;
        if has_reply || !last { prize } else { self.take() }
    }

    /// Takes the prize, whether a copy has a reply or not.
    pub fn take(&self) -> Option<S> {
        let taken = self.prize.take();
        // After the prize was taken: a thread that sees it is too late for the prize.
        self.over.store(true, Relaxed);
        taken
    }

    /// Returns whether the prize was taken: the other copies are no longer wanted.
    pub fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_reply_wins() {
        let race = Race::new("prize");
        assert!(race.join());
        assert_eq!(race.finish(true), Some("prize"));
        assert!(race.is_over() && !race.join());
        assert_eq!(race.finish(true), None);
    }

    #[test]
    fn a_copy_without_a_reply_leaves_it_to_the_other() {
        let race = Race::new("prize");
        assert!(race.join());
        assert_eq!(race.finish(false), None);
        assert!(!race.is_over());
        assert_eq!(race.finish(false), Some("prize"), "the last one reports that there is none");
        assert!(!race.join());
    }

    #[test]
    fn no_copy_joins_after_the_only_one_has_ended() {
        let race = Race::new("prize");
        assert_eq!(race.finish(false), Some("prize"));
        assert!(!race.join());
        assert_eq!(race.finish(false), None);
    }
}
