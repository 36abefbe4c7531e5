use crate::Capability;

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
    /// The clock when the task was given; 0 when unknown, then the strategies that need the time
    /// read the clock themselves.
    pub given_at: u64,
}

impl TaskProfile {
    /// Asks for a worker of this capability, or a general one.
    #[must_use]
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capability = Some(capability);
        self
    }

    /// Tells the clock's time at which the task was given.
    #[must_use]
    pub fn given_at(mut self, now: u64) -> Self {
        self.given_at = now;
        self
    }
}
