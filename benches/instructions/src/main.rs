//! The steps whose instructions `cargo xtask instructions` counts.
//!
//! To be run under callgrind, which sees what lies between [`marks`] and writes it down at the end
//! of each step. The names of the steps are printed in that order. Set-up is outside of the marks, so
//! that it is in no figure.

mod actor;
mod ask;
mod marks;
mod record;
mod rosters;
mod select;
mod tell;

/// How often each step is taken: what goes with the marks is then less than a tenth of an
/// instruction.
pub(crate) const TIMES: usize = 10_000;

fn main() {
    // Strategies that draw are to draw the same each time.
    fastrand::seed(7);
    println!("times {TIMES}");
    select::base();
    select::by_strategy();
    record::all();
    tell::all();
    ask::all();
}
