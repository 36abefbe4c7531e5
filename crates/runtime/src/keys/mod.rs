//! Tasks with a key: those of one key run in the order in which they were sent, never two at a time,
//! also while workers come and go.
//!
//! A key belongs to one of the [`partitions`], and a partition to one worker, by
//! [rendezvous hashing](raddle_strategies::rendezvous) of the partition and the worker's name. So the
//! pools of two processes whose workers have the same names agree, whatever the order in which the
//! workers were added.
//!
//! - A caller *binds* its task to the partition, which returns the worker to send it to. A task that
//!   cannot be sent is released.
//! - A worker runs its tasks of a partition in the order in which they arrived, once it *may run*
//!   them, defers the others, and *releases* each that has ended.
//! - A release that hands the partition over wakes the new owner.
//! - The thread that changes membership *reassigns* the partitions.
//!
//! Only the deferred tasks wait for a hand-over.
//!
//! # State that moves with its keys
//! If the pool's actors have [keyed state](crate::KeyedState), a partition that moves is first added to its
//! old owner's [`Handover`], as one that the owner loses. When the owner's tasks of it have ended, its
//! thread takes the state from the actor, adds it to the new owner's `Handover`, and then releases the
//! partition. The new owner runs no task of any key while its `Handover` has state to be gained, so its actor
//! gets the state before the first task. Where no thread can give the state away, the partition is released
//! without it, and that is an event.

pub mod handover;
mod moved;
pub mod partitions;
mod tables;

pub(crate) use handover::{Batch, Gain, HandOvers, Handover, KeyState, Work};
pub use moved::MovedKeys;
pub(crate) use partitions::{MAX_BOUND_TASKS, Partitions, ShortId};
pub(crate) use tables::{KeyTables, Move, NOBODY, PartitionId, Reassign};
