//! Sets workers aside that fail, and takes them back.

use std::sync::Arc;

use raddle_core::{Roster, nanos};
use raddle_strategies::{Ejection, EjectionError, OutlierDetector, Verdict};

use super::membership::Membership;
use super::shared::Shared;
use crate::Actor;
use crate::event::EventKind;

/// Who judges a pool's workers, and when next.
pub(super) struct Reviews {
    pub(super) ejector: OutlierDetector,
    /// By the clock.
    due: u64,
}

impl Reviews {
    /// Reviews of a roster's workers from now on: by what they do from here.
    pub(super) fn new(settings: Ejection, roster: &Roster) -> Result<Self, EjectionError> {
        let now = roster.clock().now();
        let mut ejector = OutlierDetector::new(settings)?;
        // The first review judges nobody.
        ejector.review(roster, now);
        Ok(Self { ejector, due: now.saturating_add(nanos(settings.review_interval())) })
    }
}

impl<A: Actor> Shared<A> {
    /// Reviews the workers if it is time; the clock when it is time again.
    pub(super) fn review(&self, membership: &mut Membership, now: u64) -> Option<u64> {
        let reviews = membership.reviews.as_mut().filter(|_| !membership.closed)?;
        if now < reviews.due {
            return Some(reviews.due);
        }
        let due = now.saturating_add(nanos(reviews.ejector.settings().review_interval()));
        reviews.due = due;
        let routing = self.routing.load();
        let decisions = reviews.ejector.review(&routing.roster, now).to_vec();
        let changed = reviews.ejector.changes(&routing.roster).into_iter().fold(
            None,
            |roster: Option<Roster>, (worker, health)| {
                roster.as_ref().unwrap_or(&routing.roster).with_health(worker, health).ok()
            },
        );
        if let Some(roster) = changed {
            self.publish(membership, roster, Arc::clone(&routing.mailboxes));
        }
        for decision in decisions {
            let Some(worker) = routing.roster.worker(decision.worker) else { continue };
            let kind = match decision.verdict {
                Verdict::Ejected(reason) => EventKind::Ejected { reason },
                Verdict::Readmitted => EventKind::Readmitted,
                _ => continue,
            };
            self.tell_of(worker, kind);
        }
        Some(due)
    }
}
