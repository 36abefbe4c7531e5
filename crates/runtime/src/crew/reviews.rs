//! Ejects workers that fail or are slow, and readmits them.

use raddle_core::nanos;
use raddle_strategies::Verdict;

use super::Crew;
use crate::event::EventKind;

impl Crew {
    /// Reviews the workers if it is time. Returns the clock's time of the next review.
    pub(super) fn review(&self, now: u64) -> Option<u64> {
        let mut membership = self.membership.lock();
        let reviews = membership.reviews.as_mut()?;
        if now < reviews.due {
            return Some(reviews.due);
        }
        let due = now.saturating_add(nanos(reviews.detector.settings().review_interval()));
        reviews.due = due;
        let roster = self.router.roster();
        let decisions = reviews.detector.review(&roster, now).to_vec();
        drop(membership);
        self.publish_health();
        for decision in decisions {
            let Some(worker) = roster.worker(decision.worker) else { continue };
            let kind = match decision.verdict {
                Verdict::Ejected(reason) => EventKind::Ejected { reason },
                Verdict::Readmitted => EventKind::Readmitted,
                _ => continue,
            };
            self.announcer.of_worker(worker, kind);
        }
        Some(due)
    }
}
