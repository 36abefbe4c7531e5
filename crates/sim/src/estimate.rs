/// The confidence level of an [`Estimate`]'s interval.
pub const CONFIDENCE: f64 = 0.95;

/// The mean of a figure over runs with different seeds, with its 95 % confidence interval.
///
/// The interval is Student's, which assumes independent runs with roughly normal figures. For a few
/// runs of a heavy-tailed load it is a guide, not a proof. For a trace, all seeds have the same
/// tasks, and the interval is that of runs on resampled traces ([`RESAMPLES`](crate::RESAMPLES)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of the interval around the mean; `None` for a single run, which says nothing
    /// about it.
    pub half_width: Option<f64>,
}

impl Estimate {
    /// Creates an estimate from one figure per run. Without figures, the mean is NaN.
    pub fn of(figures: &[f64]) -> Self {
        let count = figures.len() as f64;
        let mean = figures.iter().sum::<f64>() / count;
        let half_width = (figures.len() > 1).then(|| {
            let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
            t_quantile(figures.len() - 1) * (squares / (count - 1.0) / count).sqrt()
        });
        Self { mean, half_width }
    }

    /// Creates an estimate from one figure per run, with the interval of resampled traces: their
    /// figures vary as that of another trace of the same origin would. Without at least two of them
    /// this is [`of`](Self::of).
    pub(crate) fn resampled(figures: &[f64], resampled: &[f64]) -> Self {
        let own = Self::of(figures);
        match Self::of(resampled).half_width {
            // Student's interval of a single figure, not of the mean of all.
            Some(of_mean) => {
                let half_width = Some(of_mean * (resampled.len() as f64).sqrt());
                Self { half_width, ..own }
            }
            None => own,
        }
    }

    /// Returns the ends of the interval; `None` for a single run.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.half_width.map(|half| (self.mean - half, self.mean + half))
    }

    /// Returns `true` if the interval contains 0; for a single run, if its figure is 0.
    pub fn may_be_zero(&self) -> bool {
        self.mean.abs() <= self.half_width.unwrap_or(0.0)
    }
}

/// Returns the 97.5th percentile of Student's t with `freedom` degrees of freedom, which bounds the
/// middle 95 %: from a table up to 30, beyond by expansion around the normal distribution, to five
/// digits.
///
/// M. Abramowitz and I. Stegun, *Handbook of Mathematical Functions*, 26.7.5 and table 26.10.
///
/// # Panics
/// If `freedom` is 0.
pub(crate) fn t_quantile(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010,
        2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739,
        2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
    ];
    assert!(freedom > 0, "a single figure has no degree of freedom");
    if let Some(known) = TABLE.get(freedom - 1) {
        return *known;
    }
    let (z, v) = (1.959_964_f64, freedom as f64);
    let first = z.powi(3) + z;
    let second = 5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z;
    let third = 3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z;
    z + first / (4.0 * v) + second / (96.0 * v.powi(2)) + third / (384.0 * v.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_the_tables_and_are_continuous_where_the_table_ends() {
        let tables = [
            (1, 12.706),
            (4, 2.776),
            (9, 2.262),
            (30, 2.042),
            (31, 2.0395),
            (40, 2.0211),
            (60, 2.0003),
            (120, 1.9799),
            (1_000_000, 1.95996),
        ];
        for (freedom, expected) in tables {
            let quantile = t_quantile(freedom);
            assert!((quantile - expected).abs() < 6e-4, "{quantile} for {freedom}");
        }
        let all: Vec<f64> = (1..100).map(t_quantile).collect();
        assert!(all.is_sorted_by(|a, b| a > b), "more runs narrow the interval");
    }

    #[test]
    fn the_interval_matches_the_textbook() {
        // Mean 5, standard deviation 2.5820, standard error 1.2910, t of 3 degrees 3.1824.
        let estimate = Estimate::of(&[2.0, 4.0, 6.0, 8.0]);
        assert_eq!(estimate.mean, 5.0);
        let (from, to) = estimate.interval().unwrap();
        assert!((from - 0.8915).abs() < 1e-3 && (to - 9.1085).abs() < 1e-3, "{from} {to}");
        assert!(!estimate.may_be_zero());
        assert!(Estimate::of(&[-1.0, 2.0, 0.5]).may_be_zero());
    }

    #[test]
    fn a_single_run_has_no_interval_and_equal_runs_have_an_empty_one() {
        assert_eq!(Estimate::of(&[7.0]), Estimate { mean: 7.0, half_width: None });
        assert_eq!(Estimate::of(&[7.0; 3]).interval(), Some((7.0, 7.0)));
        assert!(Estimate::of(&[0.0]).may_be_zero() && !Estimate::of(&[1e-9]).may_be_zero());
    }
}
