//! Tasks with a key: those of one key run in the order in which they were sent, never two at a time,
//! also while workers come and go.
//!
//! A key belongs to one of the [`partitions`], and a partition to one worker, by
//! [rendezvous hashing](raddle_strategies::rendezvous).
//!
//! - A caller *binds* its task to the partition, which returns the worker to send it to. A task that
//!   cannot be sent is released.
//! - A worker runs its tasks of a partition in the order in which they arrived, once it *may run*
//!   them, defers the others, and *releases* each that has ended.
//! - A release that hands the partition over wakes the new owner.
//! - The thread that changes membership *reassigns* the partitions.
//!
//! Only the deferred tasks wait for a hand-over.

pub mod partitions;
mod tables;

pub(crate) use partitions::{MAX_BOUND_TASKS, ShortId};
pub(crate) use tables::{KeyTables, PartitionId, Reassign};
