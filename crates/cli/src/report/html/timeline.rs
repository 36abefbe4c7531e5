//! Queue lengths over time: a small chart a strategy, all to one scale.

use maud::{Markup, html};

use super::page::{Page, Timeline};
use super::plot::{at, path};
use super::scale::Scale;
use super::series::Series;
use super::{format, table};

/// So many moments are told apart.
const MOMENTS: usize = 160;

/// The axis reaches this far at least, so that its ticks are whole tasks.
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

/// The longest queue of a timeline: how long, when and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peak {
    length: u32,
    sample: usize,
    worker: usize,
}

/// The section, if there are timelines.
pub fn section(page: &Page, series: &Series) -> Markup {
    let samples = || page.timelines.iter().flat_map(|timeline| &timeline.samples);
    let span = samples().map(|sample| sample.at.as_secs_f64()).fold(0.0, f64::max);
    let drawn: Vec<(&Timeline, Vec<Moment>)> = page
        .timelines
        .iter()
        .map(|timeline| (timeline, moments(timeline, span)))
        .filter(|(_, moments)| !moments.is_empty())
        .collect();
    if drawn.is_empty() {
        return Markup::default();
    }
    let mut peaks: Vec<f64> =
        drawn.iter().filter_map(|(timeline, _)| Some(f64::from(peak(timeline)?.length))).collect();
    peaks.sort_by(f64::total_cmp);
    let most = peaks.last().copied().unwrap_or(0.0);
    let scale = Scale::counts(peaks[0].max(1.0), most.max(FEWEST));
    html! {
        section aria-labelledby="queues" {
            h2 id="queues" { "Queue lengths over time" }
            p.note {
                "Tasks in a worker's mailbox or handler: the line is the mean over all workers, "
                "the area goes from the shortest queue to the longest."
            }
            div.multiples {
                @for (place, (timeline, moments)) in drawn.iter().enumerate() {
                    @let mark = series.find(&timeline.strategy);
                    figure class=(mark.classes()) {
                        figcaption { (mark.sample()) (mark.number()) " " (timeline.strategy) }
                        (chart(page, timeline, moments, place, span, scale))
                    }
                }
            }
            (figures_behind(page, series))
        }
    }
}

fn chart(
    page: &Page,
    timeline: &Timeline,
    moments: &[Moment],
    place: usize,
    span: f64,
    scale: Scale,
) -> Markup {
    let time = Scale::Linear { from: 0.0, to: if span > 0.0 { span } else { 1.0 } };
    let x = |seconds: f64| LEFT + time.place(seconds) * (WIDTH - LEFT - 2.0);
    let y = |length: f64| BOTTOM - scale.place(length) * (BOTTOM - TOP);
    let upper = moments.iter().map(|moment| (x(moment.seconds), y(f64::from(moment.longest))));
    let lower = moments.iter().map(|moment| (x(moment.seconds), y(f64::from(moment.shortest))));
    let area: Vec<(f64, f64)> = upper.chain(lower.rev()).collect();
    let mean: Vec<(f64, f64)> =
        moments.iter().map(|moment| (x(moment.seconds), y(moment.mean))).collect();
    let peak = peak(timeline);
    let (title, id) =
        (format!("Queue lengths under {}", timeline.strategy), format!("queue-{place}"));
    let ticks =
        Scale::linear(0.0, span).labelled(|seconds| format!("{} s", format::short(seconds)));
    let every = ticks.len().div_ceil(6);
    let in_sight = ticks.iter().step_by(every).filter(|(tick, _)| *tick <= span * 1.001);
    html! {
        svg.chart.small viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
            aria-labelledby={ (id) "-t" } aria-describedby={ (id) "-d" }
        {
            title id={ (id) "-t" } { (title) }
            desc id={ (id) "-d" } { (peak.map_or(String::new(), |peak| told(page, timeline, peak))) }
            g aria-hidden="true" {
                @for tick in scale.ticks() {
                    path.grid d={ "M" (at(LEFT)) " " (at(y(tick))) "H" (at(WIDTH)) } {}
                    text.end x=(at(LEFT - 6.0)) y=(at(y(tick) + 4.0)) { (format::short(tick)) }
                }
                text.name x="2" y="13" {
                    "tasks" @if scale.is_log() { tspan.aside { ", logarithmic" } }
                }
                @for (tick, label) in in_sight {
                    @let end = x(*tick) > WIDTH - 24.0;
                    text class=(if end { "end" } else { "middle" })
                        x=(at(if end { WIDTH } else { x(*tick) })) y=(at(BOTTOM + 16.0)) { (label) }
                }
                @if let [moment] = moments {
                    circle.point cx=(at(x(moment.seconds))) cy=(at(y(moment.mean))) r="3" {}
                }
                path.area d={ (path(&area)) "Z" } {}
                path.mean d=(path(&mean)) {}
                path.axis d={ "M" (at(LEFT)) " " (at(BOTTOM)) "H" (at(WIDTH)) } {}
                @if let Some(peak) = peak {
                    text.end x=(at(WIDTH)) y="13" { "longest " (format::short(peak.length.into())) }
                }
            }
        }
    }
}

/// A timeline summed up to what can be seen.
fn moments(timeline: &Timeline, span: f64) -> Vec<Moment> {
    let moment = |seconds: f64| match span {
        0.0 => 0,
        span => ((seconds / span * MOMENTS as f64) as usize).min(MOMENTS - 1),
    };
    let mut samples = timeline.samples.iter().filter(|sample| !sample.queues.is_empty()).peekable();
    let mut moments = Vec::new();
    while let Some(first) = samples.next() {
        let seconds = first.at.as_secs_f64();
        let mut together = vec![first];
        let same = |at: f64| moment(at) == moment(seconds);
        while let Some(next) = samples.next_if(|next| same(next.at.as_secs_f64())) {
            together.push(next);
        }
        let queues = || together.iter().flat_map(|sample| &sample.queues).copied();
        let count = queues().count() as f64;
        moments.push(Moment {
            seconds,
            shortest: queues().min().unwrap_or(0),
            longest: queues().max().unwrap_or(0),
            mean: queues().map(f64::from).sum::<f64>() / count,
        });
    }
    moments
}

fn peak(timeline: &Timeline) -> Option<Peak> {
    let samples = timeline.samples.iter().enumerate();
    let queues = samples.flat_map(|(sample, lengths)| {
        let workers = lengths.queues.iter().enumerate();
        workers.map(move |(worker, length)| Peak { length: *length, sample, worker })
    });
    // The first of the longest.
    queues.reduce(|longest, queue| if queue.length > longest.length { queue } else { longest })
}

fn told(page: &Page, timeline: &Timeline, peak: Peak) -> String {
    let at = format::time(timeline.samples[peak.sample].at.as_secs_f64());
    format!(
        "The longest queue is {} tasks, at {at}, of {}.",
        peak.length,
        worker(page, peak.worker)
    )
}

fn worker(page: &Page, position: usize) -> String {
    let known = page.shares.workers.get(position).cloned();
    known.unwrap_or_else(|| format!("worker {}", position + 1))
}

fn figures_behind(page: &Page, series: &Series) -> Markup {
    let row = |timeline: &'_ Timeline| {
        let queues = || timeline.samples.iter().flat_map(|sample| &sample.queues);
        let mean = queues().map(|length| f64::from(*length)).sum::<f64>() / queues().count() as f64;
        let Some(peak) = peak(timeline) else { return vec![format::NONE.into(); 4] };
        vec![
            format::digits(mean),
            format::short(peak.length.into()),
            format::time(timeline.samples[peak.sample].at.as_secs_f64()),
            worker(page, peak.worker),
        ]
    };
    let rows: Vec<_> = page
        .timelines
        .iter()
        .map(|timeline| {
            (series.find(&timeline.strategy), timeline.strategy.as_str(), row(timeline))
        })
        .collect();
    let headings = ["mean", "longest", "at", "of"].map(String::from);
    table::behind("Queue lengths in tasks", &table::of_strategies(&headings, &rows))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::html::page::QueueLengths;

    fn timeline(samples: &[(u64, &[u32])]) -> Timeline {
        let sample = |(ms, queues): &(u64, &[u32])| QueueLengths {
            at: Duration::from_millis(*ms),
            queues: queues.to_vec(),
        };
        Timeline { strategy: "a".into(), samples: samples.iter().map(sample).collect() }
    }

    #[test]
    fn what_cannot_be_told_apart_is_summed_up() {
        let timeline = timeline(&[(0, &[1, 3]), (1, &[0, 8]), (999, &[]), (1_000, &[2, 2])]);
        let moments = moments(&timeline, 1.0);
        let first = Moment { seconds: 0.0, shortest: 0, longest: 8, mean: 3.0 };
        let last = Moment { seconds: 1.0, shortest: 2, longest: 2, mean: 2.0 };
        assert_eq!(moments, [first, last]);
    }

    #[test]
    fn the_longest_queue_is_the_first_of_its_length() {
        let timeline = timeline(&[(0, &[1, 0]), (5, &[2, 7]), (9, &[7, 7])]);
        assert_eq!(peak(&timeline), Some(Peak { length: 7, sample: 1, worker: 1 }));
        assert_eq!(peak(&Timeline::default()), None);
    }
}
