//! Tasks with a key: those of one key run in the order in which they were given, never two at a
//! time, also while workers are added and retired.
//!
//! A key belongs to one of the [`partitions`], and a partition to one worker, by
//! [rendezvous hashing](raddle_strategies::rendezvous). Workers are named by their *seat*, which is given to another worker once no partition
//! mentions it any more.
//!
//! - A dispatcher *binds* its task to the partition, which tells it whose it is, and sends it there.
//!   What cannot be sent is released.
//! - A worker runs its tasks of a partition in the order in which they arrived, as far as it *may
//!   run* them, defers the others, and *releases* each that has ended.
//! - When a release hands a partition over, the one who released wakes the new owner.
//! - The one thread that changes membership *reassigns* the partitions.
//!
//! Nobody waits for a hand-over but the tasks that are deferred by it.

pub mod partitions;
mod tables;

pub(crate) use tables::{KeyTables, Slot};
