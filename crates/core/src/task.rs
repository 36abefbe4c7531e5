use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Capability, nanos};

/// How urgent a task is. Within one priority, a worker runs tasks in the order given.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After the others, but not never.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the others.
    High,
    /// Before every task that is data: for messages about the work, not the work.
    Control,
}

/// What routing may know of a task. Made with [`TaskProfile::default`] and the setters.
///
/// ```
/// use raddle_core::{Capability, TaskProfile};
///
/// let task = TaskProfile::default().capability(Capability::intern("vision")?);
/// # Ok::<(), raddle_core::CapabilityError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskProfile {
    /// What the worker must be able to do; `None` for anything.
    pub capability: Option<Capability>,
    /// How urgent it is.
    pub priority: Priority,
    /// The hash of its key: in a pool, tasks of one key are run in order, by one worker at a time.
    pub key: Option<u64>,
    /// How long it is expected to run, in nanoseconds at a worker of the usual speed; 0 when
    /// unknown.
    pub expected_duration: u64,
    /// The clock when the task was given; 0 when unknown, then the strategies that need the time
    /// read the clock themselves.
    pub submitted_at: u64,
}

impl TaskProfile {
    /// Asks for a worker of this capability, or a general one.
    #[must_use]
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capability = Some(capability);
        self
    }

    /// Sets how urgent the task is.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the hash of the task's key.
    #[must_use]
    pub fn key(mut self, hash: u64) -> Self {
        self.key = Some(hash);
        self
    }

    /// Tells how long it is expected to run, at a worker of the usual speed.
    #[must_use]
    pub fn expected_duration(mut self, expected: Duration) -> Self {
        self.expected_duration = nanos(expected);
        self
    }

    /// Tells the clock's time at which the task was given.
    #[must_use]
    pub fn submitted_at(mut self, now: u64) -> Self {
        self.submitted_at = now;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_sets_its_own_and_keeps_the_rest() {
        let capability = Capability::intern("task-profile").unwrap();
        let profile = TaskProfile::default()
            .expected_duration(Duration::from_micros(3))
            .submitted_at(5)
            .key(7)
            .priority(Priority::High)
            .capability(capability);
        let capability = Some(capability);
        let expected = TaskProfile {
            capability,
            priority: Priority::High,
            key: Some(7),
            expected_duration: 3_000,
            submitted_at: 5,
        };
        assert_eq!(profile, expected);
        assert_eq!(
            profile
                .expected_duration(Duration::ZERO)
                .submitted_at(9)
                .key(8)
                .priority(Priority::Low),
            TaskProfile {
                priority: Priority::Low,
                key: Some(8),
                expected_duration: 0,
                submitted_at: 9,
                ..expected
            }
        );
    }
}
