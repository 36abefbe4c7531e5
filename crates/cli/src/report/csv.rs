//! The report as CSV: one line per strategy, with a column for each worker's share.

use std::io::{self, Write};

use super::layout::Line;
use super::{Report, StrategyReport};
use crate::print::visible;

const COLUMNS: [&str; 18] = [
    "strategy",
    "tasks",
    "completed",
    "failed",
    "rejected",
    "cancelled",
    "throughput_per_s",
    "utilisation",
    "latency_us_mean",
    "latency_us_p50",
    "latency_us_p90",
    "latency_us_p99",
    "latency_us_p999",
    "latency_us_max",
    "select_ns_mean",
    "lag_us_p99",
    "overrun_us_mean",
    "overrun_share",
];

/// Writes the report.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let line = |strategy: &StrategyReport| {
        let latency = &strategy.latency_us;
        let counts = [
            strategy.tasks,
            strategy.completed,
            strategy.failed,
            strategy.rejected,
            strategy.cancelled,
        ];
        let figures = [
            strategy.throughput_per_s,
            strategy.utilisation,
            latency.mean,
            latency.p50,
            latency.p90,
            latency.p99,
            latency.p999,
            latency.max,
            strategy.select_ns_mean,
            strategy.lag_us.p99,
            strategy.overrun_us.mean,
            strategy.overrun_share,
        ];
        (counts.to_vec(), figures.to_vec())
    };
    lines(&COLUMNS, &report.strategies, line, out)
}

/// Writes a line per strategy: its name, the counts and figures of `line`, and its shares.
pub fn lines<L: Line>(
    columns: &[&str],
    strategies: &[L],
    line: impl Fn(&L) -> (Vec<u64>, Vec<f64>),
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let workers = strategies.first().map_or(&[][..], Line::share);
    let shares = workers.iter().map(|(worker, _)| format!("share_{}", visible(worker)));
    csv.write_record(columns.iter().map(|column| (*column).to_owned()).chain(shares))?;
    for strategy in strategies {
        let (counts, figures) = line(strategy);
        csv.write_field(strategy.strategy())?;
        for count in counts {
            csv.write_field(count.to_string())?;
        }
        for figure in figures.into_iter().chain(strategy.share().iter().map(|(_, share)| *share)) {
            // A value that was not measured is an empty field.
            csv.write_field(if figure.is_nan() { String::new() } else { figure.to_string() })?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_csv_has_the_figures_of_the_report() {
        let mut report = super::super::tests::example();
        report.strategies[1].latency_us.mean = f64::NAN;
        let mut bytes = Vec::new();
        write(&report, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], format!("{},share_code-0,share_any-1", COLUMNS.join(",")));
        assert_eq!(
            lines[1],
            "least_loaded,1000,1000,0,0,0,250.5,0.625,1500,900,2000,4000,8000,12000,41,90,30,0.02,0.75,0.25"
        );
        assert_eq!(
            lines[2],
            "random,1000,990,0,10,0,250.5,0.625,,900,2000,9000,18000,27000,41,90,30,0.02,0.75,0.25"
        );
        assert_eq!(lines.len(), 3);
    }
}
