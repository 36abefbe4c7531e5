use std::any::{Any, type_name};

use super::ChildError;
use crate::Account;

/// Messages of one type, which is found again by downcasting.
pub(super) type Messages = Vec<Box<dyn Any + Send>>;

/// What a supervisor's shutdown left.
#[derive(Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Each child, in the order of their start.
    pub children: Vec<ChildReport>,
    /// The child that was being started anew, and whose start had not returned at the time limit.
    /// What it returns is shut down.
    pub starting: Option<String>,
}

/// What a supervisor's shutdown left of one child.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChildReport {
    /// Its name.
    pub name: String,
    /// How often it was started anew.
    pub restarts: u32,
    /// What became of the tasks of all the pools that it has had.
    pub account: Account,
    /// Workers whose handler, or a hook, had not returned, of its last pool or of one before.
    pub running: Vec<String>,
    /// Threads of these pools that had been given up as hung and have not returned.
    pub lost_threads: usize,
    /// Whether nothing of it runs any more.
    pub ended: bool,
    /// The messages of tasks that were admitted and cancelled at a time limit, this one's or a
    /// restart's, in no order, as far as they were not taken before. To have them typed:
    /// [`ShutdownReport::take_unfinished`].
    pub unfinished: Vec<Box<dyn Any + Send>>,
}

impl ShutdownReport {
    /// The child of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn child(&self, name: &str) -> Result<&ChildReport, ChildError> {
        let child = self.children.iter().find(|child| child.name == name);
        child.ok_or_else(|| self.not_found(name))
    }

    /// Takes the messages of a child's unfinished tasks, in no order.
    ///
    /// # Errors
    /// When there is no such child, or its messages are of another type; it keeps them then.
    pub fn take_unfinished<M: 'static>(&mut self, name: &str) -> Result<Vec<M>, ChildError> {
        match self.children.iter_mut().find(|child| child.name == name) {
            Some(child) => take(&child.name, &mut child.unfinished),
            None => Err(self.not_found(name)),
        }
    }

    /// Whether everything has ended, and every task was run.
    pub fn is_complete(&self) -> bool {
        self.starting.is_none() && self.children.iter().all(ChildReport::is_complete)
    }

    fn not_found(&self, name: &str) -> ChildError {
        let children = self.children.iter().map(|child| child.name.clone()).collect();
        ChildError::NotFound { name: name.to_owned(), children }
    }
}

impl ChildReport {
    /// Whether all of it has ended, and no message was left.
    pub fn is_complete(&self) -> bool {
        self.ended && self.unfinished.is_empty()
    }
}

/// Takes all messages, unless one is of another type.
pub(super) fn take<M: 'static>(child: &str, messages: &mut Messages) -> Result<Vec<M>, ChildError> {
    if messages.iter().any(|message| !message.is::<M>()) {
        return Err(ChildError::OtherMessage { child: child.to_owned(), asked: type_name::<M>() });
    }
    let messages = std::mem::take(messages).into_iter();
    Ok(messages.filter_map(|message| message.downcast().ok()).map(|message| *message).collect())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn messages_of_another_type_stay() {
        let mut messages: Messages = vec![Box::new(1u8), Box::new(2u8)];
        let error = take::<u16>("orders", &mut messages).unwrap_err();
        assert_eq!(error.to_string(), "the messages of child `orders` are not of type u16");
        assert_eq!(take::<u8>("orders", &mut messages), Ok(vec![1, 2]));
        assert_eq!(take::<u16>("orders", &mut messages), Ok(vec![]));
    }
}
