use std::rc::Rc;
use std::thread::{AccessError, LocalKey};

use super::state::current;

/// A thread-local value, of which each fiber has its own.
pub struct FiberLocal<T: 'static> {
    thread: &'static LocalKey<T>,
    init: fn() -> T,
}

impl<T: 'static> FiberLocal<T> {
    /// For the macro `thread_local`.
    pub const fn new(thread: &'static LocalKey<T>, init: fn() -> T) -> Self {
        Self { thread, init }
    }

    /// As `LocalKey::with`.
    #[inline]
    pub fn with<R>(&'static self, access: impl FnOnce(&T) -> R) -> R {
        match self.own() {
            Some(own) => access(&own),
            None => self.thread.with(access),
        }
    }

    /// As `LocalKey::try_with`.
    ///
    /// # Errors
    /// If the thread has dropped its value already, which a fiber does when it has ended.
    pub fn try_with<R>(&'static self, access: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        match self.own() {
            Some(own) => Ok(access(&own)),
            None => self.thread.try_with(access),
        }
    }

    /// The value of the running fiber.
    #[inline]
    fn own(&'static self) -> Option<Rc<T>> {
        if super::is_active() { current()?.local(self, self.init) } else { None }
    }
}
