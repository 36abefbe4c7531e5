//! Latency by percentile as an SVG picture.

use raddle_charts::{Line, Mark, Plot, percentiles};

use super::contenders::OURS;
use super::stage::{Row, Stage};

/// Draws all contenders of a stage, raddle's own thicker; `None` if no one was measured.
pub fn picture(stage: &Stage) -> Option<String> {
    let line = |(index, row): (usize, &Row)| {
        let percentiles = row.sample.as_ref()?.percentiles.iter();
        Some(Line {
            mark: Mark(index),
            name: row.contender.to_owned(),
            strong: row.contender.starts_with(OURS),
            points: percentiles.map(|(quantile, ms)| (*quantile, ms / 1e3)).collect(),
        })
    };
    let lines = stage.rows.iter().enumerate().filter_map(line).collect();
    let mut plot: Plot = percentiles(stage.title(), lines)?;
    plot.y.name = format!("latency from when a task was due; {}", stage.title());
    Some(plot.picture())
}
