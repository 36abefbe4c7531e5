mod name;

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use raddle_core::{FastThreshold, Tracking};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use name::StrategyName;

use crate::{Balancer, BoundedHash, Ejection, HotCold, WeightedRoundRobin};

/// Everything that can be set of a balancer, in code, as text, by serde or from the environment.
///
/// As text it is the strategy's name and `key=value` pairs behind it, all optional:
///
/// ```
/// use raddle_strategies::{BalancerConfig, StrategyName};
///
/// let config: BalancerConfig = "latency_based,window_size=50".parse()?;
/// assert_eq!(config, BalancerConfig::new(StrategyName::LatencyBased).window_size(50)?);
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
/// | `fast_threshold` | `pool_mean`, or a time as `500us`, `20ms` | `pool_mean` |
/// | `failure_penalty` | a factor of at least 0 | `10` |
/// | `weight_floor` | above 0, at most 1 | `0.1` |
/// | `weight_cap` | at least 1 | `10` |
/// | `peak_decay` | a time from `1ms` to `24h` | `1s` |
/// | `hot_quantile` | above 0 and below 1 | `0.84` |
/// | `hash_bound` | above 0 | `0.25` |
/// | `ejection` | `true` or `false` | `false` |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct BalancerConfig {
    strategy: StrategyName,
    tracking: Tracking,
    weight_floor: f64,
    weight_cap: f64,
    hot_quantile: f64,
    hash_bound: f64,
    ejection: bool,
}

/// A setting that cannot be: what it is called where it was set, its value, what is allowed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{setting} is `{value}`, allowed is {allowed}")]
pub struct ConfigError {
    /// The variable or key.
    pub setting: String,
    /// What it was set to.
    pub value: String,
    /// What it may be.
    pub allowed: String,
}

impl ConfigError {
    fn new(setting: &str, value: impl fmt::Display, allowed: impl fmt::Display) -> Self {
        let (value, allowed) = (value.to_string(), allowed.to_string());
        let allowed =
            if setting == Key::Strategy.name() { format!("one of {allowed}") } else { allowed };
        Self { setting: setting.to_owned(), value, allowed }
    }
}

const PREFIX: &str = "LOAD_BALANCER_";

/// The settings: one name in text, serde and environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Strategy,
    TrackingEnabled,
    WindowSize,
    HistoryDecay,
    FastThreshold,
    FailurePenalty,
    WeightFloor,
    WeightCap,
    PeakDecay,
    HotQuantile,
    HashBound,
    Ejection,
}

impl Key {
    const ALL: [Self; 12] = [
        Self::Strategy,
        Self::TrackingEnabled,
        Self::WindowSize,
        Self::HistoryDecay,
        Self::FastThreshold,
        Self::FailurePenalty,
        Self::WeightFloor,
        Self::WeightCap,
        Self::PeakDecay,
        Self::HotQuantile,
        Self::HashBound,
        Self::Ejection,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::TrackingEnabled => "tracking_enabled",
            Self::WindowSize => "window_size",
            Self::HistoryDecay => "history_decay",
            Self::FastThreshold => "fast_threshold",
            Self::FailurePenalty => "failure_penalty",
            Self::WeightFloor => "weight_floor",
            Self::WeightCap => "weight_cap",
            Self::PeakDecay => "peak_decay",
            Self::HotQuantile => "hot_quantile",
            Self::HashBound => "hash_bound",
            Self::Ejection => "ejection",
        }
    }

    fn variable(self) -> String {
        format!("{PREFIX}{}", self.name().to_ascii_uppercase())
    }

    fn refused(self, value: impl fmt::Display) -> ConfigError {
        ConfigError::new(self.name(), value, self.allowed())
    }

    fn allowed(self) -> String {
        match self {
            Self::Strategy => StrategyName::allowed(),
            Self::TrackingEnabled | Self::Ejection => "true or false".into(),
            Self::WindowSize => format!("a whole number from 1 to {}", Tracking::MAX_WINDOW),
            Self::HistoryDecay => "a number of at least 0 and below 1".into(),
            Self::FastThreshold => "`pool_mean` or a time such as 500us or 20ms".into(),
            Self::FailurePenalty => "a factor of at least 0".into(),
            Self::WeightFloor => "a factor above 0 and at most 1".into(),
            Self::WeightCap => "a factor of at least 1".into(),
            Self::PeakDecay => "a time from 1ms to 24h".into(),
            Self::HotQuantile => "a number above 0 and below 1".into(),
            Self::HashBound => "a finite number above 0".into(),
        }
    }
}

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
    /// The defaults, with this strategy.
    pub fn new(strategy: StrategyName) -> Self {
        Self { strategy, ..Self::default() }
    }

    /// Reads the variables `LOAD_BALANCER_*`; what is not set stays at its default.
    ///
    /// # Errors
    /// The first variable whose value is not allowed, by name. It never falls back in silence.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// The same from any source of variables.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for key in Key::ALL {
            let name = key.variable();
            let Some(value) = variable(&name) else {
                continue;
            };
            let named = |value| ConfigError::new(&name, value, key.allowed());
            let set = match value.to_str() {
                Some(text) => config.set(key, text),
                None => Err(named(value.to_string_lossy().into_owned())),
            };
            set.map_err(|error| ConfigError { setting: name.clone(), ..error })?;
        }
        config.validate().map_err(|error| {
            let key = Key::ALL.into_iter().find(|key| key.name() == error.setting);
            ConfigError { setting: key.map_or(error.setting, Key::variable), ..error }
        })?;
        Ok(config)
    }

    /// Sets the strategy.
    #[must_use]
    pub fn strategy(mut self, strategy: StrategyName) -> Self {
        self.strategy = strategy;
        self
    }

    /// Turns the learning from recorded tasks on or off. Counts and in-flight are always kept.
    #[must_use]
    pub fn tracking_enabled(mut self, enabled: bool) -> Self {
        self.tracking.enabled = enabled;
        self
    }

    /// Sets how many latencies each worker's window holds.
    ///
    /// # Errors
    /// Unless it is 1 to 65,536.
    pub fn window_size(mut self, window: usize) -> Result<Self, ConfigError> {
        self.tracking.window = window;
        self.valid(Key::WindowSize, window)
    }

    /// Sets the share of the old value in a capability history.
    ///
    /// # Errors
    /// Unless it is at least 0 and below 1.
    pub fn history_decay(mut self, decay: f64) -> Result<Self, ConfigError> {
        self.tracking.history_decay = decay;
        self.valid(Key::HistoryDecay, decay)
    }

    /// Sets when a success counts as fast in a capability history.
    #[must_use]
    pub fn fast_threshold(mut self, fast: FastThreshold) -> Self {
        self.tracking.fast = fast;
        self
    }

    /// Sets as how many times the pool's mean a failure enters the latency window.
    ///
    /// # Errors
    /// Unless it is finite and at least 0.
    pub fn failure_penalty(mut self, factor: f64) -> Result<Self, ConfigError> {
        self.tracking.failure_penalty = factor;
        self.valid(Key::FailurePenalty, factor)
    }

    /// Sets the least factor by which performance changes a weight.
    ///
    /// # Errors
    /// Unless it is above 0 and at most 1.
    pub fn weight_floor(mut self, floor: f64) -> Result<Self, ConfigError> {
        self.weight_floor = floor;
        self.valid(Key::WeightFloor, floor)
    }

    /// Sets the greatest factor by which performance changes a weight.
    ///
    /// # Errors
    /// Unless it is finite and at least 1.
    pub fn weight_cap(mut self, cap: f64) -> Result<Self, ConfigError> {
        self.weight_cap = cap;
        self.valid(Key::WeightCap, cap)
    }

    /// Sets how fast peaks of latency are forgotten: by `1/e` in this time.
    ///
    /// # Errors
    /// Unless it is 1 ms to 24 h.
    pub fn peak_decay(mut self, decay: Duration) -> Result<Self, ConfigError> {
        self.tracking.peak_decay = decay;
        self.valid(Key::PeakDecay, humantime::format_duration(decay))
    }

    /// Sets the quantile of tasks in flight above which a worker is hot.
    ///
    /// # Errors
    /// Unless it is above 0 and below 1.
    pub fn hot_quantile(mut self, quantile: f64) -> Result<Self, ConfigError> {
        self.hot_quantile = quantile;
        self.valid(Key::HotQuantile, quantile)
    }

    /// Sets by how much of its share a worker of bounded hash may be above it.
    ///
    /// # Errors
    /// Unless it is finite and above 0.
    pub fn hash_bound(mut self, bound: f64) -> Result<Self, ConfigError> {
        self.hash_bound = bound;
        self.valid(Key::HashBound, bound)
    }

    /// Turns the setting aside of failing workers on or off.
    #[must_use]
    pub fn ejection_enabled(mut self, enabled: bool) -> Self {
        self.ejection = enabled;
        self
    }

    /// How failing workers are set aside, if they are, with the defaults of [`Ejection`]: give it to
    /// an [`OutlierDetector`](crate::OutlierDetector). A pool does so itself.
    pub fn ejection(&self) -> Option<Ejection> {
        self.ejection.then(Ejection::default)
    }

    /// What is learnt from recorded tasks: give it to the
    /// [roster](raddle_core::RosterBuilder::tracking).
    pub fn tracking(&self) -> Tracking {
        self.tracking
    }

    /// Makes the balancer.
    ///
    /// # Errors
    /// When the strategy needs what tracking would learn, and tracking is off.
    pub fn build(&self) -> Result<Balancer, ConfigError> {
        self.validate()?;
        Ok(match self.strategy {
            StrategyName::WeightedRoundRobin => {
                Balancer::new(WeightedRoundRobin::bounded(self.weight_floor, self.weight_cap))
            }
            StrategyName::HotCold => Balancer::new(HotCold::with_quantile(self.hot_quantile)?),
            StrategyName::BoundedHash => {
                let refused = |_| Key::HashBound.refused(self.hash_bound);
                Balancer::new(BoundedHash::with_bound(self.hash_bound).map_err(refused)?)
            }
            name => Balancer::new(name.build()),
        })
    }

    fn set(&mut self, key: Key, text: &str) -> Result<(), ConfigError> {
        let refused = || ConfigError::new(key.name(), text, key.allowed());
        let number = || text.parse::<f64>().map_err(|_| refused());
        let set = match key {
            Key::Strategy => Ok(self.strategy(text.parse()?)),
            Key::TrackingEnabled => Ok(self.tracking_enabled(text.parse().map_err(|_| refused())?)),
            Key::WindowSize => self.window_size(text.parse().map_err(|_| refused())?),
            Key::HistoryDecay => self.history_decay(number()?),
            Key::FastThreshold => {
                Ok(self.fast_threshold(parse_threshold(text).ok_or_else(refused)?))
            }
            Key::FailurePenalty => self.failure_penalty(number()?),
            Key::WeightFloor => self.weight_floor(number()?),
            Key::WeightCap => self.weight_cap(number()?),
            Key::PeakDecay => {
                self.peak_decay(humantime::parse_duration(text).map_err(|_| refused())?)
            }
            Key::HotQuantile => self.hot_quantile(number()?),
            Key::HashBound => self.hash_bound(number()?),
            Key::Ejection => Ok(self.ejection_enabled(text.parse().map_err(|_| refused())?)),
        };
        // The value as it was written, not as it was understood.
        *self = set.map_err(|_| refused())?;
        Ok(())
    }

    /// `self` if the setting just made is within its bounds.
    fn valid(self, key: Key, value: impl fmt::Display) -> Result<Self, ConfigError> {
        let within = match key {
            Key::WeightFloor => self.weight_floor > 0.0 && self.weight_floor <= 1.0,
            Key::WeightCap => self.weight_cap >= 1.0 && self.weight_cap.is_finite(),
            Key::HotQuantile => HotCold::with_quantile(self.hot_quantile).is_ok(),
            Key::HashBound => BoundedHash::with_bound(self.hash_bound).is_ok(),
            _ => self.tracking.validate().is_ok(),
        };
        if within { Ok(self) } else { Err(key.refused(value)) }
    }

    /// Checks what no single setting can show.
    fn validate(&self) -> Result<(), ConfigError> {
        if self.strategy.needs_tracking() && !self.tracking.enabled {
            let strategy = self.strategy;
            let allowed = format!("true, as the strategy {strategy} picks by what is tracked");
            return Err(ConfigError::new(Key::TrackingEnabled.name(), false, allowed));
        }
        Ok(())
    }
}

fn parse_threshold(text: &str) -> Option<FastThreshold> {
    match text {
        "pool_mean" => Some(FastThreshold::PoolMean),
        time => humantime::parse_duration(time).ok().map(FastThreshold::Fixed),
    }
}

fn threshold_text(fast: FastThreshold) -> String {
    match fast {
        FastThreshold::PoolMean => "pool_mean".into(),
        FastThreshold::Fixed(time) => time_text(time),
    }
}

/// A time, without the spaces that would make it two words.
fn time_text(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}

impl FromStr for BalancerConfig {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for part in text.split(',').map(str::trim) {
            let (name, value) = part.split_once('=').unwrap_or((Key::Strategy.name(), part));
            let key = Key::ALL.into_iter().find(|key| key.name() == name.trim());
            let key = key.ok_or_else(|| ConfigError {
                setting: "setting".into(),
                value: name.to_owned(),
                allowed: format!("one of {}", Key::ALL.map(Key::name).join(", ")),
            })?;
            config.set(key, value.trim())?;
        }
        config.validate()?;
        Ok(config)
    }
}

impl fmt::Display for BalancerConfig {
    /// Every setting, in the form that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tracking { enabled, window, history_decay, fast, failure_penalty, peak_decay } =
            self.tracking;
        write!(
            f,
            "{},tracking_enabled={enabled},window_size={window},history_decay={history_decay},\
             fast_threshold={},failure_penalty={failure_penalty},weight_floor={},weight_cap={},\
             peak_decay={},hot_quantile={},hash_bound={},ejection={}",
            self.strategy,
            threshold_text(fast),
            self.weight_floor,
            self.weight_cap,
            time_text(peak_decay),
            self.hot_quantile,
            self.hash_bound,
            self.ejection,
        )
    }
}

/// The shape of a configuration in serde: flat, every field optional.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    strategy: String,
    tracking_enabled: bool,
    window_size: usize,
    history_decay: f64,
    fast_threshold: String,
    failure_penalty: f64,
    weight_floor: f64,
    weight_cap: f64,
    peak_decay: String,
    hot_quantile: f64,
    hash_bound: f64,
    ejection: bool,
}

impl Default for Fields {
    fn default() -> Self {
        BalancerConfig::default().into()
    }
}

impl From<BalancerConfig> for Fields {
    fn from(config: BalancerConfig) -> Self {
        Self {
            strategy: config.strategy.to_string(),
            tracking_enabled: config.tracking.enabled,
            window_size: config.tracking.window,
            history_decay: config.tracking.history_decay,
            fast_threshold: threshold_text(config.tracking.fast),
            failure_penalty: config.tracking.failure_penalty,
            weight_floor: config.weight_floor,
            weight_cap: config.weight_cap,
            peak_decay: time_text(config.tracking.peak_decay),
            hot_quantile: config.hot_quantile,
            hash_bound: config.hash_bound,
            ejection: config.ejection,
        }
    }
}

impl TryFrom<Fields> for BalancerConfig {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        let mut config = Self::default()
            .tracking_enabled(fields.tracking_enabled)
            .ejection_enabled(fields.ejection)
            .window_size(fields.window_size)?
            .history_decay(fields.history_decay)?
            .failure_penalty(fields.failure_penalty)?
            .weight_floor(fields.weight_floor)?
            .weight_cap(fields.weight_cap)?
            .hot_quantile(fields.hot_quantile)?
            .hash_bound(fields.hash_bound)?;
        config.set(Key::Strategy, &fields.strategy)?;
        config.set(Key::FastThreshold, &fields.fast_threshold)?;
        config.set(Key::PeakDecay, &fields.peak_decay)?;
        config.validate()?;
        Ok(config)
    }
}
