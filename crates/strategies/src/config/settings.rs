//! The settings of a [`BalancerConfig`]: one table for text, serde, the environment and errors.

use std::fmt;
use std::time::Duration;

use raddle_core::{FastThreshold, Tracking};

use super::error::ConfigError;
use super::name::StrategyName;
use crate::{BoundedHash, HotCold, Strategy, WeightedRoundRobin};

/// The values of all settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Values {
    pub(super) strategy: StrategyName,
    pub(super) tracking: Tracking,
    pub(super) weight_floor: f64,
    pub(super) weight_cap: f64,
    pub(super) hot_quantile: f64,
    pub(super) hash_bound: f64,
    pub(super) ejection: bool,
}

/// A value as text formats and serde see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Switch(bool),
    Count(usize),
    Number(f64),
    Text(String),
}

/// A setting.
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) allowed: &'static str,
    pub(super) get: fn(&Values) -> Value,
    /// Returns `None` if the value has the wrong type or cannot be parsed.
    set: fn(&mut Values, Value) -> Option<()>,
    /// Tests the bounds.
    check: fn(&Values) -> bool,
}

/// Defines a setting that is stored as it is.
macro_rules! plain {
    ($key:literal, $variant:ident, $($field:ident).+, $allowed:literal, $check:expr) => {
        Setting {
            key: $key,
            allowed: $allowed,
            get: |values| Value::$variant(values.$($field).+),
            set: |values, value| match value {
                Value::$variant(value) => {
                    values.$($field).+ = value;
                    Some(())
                }
                _ => None,
            },
            check: $check,
        }
    };
}

/// Defines a setting that is stored as another type than text.
macro_rules! parsed {
    ($key:literal, $($field:ident).+, $print:expr, $parse:expr, $allowed:expr, $check:expr) => {
        Setting {
            key: $key,
            allowed: $allowed,
            get: |values| Value::Text($print(values.$($field).+)),
            set: |values, value| {
                let Value::Text(text) = value else { return None };
                values.$($field).+ = $parse(&text)?;
                Some(())
            },
            check: $check,
        }
    };
}

#[rustfmt::skip]
pub(super) const SETTINGS: [Setting; 12] = [
    parsed!("strategy", strategy, |name: StrategyName| name.to_string(),
        |text: &str| text.parse().ok(), StrategyName::ALLOWED, |_| true),
    plain!("tracking_enabled", Switch, tracking.enabled, "true or false", |_| true),
    plain!("window_size", Count, tracking.window, "a whole number from 1 to 65536", |values| {
        tracks(Tracking { window: values.tracking.window, ..Tracking::default() })
    }),
    plain!("history_decay", Number, tracking.history_decay, "a number of at least 0 and below 1",
        |values| {
            let history_decay = values.tracking.history_decay;
            tracks(Tracking { history_decay, ..Tracking::default() })
        }),
    parsed!("fast_threshold", tracking.fast, print_threshold, parse_threshold,
        "`pool_mean` or a time such as 500us or 20ms", |values| {
            tracks(Tracking { fast: values.tracking.fast, ..Tracking::default() })
        }),
    plain!("failure_penalty", Number, tracking.failure_penalty, "a factor of at least 0",
        |values| {
            let failure_penalty = values.tracking.failure_penalty;
            tracks(Tracking { failure_penalty, ..Tracking::default() })
        }),
    plain!("weight_floor", Number, weight_floor, "a factor above 0 and at most 1",
        |values| WeightedRoundRobin::bounded(values.weight_floor, 1.0).validate().is_ok()),
    plain!("weight_cap", Number, weight_cap, "a factor of at least 1",
        |values| WeightedRoundRobin::bounded(1.0, values.weight_cap).validate().is_ok()),
    parsed!("peak_decay", tracking.peak_decay, print_time, parse_time, "a time from 1ms to 24h",
        |values| {
            tracks(Tracking { peak_decay: values.tracking.peak_decay, ..Tracking::default() })
        }),
    plain!("hot_quantile", Number, hot_quantile, "a number above 0 and below 1",
        |values| HotCold::with_quantile(values.hot_quantile).validate().is_ok()),
    plain!("hash_bound", Number, hash_bound, "a finite number above 0",
        |values| BoundedHash::with_bound(values.hash_bound).validate().is_ok()),
    plain!("ejection", Switch, ejection, "true or false", |_| true),
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

fn tracks(tracking: Tracking) -> bool {
    tracking.validate().is_ok()
}

fn print_threshold(fast: FastThreshold) -> String {
    match fast {
        FastThreshold::PoolMean => "pool_mean".into(),
        FastThreshold::Fixed(time) => print_time(time),
    }
}

fn parse_threshold(text: &str) -> Option<FastThreshold> {
    match text {
        "pool_mean" => Some(FastThreshold::PoolMean),
        time => parse_time(time).map(FastThreshold::Fixed),
    }
}

/// Without spaces, so that it stays one word.
fn print_time(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}

fn parse_time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

impl Default for Values {
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

impl Values {
    /// Checks each setting, and what no single setting can show.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        SETTINGS.iter().try_for_each(|setting| setting.validate(self))?;
        self.validate_together()
    }

    pub(super) fn validate_together(&self) -> Result<(), ConfigError> {
        if self.strategy.needs_tracking() && !self.tracking.enabled {
            let strategy = self.strategy;
            let allowed = format!("true, as the strategy {strategy} picks by what is tracked");
            return Err(ConfigError::new("tracking_enabled", false, &allowed));
        }
        Ok(())
    }
}

impl Setting {
    pub(super) fn find(key: &str) -> Option<&'static Self> {
        const { &SETTINGS }.iter().find(|setting| setting.key == key)
    }

    /// Returns the name of its environment variable.
    pub(super) fn variable(&self) -> String {
        format!("LOAD_BALANCER_{}", self.key.to_ascii_uppercase())
    }

    /// Returns the error that refuses a value.
    pub(super) fn refuse(&self, value: impl fmt::Display) -> ConfigError {
        ConfigError::new(self.key, value, self.allowed)
    }

    fn validate(&self, values: &Values) -> Result<(), ConfigError> {
        if (self.check)(values) { Ok(()) } else { Err(self.refuse((self.get)(values))) }
    }

    /// Sets and checks the value.
    pub(super) fn set(&self, values: &mut Values, value: Value) -> Result<(), ConfigError> {
        let shown = value.to_string();
        let refuse = || self.refuse(&shown);
        (self.set)(values, value).ok_or_else(refuse)?;
        if (self.check)(values) { Ok(()) } else { Err(refuse()) }
    }

    /// Parses, sets and checks the value. An error shows it as it was written.
    pub(super) fn set_text(&self, values: &mut Values, text: &str) -> Result<(), ConfigError> {
        let value = match (self.get)(values) {
            Value::Switch(_) => text.parse().ok().map(Value::Switch),
            Value::Count(_) => text.parse().ok().map(Value::Count),
            Value::Number(_) => text.parse().ok().map(Value::Number),
            Value::Text(_) => Some(Value::Text(text.to_owned())),
        };
        let set = value.and_then(|value| self.set(values, value).ok());
        set.ok_or_else(|| self.refuse(text))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(value) => value.fmt(f),
            Self::Count(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}
