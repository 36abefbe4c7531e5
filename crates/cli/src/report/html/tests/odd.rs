//! Pages of odd data: any measurement must produce a valid page.

use std::time::Duration;

use proptest::prelude::*;

use super::{all, example, parsed, strategy, text, words};
use raddle::sim::{CurvePoint, QueueSample};
use raddle_charts::Unit;

use crate::report::Latency;
use crate::report::html::{Estimate, Page, Strategy as Row};

/// Checks that every drawn coordinate is a number and lies on its chart or just beside it.
fn is_sound(page: &Page) -> Result<(), TestCaseError> {
    let html = parsed(&text(page));
    for chart in all(&html, "svg[viewBox]") {
        let view: Vec<f64> =
            chart.attr("viewBox").unwrap().split(' ').map(|side| side.parse().unwrap()).collect();
        let longest = f64::max(view[2], view[3]);
        for element in chart.descendent_elements() {
            for name in ["d", "x", "y", "cx", "cy", "width", "height"] {
                let Some(value) = element.attr(name) else { continue };
                let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == ' ';
                prop_assert!(!value.contains("NaN") && !value.contains("inf"), "{name}={value}");
                for number in value.split(is_letter).filter(|number| !number.is_empty()) {
                    let number: f64 = number.parse().unwrap();
                    prop_assert!((-20.0..=longest + 20.0).contains(&number), "{name}={value}");
                }
            }
        }
    }
    for figure in all(&html, "td").into_iter().chain(all(&html, "text")).map(words) {
        prop_assert!(!figure.contains("NaN") && !figure.contains("inf"), "{figure}");
    }
    Ok(())
}

#[test]
fn few_and_many_strategies_and_workers_are_drawn() {
    for (strategies, workers) in [(1, 1), (1, 1_000), (13, 8), (13, 17), (2, 65)] {
        let page = example::page(strategies, workers);
        is_sound(&page).unwrap();
        assert!(text(&page).len() < 1_000_000, "{strategies} strategies, {workers} workers");
    }
}

#[test]
fn an_empty_page_has_no_section() {
    let page = Page { title: "Nothing".into(), ..Page::default() };
    is_sound(&page).unwrap();
    assert!(all(&parsed(&text(&page)), "section, svg, table, fieldset").is_empty());
}

#[test]
fn parts_without_data_have_no_section() {
    let page = Page { strategies: vec![strategy("a", Latency::of(&[]))], ..Page::default() };
    is_sound(&page).unwrap();
    let html = parsed(&text(&page));
    let sections: Vec<_> = all(&html, "section > h2").iter().filter_map(|e| e.attr("id")).collect();
    assert_eq!(sections, ["ranking"]);
}

#[test]
fn equal_values_and_six_decades_are_drawn() {
    for factor in [0.0, 1e6] {
        let mut page = example::page(3, 3);
        for (index, strategy) in page.strategies.iter_mut().enumerate() {
            for (_, latency) in &mut strategy.percentiles {
                *latency = Duration::from_nanos(1_000 + (index as f64 * factor * 1e3) as u64);
            }
        }
        is_sound(&page).unwrap();
        let html = parsed(&text(&page));
        let logarithmic = all(&html, "section:has(#percentiles) .aside").len();
        assert_eq!(logarithmic > 0, factor > 0.0);
    }
}

fn any_figure() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), 0.0..1.0, Just(0.0), Just(f64::NAN), Just(f64::INFINITY), -5.0..1e6]
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0..10_000_000_000u64).prop_map(Duration::from_nanos),
        (0..1_000u64).prop_map(Duration::from_nanos),
    ]
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".into()), Just("b".into()), Just(String::new()), "[ -~äß漢]{0,30}"]
}

prop_compose! {
    fn any_strategy()(
        name in any_name(),
        objective in proptest::option::of((any_figure(), any_figure(), any_figure())),
        latency in any_figure(),
        throughput in any_figure(),
        share in prop::collection::vec((any_name(), any_figure()), 0..20),
        points in prop::collection::vec((any_figure(), any_duration(), any_duration()), 0..8),
        queues in prop::collection::vec(
            (any_duration(), prop::collection::vec(any::<u32>(), 0..4)), 0..8,
        ),
    ) -> Row {
        let mut row =
            strategy(&name, Latency { mean: latency, max: latency, ..Latency::of(&[]) });
        row.figures.throughput_per_s = throughput;
        row.figures.utilisation = throughput;
        row.figures.share = share;
        row.objective =
            objective.map(|(value, from, to)| Estimate { value, interval: Some((from, to)) });
        row.percentiles = points.iter().map(|(at, latency, _)| (*at, *latency)).collect();
        let load = |(load, mean, p99)| CurvePoint { load, mean, p99 };
        row.loads = points.into_iter().map(load).collect();
        let sample = |(at, in_flight)| QueueSample { at, in_flight };
        row.timeline = queues.into_iter().map(sample).collect();
        row
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_data_produces_a_sound_page(
        strategies in prop::collection::vec(any_strategy(), 0..5),
        unit in prop_oneof![Just(Unit::Seconds), Just(Unit::PerSecond)],
        capacity in prop::collection::vec(any_figure(), 0..4),
    ) {
        let page = Page { title: "Any".into(), strategies, unit, capacity, ..Page::default() };
        is_sound(&page)?;
    }
}
