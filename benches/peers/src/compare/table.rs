//! The figures of a scenario as a table.

use comfy_table::{CellAlignment, Table, presets};

use super::results::Results;
use crate::figures::Figure;
use crate::scenario::Scenario;

/// Ratios are relative to the first contender whose name starts with each of these.
const BASES: [&str; 2] = ["raddle", "crossbeam"];

/// Returns the table: one line per contender, ordered by the median of the first figure.
pub fn of(scenario: &Scenario, results: &Results) -> Table {
    let first = scenario.figures[0];
    let bases: Vec<(&str, f64)> = BASES
        .iter()
        .filter_map(|base| {
            let named = scenario.contenders.iter().find(|known| known.name.starts_with(base))?;
            Some((named.name.as_str(), results.median(&scenario.name, &named.name, first)?))
        })
        .collect();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header(scenario.figures, &bases));
    let mut lines: Vec<_> = scenario
        .contenders
        .iter()
        .filter_map(|c| Some((results.median(&scenario.name, &c.name, first)?, c.name.as_str())))
        .collect();
    lines.sort_by(|one, other| {
        let order = one.0.total_cmp(&other.0);
        if first.more_is_better { order.reverse() } else { order }
    });
    for (median, contender) in lines {
        let mut line = vec![contender.to_owned()];
        for figure in scenario.figures {
            line.extend(cells(*figure, scenario, contender, results));
        }
        line.extend(bases.iter().map(|(_, base)| ratio(median, *base)));
        table.add_row(line);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn header(figures: &[Figure], bases: &[(&str, f64)]) -> Vec<String> {
    let mut header = vec![String::new()];
    for figure in figures {
        header.extend([figure.to_string(), "from .. to".to_owned()]);
    }
    header.extend(bases.iter().map(|(name, _)| format!("to {name}")));
    header
}

fn cells(figure: Figure, scenario: &Scenario, contender: &str, results: &Results) -> [String; 2] {
    match results.spread(&scenario.name, contender, figure) {
        Some(spread) => [
            figure.unit.write(spread.median),
            format!(
                "{} .. {}",
                figure.unit.write(spread.lowest),
                figure.unit.write(spread.highest)
            ),
        ],
        None => Default::default(),
    }
}

/// Writes a ratio.
fn ratio(value: f64, base: f64) -> String {
    format!("{:.2}", value / base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    #[test]
    fn the_best_comes_first_with_its_ratios_to_raddle_and_crossbeam() {
        let scenarios = crate::scenario::all();
        let scenario = &scenarios[0];
        let figure = scenario.figures[0];
        let mut results = Results::default();
        results.add(&scenario.name, "raddle", Figures::one(figure, 10e6));
        results.add(&scenario.name, "crossbeam", Figures::one(figure, 20e6));
        results.add(&scenario.name, "xtra", Figures::one(figure, 2e6));
        let written = of(scenario, &results).to_string();
        let lines: Vec<_> = written.lines().collect();
        assert!(lines[0].contains("to raddle") && lines[0].contains("to crossbeam"), "{written}");
        assert!(lines[2].contains("crossbeam") && lines[2].contains("2.00"), "{written}");
        assert!(lines[4].contains("0.20") && lines[4].contains("0.10"), "{written}");
    }
}
