//! Latency by percentile, the form that `HdrHistogram` made common.

use super::axis::Axis;
use super::nines;
use super::plot::{Line, Plot};

/// Further nines are not drawn.
const MOST_NINES: f64 = 9.0;

/// Creates a chart of latencies in seconds by quantile from 0 to 1, each nine as wide as the one
/// before; `None` if there is nothing to draw. 100 % itself has no end on such an axis and is left
/// out.
pub fn percentiles(title: impl Into<String>, mut lines: Vec<Line>) -> Option<Plot> {
    for line in &mut lines {
        line.points.retain(|(quantile, _)| (0.0..1.0).contains(quantile));
        line.points.iter_mut().for_each(|(quantile, _)| *quantile = nines::of(*quantile));
        line.points.retain(|(nines, _)| *nines <= MOST_NINES);
    }
    lines.retain(|line| !line.points.is_empty());
    if lines.is_empty() {
        return None;
    }
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().map(|(nines, _)| *nines).fold(1.0, f64::max);
    Some(Plot {
        id: "percentiles",
        title: title.into(),
        x: Axis::nines("percentile, drawn by 1 / (1 − p)", most),
        y: Axis::time("latency", points().map(|(_, seconds)| *seconds)),
        lines,
        markers: false,
        half_width: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::Mark;

    #[test]
    fn only_quantiles_from_zero_to_below_one_are_drawn() {
        let quantiles = [-0.5, 0.0, 0.5, f64::NAN, 0.9, 1.0 - 1e-12, 1.0];
        let line = |quantiles: &[f64]| Line {
            mark: Mark(0),
            name: "a".into(),
            strong: false,
            points: quantiles.iter().map(|quantile| (*quantile, 1.0)).collect(),
        };
        let plot = percentiles("Latency", vec![line(&quantiles), line(&[1.0])]).unwrap();
        assert_eq!(plot.lines.len(), 1);
        assert_eq!(plot.lines[0].points.len(), 3);
        assert!(percentiles("Latency", vec![line(&[1.0])]).is_none());
    }
}
