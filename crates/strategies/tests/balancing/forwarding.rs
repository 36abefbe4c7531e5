//! Every wrapper of a strategy forwards every method of the trait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use raddle_core::{Candidates, Roster, TaskProfile};
use raddle_strategies::{Prepared, Shadow, SlowStart, Strategy, StrategyError};

use crate::alike;

/// Returns other values than the trait's defaults, and counts the calls.
#[derive(Debug, Default)]
struct Probe {
    prepared: Arc<AtomicUsize>,
}

impl Strategy for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        1
    }
    fn prepare(&self, _: &Roster) -> Option<Arc<dyn Strategy>> {
        self.prepared.fetch_add(1, Relaxed);
        Some(Arc::new(Self { prepared: Arc::clone(&self.prepared) }))
    }
    fn validate(&self) -> Result<(), StrategyError> {
        Err(StrategyError::new("probe", "parameter", 7, "another one"))
    }
    fn reads_age(&self) -> bool {
        true
    }
    fn lets_steal(&self) -> bool {
        true
    }
    fn routes_keys(&self) -> bool {
        true
    }
    fn tells_keys_apart(&self) -> bool {
        true
    }
    fn needs_tracking(&self) -> bool {
        true
    }
    fn weights(&self, _: &Roster) -> Option<Vec<f64>> {
        Some(vec![7.0])
    }
}

/// The methods of the trait; `assert_forwards` calls them all.
const METHODS: [&str; 10] = [
    "name",
    "pick",
    "prepare",
    "validate",
    "reads_age",
    "lets_steal",
    "routes_keys",
    "tells_keys_apart",
    "needs_tracking",
    "weights",
];

fn assert_forwards(wrapper: &dyn Strategy, prepared: &AtomicUsize, roster: &Roster) {
    let before = prepared.load(Relaxed);
    let next = wrapper.prepare(roster).expect("the probe prepares");
    assert_eq!(prepared.load(Relaxed), before + 1);
    for strategy in [wrapper, &*next] {
        assert_eq!(strategy.name(), "probe");
        assert_eq!(strategy.pick(&TaskProfile::default(), &roster.candidates(None)), 1);
        assert_eq!(strategy.validate().unwrap_err().parameter, "parameter");
        assert!(strategy.reads_age() && strategy.lets_steal());
        assert!(strategy.routes_keys() && strategy.tells_keys_apart());
        assert!(strategy.needs_tracking());
        assert_eq!(strategy.weights(roster), Some(vec![7.0]));
    }
}

#[test]
fn every_wrapper_forwards_every_property() {
    let roster = alike(3);
    let probe = || {
        let probe = Probe::default();
        (Arc::clone(&probe.prepared), probe)
    };
    let (count, inner) = probe();
    assert_forwards(&inner, &count, &roster);
    let (count, inner) = probe();
    // All workers are new together, so slow start keeps the inner choice.
    assert_forwards(&SlowStart::new(inner), &count, &roster);
    let (count, inner) = probe();
    let shadow = Arc::new(raddle_strategies::Random::new());
    assert_forwards(&Shadow::new(Arc::new(inner), shadow), &count, &roster);
    let (count, inner) = probe();
    assert_forwards(&(Box::new(inner) as Box<dyn Strategy>), &count, &roster);
    let (count, inner) = probe();
    let shared: Arc<dyn Strategy> = Arc::new(inner);
    assert_forwards(&shared, &count, &roster);
    assert_forwards(&*Prepared::new(shared, &roster), &count, &roster);
}

/// Returns the names of the functions between `start` and the next line that is `}`.
fn functions<'s>(source: &'s str, start: &str, end: &str) -> Vec<&'s str> {
    let from = source.find(start).unwrap_or_else(|| panic!("no `{start}`"));
    let body = &source[from..];
    let body = &body[..body.find(end).unwrap_or(body.len())];
    let names = body.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
    names.filter_map(|line| line.split('(').next()).collect()
}

/// A method that is added to the trait must be added to [`METHODS`] and to each wrapper.
#[test]
fn the_wrappers_implement_every_method_of_the_trait() {
    let strategy = include_str!("../../src/strategy.rs");
    assert_eq!(functions(strategy, "pub trait Strategy", "\n}"), METHODS);
    let pointers =
        functions(strategy, "impl<S: Strategy + ?Sized> Strategy for $pointer", "\n        }\n");
    assert_eq!(pointers, METHODS);
    let slow_start = include_str!("../../src/slow_start.rs");
    assert_eq!(functions(slow_start, "Strategy for SlowStart<S>", "\n}"), METHODS);
    let shadow = include_str!("../../src/shadow.rs");
    assert_eq!(functions(shadow, "impl Strategy for Shadow", "\n}"), METHODS);
}
