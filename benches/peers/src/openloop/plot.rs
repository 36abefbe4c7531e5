//! Latency by percentile, with as much room for each further nine.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::report::{Row, Stage};
use crate::error::PeersError;

/// Nines of the median and of four nines.
const NINES: std::ops::Range<f64> = 0.3..4.0;

/// Draws all contenders of a stage.
///
/// # Errors
/// When the file could not be written.
pub fn percentiles(path: &Path, stage: &Stage) -> Result<(), PeersError> {
    draw(path, stage)
        .map_err(|error| PeersError::Draw { path: path.to_owned(), reason: error.to_string() })
}

fn draw(path: &Path, stage: &Stage) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, (1_000, 560)).into_drawing_area();
    area.fill(&WHITE)?;
    let (chart_area, legend) = area.split_horizontally(760);
    let mut chart = ChartBuilder::on(&chart_area)
        .caption(stage.title(), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(NINES, range(stage).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(9)
        .x_label_formatter(&|nines| percent(*nines))
        .x_desc("percentile")
        .y_desc("ms from when a task was due")
        .y_label_formatter(&|ms| format!("{ms}"))
        .max_light_lines(0)
        .draw()?;
    for (at, (row, points)) in lines(stage).enumerate() {
        let style = style(row, at);
        chart.draw_series(LineSeries::new(points, style))?;
        let y = 50 + 22 * at as i32;
        legend.draw(&PathElement::new(vec![(4, y), (28, y)], style))?;
        let font = ("sans-serif", 13).into_font();
        legend.draw(&Text::new(row.contender, (36, y - 6), font))?;
    }
    area.present()?;
    Ok(())
}

/// Each contender's nines and milliseconds.
fn lines(stage: &Stage) -> impl Iterator<Item = (&Row, Vec<(f64, f64)>)> {
    stage.rows.iter().filter_map(|row| {
        let percentiles = row.sample.as_ref()?.percentiles.iter();
        Some((row, percentiles.map(|(part, ms)| (-(1.0 - part).log10(), *ms)).collect()))
    })
}

/// From a little below the least to a little above the most.
fn range(stage: &Stage) -> std::ops::Range<f64> {
    let all = || lines(stage).flat_map(|(_, points)| points).map(|(_, ms)| ms);
    let least = all().fold(f64::INFINITY, f64::min);
    let most = all().fold(0.0, f64::max);
    if least < most { least * 0.9..most * 1.1 } else { 1.0..10.0 }
}

/// raddle's are thick and in reds, the peers' thinner and in other colours.
fn style(row: &Row, at: usize) -> ShapeStyle {
    if row.contender.starts_with(super::contenders::OURS) {
        HSLColor((0.94 + 0.03 * at as f64).fract(), 0.9, 0.35 + 0.04 * at as f64).stroke_width(4)
    } else {
        HSLColor(0.2 + 0.06 * (at % 10) as f64, 0.7, [0.3, 0.5][at % 2]).stroke_width(2)
    }
}

fn percent(nines: f64) -> String {
    let percent = 100.0 * (1.0 - 0.1_f64.powf(nines));
    let digits = (nines - 1.0).ceil().clamp(0.0, 3.0) as usize;
    format!("{percent:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nines_are_written_as_percent() {
        assert_eq!(percent(1.0), "90 %");
        assert_eq!(percent(2.0), "99.0 %");
        assert_eq!(percent(3.0), "99.90 %");
        assert_eq!(percent(4.0), "99.990 %");
    }
}
