use std::any::{Any, type_name};

use super::error::{ChildError, position};
use crate::account::Account;

/// Messages of one type, which is recovered by downcasting.
pub(super) type Messages = Vec<Box<dyn Any + Send>>;

/// The result of a supervisor's shutdown.
#[derive(Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The children, in the order of their start.
    pub children: Vec<ChildReport>,
    /// The child whose restart had not returned at the time limit. The pool that it returns will be
    /// shut down.
    pub starting: Option<String>,
}

/// The result of a supervisor's shutdown for one child.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChildReport {
    /// Its name.
    pub name: String,
    /// The number of its restarts.
    pub restarts: u32,
    /// What became of the tasks of all its pools.
    pub account: Account,
    /// Workers, of its last pool or of one before, whose handler or hook had not returned.
    pub running: Vec<String>,
    /// Threads of these pools that were given up as hung and have not returned.
    pub lost_threads: usize,
    /// Whether all of its threads have ended.
    pub ended: bool,
    /// The messages of tasks that were admitted and then cancelled at the time limit of this shutdown
    /// or of a restart, and of delayed tasks that were not sent before their pool closed, in no
    /// particular order, unless they were taken before.
    /// [`ShutdownReport::take_unfinished`] returns them with their type.
    pub unfinished: Vec<Box<dyn Any + Send>>,
}

impl ShutdownReport {
    /// Returns the child with this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn child(&self, name: &str) -> Result<&ChildReport, ChildError> {
        Ok(&self.children[self.position(name)?])
    }

    /// Takes the messages of a child's unfinished tasks, in no particular order.
    ///
    /// # Errors
    /// If there is no such child, or its messages have another type; they are kept then.
    pub fn take_unfinished<M: 'static>(&mut self, name: &str) -> Result<Vec<M>, ChildError> {
        let index = self.position(name)?;
        take(name, &mut self.children[index].unfinished)
    }

    /// Returns whether everything has ended and no message was left.
    pub fn is_complete(&self) -> bool {
        self.starting.is_none() && self.children.iter().all(ChildReport::is_complete)
    }

    fn position(&self, name: &str) -> Result<usize, ChildError> {
        position(name, self.children.iter().map(|child| &child.name))
    }
}

impl ChildReport {
    /// Returns whether all of it has ended and no message was left.
    pub fn is_complete(&self) -> bool {
        self.ended && self.unfinished.is_empty()
    }
}

/// Takes all messages, unless one has another type.
pub(super) fn take<M: 'static>(child: &str, messages: &mut Messages) -> Result<Vec<M>, ChildError> {
    if messages.iter().any(|message| !message.is::<M>()) {
        return Err(ChildError::OtherMessage {
            child: child.to_owned(),
            requested: type_name::<M>(),
        });
    }
    let messages = std::mem::take(messages).into_iter();
    Ok(messages.filter_map(|message| message.downcast().ok()).map(|message| *message).collect())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn messages_of_another_type_are_kept() {
        let mut messages: Messages = vec![Box::new(1u8), Box::new(2u8)];
        let error = take::<u16>("orders", &mut messages).unwrap_err();
        assert_eq!(error.to_string(), "the messages of child `orders` are not of type u16");
        assert_eq!(take::<u8>("orders", &mut messages), Ok(vec![1, 2]));
        assert_eq!(take::<u16>("orders", &mut messages), Ok(vec![]));
    }
}
