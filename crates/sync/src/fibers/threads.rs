//! Threads as the facade shows them: the operating system's, or fibers.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread as os;
use std::time::Duration;

use super::state::current;
use crate::lock::ColdLock;

/// The identity of a thread or fiber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadId {
    /// Of a thread.
    Os(os::ThreadId),
    /// Of a fiber.
    Fiber(u64),
}

/// A thread or fiber.
#[derive(Clone, Debug)]
pub struct Thread(ThreadId);

impl Thread {
    /// Returns its identity.
    pub fn id(&self) -> ThreadId {
        self.0
    }
}

/// Returns the calling thread or fiber.
pub fn current_thread() -> Thread {
    let fiber = current().and_then(|fibers| fibers.running());
    Thread(fiber.map_or_else(|| ThreadId::Os(os::current().id()), ThreadId::Fiber))
}

/// As `std::thread::Builder`.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
}

impl Builder {
    /// Starts describing a thread.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the thread's name.
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the size of the thread's stack in bytes; has no effect on a fiber.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Spawns the thread: a fiber if the caller has entered fibers.
    ///
    /// # Errors
    /// As `std::thread::Builder::spawn`.
    pub fn spawn<T: Send + 'static>(
        self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        if let Some(fibers) = current() {
            let result = Arc::new(ColdLock::new(None));
            let its = Arc::clone(&result);
            let id = fibers.spawn(self.name.unwrap_or_default(), move || {
                let ended = catch_unwind(AssertUnwindSafe(body));
                *its.lock() = Some(ended);
            });
            return Ok(JoinHandle::Fiber { thread: Thread(ThreadId::Fiber(id)), result });
        }
        let mut builder = os::Builder::new();
        if let Some(name) = self.name {
            builder = builder.name(name);
        }
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        let handle = builder.spawn(body)?;
        let thread = Thread(ThreadId::Os(handle.thread().id()));
        Ok(JoinHandle::Os { thread, handle })
    }
}

/// As `std::thread::JoinHandle`.
#[derive(Debug)]
pub enum JoinHandle<T> {
    /// Of a thread.
    Os {
        /// The thread.
        thread: Thread,
        /// Its handle.
        handle: os::JoinHandle<T>,
    },
    /// Of a fiber.
    Fiber {
        /// The fiber.
        thread: Thread,
        /// What it has returned, once it has ended.
        result: Arc<ColdLock<Option<os::Result<T>>>>,
    },
}

impl<T> JoinHandle<T> {
    /// Returns the thread.
    pub fn thread(&self) -> &Thread {
        match self {
            Self::Os { thread, .. } | Self::Fiber { thread, .. } => thread,
        }
    }

    /// Returns whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Os { handle, .. } => handle.is_finished(),
            Self::Fiber { result, .. } => result.lock().is_some(),
        }
    }

    /// Waits for the end of the thread.
    ///
    /// # Errors
    /// The payload, if it panicked; a message, if the fiber will not end.
    pub fn join(self) -> Result<T, Box<dyn Any + Send>> {
        match self {
            Self::Os { handle, .. } => handle.join(),
            Self::Fiber { result, .. } => {
                let ended = || result.lock().take();
                super::wait(None, ended).unwrap_or_else(|| Err(Box::new("the fiber does not end")))
            }
        }
    }
}

/// As `std::thread::spawn`.
///
/// # Panics
/// If the thread cannot be created.
pub fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match Builder::new().spawn(body) {
        Ok(handle) => handle,
        Err(error) => panic!("no thread could be created: {error}"),
    }
}

/// As `std::thread::yield_now`.
#[inline]
pub fn yield_now() {
    match current() {
        Some(fibers) => fibers.yield_now(),
        None => os::yield_now(),
    }
}

/// As `std::thread::sleep`, by the virtual clock on a fiber and its root.
pub fn sleep(duration: Duration) {
    match current() {
        Some(fibers) => fibers.sleep(super::after(duration).unwrap_or(u64::MAX)),
        None => os::sleep(duration),
    }
}
