use std::fmt;
use std::str::FromStr;

use super::ConfigError;
use crate::{
    BoundedHash, CapabilityBest, ExpectedDelay, HotCold, JoinIdle, LatencyBased, LeastLoaded,
    LeastWork, PeakEwma, PowerOfTwo, Random, RoundRobin, Strategy, WeightedRoundRobin,
};

/// A strategy's name, as configuration and the environment spell it.
///
/// ```
/// use raddle_strategies::StrategyName;
///
/// let name: StrategyName = "least_loaded".parse()?;
/// assert_eq!(name.to_string(), "least_loaded");
/// # Ok::<(), raddle_strategies::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StrategyName {
    /// [`RoundRobin`].
    RoundRobin,
    /// [`LeastLoaded`].
    LeastLoaded,
    /// [`Random`].
    Random,
    /// [`CapabilityBest`].
    CapabilityBest,
    /// [`LatencyBased`].
    LatencyBased,
    /// [`WeightedRoundRobin`]; `weighted_round` is understood too.
    WeightedRoundRobin,
    /// [`JoinIdle`].
    #[default]
    JoinIdle,
    /// [`PowerOfTwo`].
    PowerOfTwo,
    /// [`PeakEwma`].
    PeakEwma,
    /// [`HotCold`].
    HotCold,
    /// [`ExpectedDelay`].
    ExpectedDelay,
    /// [`LeastWork`].
    LeastWork,
    /// [`BoundedHash`].
    BoundedHash,
}

impl StrategyName {
    /// Every name, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::RoundRobin,
        Self::LeastLoaded,
        Self::Random,
        Self::CapabilityBest,
        Self::LatencyBased,
        Self::WeightedRoundRobin,
        Self::JoinIdle,
        Self::PowerOfTwo,
        Self::PeakEwma,
        Self::HotCold,
        Self::ExpectedDelay,
        Self::LeastWork,
        Self::BoundedHash,
    ];

    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastLoaded => "least_loaded",
            Self::Random => "random",
            Self::CapabilityBest => "capability_best",
            Self::LatencyBased => "latency_based",
            Self::WeightedRoundRobin => "weighted_round_robin",
            Self::JoinIdle => "join_idle",
            Self::PowerOfTwo => "power_of_two",
            Self::PeakEwma => "peak_ewma",
            Self::HotCold => "hot_cold",
            Self::ExpectedDelay => "expected_delay",
            Self::LeastWork => "least_work",
            Self::BoundedHash => "bounded_hash",
        }
    }

    /// The strategy at its defaults.
    pub fn build(self) -> Box<dyn Strategy> {
        match self {
            Self::RoundRobin => Box::new(RoundRobin::new()),
            Self::LeastLoaded => Box::new(LeastLoaded::new()),
            Self::Random => Box::new(Random::new()),
            Self::CapabilityBest => Box::new(CapabilityBest::new()),
            Self::LatencyBased => Box::new(LatencyBased::new()),
            Self::WeightedRoundRobin => Box::new(WeightedRoundRobin::new()),
            Self::JoinIdle => Box::new(JoinIdle::new()),
            Self::PowerOfTwo => Box::new(PowerOfTwo::new()),
            Self::PeakEwma => Box::new(PeakEwma::new()),
            Self::HotCold => Box::new(HotCold::new()),
            Self::ExpectedDelay => Box::new(ExpectedDelay::new()),
            Self::LeastWork => Box::new(LeastWork::new()),
            Self::BoundedHash => Box::new(BoundedHash::new()),
        }
    }

    /// Whether it picks by what is learnt from recorded tasks, and is blind without.
    pub(super) fn needs_tracking(self) -> bool {
        matches!(self, Self::LatencyBased | Self::PeakEwma | Self::HotCold | Self::ExpectedDelay)
    }

    /// What is allowed, for errors.
    pub(super) fn allowed() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StrategyName {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        if name == "weighted_round" {
            return Ok(Self::WeightedRoundRobin);
        }
        let known = Self::ALL.into_iter().find(|known| known.as_str() == name);
        known.ok_or_else(|| ConfigError::new("strategy", name, Self::allowed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_those_of_their_strategies() {
        for name in StrategyName::ALL {
            assert_eq!(name.to_string().parse::<StrategyName>().unwrap(), name);
            assert_eq!(name.build().name(), name.as_str());
        }
        assert_eq!("weighted_round".parse(), Ok(StrategyName::WeightedRoundRobin));
    }

    #[test]
    fn an_unknown_name_lists_what_is_known() {
        let error = "fastest".parse::<StrategyName>().unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("strategy is `fastest`, allowed is one of round_robin, "));
        assert!(StrategyName::ALL.iter().all(|name| message.contains(name.as_str())), "{message}");
    }

    /// What a pool asks of a strategy, through the box that configuration makes.
    #[test]
    fn each_strategy_says_what_it_needs_and_lets() {
        let those = |says: fn(&Box<dyn Strategy>) -> bool| -> Vec<_> {
            StrategyName::ALL.into_iter().filter(|name| says(&name.build())).collect()
        };
        use StrategyName::*;
        let steal = [RoundRobin, LeastLoaded, Random, JoinIdle, PowerOfTwo, LeastWork];
        assert_eq!(those(Strategy::lets_steal), steal);
        let age = [LatencyBased, PeakEwma, HotCold, ExpectedDelay, LeastWork];
        assert_eq!(those(Strategy::reads_age), age);
        assert_eq!(those(Strategy::routes_keys), [BoundedHash]);
        assert!(!crate::LatencyBased::unguarded().reads_age());
    }
}
