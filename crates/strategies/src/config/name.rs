use std::fmt;
use std::str::FromStr;

use super::error::ConfigError;
use crate::{
    BoundedHash, CapabilityBest, ExpectedDelay, HotCold, JoinIdle, LatencyBased, LeastLoaded,
    LeastWork, PeakEwma, PowerOfTwo, Random, RoundRobin, Strategy, WarmFirst, WeightedRoundRobin,
};

/// Defines [`StrategyName`] from the strategies' types and names, in the documentation's order.
macro_rules! strategies {
    ($first:ident $first_text:literal, $($name:ident $text:literal,)+) => {
        /// The name of a strategy, as configuration and the environment spell it.
        ///
        /// ```
        /// use raddle_strategies::StrategyName;
        ///
        /// let name: StrategyName = "least_loaded".parse()?;
        /// assert_eq!(name.to_string(), "least_loaded");
        /// # Ok::<(), raddle_strategies::ConfigError>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum StrategyName {
            #[doc = concat!("[`", stringify!($first), "`], `", $first_text, "`.")]
            $first,
            $(#[doc = concat!("[`", stringify!($name), "`], `", $text, "`.")] $name,)+
        }

        impl StrategyName {
            /// All names, in the order of the documentation.
            pub const ALL: [Self; 1 + [$($text),+].len()] = [Self::$first, $(Self::$name),+];

            /// The allowed values, for errors.
            pub(super) const ALLOWED: &str = concat!("one of ", $first_text, $(", ", $text),+);

            /// Returns the name as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$name => $text,)+
                }
            }

            /// Creates the strategy with its default parameters.
            pub fn build(self) -> Box<dyn Strategy> {
                match self {
                    Self::$first => Box::new($first::new()),
                    $(Self::$name => Box::new($name::new()),)+
                }
            }
        }
    };
}

strategies! {
    RoundRobin "round_robin",
    LeastLoaded "least_loaded",
    Random "random",
    CapabilityBest "capability_best",
    LatencyBased "latency_based",
    WeightedRoundRobin "weighted_round_robin",
    JoinIdle "join_idle",
    PowerOfTwo "power_of_two",
    PeakEwma "peak_ewma",
    HotCold "hot_cold",
    ExpectedDelay "expected_delay",
    LeastWork "least_work",
    BoundedHash "bounded_hash",
    WarmFirst "warm_first",
}

impl Default for StrategyName {
    /// Returns [`JoinIdle`](Self::JoinIdle).
    fn default() -> Self {
        Self::JoinIdle
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StrategyName {
    type Err = ConfigError;

    /// Parses a name; `weighted_round` also means `weighted_round_robin`.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        if name == "weighted_round" {
            return Ok(Self::WeightedRoundRobin);
        }
        let known = Self::ALL.into_iter().find(|known| known.as_str() == name);
        known.ok_or_else(|| ConfigError::new("strategy", name, Self::ALLOWED))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_match_their_strategies() {
        for name in StrategyName::ALL {
            assert_eq!(name.to_string().parse::<StrategyName>().unwrap(), name);
            assert_eq!(name.build().name(), name.as_str());
        }
        assert_eq!("weighted_round".parse(), Ok(StrategyName::WeightedRoundRobin));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "fastest".parse::<StrategyName>().unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("strategy is `fastest`, allowed is one of round_robin, "));
        assert!(StrategyName::ALL.iter().all(|name| message.contains(name.as_str())), "{message}");
    }

    #[test]
    fn each_strategy_reports_its_properties() {
        let those = |says: fn(&Box<dyn Strategy>) -> bool| -> Vec<_> {
            StrategyName::ALL.into_iter().filter(|name| says(&name.build())).collect()
        };
        use StrategyName::*;
        let steal = [RoundRobin, LeastLoaded, Random, JoinIdle, PowerOfTwo, LeastWork];
        assert_eq!(those(Strategy::lets_steal), steal);
        let age = [LatencyBased, PeakEwma, HotCold, ExpectedDelay, LeastWork, WarmFirst];
        assert_eq!(those(Strategy::reads_age), age);
        assert_eq!(those(Strategy::routes_keys), [BoundedHash, WarmFirst]);
        assert_eq!(those(Strategy::tells_keys_apart), [WarmFirst]);
        let tracked = [LatencyBased, PeakEwma, HotCold, ExpectedDelay, WarmFirst];
        assert_eq!(those(Strategy::needs_tracking), tracked);
    }
}
