//! Quantiles by their number of nines: 1 for 0.9, 2 for 0.99.

/// Returns the nines of a quantile.
pub fn of(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// Returns the quantile with this many nines.
pub fn quantile(nines: u8) -> f64 {
    1.0 - 10f64.powi(-i32::from(nines))
}

/// Rounds down to whole nines, with a margin because 1 - 0.999 is slightly more than 0.001.
pub fn whole(nines: f64) -> u8 {
    (nines + 1e-6) as u8
}
