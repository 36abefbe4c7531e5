//! The Azure LLM inference traces: `TIMESTAMP,ContextTokens,GeneratedTokens`.

use std::time::Duration;

use jiff::civil::DateTime;

use super::arrivals::{Arrivals, LONGEST};
use super::columns::Lines;
use super::error::Fault;
use crate::workload::Request;

/// The header.
pub const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";

const COLUMNS: [&str; 3] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

/// The service time of a token: the traces contain tokens, not durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenCost {
    /// Milliseconds per context token.
    pub context_ms: f64,
    /// Milliseconds per generated token.
    pub generated_ms: f64,
}

impl Default for TokenCost {
    fn default() -> Self {
        Self { context_ms: 0.5, generated_ms: 20.0 }
    }
}

impl TokenCost {
    fn service(self, context: u32, generated: u32) -> Option<Duration> {
        let ms = f64::from(context) * self.context_ms + f64::from(generated) * self.generated_ms;
        Duration::try_from_secs_f64(ms / 1e3).ok().filter(|service| *service <= LONGEST)
    }
}

/// Reads the requests after the header.
pub fn requests(
    bytes: &[u8],
    cost: TokenCost,
) -> impl Iterator<Item = Result<Request, Fault>> + '_ {
    let mut arrivals = Arrivals::default();
    let mut first = None;
    Lines::new(bytes, &COLUMNS, HEADER).map(move |line| {
        let line = line?;
        let time: DateTime =
            line.value(0, "a time like `2023-11-16 18:17:03.9799600`", |text| text.parse().ok())?;
        let since_first = Duration::try_from(time.duration_since(*first.get_or_insert(time)))
            .map_err(|_| Arrivals::out_of_order(&line))?;
        let tokens =
            |column| line.value(column, "a whole number of tokens", |text| text.parse().ok());
        let service = cost
            .service(tokens(1)?, tokens(2)?)
            .ok_or_else(|| line.fault(2, "tokens that cost at most a year of service"))?;
        Ok(Request {
            arrival: arrivals.since_first(since_first, &line)?,
            service,
            capability: None,
            key: None,
        })
    })
}
