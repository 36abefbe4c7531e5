//! Outlier detection: which workers to eject, and when to take them back.

mod decision;
mod detector;
mod settings;
#[cfg(all(test, not(loom)))]
mod tests;

pub use decision::{Decision, EjectionReason, Verdict};
pub use detector::OutlierDetector;
pub use settings::{Ejection, EjectionError};
