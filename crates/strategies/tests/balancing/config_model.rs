//! A configuration that is set step by step, in any order, compared with plain fields.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use raddle_core::{FastThreshold, Tracking};
use raddle_strategies::{BalancerConfig, ConfigError, StrategyName};

/// One call of a setter.
#[derive(Clone, Copy, Debug)]
enum Setting {
    Strategy(StrategyName),
    Tracking(bool),
    Window(usize),
    Decay(f64),
    Fast(Option<u64>),
    Penalty(f64),
    Floor(f64),
    Cap(f64),
    Peak(u64),
    Quantile(f64),
    Bound(f64),
    Ejection(bool),
}

fn settings() -> impl Strategy<Value = Vec<Setting>> {
    // Decimal numbers, which JSON keeps exactly; at the bounds, inside and outside of them.
    let number = prop_oneof![
        prop::sample::select(&[0.0, 1.0, -1.0, 0.001, 0.999, 1.001][..]),
        (0u32..5_000).prop_map(|n| f64::from(n) / 1_000.0),
        prop::sample::select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY][..]),
    ];
    let window = prop_oneof![Just(0), Just(1), 2usize..1_000, Just(65_536), Just(65_537)];
    let peak = prop_oneof![0u64..3, 3u64..10_000, 86_399_998u64..86_400_003];
    let setting = prop_oneof![
        2 => prop::sample::select(&StrategyName::ALL[..]).prop_map(Setting::Strategy),
        2 => any::<bool>().prop_map(Setting::Tracking),
        1 => window.prop_map(Setting::Window),
        1 => number.clone().prop_map(Setting::Decay),
        1 => prop::option::of(0u64..1 << 40).prop_map(Setting::Fast),
        1 => number.clone().prop_map(Setting::Penalty),
        1 => number.clone().prop_map(Setting::Floor),
        1 => number.clone().prop_map(Setting::Cap),
        1 => peak.prop_map(Setting::Peak),
        1 => number.clone().prop_map(Setting::Quantile),
        1 => number.prop_map(Setting::Bound),
        1 => any::<bool>().prop_map(Setting::Ejection),
    ];
    prop::collection::vec(setting, 1..40)
}

/// Sets a value and lets `build` check it, with a strategy that needs no tracking.
fn set(config: BalancerConfig, setting: Setting) -> Result<BalancerConfig, ConfigError> {
    let changed = set_unchecked(config, setting);
    changed.strategy(StrategyName::Random).build().map(|_| changed)
}

fn set_unchecked(config: BalancerConfig, setting: Setting) -> BalancerConfig {
    match setting {
        Setting::Strategy(name) => config.strategy(name),
        Setting::Tracking(enabled) => config.tracking_enabled(enabled),
        Setting::Window(window) => config.window_size(window),
        Setting::Decay(decay) => config.history_decay(decay),
        Setting::Fast(fast) => config.fast_threshold(threshold(fast)),
        Setting::Penalty(factor) => config.failure_penalty(factor),
        Setting::Floor(floor) => config.weight_floor(floor),
        Setting::Cap(cap) => config.weight_cap(cap),
        Setting::Peak(ms) => config.peak_decay(Duration::from_millis(ms)),
        Setting::Quantile(quantile) => config.hot_quantile(quantile),
        Setting::Bound(bound) => config.hash_bound(bound),
        Setting::Ejection(enabled) => config.ejection_enabled(enabled),
    }
}

fn threshold(nanos: Option<u64>) -> FastThreshold {
    nanos.map_or(FastThreshold::PoolMean, |nanos| FastThreshold::Fixed(Duration::from_nanos(nanos)))
}

/// The values that were set last, as a user would write them.
#[derive(Clone, Debug)]
struct Model {
    texts: BTreeMap<&'static str, String>,
    strategy: StrategyName,
    tracking: Tracking,
    ejection: bool,
}

impl Model {
    fn new() -> Self {
        Self {
            texts: BTreeMap::new(),
            strategy: StrategyName::JoinIdle,
            tracking: Tracking::default(),
            ejection: false,
        }
    }

    /// Returns whether the documentation's table allows the value.
    fn allows(setting: Setting) -> bool {
        match setting {
            Setting::Window(window) => (1..=65_536).contains(&window),
            Setting::Decay(decay) => (0.0..1.0).contains(&decay),
            Setting::Penalty(factor) => (0.0..f64::INFINITY).contains(&factor),
            Setting::Floor(floor) => floor > 0.0 && floor <= 1.0,
            Setting::Cap(cap) => (1.0..f64::INFINITY).contains(&cap),
            Setting::Peak(ms) => (1..=86_400_000).contains(&ms),
            Setting::Quantile(quantile) => quantile > 0.0 && quantile < 1.0,
            Setting::Bound(bound) => bound > 0.0 && bound < f64::INFINITY,
            _ => true,
        }
    }

    fn set(&mut self, setting: Setting) {
        let (key, text) = match setting {
            Setting::Strategy(name) => {
                self.strategy = name;
                ("strategy", name.to_string())
            }
            Setting::Tracking(enabled) => {
                self.tracking.enabled = enabled;
                ("tracking_enabled", enabled.to_string())
            }
            Setting::Window(window) => {
                self.tracking.window = window;
                ("window_size", window.to_string())
            }
            Setting::Decay(decay) => {
                self.tracking.history_decay = decay;
                ("history_decay", decay.to_string())
            }
            Setting::Fast(fast) => {
                self.tracking.fast = threshold(fast);
                ("fast_threshold", fast.map_or("pool_mean".into(), |nanos| format!("{nanos}ns")))
            }
            Setting::Penalty(factor) => {
                self.tracking.failure_penalty = factor;
                ("failure_penalty", factor.to_string())
            }
            Setting::Floor(floor) => ("weight_floor", floor.to_string()),
            Setting::Cap(cap) => ("weight_cap", cap.to_string()),
            Setting::Peak(ms) => {
                self.tracking.peak_decay = Duration::from_millis(ms);
                ("peak_decay", format!("{ms}ms"))
            }
            Setting::Quantile(quantile) => ("hot_quantile", quantile.to_string()),
            Setting::Bound(bound) => ("hash_bound", bound.to_string()),
            Setting::Ejection(enabled) => {
                self.ejection = enabled;
                ("ejection", enabled.to_string())
            }
        };
        self.texts.insert(key, text);
    }

    /// Returns whether the settings are allowed together.
    fn is_whole(&self) -> bool {
        use StrategyName::{ExpectedDelay, HotCold, LatencyBased, PeakEwma, WarmFirst};
        let is_blind =
            matches!(self.strategy, ExpectedDelay | HotCold | LatencyBased | PeakEwma | WarmFirst);
        self.tracking.enabled || !is_blind
    }

    fn text(&self) -> String {
        let pairs: Vec<_> =
            self.texts.iter().rev().map(|(key, text)| format!("{key}={text}")).collect();
        if pairs.is_empty() { "join_idle".into() } else { pairs.join(",") }
    }

    fn json(&self) -> String {
        let is_text = |key: &str| matches!(key, "strategy" | "fast_threshold" | "peak_decay");
        let pairs: Vec<_> = self
            .texts
            .iter()
            .map(|(key, text)| match is_text(key) {
                true => format!("{key:?}: {text:?}"),
                false => format!("{key:?}: {text}"),
            })
            .collect();
        format!("{{{}}}", pairs.join(", "))
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        let key = name.strip_prefix("LOAD_BALANCER_")?.to_ascii_lowercase();
        self.texts.get(key.as_str()).map(OsString::from)
    }
}

/// A setter; the planted bugs replace it.
type Set = fn(BalancerConfig, Setting) -> Result<BalancerConfig, ConfigError>;

fn follow(settings: &[Setting], set: Set) -> Result<(), TestCaseError> {
    let (mut config, mut model) = (BalancerConfig::default(), Model::new());
    for setting in settings {
        let result = set(config, *setting);
        prop_assert_eq!(result.is_ok(), Model::allows(*setting), "is allowed: {:?}", setting);
        if let Ok(changed) = result {
            config = changed;
            model.set(*setting);
        }
        prop_assert_eq!(config.tracking(), model.tracking, "tracking");
        prop_assert_eq!(config.ejection().is_some(), model.ejection, "ejection");
        let written = config.to_string().parse::<BalancerConfig>();
        let by_text = model.text().parse::<BalancerConfig>();
        let by_variables = BalancerConfig::from_variables(|name| model.variable(name));
        let by_json = serde_json::from_str::<BalancerConfig>(&model.json());
        if !model.is_whole() {
            let refused = [written.is_err(), by_text.is_err(), by_variables.is_err()];
            prop_assert_eq!(refused, [true; 3], "settings that cannot be together");
            prop_assert!(by_json.is_err() && config.build().is_err());
            continue;
        }
        prop_assert_eq!(written, Ok(config), "read as it was written");
        prop_assert_eq!(by_text, Ok(config), "set by text: {}", model.text());
        prop_assert_eq!(by_variables, Ok(config), "set by variables");
        prop_assert_eq!(by_json.ok(), Some(config), "set by JSON: {}", model.json());
        let built = config.build().map(|balancer| balancer.strategy().name());
        prop_assert_eq!(built, Ok(model.strategy.as_str()), "built");
    }
    Ok(())
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn settings_are_kept_in_any_order_and_format() {
    let followed = runner().run(&settings(), |settings| follow(&settings, set));
    followed.unwrap_or_else(|error| panic!("{error}"));
}

/// A wrong setter, and a test for the calls it affects.
type Bug = (&'static str, fn(&Setting) -> bool, Set);

#[test]
fn planted_bugs_are_found() {
    let bugs: [Bug; 4] = [
        (
            "a setter resets the others",
            |setting| matches!(setting, Setting::Window(_)),
            |config, setting| match setting {
                Setting::Window(_) => set(BalancerConfig::default(), setting),
                _ => set(config, setting),
            },
        ),
        (
            "a bound is not checked",
            |setting| matches!(setting, Setting::Quantile(_)),
            |config, setting| match setting {
                Setting::Quantile(_) => set(config, setting).or(Ok(config)),
                _ => set(config, setting),
            },
        ),
        (
            "a setting is not kept",
            |setting| matches!(setting, Setting::Floor(_)),
            |config, setting| match setting {
                Setting::Floor(_) => set(config, setting).map(|_| config),
                _ => set(config, setting),
            },
        ),
        (
            "one setting changes another",
            |setting| matches!(setting, Setting::Cap(_)),
            |config, setting| match setting {
                Setting::Cap(_) => set(config, setting).map(|config| config.weight_floor(0.1)),
                _ => set(config, setting),
            },
        ),
    ];
    for (bug, is_of_it, set) in bugs {
        let followed = runner().run(&settings(), |settings| follow(&settings, set));
        let Err(TestError::Fail(why, settings)) = followed else { panic!("{bug}: {followed:?}") };
        // A shrunk sequence ends with the call that fails.
        assert!(settings.last().is_some_and(is_of_it), "{bug}: {settings:?}: {why}");
        println!("{bug}: found with {settings:?}");
    }
}
