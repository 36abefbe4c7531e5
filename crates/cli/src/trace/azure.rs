//! The Azure LLM inference traces: `TIMESTAMP,ContextTokens,GeneratedTokens`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::arrivals::{Arrivals, LONGEST};
use super::columns::Lines;
use super::error::Fault;
use crate::workload::Request;

/// The columns.
pub const COLUMNS: &[&str] = &["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

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
    lines: Lines<'_>,
    cost: TokenCost,
) -> impl Iterator<Item = Result<Request, Fault>> + '_ {
    let mut arrivals = Arrivals::default();
    let mut first = None;
    lines.of(COLUMNS).map(move |line| {
        let line = line?;
        let time = line.value(0, "a time like `2023-11-16 18:17:03.9799600`", Time::parse)?;
        let first = *first.get_or_insert(time);
        if time.has_offset != first.has_offset {
            return Err(line.fault(0, "offsets from UTC in all times of the trace, or in none"));
        }
        let since_first = Duration::try_from(time.at.duration_since(first.at))
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

/// A time of the trace.
#[derive(Clone, Copy)]
struct Time {
    at: Timestamp,
    has_offset: bool,
}

impl Time {
    /// Parses a date and a time of day, with or without an offset from UTC.
    ///
    /// Refuses what jiff would change or leave out: a date alone would be midnight, a leap second
    /// the second before, and the name of a time zone nothing.
    fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let has_time_of_day = bytes.get(13) == Some(&b':') && bytes.get(16) == Some(&b':');
        if !has_time_of_day || bytes.get(17) == Some(&b'6') || bytes.contains(&b'[') {
            return None;
        }
        if let Ok(at) = text.parse() {
            return Some(Self { at, has_offset: true });
        }
        let local: DateTime = text.parse().ok()?;
        let at = Offset::UTC.to_timestamp(local).ok()?;
        Some(Self { at, has_offset: false })
    }
}
