use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{FastThreshold, Tracking};
use raddle_strategies::{BalancerConfig, ConfigError, Ejection, StrategyName};

const STRATEGIES: &str = "one of round_robin, least_loaded, random, capability_best, \
                          latency_based, weighted_round_robin, join_idle, power_of_two, \
                          peak_ewma, hot_cold, expected_delay, least_work, bounded_hash, \
                          warm_first";

/// Every variable with an accepted value, the allowed values, and some that are not allowed.
const VARIABLES: [(&str, &str, &str, &[&str]); 12] = [
    (
        "LOAD_BALANCER_STRATEGY",
        "random",
        STRATEGIES,
        &["fastest", "", "Random", " random", "round-robin", "latency_based_unguarded"],
    ),
    (
        "LOAD_BALANCER_TRACKING_ENABLED",
        "false",
        "true or false",
        &["yes", "", "1", "TRUE", "true "],
    ),
    (
        "LOAD_BALANCER_WINDOW_SIZE",
        "50",
        "a whole number from 1 to 65536",
        &["0", "65537", "-1", "ten", "", "1.5", "99999999999999999999999"],
    ),
    (
        "LOAD_BALANCER_HISTORY_DECAY",
        "0.5",
        "a number of at least 0 and below 1",
        &["1", "-0.1", "NaN", "inf", "", "nine"],
    ),
    (
        "LOAD_BALANCER_FAST_THRESHOLD",
        "20ms",
        "`pool_mean` or a time such as 500us or 20ms",
        &["soon", "", "20", "-1ms", "pool"],
    ),
    (
        "LOAD_BALANCER_FAILURE_PENALTY",
        "3",
        "a factor of at least 0",
        &["-1", "NaN", "inf", "", "ten"],
    ),
    (
        "LOAD_BALANCER_WEIGHT_FLOOR",
        "0.5",
        "a factor above 0 and at most 1",
        &["0", "1.1", "-1", "NaN", "", "low"],
    ),
    ("LOAD_BALANCER_WEIGHT_CAP", "5", "a factor of at least 1", &["0.9", "inf", "NaN", "", "x"]),
    (
        "LOAD_BALANCER_PEAK_DECAY",
        "2s",
        "a time from 1ms to 24h",
        &["soon", "", "0s", "999us", "25h", "10"],
    ),
    (
        "LOAD_BALANCER_HOT_QUANTILE",
        "0.5",
        "a number above 0 and below 1",
        &["0", "1", "-1", "NaN", "", "hot"],
    ),
    (
        "LOAD_BALANCER_HASH_BOUND",
        "0.5",
        "a finite number above 0",
        &["0", "-1", "inf", "NaN", "", "x"],
    ),
    ("LOAD_BALANCER_EJECTION", "true", "true or false", &["yes", "1", "", "True"]),
];

fn from(variables: &[(&str, &str)]) -> Result<BalancerConfig, ConfigError> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    BalancerConfig::from_variables(|name| variables.get(name).map(OsString::from))
}

#[test]
fn every_wrong_value_of_every_variable_is_named_with_the_allowed_ones() {
    for (name, fine, allowed, wrong) in VARIABLES {
        assert_ne!(from(&[(name, fine)]).unwrap(), BalancerConfig::default(), "{name}={fine}");
        for value in wrong {
            let error = from(&[(name, value)]).expect_err(&format!("{name}={value:?}"));
            assert_eq!(error.to_string(), format!("{name} is `{value}`, allowed is {allowed}"));
            assert_eq!((error.setting.as_str(), error.value.as_str()), (name, *value));
            assert_eq!(error.allowed, allowed);
        }
    }
}

#[test]
fn a_wrong_value_is_shown_as_it_was_written() {
    let name = "LOAD_BALANCER_HISTORY_DECAY";
    assert_eq!(
        from(&[(name, "1.0")]).unwrap_err().to_string(),
        format!("{name} is `1.0`, allowed is a number of at least 0 and below 1")
    );
}

#[test]
fn every_variable_has_its_setting() {
    assert_eq!(from(&[]).unwrap(), BalancerConfig::default());
    let all: Vec<_> = VARIABLES.map(|(name, fine, ..)| (name, fine)).into();
    let expected = BalancerConfig::new(StrategyName::Random)
        .tracking_enabled(false)
        .ejection_enabled(true)
        .fast_threshold(FastThreshold::Fixed(Duration::from_millis(20)))
        .window_size(50)
        .history_decay(0.5)
        .failure_penalty(3.0)
        .weight_floor(0.5)
        .weight_cap(5.0)
        .peak_decay(Duration::from_secs(2))
        .hot_quantile(0.5)
        .hash_bound(0.5);
    assert_eq!(from(&all).unwrap(), expected);
    let tracking = expected.tracking();
    assert_eq!((tracking.enabled, tracking.window, tracking.history_decay), (false, 50, 0.5));
    let fast = FastThreshold::Fixed(Duration::from_millis(20));
    assert_eq!((tracking.fast, tracking.failure_penalty), (fast, 3.0));
    assert_eq!(expected.ejection(), Some(Ejection::default()));
    assert_eq!(BalancerConfig::default().ejection(), None, "it is off by default");
    let alias = from(&[("LOAD_BALANCER_STRATEGY", "weighted_round")]).unwrap();
    assert_eq!(alias, BalancerConfig::new(StrategyName::WeightedRoundRobin));
}

#[test]
fn latency_based_without_tracking_is_refused_in_every_format() {
    let allowed = "allowed is true, as the strategy latency_based picks by what is tracked";
    let variables =
        [("LOAD_BALANCER_STRATEGY", "latency_based"), ("LOAD_BALANCER_TRACKING_ENABLED", "false")];
    let error = from(&variables).unwrap_err().to_string();
    assert_eq!(error, format!("LOAD_BALANCER_TRACKING_ENABLED is `false`, {allowed}"));
    let text = "latency_based,tracking_enabled=false";
    let error = text.parse::<BalancerConfig>().unwrap_err().to_string();
    assert_eq!(error, format!("tracking_enabled is `false`, {allowed}"));
    let json = r#"{"strategy": "latency_based", "tracking_enabled": false}"#;
    let error = serde_json::from_str::<BalancerConfig>(json).unwrap_err().to_string();
    assert!(error.contains("tracking_enabled is `false`"), "{error}");
    let config = BalancerConfig::new(StrategyName::LatencyBased).tracking_enabled(false);
    let error = config.build().unwrap_err().to_string();
    assert_eq!(error, format!("tracking_enabled is `false`, {allowed}"));
    for name in StrategyName::ALL {
        let built = BalancerConfig::new(name).tracking_enabled(false).build();
        assert_eq!(built.is_ok(), !needs_tracking(name), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_unicode_is_an_error() {
    use std::os::unix::ffi::OsStringExt;
    for (name, _, allowed, _) in VARIABLES {
        let broken = |asked: &str| (asked == name).then(|| OsString::from_vec(vec![b'5', 0xff]));
        let error = BalancerConfig::from_variables(broken).unwrap_err();
        assert_eq!(error.setting, name);
        assert!(allowed.ends_with(&error.allowed), "{error}");
    }
}

/// Set in a child process: the expected result of its environment.
const EXPECTED: &str = "RADDLE_TEST_EXPECTED";

/// In a child process, compares the result of `from_env` with [`EXPECTED`]. Otherwise starts a
/// child for each wrong value, and one for all accepted values together.
#[test]
fn the_environment_is_read() {
    if let Ok(expected) = env::var(EXPECTED) {
        let found = match BalancerConfig::from_env() {
            Ok(config) => config.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
        return;
    }
    let child = |variables: &[(&str, &str)], expected: &str| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "config::the_environment_is_read"]).env(EXPECTED, expected);
        VARIABLES.iter().for_each(|(name, ..)| _ = command.env_remove(name));
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{variables:?}: {text}");
    };
    child(&[], &BalancerConfig::default().to_string());
    let all: Vec<_> = VARIABLES.map(|(name, fine, ..)| (name, fine)).into();
    child(
        &all,
        "random,tracking_enabled=false,window_size=50,history_decay=0.5,fast_threshold=20ms,\
         failure_penalty=3,weight_floor=0.5,weight_cap=5,peak_decay=2s,hot_quantile=0.5,hash_bound=0.5,\
         ejection=true",
    );
    for (name, _, allowed, wrong) in VARIABLES {
        child(&[(name, wrong[0])], &format!("{name} is `{}`, allowed is {allowed}", wrong[0]));
    }
}

#[test]
fn mistakes_in_text_are_named() {
    let message = |text: &str| text.parse::<BalancerConfig>().unwrap_err().to_string();
    assert_eq!(message("fastest"), format!("strategy is `fastest`, allowed is {STRATEGIES}"));
    assert_eq!(message(""), format!("strategy is ``, allowed is {STRATEGIES}"));
    assert_eq!(
        message("random,window_size=0"),
        "window_size is `0`, allowed is a whole number from 1 to 65536"
    );
    assert_eq!(
        message("random,speed=9"),
        "setting is `speed`, allowed is one of strategy, tracking_enabled, window_size, \
         history_decay, fast_threshold, failure_penalty, weight_floor, weight_cap, \
         peak_decay, hot_quantile, hash_bound, ejection"
    );
    let spaced: BalancerConfig = " random , window_size = 7 ".parse().unwrap();
    assert_eq!(spaced, BalancerConfig::new(StrategyName::Random).window_size(7));
    assert_eq!("window_size=7,strategy=random".parse(), Ok(spaced));
}

#[test]
fn build_refuses_values_out_of_bounds() {
    let config = BalancerConfig::default();
    let message = |config: BalancerConfig| config.build().unwrap_err().to_string();
    assert_eq!(
        message(config.window_size(0)),
        "window_size is `0`, allowed is a whole number from 1 to 65536"
    );
    assert!(message(config.window_size(Tracking::MAX_WINDOW + 1)).contains("`65537`"));
    assert!(message(config.history_decay(1.0)).contains("history_decay is `1`"));
    assert!(message(config.failure_penalty(f64::NAN)).contains("failure_penalty is `NaN`"));
    assert!(message(config.weight_floor(0.0)).contains("above 0 and at most 1"));
    assert!(message(config.weight_cap(f64::INFINITY)).contains("weight_cap is `inf`"));
    assert!(message(config.peak_decay(Duration::ZERO)).contains("peak_decay is `0s`"));
    assert!(message(config.hot_quantile(1.0)).contains("hot_quantile is `1`"));
    assert!(message(config.hash_bound(0.0)).contains("hash_bound is `0`"));
}

#[test]
fn serde_refuses_unknown_fields_and_wrong_values() {
    let parse = |json: &str| serde_json::from_str::<BalancerConfig>(json);
    assert_eq!(parse("{}").unwrap(), BalancerConfig::default());
    let error = parse(r#"{"strategi": "random"}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `strategi`") && error.contains("`strategy`"), "{error}");
    for (name, _, allowed, wrong) in VARIABLES {
        let field = name.strip_prefix("LOAD_BALANCER_").unwrap().to_ascii_lowercase();
        let text = matches!(field.as_str(), "strategy" | "fast_threshold" | "peak_decay");
        let value = if text { format!("{:?}", wrong[0]) } else { wrong[0].to_owned() };
        let json = format!("{{{field:?}: {value}}}");
        let error = parse(&json).unwrap_err().to_string();
        // We name numbers that are out of bounds; serde names values of another type.
        if text || value.parse::<f64>().is_ok() {
            let expected = format!("{field} is `{}`, allowed is {allowed}", wrong[0]);
            assert!(error.contains(&expected), "{error}");
        }
    }
}

fn needs_tracking(strategy: StrategyName) -> bool {
    use StrategyName::{ExpectedDelay, HotCold, LatencyBased, PeakEwma, WarmFirst};
    matches!(strategy, LatencyBased | PeakEwma | HotCold | ExpectedDelay | WarmFirst)
}

fn strategy() -> impl Strategy<Value = StrategyName> {
    prop::sample::select(&StrategyName::ALL[..])
}

/// Any valid configuration. Numbers are decimal, so that JSON keeps them exactly.
fn config() -> impl Strategy<Value = BalancerConfig> {
    let thousandth = |range: std::ops::Range<u32>| range.prop_map(|n| f64::from(n) / 1_000.0);
    let fast = prop_oneof![
        Just(FastThreshold::PoolMean),
        (0u64..10_000_000_000, 0u32..50).prop_map(|(nanos, shift)| {
            FastThreshold::Fixed(Duration::from_nanos(nanos << (shift % 24) >> (shift % 31)))
        }),
    ];
    (
        (strategy(), any::<bool>(), 1usize..=65_536, fast),
        (thousandth(0..1_000), thousandth(0..100_000)),
        (thousandth(1..1_001), thousandth(1_000..100_000)),
        (1u64..86_400_000, thousandth(1..1_000), thousandth(1..100_000)),
    )
        .prop_map(|(of_all, (decay, penalty), (floor, cap), (peak, quantile, bound))| {
            let (strategy, tracking, window, fast) = of_all;
            BalancerConfig::new(strategy)
                .tracking_enabled(tracking || needs_tracking(strategy))
                .fast_threshold(fast)
                .window_size(window)
                .history_decay(decay)
                .failure_penalty(penalty)
                .weight_floor(floor)
                .weight_cap(cap)
                .peak_decay(Duration::from_millis(peak))
                .hot_quantile(quantile)
                .hash_bound(bound)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_configuration_round_trips_as_text_json_and_environment(config in config()) {
        let text = config.to_string();
        prop_assert_eq!(text.parse::<BalancerConfig>(), Ok(config), "{}", text);
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(serde_json::from_str::<BalancerConfig>(&json).unwrap(), config, "{}", json);
        let from_env = BalancerConfig::from_variables(|name| {
            let key = name.strip_prefix("LOAD_BALANCER_")?.to_ascii_lowercase();
            let value = match key.as_str() {
                "strategy" => text.split(',').next(),
                key => text.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('=')),
            };
            value.map(OsString::from)
        });
        prop_assert_eq!(from_env, Ok(config));
        prop_assert_eq!(config.build().is_ok(), true);
    }

    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,40}", key in 0usize..8, value in "[-+.0-9a-z_ ]{0,12}") {
        let _ = text.parse::<BalancerConfig>();
        let (name, _, allowed, _) = VARIABLES[key];
        if let Err(error) = from(&[(name, &value)]) {
            let message = error.to_string();
            prop_assert!(message.starts_with(&format!("{name} is `")), "{}", message);
            prop_assert!(message.ends_with(&format!("`, allowed is {allowed}")), "{}", message);
        }
    }
}
