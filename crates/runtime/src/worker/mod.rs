//! A worker on its thread: a host serves the worker's tasks until the worker has left, is retired, or
//! is taken from the thread.
//!
//! Three parts: a [`Host`] knows what runs (here, one actor with plain handlers: [`ActorHost`]); the
//! [`Station`] takes tasks from the worker's mailbox and its siblings'; the [`WorkerThread`] starts
//! and restarts what the host runs, and is generic in neither. They know the router; the crew is
//! their [`Overseer`].

mod actor_host;
mod host;
mod lease;
mod life;
mod lifecycle;
mod overseer;
mod run;
mod station;
mod steal;

pub(crate) use actor_host::{ActorHost, Factory};
#[cfg(any(loom, shuttle))]
pub use lease::Stay;
pub use lease::{Revoked, SerialLease};
pub(crate) use lifecycle::Start;
pub(crate) use overseer::Overseer;
pub(crate) use run::run;
pub(crate) use station::Station;
