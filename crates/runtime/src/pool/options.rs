//! The options of a task, and which of them go together.

use std::sync::Arc;

use raddle_core::{CapabilityError, Priority, TaskProfile, WorkerId};
use raddle_strategies::Strategy;

use crate::deadline::Deadline;
use crate::error::{OptionError, Refusal};
use crate::mailbox::Overflow;

/// What decides on a task's worker.
#[derive(Default)]
pub(super) enum Picker<'p> {
    /// The pool's strategy.
    #[default]
    Pool,
    Borrowed(&'p dyn Strategy),
    Shared(Arc<dyn Strategy>),
    /// The caller.
    Worker(WorkerId),
    /// Nothing: each worker gets a task.
    Each,
    /// Several of these were set that exclude each other.
    Contradictory,
}

impl<'p> Picker<'p> {
    /// Replaces one strategy by another, or one worker by another.
    pub(super) fn set(&mut self, picker: Picker<'p>) {
        let agree = matches!(
            (&*self, &picker),
            (Self::Pool, _)
                | (Self::Worker(_), Self::Worker(_))
                | (Self::Each, Self::Each)
                | (Self::Borrowed(_) | Self::Shared(_), Self::Borrowed(_) | Self::Shared(_))
        );
        *self = if agree { picker } else { Self::Contradictory };
    }

    /// The task's own strategy, if it has one.
    #[inline(always)]
    pub(super) fn own(&self) -> Option<&dyn Strategy> {
        match self {
            Self::Borrowed(strategy) => Some(*strategy),
            Self::Shared(strategy) => Some(&**strategy),
            _ => None,
        }
    }

    /// This picker, which has been checked, for a task that outlives the caller.
    pub(super) fn kept(&self) -> Picker<'static> {
        match self {
            Self::Shared(strategy) => Picker::Shared(Arc::clone(strategy)),
            Self::Worker(worker) => Picker::Worker(*worker),
            Self::Each => Picker::Each,
            Self::Pool | Self::Borrowed(_) | Self::Contradictory => Picker::Pool,
        }
    }

    /// Whether the task is for one worker, or for each.
    pub(super) fn is_for_worker(&self) -> bool {
        matches!(self, Self::Worker(_) | Self::Each)
    }
}

/// How a task is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Tell,
    Ask,
    Hedged,
    Forward,
    Timer,
}

/// What routing and the worker may know about a task, as its caller set it.
#[derive(Default)]
pub(super) struct Options<'p> {
    pub(super) profile: TaskProfile,
    pub(super) deadline: Deadline,
    pub(super) picker: Picker<'p>,
    /// `None` for the pool's.
    pub(super) overflow: Option<Overflow>,
    pub(super) cancel_on_drop: bool,
    /// Why the task's capability cannot be used.
    pub(super) wrong: Option<CapabilityError>,
}

impl Options<'_> {
    /// Checks that every option has a meaning for a task that is sent in this way.
    #[inline(always)]
    pub(super) fn check(&self, way: Way) -> Result<(), Refusal> {
        let needs_check = self.wrong.is_some()
            || self.profile.key.is_some()
            || !matches!(self.picker, Picker::Pool)
            || self.cancel_on_drop
            || !matches!(way, Way::Tell | Way::Ask);
        if needs_check { self.check_all(way) } else { Ok(()) }
    }

    #[cold]
    fn check_all(&self, way: Way) -> Result<(), Refusal> {
        let TaskProfile { key, priority, .. } = self.profile;
        let own = self.picker.own();
        if let Some(error) = &self.wrong {
            return Err(Refusal::Capability(error.clone()));
        }
        let (later, asks) =
            (matches!(way, Way::Hedged | Way::Timer), matches!(way, Way::Ask | Way::Hedged));
        let error = if key.is_some() && way == Way::Hedged {
            OptionError::HedgedKey
        } else if key.is_some() && priority != Priority::Normal {
            OptionError::KeyWithPriority(priority)
        } else if matches!(self.picker, Picker::Contradictory) {
            OptionError::StrategyWithWorker
        } else if key.is_some() && own.is_some() {
            OptionError::KeyWithStrategy
        } else if key.is_some() && self.picker.is_for_worker() {
            OptionError::KeyWithWorker
        } else if way == Way::Hedged && self.picker.is_for_worker() {
            OptionError::HedgedWorker
        } else if self.picker.is_for_worker()
            && !matches!(priority, Priority::Normal | Priority::Control)
        {
            OptionError::WorkerWithPriority(priority)
        } else if priority == Priority::Control && way == Way::Hedged {
            OptionError::HedgedControl
        } else if self.cancel_on_drop && !asks {
            OptionError::NothingToDrop
        } else if later && matches!(self.picker, Picker::Borrowed(_)) {
            OptionError::BorrowedStrategy
        } else if way == Way::Timer && self.overflow.is_some_and(Overflow::waits) {
            OptionError::TimerWaits
        } else {
            let valid = own.map_or(Ok(()), Strategy::validate);
            return valid.map_err(|error| Refusal::Strategy(Box::new(error)));
        };
        Err(error.into())
    }
}
