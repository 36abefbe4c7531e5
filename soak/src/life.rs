use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::findings::{Findings, Wrong};

/// An actor, for those who must know in the end whether its thread was given up.
///
/// The pool does not wait for a handler that it has revoked, so another may rightly run beside it, and
/// the state that its actor has is lost. Only the actor's last hook says so for certain.
#[derive(Debug, Default)]
pub struct Life(AtomicBool);

impl Life {
    /// Notes that its thread was given up.
    pub fn revoke(&self) {
        // Read when every thread has ended.
        self.0.store(true, Relaxed);
    }

    pub fn was_revoked(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// What is wrong unless the thread of an actor is given up.
#[derive(Debug, Default)]
pub struct Suspicions(Mutex<Vec<(Arc<Life>, Wrong, String)>>);

impl Suspicions {
    pub fn add(&self, life: &Arc<Life>, wrong: Wrong, description: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((Arc::clone(life), wrong, description));
    }

    /// Reports those that were right. No actor is left.
    pub fn report(&self, findings: &Findings) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (life, wrong, description) in all.drain(..) {
            if !life.was_revoked() {
                findings.report(wrong, || description);
            }
        }
    }
}
