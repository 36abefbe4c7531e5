//! The report as tables in text.

use comfy_table::{Cell, Color};
use raddle::sim::TASKS_BEYOND;

use super::layout::{Layout, Line, Shown, right};
use super::{Report, StrategyReport};
use crate::print::shortened;

/// The mark of the best figure of a column.
pub const BEST: char = '*';
const WORST: char = '!';

impl Line for StrategyReport {
    fn strategy(&self) -> &str {
        &self.strategy
    }

    fn share(&self) -> &[(String, f64)] {
        &self.share
    }
}

/// Which values of a column are better.
#[derive(Clone, Copy)]
pub enum Better {
    /// The highest.
    More,
    /// The lowest.
    Less,
    /// The value says nothing about the strategy.
    Neither,
}

/// A column of a table.
pub struct Column<L> {
    /// The heading.
    pub heading: &'static str,
    figure: fn(&L) -> f64,
    write: fn(f64) -> String,
    better: Better,
}

impl<L> Column<L> {
    /// Returns the name for `--columns`: the heading without its unit.
    pub fn name(&self) -> &'static str {
        self.heading.split(' ').next().unwrap_or_default()
    }

    /// Returns the figure of a line.
    pub fn figure(&self, line: &L) -> f64 {
        (self.figure)(line)
    }

    /// Writes a figure.
    pub fn write(&self, figure: f64) -> String {
        (self.write)(figure)
    }
}

/// Creates a column.
pub const fn column<L>(
    heading: &'static str,
    better: Better,
    write: fn(f64) -> String,
    figure: fn(&L) -> f64,
) -> Column<L> {
    Column { heading, figure, write, better }
}

const COLUMNS: [Column<StrategyReport>; 16] = [
    column("tasks", Better::Neither, count, |s| s.tasks as f64),
    column("completed", Better::More, count, |s| s.completed as f64),
    column("failed", Better::Less, count, |s| s.failed as f64),
    column("rejected", Better::Less, count, |s| s.rejected as f64),
    column("cancelled", Better::Neither, count, |s| s.cancelled as f64),
    column("tasks/s", Better::More, rate, |s| s.throughput_per_s),
    column("utilisation", Better::More, percent, |s| s.utilisation),
    column("mean ms", Better::Less, milliseconds, |s| s.latency_us.mean),
    column("p50 ms", Better::Less, milliseconds, |s| s.latency_us.p50),
    column("p90 ms", Better::Less, milliseconds, |s| s.latency_us.p90),
    column("p99 ms", Better::Less, milliseconds, |s| s.latency_us.p99),
    column("p99.9 ms", Better::Less, milliseconds, |s| s.latency_us.p999),
    column("max ms", Better::Less, milliseconds, |s| s.latency_us.max),
    column("lag ms", Better::Neither, milliseconds, |s| s.lag_us.mean),
    column("overrun ms", Better::Neither, milliseconds, |s| s.overrun_us.mean),
    column("select ns", Better::Less, count, |s| s.select_ns_mean),
];

/// The columns of latencies, by importance.
pub const LATENCIES: [&str; 6] = ["p99", "mean", "p99.9", "p50", "max", "p90"];

/// Returns the names of the columns of [`figures`].
pub fn names() -> Vec<&'static str> {
    COLUMNS.iter().map(Column::name).collect()
}

/// A table of the figures of each strategy, with the best and worst of each column marked.
pub fn figures(report: &Report, layout: &Layout) -> String {
    let strategies = &report.strategies;
    let any = |column: &Column<_>| strategies.iter().any(|one| column.figure(one) > 0.0);
    let shown = |column: &Column<_>| {
        let name = column.name();
        let usual = name != "cancelled" || any(column);
        let outcome = matches!(name, "failed" | "rejected" | "cancelled");
        Shown { usual, urgent: outcome && any(column), ..marked(strategies, column) }
    };
    let columns = COLUMNS.iter().map(shown).collect();
    layout.show(strategies, columns, &[&LATENCIES[..2], &["tasks/s"], &LATENCIES[2..]].concat())
}

/// A column of the figures of these strategies, with the best and worst marked.
pub fn marked<L: Line>(strategies: &[L], column: &Column<L>) -> Shown {
    Shown {
        name: column.name(),
        heading: column.heading.to_owned(),
        cells: cells(column, strategies),
        usual: true,
        urgent: false,
    }
}

/// A table of each worker's share of the completed tasks.
pub fn shares<L: Line>(strategies: &[L], layout: &Layout) -> String {
    /// The most characters of a worker's name.
    const LONGEST: usize = 40;
    let workers = strategies.first().map_or(&[][..], Line::share);
    let column = |(index, (worker, _)): (usize, &(String, f64))| Shown {
        name: "",
        heading: shortened(worker, LONGEST, LONGEST / 4),
        cells: strategies.iter().map(|one| right(percent(one.share()[index].1))).collect(),
        usual: true,
        urgent: false,
    };
    layout.split(strategies, workers.iter().enumerate().map(column).collect())
}

/// Explains the marks, and which percentiles rest on few of these tasks.
pub fn legend(tasks: u64) -> String {
    let mut text = format!(
        "{BEST} best and {WORST} worst of the column; latencies count from when a task was due"
    );
    if tasks / 1_000 < TASKS_BEYOND {
        text += &format!(
            "\nof {tasks} tasks, {} are beyond p99 and {} beyond p99.9: percentiles with less than \
             {TASKS_BEYOND} are rough",
            tasks / 100,
            tasks / 1_000
        );
    }
    text
}

fn cells<L>(column: &Column<L>, strategies: &[L]) -> Vec<Cell> {
    let figures: Vec<f64> = strategies.iter().map(column.figure).collect();
    let marks = marks(&figures, column);
    let cell = |(figure, mark): (f64, Option<char>)| {
        let text = column.write(figure);
        match mark {
            Some(BEST) => right(format!("{text} {BEST}")).fg(Color::Green),
            Some(mark) => right(format!("{text} {mark}")).fg(Color::Red),
            None if matches!(column.better, Better::Neither) => right(text),
            // As wide as with a mark, so that digits are aligned.
            None => right(format!("{text}  ")),
        }
    };
    figures.into_iter().zip(marks).map(cell).collect()
}

/// The mark of each figure. Figures that are written alike are marked alike, and if best and worst
/// are written alike, none is marked.
pub fn marks<L>(figures: &[f64], column: &Column<L>) -> Vec<Option<char>> {
    let measured = || figures.iter().copied().filter(|figure| figure.is_finite());
    let (least, most) = (measured().fold(f64::NAN, f64::min), measured().fold(f64::NAN, f64::max));
    let (best, worst) = match column.better {
        Better::More => (most, least),
        Better::Less => (least, most),
        Better::Neither => return vec![None; figures.len()],
    };
    let (best, worst) = (column.write(best), column.write(worst));
    let mark = |figure: &f64| match column.write(*figure) {
        _ if best == worst => None,
        text if text == best => Some(BEST),
        text if text == worst => Some(WORST),
        _ => None,
    };
    figures.iter().map(mark).collect()
}

/// Writes a whole number.
pub fn count(figure: f64) -> String {
    measured(figure, |count| format!("{count:.0}"))
}

/// Writes a number per second in at least four digits.
pub fn rate(figure: f64) -> String {
    measured(figure, four_digits)
}

/// Writes a fraction of 1 as a percentage.
pub fn percent(figure: f64) -> String {
    measured(figure * 100.0, |percent| format!("{percent:.1} %"))
}

/// Writes microseconds as milliseconds in at least four digits.
pub fn milliseconds(microseconds: f64) -> String {
    measured(microseconds / 1e3, four_digits)
}

fn four_digits(figure: f64) -> String {
    let decimals = decimals(figure);
    format!("{figure:.decimals$}")
}

/// Returns how many digits after the point a figure of at least four digits has, at most three.
pub fn decimals(figure: f64) -> usize {
    match figure {
        ..9.9995 => 3,
        ..99.995 => 2,
        ..999.95 => 1,
        _ => 0,
    }
}

fn measured(figure: f64, write: impl FnOnce(f64) -> String) -> String {
    if figure.is_finite() { write(figure) } else { "-".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_and_worst_are_marked_unless_they_are_equal() {
        let text = figures(&super::super::tests::example(), &Layout::whole());
        let line = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("| {name}"))).unwrap();
            line.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        };
        let (best, worst) = (line("least_loaded"), line("random"));
        assert_eq!(best[1..5], ["1000", "1000 *", "0", "0 *"]);
        assert_eq!(worst[1..5], ["1000", "990 !", "0", "10 !"]);
        assert_eq!((best[7].as_str(), worst[7].as_str()), ("1.500", "1.500"));
        assert_eq!((best[10].as_str(), worst[10].as_str()), ("4.000 *", "9.000 !"));
    }

    #[test]
    fn figures_written_alike_are_marked_alike_and_missing_ones_are_not_marked() {
        let column =
            column("mean ms", Better::Less, milliseconds, |s: &StrategyReport| s.latency_us.mean);
        let marked = marks(&[1_000.1, 1_000.4, 5_000.0, f64::NAN, 2_000.0], &column);
        assert_eq!(marked, [Some(BEST), Some(BEST), Some(WORST), None, None]);
        assert_eq!(marks(&[7.0, 7.1], &column), [None, None]);
        assert_eq!(marks(&[f64::NAN], &column), [None]);
    }

    #[test]
    fn times_are_written_with_four_digits() {
        let written = [12.4, 1_234.0, 56_789.0, 999_990.0, 2_500_000.0, f64::NAN].map(milliseconds);
        assert_eq!(written, ["0.012", "1.234", "56.79", "1000", "2500", "-"]);
    }

    #[test]
    fn every_worker_has_its_share() {
        let text = shares(&super::super::tests::example().strategies, &Layout::whole());
        assert!(text.contains("code-0") && text.contains("75.0 %") && text.contains("25.0 %"));
    }
}
