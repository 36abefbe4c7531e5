//! Queue lengths over time: a small chart per strategy, all to one scale.

use maud::{Markup, html};
use raddle::sim::QueueSample;
use raddle_charts::{Mark, Scale, format, path, px};

use super::page::{Page, Strategy};
use super::parts::{self, Chart};

/// The horizontal resolution: samples within the same part of the span are aggregated.
const MOMENTS: usize = 160;

/// The axis reaches at least this far, so that its ticks are whole tasks.
const FEWEST: f64 = 5.0;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 42.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 148.0;

/// The queues of all workers during one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment {
    seconds: f64,
    shortest: u32,
    longest: u32,
    mean: f64,
}

/// The longest queue of a timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Peak {
    length: u32,
    seconds: f64,
    position: usize,
}

/// The section, if there are timelines.
pub fn section(page: &Page) -> Markup {
    let samples = || page.strategies.iter().flat_map(|strategy| &strategy.timeline);
    let span = samples().map(|sample| sample.at.as_secs_f64()).fold(0.0, f64::max);
    let drawn: Vec<(Mark, &Strategy, Peak)> = page
        .marked()
        .filter_map(|(mark, strategy)| Some((mark, strategy, peak(&strategy.timeline)?)))
        .collect();
    let peaks = || drawn.iter().map(|(_, _, peak)| f64::from(peak.length));
    let Some(lowest) = peaks().reduce(f64::min) else {
        return Markup::default();
    };
    let scale = Scale::counts(lowest.max(1.0), peaks().fold(FEWEST, f64::max));
    let charts = drawn.iter().map(|(mark, strategy, peak)| {
        let frame = Chart {
            class: "small",
            id: &format!("queue-{}", mark.0),
            width: WIDTH,
            height: HEIGHT,
            title: &format!("Queue lengths under {}", strategy.name()),
            description: &format!(
                "The longest queue is {} tasks, at {}, of {}.",
                peak.length,
                format::time(peak.seconds),
                worker(strategy, peak.position)
            ),
        };
        let moments = moments(&strategy.timeline, span);
        (*mark, *strategy, frame.draw(&lengths(&moments, peak.length, span, scale)))
    });
    let content = html! {
        p.note {
            "Tasks in a worker's mailbox or handler: the line is the mean of all workers, the area "
            "extends from the shortest queue to the longest."
        }
        (parts::multiples(charts))
        (figures(page))
    };
    parts::section("queues", "Queue lengths over time", &content)
}

fn lengths(moments: &[Moment], longest: u32, span: f64, scale: Scale) -> Markup {
    let time = Scale::Linear { from: 0.0, to: if span > 0.0 { span } else { 1.0 } };
    let x = |seconds: f64| LEFT + time.fraction(seconds) * (WIDTH - LEFT - 2.0);
    let y = |length: f64| BOTTOM - scale.fraction(length) * (BOTTOM - TOP);
    let upper = moments.iter().map(|moment| (x(moment.seconds), y(f64::from(moment.longest))));
    let lower = moments.iter().map(|moment| (x(moment.seconds), y(f64::from(moment.shortest))));
    let area: Vec<(f64, f64)> = upper.chain(lower.rev()).collect();
    let mean: Vec<(f64, f64)> =
        moments.iter().map(|moment| (x(moment.seconds), y(moment.mean))).collect();
    let ticks =
        Scale::linear(0.0, span).labelled(|seconds| format!("{} s", format::short(seconds)));
    let every = ticks.len().div_ceil(6);
    let visible = ticks.iter().step_by(every).filter(|(tick, _)| *tick <= span * 1.001);
    html! {
        g aria-hidden="true" {
            @for tick in scale.ticks() {
                path.grid d={ "M" (px(LEFT)) " " (px(y(tick))) "H" (px(WIDTH)) } {}
                text.end x=(px(LEFT - 6.0)) y=(px(y(tick) + 4.0)) { (format::short(tick)) }
            }
            text.name x="2" y="13" {
                "tasks" @if scale.is_log() { tspan.aside { ", logarithmic" } }
            }
            @for (tick, label) in visible {
                @let end = x(*tick) > WIDTH - 24.0;
                text class=(if end { "end" } else { "middle" })
                    x=(px(if end { WIDTH } else { x(*tick) })) y=(px(BOTTOM + 16.0)) { (label) }
            }
            @if let [moment] = moments {
                circle.point cx=(px(x(moment.seconds))) cy=(px(y(moment.mean))) r="3" {}
            }
            path.area d={ (path(&area)) "Z" } {}
            path.mean d=(path(&mean)) {}
            path.axis d={ "M" (px(LEFT)) " " (px(BOTTOM)) "H" (px(WIDTH)) } {}
            text.end x=(px(WIDTH)) y="13" { "longest " (format::short(longest.into())) }
        }
    }
}

/// Aggregates a timeline to the chart's resolution.
fn moments(timeline: &[QueueSample], span: f64) -> Vec<Moment> {
    let moment = |seconds: f64| match span {
        0.0 => 0,
        span => ((seconds / span * MOMENTS as f64) as usize).min(MOMENTS - 1),
    };
    let samples: Vec<_> = timeline.iter().filter(|sample| !sample.in_flight.is_empty()).collect();
    let same =
        samples.chunk_by(|one, next| moment(one.at.as_secs_f64()) == moment(next.at.as_secs_f64()));
    let aggregated = same.map(|samples| {
        let queues = || samples.iter().flat_map(|sample| &sample.in_flight).copied();
        Moment {
            seconds: samples[0].at.as_secs_f64(),
            shortest: queues().min().unwrap_or(0),
            longest: queues().max().unwrap_or(0),
            mean: queues().map(f64::from).sum::<f64>() / queues().count() as f64,
        }
    });
    aggregated.collect()
}

/// The first of the longest queues.
fn peak(timeline: &[QueueSample]) -> Option<Peak> {
    let queues = timeline.iter().flat_map(|sample| {
        let seconds = sample.at.as_secs_f64();
        let workers = sample.in_flight.iter().enumerate();
        workers.map(move |(position, length)| Peak { length: *length, seconds, position })
    });
    queues.reduce(|longest, queue| if queue.length > longest.length { queue } else { longest })
}

fn worker(strategy: &Strategy, position: usize) -> String {
    let known = strategy.figures.share.get(position).map(|(name, _)| name.clone());
    known.unwrap_or_else(|| format!("worker {}", position + 1))
}

fn figures(page: &Page) -> Markup {
    let row = |strategy: &Strategy| {
        let queues = || strategy.timeline.iter().flat_map(|sample| &sample.in_flight);
        let mean = queues().map(|length| f64::from(*length)).sum::<f64>() / queues().count() as f64;
        let Some(peak) = peak(&strategy.timeline) else { return vec![format::NONE.into(); 4] };
        vec![
            format::digits(mean),
            format::short(peak.length.into()),
            format::time(peak.seconds),
            worker(strategy, peak.position),
        ]
    };
    let headings = ["mean", "longest", "at", "worker"].into_iter().map(String::from);
    parts::figures(page, "Queue lengths in tasks", headings, row)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn timeline(samples: &[(u64, &[u32])]) -> Vec<QueueSample> {
        let sample = |(ms, in_flight): &(u64, &[u32])| QueueSample {
            at: Duration::from_millis(*ms),
            in_flight: in_flight.to_vec(),
        };
        samples.iter().map(sample).collect()
    }

    #[test]
    fn samples_closer_than_the_resolution_are_aggregated() {
        let timeline = timeline(&[(0, &[1, 3]), (1, &[0, 8]), (999, &[]), (1_000, &[2, 2])]);
        let moments = moments(&timeline, 1.0);
        let first = Moment { seconds: 0.0, shortest: 0, longest: 8, mean: 3.0 };
        let last = Moment { seconds: 1.0, shortest: 2, longest: 2, mean: 2.0 };
        assert_eq!(moments, [first, last]);
    }

    #[test]
    fn the_peak_is_the_first_of_the_longest_queues() {
        let timeline = timeline(&[(0, &[1, 0]), (5, &[2, 7]), (9, &[7, 7])]);
        assert_eq!(peak(&timeline), Some(Peak { length: 7, seconds: 0.005, position: 1 }));
        assert_eq!(peak(&[]), None);
    }
}
