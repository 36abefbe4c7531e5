//! Balancers from code, text, serde and the environment.

mod balancer;
mod error;
mod name;
#[cfg(feature = "serde")]
mod serialised;
mod settings;

pub use error::ConfigError;
pub use name::StrategyName;
pub use settings::BalancerConfig;
