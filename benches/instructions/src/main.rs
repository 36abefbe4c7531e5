//! The steps whose instructions `cargo xtask instructions` counts.
//!
//! This program runs under callgrind, which counts between the [`marks`] and writes the count at
//! the end of each step. The steps' names are printed in the same order. Set-up is outside of the
//! marks and is not counted.

mod actor;
mod ask;
mod marks;
mod record;
mod rosters;
mod select;
mod tell;

fn main() {
    // Random choices must repeat in every run.
    fastrand::seed(7);
    println!("times {}", marks::TIMES);
    select::base();
    select::by_strategy();
    record::all();
    tell::all();
    ask::all();
}
