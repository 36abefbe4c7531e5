//! Tables, verdicts, pictures and JSON of an open loop.

use std::fs;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::board::QUANTILES;
use super::case::Case;
use super::contenders::OURS;
use super::plot;
use super::stage::{Row, Stage};
use crate::compare::{Bound, Verdict, print};
use crate::error::PeersError;
use crate::versions;

/// Returns a table of percentiles in milliseconds.
pub fn table(stage: &Stage) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let headings = ["p50", "p90", "p99", "p99.9", "p99.99", "unfinished"].map(str::to_owned);
    table.set_header([format!("ms; {}", stage.title())].into_iter().chain(headings));
    for Row { contender, sample } in &stage.rows {
        let cells: Vec<String> = match sample {
            Some(sample) => QUANTILES
                .iter()
                .map(|quantile| sample.at(*quantile).map_or(String::new(), |ms| format!("{ms:.2}")))
                .chain([format!("{} of {}", sample.unfinished, sample.submitted)])
                .collect(),
            None => vec!["failed".into()],
        };
        table.add_row([(*contender).to_owned()].into_iter().chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("\n{table}")
}

/// Prints the verdicts on what was measured.
pub fn print_verdicts(stages: &[Stage]) {
    let verdicts: Vec<Verdict> = stages.iter().filter_map(verdict).collect();
    if !verdicts.is_empty() {
        print(&verdicts);
    }
}

/// Compares raddle's default with the best peer, with one slow worker at 70 % load.
fn verdict(stage: &Stage) -> Option<Verdict> {
    if (stage.case, stage.load) != (Case::Slow, 70) {
        return None;
    }
    let p999 = |row: &Row| row.sample.as_ref()?.at(0.999);
    let ours = stage.rows.iter().find(|row| row.contender == OURS).and_then(p999)?;
    let peers = stage.rows.iter().filter(|row| !row.contender.starts_with(OURS));
    let (best, theirs) = peers
        .filter_map(|row| Some((row.contender, p999(row)?)))
        .min_by(|(_, one), (_, other)| one.total_cmp(other))?;
    Some(Verdict {
        show: 6,
        what: format!("p99.9 at 70 % with one slow worker, {OURS} to the best peer, {best}"),
        figure: Some(ours / theirs),
        bound: Bound::TimesAtMost(0.5),
    })
}

/// Writes a picture of each stage, and all percentiles as JSON.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path, seed: u64, stages: &[Stage]) -> Result<(), PeersError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PeersError::Write { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    for stage in stages {
        if let Some(picture) = plot::picture(stage) {
            let path = folder.join(format!("{}-{}.svg", stage.case.name(), stage.load));
            fs::write(&path, picture).map_err(failed(&path))?;
        }
    }
    let document = json!({
        "seed": seed,
        "versions": versions::peers().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "stages": stages.iter().map(|stage| json!({
            "case": stage.case.name(),
            "load": stage.load,
            "capacity": stage.case.capacity(),
            "contenders": stage.rows.iter().map(|row| json!({
                "name": row.contender,
                "sample": row.sample,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    let path = folder.join("openloop.json");
    fs::write(&path, format!("{document:#}\n")).map_err(failed(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openloop::board::Sample;

    fn row(contender: &'static str, p999: f64) -> Row {
        let percentiles = vec![(0.5, 2.0), (0.999, p999)];
        Row { contender, sample: Some(Sample { submitted: 9, unfinished: 0, percentiles }) }
    }

    fn stage(case: Case) -> Stage {
        let rows =
            vec![row("raddle", 6.0), row("raddle round_robin", 1.0), row("kanal shared", 10.0)];
        Stage { case, load: 70, rows }
    }

    #[test]
    fn the_default_is_compared_with_the_best_peer() {
        let verdict = verdict(&stage(Case::Slow)).unwrap();
        assert_eq!(verdict.figure, Some(0.6));
        assert!(verdict.what.contains("kanal shared") && !verdict.bound.holds(0.6));
        assert_eq!(super::verdict(&stage(Case::Healthy)), None);
    }

    #[test]
    fn a_table_has_a_line_per_contender() {
        let mut stage = stage(Case::Hiccup);
        stage.rows.push(Row { contender: "xtra shared", sample: None });
        let table = table(&stage);
        assert!(table.contains("p99.9") && table.contains("10.00") && table.contains("0 of 9"));
        assert!(table.contains("failed"), "{table}");
    }

    #[test]
    fn pictures_and_figures_are_written() {
        let folder = std::env::temp_dir().join(format!("raddle-peers-{}", std::process::id()));
        write(&folder, 1, &[stage(Case::Slow)]).unwrap();
        let picture = fs::read_to_string(folder.join("slow-70.svg")).unwrap();
        assert!(picture.contains("<svg") && picture.contains("kanal shared"));
        assert_eq!(picture.matches("line strong").count(), 2, "raddle's lines are thick");
        assert!(fs::read_to_string(folder.join("openloop.json")).unwrap().contains("\"slow\""));
        fs::remove_dir_all(folder).unwrap();
    }
}
