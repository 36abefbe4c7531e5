use std::sync::PoisonError;

use raddle_sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Relaxed},
};
use raddle_sync::lock;

/// Copies of one task, of which one answers: the first that has an answer, or, where none has, the
/// last to end.
///
/// # Protocol
/// `copies` counts those that have not ended. Who ends with an answer takes the prize, which is
/// there once, and then counts itself out; who counts it down to 0 takes what is left. A copy is
/// added only while another has not ended, so that no copy is added to a race that was decided by
/// its last.
#[derive(Debug)]
pub struct Race<S> {
    copies: AtomicU32,
    over: AtomicBool,
    #[allow(clippy::disallowed_types, reason = "taken once a copy of a hedged task")]
    prize: lock::Mutex<Option<S>>,
}

impl<S> Race<S> {
    /// A race of one copy so far.
    pub fn new(prize: S) -> Self {
        Self {
            copies: AtomicU32::new(1),
            over: AtomicBool::new(false),
            prize: lock::mutex(Some(prize)),
        }
    }

    /// Lets one more copy take part; `false` when all have ended, or one has answered.
    pub fn join(&self) -> bool {
        // Relaxed: a read-modify-write, it goes on with the release sequences of `finish`.
        let joined = self.copies.fetch_update(Relaxed, Relaxed, |copies| {
            (copies > 0 && !self.is_over()).then_some(copies + 1)
        });
        joined.is_ok()
    }

    /// A copy has ended, with an answer or without: the prize, when it is the one to take it.
    pub fn finish(&self, answers: bool) -> Option<S> {
        // Before it is counted out: the last one has no answer, perhaps.
        let prize = if answers { self.take() } else { None };
        // AcqRel pairs with that of the others: the last one comes after all that they did, and so
        // does who is told that there is no answer.
        let last = self.copies.fetch_sub(1, AcqRel) == 1;
        if answers || !last { prize } else { self.take() }
    }

    fn take(&self) -> Option<S> {
        // No code panics while it holds the lock.
        let mut prize = self.prize.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = prize.take();
        // Not before, and before the lock is let go: who sees it comes too late for the prize.
        self.over.store(true, Relaxed);
        taken
    }

    /// Whether this is so of the prize, while nobody has taken it. Takes a lock.
    pub fn prize_is(&self, so: impl FnOnce(&S) -> bool) -> bool {
        let prize = self.prize.lock().unwrap_or_else(PoisonError::into_inner);
        prize.as_ref().is_some_and(so)
    }

    /// Whether the prize is taken: what the other copies do is not wanted any more.
    pub fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_wins() {
        let race = Race::new("prize");
        assert!(race.join());
        assert_eq!(race.finish(true), Some("prize"));
        assert!(race.is_over() && !race.join());
        assert_eq!(race.finish(true), None);
    }

    #[test]
    fn a_copy_without_an_answer_leaves_it_to_the_other() {
        let race = Race::new("prize");
        assert!(race.join());
        assert_eq!(race.finish(false), None);
        assert!(!race.is_over());
        assert_eq!(race.finish(false), Some("prize"), "the last one says that there is none");
        assert!(!race.join());
    }

    #[test]
    fn none_joins_when_the_only_copy_has_ended() {
        let race = Race::new("prize");
        assert_eq!(race.finish(false), Some("prize"));
        assert!(!race.join());
        assert_eq!(race.finish(false), None);
    }
}
