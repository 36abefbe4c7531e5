use std::time::Duration;

use crate::{Capability, nanos};

/// How urgent a task is. Within one priority, a worker runs tasks in the order of submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Priority {
    /// After the others, but never starved.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before the others.
    High,
    /// Before all others: for messages that control the work rather than carry it.
    Control,
}

/// What routing may know about a task. Start from [`TaskProfile::default`] and use the setters.
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
    /// The capability that the worker must have; `None` for any worker.
    pub capability: Option<Capability>,
    /// How urgent the task is.
    pub priority: Priority,
    /// The hash of the task's key: a pool runs the tasks of one key in order, on one worker at a
    /// time.
    pub key: Option<u64>,
    /// How long the task is expected to run on an average worker, in nanoseconds; 0 when unknown.
    pub expected_duration: u64,
    /// The clock's time when the task was submitted; 0 when unknown, in which case strategies that
    /// need the time read the clock.
    pub submitted_at: u64,
}

impl TaskProfile {
    /// Requests a worker with this capability, or a generalist.
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

    /// Sets how long the task is expected to run on an average worker.
    #[must_use]
    pub fn expected_duration(mut self, expected: Duration) -> Self {
        self.expected_duration = nanos(expected);
        self
    }

    /// Sets the clock's time at which the task was submitted.
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
    fn each_setter_sets_its_field_and_keeps_the_others() {
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
