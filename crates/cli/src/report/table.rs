//! The report as tables in text.

use comfy_table::{Cell, CellAlignment, Color, Table, presets};

use super::{Report, StrategyReport};

/// The mark of the best figure of a column.
pub const BEST: char = '*';
const WORST: char = '!';

/// The results of one strategy, as a line of a table.
pub trait Line {
    /// Returns the strategy's name.
    fn strategy(&self) -> &str;

    /// Returns each worker's share of the completed tasks.
    fn share(&self) -> &[(String, f64)];
}

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

const COLUMNS: [Column<StrategyReport>; 13] = [
    column("tasks", Better::Neither, count, |s| s.tasks as f64),
    column("completed", Better::More, count, |s| s.completed as f64),
    column("failed", Better::Less, count, |s| s.failed as f64),
    column("rejected", Better::Less, count, |s| s.rejected as f64),
    column("tasks/s", Better::More, count, |s| s.throughput_per_s),
    column("utilisation", Better::More, percent, |s| s.utilisation),
    column("mean ms", Better::Less, milliseconds, |s| s.latency_us.mean),
    column("p50 ms", Better::Less, milliseconds, |s| s.latency_us.p50),
    column("p90 ms", Better::Less, milliseconds, |s| s.latency_us.p90),
    column("p99 ms", Better::Less, milliseconds, |s| s.latency_us.p99),
    column("p99.9 ms", Better::Less, milliseconds, |s| s.latency_us.p999),
    column("max ms", Better::Less, milliseconds, |s| s.latency_us.max),
    column("select ns", Better::Less, count, |s| s.select_ns_mean),
];

const CANCELLED: Column<StrategyReport> =
    column("cancelled", Better::Neither, count, |s| s.cancelled as f64);

/// A table of the figures of each strategy, with the best and worst of each column marked.
pub fn figures(report: &Report) -> Table {
    let cancelled = report.strategies.iter().any(|strategy| strategy.cancelled > 0);
    let columns = COLUMNS.iter().chain(cancelled.then_some(&CANCELLED));
    marked(&report.strategies, columns.collect())
}

/// A table of these columns, with the best and worst of each column marked.
pub fn marked<L: Line>(strategies: &[L], columns: Vec<&Column<L>>) -> Table {
    let mut rows: Vec<Vec<Cell>> =
        strategies.iter().map(|strategy| vec![Cell::new(strategy.strategy())]).collect();
    for column in &columns {
        for (row, cell) in rows.iter_mut().zip(cells(column, strategies)) {
            row.push(cell);
        }
    }
    table(columns.iter().map(|column| column.heading), rows)
}

/// A table of each worker's share of the completed tasks.
pub fn shares<L: Line>(strategies: &[L]) -> Table {
    let workers = strategies.first().map_or(&[][..], Line::share);
    let row = |strategy: &L| {
        let shares = strategy.share().iter().map(|(_, share)| right(percent(*share)));
        [Cell::new(strategy.strategy())].into_iter().chain(shares).collect()
    };
    let rows = strategies.iter().map(row).collect();
    table(workers.iter().map(|(worker, _)| worker.as_str()), rows)
}

/// Explains the marks.
pub fn legend() -> String {
    format!("{BEST} best and {WORST} worst of the column; latencies count from when a task was due")
}

/// A table with these headings after the name of the strategy.
pub fn table<'a>(headings: impl Iterator<Item = &'a str>, rows: Vec<Vec<Cell>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let headings = headings.map(|heading| right(heading.to_owned()));
    table.set_header([Cell::new("strategy")].into_iter().chain(headings));
    table.add_rows(rows);
    if std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty()) {
        table.force_no_tty();
    }
    table
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

/// A right-aligned cell.
pub fn right(text: String) -> Cell {
    Cell::new_owned(text).set_alignment(CellAlignment::Right)
}

/// Writes a whole number.
pub fn count(figure: f64) -> String {
    measured(figure, |count| format!("{count:.0}"))
}

/// Writes a fraction of 1 as a percentage.
pub fn percent(figure: f64) -> String {
    measured(figure * 100.0, |percent| format!("{percent:.1} %"))
}

/// Writes microseconds as milliseconds in at least four digits.
pub fn milliseconds(microseconds: f64) -> String {
    measured(microseconds / 1e3, |ms| match ms {
        ..9.9995 => format!("{ms:.3}"),
        ..99.995 => format!("{ms:.2}"),
        ..999.95 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    })
}

fn measured(figure: f64, write: impl FnOnce(f64) -> String) -> String {
    if figure.is_finite() { write(figure) } else { "-".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_and_worst_are_marked_unless_they_are_equal() {
        let text = figures(&super::super::tests::example()).force_no_tty().to_string();
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
        let text = shares(&super::super::tests::example().strategies).force_no_tty().to_string();
        assert!(text.contains("code-0") && text.contains("75.0 %") && text.contains("25.0 %"));
    }
}
