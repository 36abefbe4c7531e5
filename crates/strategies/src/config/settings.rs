//! The settings of a [`BalancerConfig`]: one table for text, serde, the environment and errors.

use std::fmt;
use std::time::Duration;

use raddle_core::{FastThreshold, Tracking, TrackingError};

use super::error::ConfigError;
use super::name::StrategyName;
use crate::{BoundedHash, HotCold, Strategy, WeightedRoundRobin};

/// The configuration of a balancer, from code, text, serde or the environment.
///
/// As text it is a strategy's name followed by `key=value` pairs, all of them optional:
///
/// ```
/// use raddle_strategies::{BalancerConfig, StrategyName};
///
/// let config: BalancerConfig = "latency_based,window_size=50".parse()?;
/// assert_eq!(config, BalancerConfig::new(StrategyName::LatencyBased).window_size(50));
/// let balancer = config.build()?;
/// # Ok::<(), raddle_strategies::ConfigError>(())
/// ```
///
/// | key; as variable `LOAD_BALANCER_<KEY>` | value | default |
/// |---|---|---|
/// | `strategy` | a [`StrategyName`] | `join_idle` |
/// | `tracking_enabled` | `true` or `false` | `true` |
/// | `window_size` | latencies, 1 to 65536 | `100` |
/// | `history_decay` | at least 0 and below 1 | `0.9` |
/// | `fast_threshold` | `pool_mean`, or a time such as `500us` or `20ms` | `pool_mean` |
/// | `failure_penalty` | a factor of at least 0 | `10` |
/// | `weight_floor` | above 0, at most 1 | `0.1` |
/// | `weight_cap` | at least 1 | `10` |
/// | `peak_decay` | a time from `1ms` to `24h` | `1s` |
/// | `hot_quantile` | above 0 and below 1 | `0.84` |
/// | `hash_bound` | above 0 | `0.25` |
/// | `ejection` | `true` or `false` | `false` |
///
/// Setters accept any value; [`build`](Self::build) refuses those that are not allowed. Text,
/// serde and the environment are checked as they are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalancerConfig {
    pub(super) strategy: StrategyName,
    pub(super) tracking: Tracking,
    pub(super) weight_floor: f64,
    pub(super) weight_cap: f64,
    pub(super) hot_quantile: f64,
    pub(super) hash_bound: f64,
    pub(super) ejection: bool,
}

/// A setting.
pub(super) struct Setting {
    pub(super) key: &'static str,
    allowed: &'static str,
    pub(super) field: fn(&mut BalancerConfig) -> Field<'_>,
}

/// The field of a setting.
pub(super) enum Field<'c> {
    Strategy(&'c mut StrategyName),
    Switch(&'c mut bool),
    Count(&'c mut usize),
    Number(&'c mut f64),
    Threshold(&'c mut FastThreshold),
    Time(&'c mut Duration),
}

const fn setting(
    key: &'static str,
    allowed: &'static str,
    field: fn(&mut BalancerConfig) -> Field<'_>,
) -> Setting {
    Setting { key, allowed, field }
}

/// All settings; the strategy is the first.
pub(super) const SETTINGS: [Setting; 12] = [
    setting("strategy", StrategyName::ALLOWED, |config| Field::Strategy(&mut config.strategy)),
    setting("tracking_enabled", "true or false", |config| {
        Field::Switch(&mut config.tracking.enabled)
    }),
    setting("window_size", "a whole number from 1 to 65536", |config| {
        Field::Count(&mut config.tracking.window)
    }),
    setting("history_decay", "a number of at least 0 and below 1", |config| {
        Field::Number(&mut config.tracking.history_decay)
    }),
    setting("fast_threshold", "`pool_mean` or a time such as 500us or 20ms", |config| {
        Field::Threshold(&mut config.tracking.fast)
    }),
    setting("failure_penalty", "a factor of at least 0", |config| {
        Field::Number(&mut config.tracking.failure_penalty)
    }),
    setting("weight_floor", "a factor above 0 and at most 1", |config| {
        Field::Number(&mut config.weight_floor)
    }),
    setting("weight_cap", "a factor of at least 1", |config| Field::Number(&mut config.weight_cap)),
    setting("peak_decay", "a time from 1ms to 24h", |config| {
        Field::Time(&mut config.tracking.peak_decay)
    }),
    setting("hot_quantile", "a number above 0 and below 1", |config| {
        Field::Number(&mut config.hot_quantile)
    }),
    setting("hash_bound", "a finite number above 0", |config| {
        Field::Number(&mut config.hash_bound)
    }),
    setting("ejection", "true or false", |config| Field::Switch(&mut config.ejection)),
];

/// The keys of [`SETTINGS`].
pub(super) const KEYS: [&str; SETTINGS.len()] = {
    let mut keys = [""; SETTINGS.len()];
    let mut index = 0;
    while index < keys.len() {
        keys[index] = SETTINGS[index].key;
        index += 1;
    }
    keys
};

impl Default for BalancerConfig {
    fn default() -> Self {
        Self {
            strategy: StrategyName::default(),
            tracking: Tracking::default(),
            weight_floor: WeightedRoundRobin::FLOOR,
            weight_cap: WeightedRoundRobin::CAP,
            hot_quantile: HotCold::QUANTILE,
            hash_bound: BoundedHash::BOUND,
            ejection: false,
        }
    }
}

impl BalancerConfig {
    /// Checks each value, and what no single value can show.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if let Some(setting) = self.out_of_bounds().and_then(Setting::find) {
            return Err(setting.refuse(&setting.text(self)));
        }
        if !self.tracking.enabled && self.strategy.build().needs_tracking() {
            let strategy = self.strategy;
            let allowed = format!("true, as the strategy {strategy} picks by what is tracked");
            return Err(ConfigError::new("tracking_enabled", false, &allowed));
        }
        Ok(())
    }

    /// Returns the key of the first value that is out of its bounds.
    fn out_of_bounds(&self) -> Option<&'static str> {
        match self.tracking.validate() {
            Ok(()) => {}
            Err(TrackingError::Window(_)) => return Some("window_size"),
            Err(TrackingError::Decay(_)) => return Some("history_decay"),
            Err(TrackingError::Penalty(_)) => return Some("failure_penalty"),
            Err(_) => return Some("peak_decay"),
        }
        let strategies = [
            ("weight_floor", WeightedRoundRobin::bounded(self.weight_floor, 1.0).validate()),
            ("weight_cap", WeightedRoundRobin::bounded(1.0, self.weight_cap).validate()),
            ("hot_quantile", HotCold::with_quantile(self.hot_quantile).validate()),
            ("hash_bound", BoundedHash::with_bound(self.hash_bound).validate()),
        ];
        strategies.into_iter().find(|(_, validated)| validated.is_err()).map(|(key, _)| key)
    }
}

impl Setting {
    pub(super) fn find(key: &str) -> Option<&'static Self> {
        const { &SETTINGS }.iter().find(|setting| setting.key == key)
    }

    /// Returns the value as text.
    pub(super) fn text(&self, config: &BalancerConfig) -> String {
        // A copy, so that a field is named once, for reading and writing.
        (self.field)(&mut { *config }).to_string()
    }

    /// Parses, sets and checks the value. An error shows it as it was written.
    pub(super) fn set_text(
        &self,
        config: &mut BalancerConfig,
        text: &str,
    ) -> Result<(), ConfigError> {
        let parsed = (self.field)(config).parse(text);
        parsed
            .filter(|()| config.out_of_bounds() != Some(self.key))
            .ok_or_else(|| self.refuse(text))
    }

    /// Returns the error that refuses a value.
    fn refuse(&self, value: &str) -> ConfigError {
        ConfigError::new(self.key, value, self.allowed)
    }
}

impl Field<'_> {
    /// Sets the field, or returns `None` if the text has another form.
    fn parse(self, text: &str) -> Option<()> {
        match self {
            Self::Strategy(strategy) => *strategy = text.parse().ok()?,
            Self::Switch(switch) => *switch = text.parse().ok()?,
            Self::Count(count) => *count = text.parse().ok()?,
            Self::Number(number) => *number = text.parse().ok()?,
            Self::Threshold(threshold) if text == "pool_mean" => {
                *threshold = FastThreshold::PoolMean;
            }
            Self::Threshold(threshold) => *threshold = FastThreshold::Fixed(parse_time(text)?),
            Self::Time(time) => *time = parse_time(text)?,
        }
        Some(())
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strategy(strategy) => strategy.fmt(f),
            Self::Switch(switch) => switch.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Threshold(FastThreshold::PoolMean) => f.write_str("pool_mean"),
            Self::Threshold(FastThreshold::Fixed(time)) => write_time(*time, f),
            Self::Time(time) => write_time(**time, f),
        }
    }
}

/// Writes a time without spaces, so that it stays one word.
fn write_time(time: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&humantime::format_duration(time).to_string().replace(' ', ""))
}

fn parse_time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}
