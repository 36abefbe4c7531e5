//! Histories of real threads, each of which must be one that a sequential object could have had.
//!
//! What an object promises is its sequential specification: `balancer.rs`, `pool.rs`. Beside each stand
//! implementations with a bug, which the tester must refute.
mod balancer;
mod history;
mod pool;
