//! Pages of odd data: whatever was measured, a page comes of it.

use std::time::Duration;

use proptest::prelude::*;

use super::{all, example, parsed, text, words};
use crate::report::html::{
    Estimate, LoadCurve, LoadPoint, Page, PercentileCurve, QueueLengths, Row, Timeline, Unit,
};

/// Checks that every number that is drawn is one, and lies on its chart or just beside it.
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
fn one_strategy_and_many_few_workers_and_many() {
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
fn what_is_empty_within_its_part_has_no_section_either() {
    let strategy = String::from("a");
    let mut page = Page {
        percentiles: vec![PercentileCurve { strategy: strategy.clone(), points: vec![] }],
        loads: vec![LoadCurve { strategy: strategy.clone(), points: vec![] }],
        timelines: vec![Timeline { strategy: strategy.clone(), samples: vec![] }],
        ..Page::default()
    };
    page.shares.strategies = vec![(strategy, vec![])];
    is_sound(&page).unwrap();
    assert!(all(&parsed(&text(&page)), "section").is_empty());
}

#[test]
fn equal_values_and_six_decades_are_drawn() {
    for factor in [0.0, 1e6] {
        let mut page = example::page(3, 3);
        for (place, curve) in page.percentiles.iter_mut().enumerate() {
            for (_, latency) in &mut curve.points {
                *latency = Duration::from_nanos(1_000 + (place as f64 * factor * 1e3) as u64);
            }
        }
        is_sound(&page).unwrap();
        let html = parsed(&text(&page));
        let logarithmic = all(&html, "#percentiles-x, section:has(#percentiles) .aside").len();
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
    fn any_row()(
        strategy in any_name(),
        objective in proptest::option::of((any_figure(), any_figure(), any_figure())),
        latency in proptest::option::of(any_duration()),
        throughput in proptest::option::of(any_figure()),
    ) -> Row {
        Row {
            strategy,
            objective: objective
                .map(|(value, from, to)| Estimate { value, interval: Some((from, to)) }),
            mean: latency,
            max: latency,
            throughput,
            utilisation: throughput,
            ..Row::default()
        }
    }
}

prop_compose! {
    fn any_curves()(
        strategy in any_name(),
        points in prop::collection::vec((any_figure(), any_duration(), any_duration()), 0..8),
    ) -> (PercentileCurve, LoadCurve) {
        let load = |(load, mean, p99)| LoadPoint { load, mean, p99 };
        (
            PercentileCurve {
                strategy: strategy.clone(),
                points: points.iter().map(|(at, latency, _)| (*at, *latency)).collect(),
            },
            LoadCurve { strategy, points: points.into_iter().map(load).collect() },
        )
    }
}

prop_compose! {
    fn any_timeline()(
        strategy in any_name(),
        samples in prop::collection::vec(
            (any_duration(), prop::collection::vec(any::<u32>(), 0..4)), 0..8,
        ),
    ) -> Timeline {
        let sample = |(at, queues)| QueueLengths { at, queues };
        Timeline { strategy, samples: samples.into_iter().map(sample).collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_was_measured_a_sound_page_comes_of_it(
        rows in prop::collection::vec(any_row(), 0..5),
        unit in prop_oneof![
            Just(Unit::Seconds), Just(Unit::PerSecond), Just(Unit::Share), Just(Unit::Number),
        ],
        curves in prop::collection::vec(any_curves(), 0..5),
        shares in prop::collection::vec(
            (any_name(), prop::collection::vec(any_figure(), 0..20)), 0..4,
        ),
        capacity in prop::collection::vec(any_figure(), 0..4),
        timelines in prop::collection::vec(any_timeline(), 0..4),
    ) {
        let mut page = Page { title: "Any".into(), timelines, ..Page::default() };
        page.ranking.rows = rows;
        page.ranking.unit = unit;
        page.shares.strategies = shares;
        page.shares.capacity = capacity;
        (page.percentiles, page.loads) = curves.into_iter().unzip();
        is_sound(&page)?;
    }
}
