use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use raddle_core::{FastThreshold, Tracking};

use super::error::ConfigError;
use super::name::StrategyName;
use super::settings::{BalancerConfig, KEYS, SETTINGS, Setting};
use crate::{Balancer, BoundedHash, Ejection, HotCold, WeightedRoundRobin};

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
        let mut config = Self::default();
        let renamed =
            |error: ConfigError| ConfigError { setting: variable_of(&error.setting), ..error };
        for setting in &SETTINGS {
            if let Some(value) = variable(&variable_of(setting.key)) {
                // No value contains the character that replaces what is not Unicode.
                setting.set_text(&mut config, &value.to_string_lossy()).map_err(renamed)?;
            }
        }
        config.validate().map_err(renamed)?;
        Ok(config)
    }

    /// Sets the strategy.
    #[must_use]
    pub fn strategy(mut self, strategy: StrategyName) -> Self {
        self.strategy = strategy;
        self
    }

    /// Enables or disables learning from recorded tasks. Counts and tasks in flight are always
    /// kept.
    #[must_use]
    pub fn tracking_enabled(mut self, enabled: bool) -> Self {
        self.tracking.enabled = enabled;
        self
    }

    /// Sets how many latencies each worker's window holds, 1 to 65,536.
    #[must_use]
    pub fn window_size(mut self, window: usize) -> Self {
        self.tracking.window = window;
        self
    }

    /// Sets the share of the old value in a capability history, at least 0 and below 1.
    #[must_use]
    pub fn history_decay(mut self, decay: f64) -> Self {
        self.tracking.history_decay = decay;
        self
    }

    /// Sets when a success counts as fast in a capability history.
    #[must_use]
    pub fn fast_threshold(mut self, fast: FastThreshold) -> Self {
        self.tracking.fast = fast;
        self
    }

    /// Sets the multiple of the pool's mean with which a failure enters the latency window, finite
    /// and at least 0.
    #[must_use]
    pub fn failure_penalty(mut self, factor: f64) -> Self {
        self.tracking.failure_penalty = factor;
        self
    }

    /// Sets the lower bound of the factor by which performance changes a weight, above 0 and at
    /// most 1.
    #[must_use]
    pub fn weight_floor(mut self, floor: f64) -> Self {
        self.weight_floor = floor;
        self
    }

    /// Sets the upper bound of the factor by which performance changes a weight, finite and at
    /// least 1.
    #[must_use]
    pub fn weight_cap(mut self, cap: f64) -> Self {
        self.weight_cap = cap;
        self
    }

    /// Sets the time in which a peak of latency decays to 1/e, from 1 ms to 24 h.
    #[must_use]
    pub fn peak_decay(mut self, decay: Duration) -> Self {
        self.tracking.peak_decay = decay;
        self
    }

    /// Sets the quantile of tasks in flight above which a worker is hot, above 0 and below 1.
    #[must_use]
    pub fn hot_quantile(mut self, quantile: f64) -> Self {
        self.hot_quantile = quantile;
        self
    }

    /// Sets how far a worker of bounded hash may be above its share, finite and above 0.
    #[must_use]
    pub fn hash_bound(mut self, bound: f64) -> Self {
        self.hash_bound = bound;
        self
    }

    /// Enables or disables the ejection of failing workers.
    #[must_use]
    pub fn ejection_enabled(mut self, enabled: bool) -> Self {
        self.ejection = enabled;
        self
    }

    /// Returns the ejection settings, if ejection is enabled: the defaults, for an
    /// [`OutlierDetector`](crate::OutlierDetector). A pool creates one itself.
    pub fn ejection(&self) -> Option<Ejection> {
        self.ejection.then(Ejection::default)
    }

    /// Returns what is learned from recorded tasks, for the
    /// [roster](raddle_core::RosterBuilder::tracking).
    pub fn tracking(&self) -> Tracking {
        self.tracking
    }

    /// Creates the balancer.
    ///
    /// # Errors
    /// If a value is not allowed, or the strategy needs what tracking learns and tracking is
    /// disabled.
    pub fn build(&self) -> Result<Balancer, ConfigError> {
        self.validate()?;
        let balancer = match self.strategy {
            StrategyName::WeightedRoundRobin => {
                Balancer::new(WeightedRoundRobin::bounded(self.weight_floor, self.weight_cap))
            }
            StrategyName::HotCold => Balancer::new(HotCold::with_quantile(self.hot_quantile)),
            StrategyName::BoundedHash => Balancer::new(BoundedHash::with_bound(self.hash_bound)),
            name => Balancer::new(name.build()),
        };
        balancer.map_err(|error| ConfigError::new(error.parameter, error.value, error.allowed))
    }
}

impl FromStr for BalancerConfig {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for part in text.split(',').map(str::trim) {
            let (key, value) = part.split_once('=').unwrap_or(("strategy", part));
            let setting = Setting::find(key.trim()).ok_or_else(|| {
                ConfigError::new("setting", key, &format!("one of {}", KEYS.join(", ")))
            })?;
            setting.set_text(&mut config, value.trim())?;
        }
        config.validate()?;
        Ok(config)
    }
}

impl fmt::Display for BalancerConfig {
    /// Writes every setting, in the form that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.strategy)?;
        let others = &SETTINGS[1..]; // the strategy is the first
        others.iter().try_for_each(|setting| write!(f, ",{}={}", setting.key, setting.text(self)))
    }
}

/// Returns the name of a setting's environment variable.
fn variable_of(key: &str) -> String {
    format!("LOAD_BALANCER_{}", key.to_ascii_uppercase())
}
