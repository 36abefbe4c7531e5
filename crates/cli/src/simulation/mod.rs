//! `raddle simulate` and `raddle advise`: the strategies on a virtual clock.

mod advise;
mod common;
mod input;
mod pages;
mod simulate;
mod traits;
mod words;

pub use advise::advise;
pub use simulate::simulate;
