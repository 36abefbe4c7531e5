//! Histories of real threads, each of which must be linearizable.
//!
//! `balancer.rs` and `pool.rs` each have a sequential specification of their object, and
//! implementations with a bug, which the tester must refute.

mod balancer;
mod history;
mod pool;
