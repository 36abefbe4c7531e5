use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use raddle_core::{FastThreshold, Tracking};

use super::error::ConfigError;
use super::name::StrategyName;
use super::settings::{KEYS, SETTINGS, Setting, Values};
use crate::{Balancer, BoundedHash, Ejection, HotCold, WeightedRoundRobin};

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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BalancerConfig {
    pub(super) values: Values,
}

impl BalancerConfig {
    /// Creates the default configuration of a strategy.
    pub fn new(strategy: StrategyName) -> Self {
        Self::default().strategy(strategy)
    }

    /// Reads the variables `LOAD_BALANCER_*`. Settings without a variable keep their defaults.
    ///
    /// # Errors
    /// The first variable whose value is not allowed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// Reads the variables from another source than the environment.
    ///
    /// # Errors
    /// The first variable whose value is not allowed.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let mut values = Values::default();
        // By the variable's name instead of the key.
        let renamed = |error: ConfigError| {
            let setting = Setting::find(&error.setting);
            ConfigError { setting: setting.map_or(error.setting, Setting::variable), ..error }
        };
        for setting in &SETTINGS {
            let Some(value) = variable(&setting.variable()) else { continue };
            let set = match value.to_str() {
                Some(text) => setting.set_text(&mut values, text),
                None => Err(setting.refuse(value.to_string_lossy())),
            };
            set.map_err(renamed)?;
        }
        values.validate_together().map_err(renamed)?;
        Ok(Self { values })
    }

    /// Sets the strategy.
    #[must_use]
    pub fn strategy(mut self, strategy: StrategyName) -> Self {
        self.values.strategy = strategy;
        self
    }

    /// Enables or disables learning from recorded tasks. Counts and tasks in flight are always
    /// kept.
    #[must_use]
    pub fn tracking_enabled(mut self, enabled: bool) -> Self {
        self.values.tracking.enabled = enabled;
        self
    }

    /// Sets how many latencies each worker's window holds, 1 to 65,536.
    #[must_use]
    pub fn window_size(mut self, window: usize) -> Self {
        self.values.tracking.window = window;
        self
    }

    /// Sets the share of the old value in a capability history, at least 0 and below 1.
    #[must_use]
    pub fn history_decay(mut self, decay: f64) -> Self {
        self.values.tracking.history_decay = decay;
        self
    }

    /// Sets when a success counts as fast in a capability history.
    #[must_use]
    pub fn fast_threshold(mut self, fast: FastThreshold) -> Self {
        self.values.tracking.fast = fast;
        self
    }

    /// Sets the multiple of the pool's mean with which a failure enters the latency window, finite
    /// and at least 0.
    #[must_use]
    pub fn failure_penalty(mut self, factor: f64) -> Self {
        self.values.tracking.failure_penalty = factor;
        self
    }

    /// Sets the lower bound of the factor by which performance changes a weight, above 0 and at
    /// most 1.
    #[must_use]
    pub fn weight_floor(mut self, floor: f64) -> Self {
        self.values.weight_floor = floor;
        self
    }

    /// Sets the upper bound of the factor by which performance changes a weight, finite and at
    /// least 1.
    #[must_use]
    pub fn weight_cap(mut self, cap: f64) -> Self {
        self.values.weight_cap = cap;
        self
    }

    /// Sets the time in which a peak of latency decays to 1/e, from 1 ms to 24 h.
    #[must_use]
    pub fn peak_decay(mut self, decay: Duration) -> Self {
        self.values.tracking.peak_decay = decay;
        self
    }

    /// Sets the quantile of tasks in flight above which a worker is hot, above 0 and below 1.
    #[must_use]
    pub fn hot_quantile(mut self, quantile: f64) -> Self {
        self.values.hot_quantile = quantile;
        self
    }

    /// Sets how far a worker of bounded hash may be above its share, finite and above 0.
    #[must_use]
    pub fn hash_bound(mut self, bound: f64) -> Self {
        self.values.hash_bound = bound;
        self
    }

    /// Enables or disables the ejection of failing workers.
    #[must_use]
    pub fn ejection_enabled(mut self, enabled: bool) -> Self {
        self.values.ejection = enabled;
        self
    }

    /// Returns the ejection settings, if ejection is enabled: the defaults, for an
    /// [`OutlierDetector`](crate::OutlierDetector). A pool creates one itself.
    pub fn ejection(&self) -> Option<Ejection> {
        self.values.ejection.then(Ejection::default)
    }

    /// Returns what is learned from recorded tasks, for the
    /// [roster](raddle_core::RosterBuilder::tracking).
    pub fn tracking(&self) -> Tracking {
        self.values.tracking
    }

    /// Creates the balancer.
    ///
    /// # Errors
    /// If a value is not allowed, or the strategy needs what tracking learns and tracking is
    /// disabled.
    pub fn build(&self) -> Result<Balancer, ConfigError> {
        let values = &self.values;
        values.validate()?;
        let balancer = match values.strategy {
            StrategyName::WeightedRoundRobin => {
                Balancer::new(WeightedRoundRobin::bounded(values.weight_floor, values.weight_cap))
            }
            StrategyName::HotCold => Balancer::new(HotCold::with_quantile(values.hot_quantile)),
            StrategyName::BoundedHash => Balancer::new(BoundedHash::with_bound(values.hash_bound)),
            name => Balancer::new(name.build()),
        };
        balancer.map_err(|error| ConfigError::new(error.parameter, error.value, error.allowed))
    }
}

impl FromStr for BalancerConfig {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut values = Values::default();
        for part in text.split(',').map(str::trim) {
            let (key, value) = part.split_once('=').unwrap_or(("strategy", part));
            let setting = Setting::find(key.trim()).ok_or_else(|| {
                ConfigError::new("setting", key, &format!("one of {}", KEYS.join(", ")))
            })?;
            setting.set_text(&mut values, value.trim())?;
        }
        values.validate_together()?;
        Ok(Self { values })
    }
}

impl fmt::Display for BalancerConfig {
    /// Writes every setting, in the form that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.values.strategy)?;
        let others = SETTINGS.iter().filter(|setting| setting.key != "strategy");
        others
            .into_iter()
            .try_for_each(|setting| write!(f, ",{}={}", setting.key, (setting.get)(&self.values)))
    }
}
