//! Compiles and runs the Rust samples of `README.md`, `docs/` and `docs/guide/`.
//!
//! `build.rs` makes a test of each block that begins with ```` ```rust ````, named for its page and
//! line. A block that is no program of its own gets the names of `tests/samples/context.rs` and the
//! variables that `build.rs` declares for its page. A block marked `rust,ignore` is skipped: it shows
//! a shape that raddle does not have.
