//! raddle's own trace format: `arrival_us,capability,service_us` and optionally `key`.

use std::time::Duration;

use super::arrivals::{Arrivals, LONGEST};
use super::columns::{Line, Lines};
use super::error::Fault;
use crate::workload::{CapabilityNames, Request};

/// The columns without keys.
pub const COLUMNS: &[&str] = &["arrival_us", "capability", "service_us"];
/// The columns with keys.
pub const COLUMNS_WITH_KEY: &[&str] = &["arrival_us", "capability", "service_us", "key"];

const MICROSECONDS: &str = "a whole number of microseconds, at most a year";

/// Reads the requests after the header, and adds their capabilities to `names`.
pub fn requests<'a>(
    lines: Lines<'a>,
    with_key: bool,
    names: &'a mut CapabilityNames,
) -> impl Iterator<Item = Result<Request, Fault>> + 'a {
    let columns = if with_key { COLUMNS_WITH_KEY } else { COLUMNS };
    let mut arrivals = Arrivals::default();
    lines.of(columns).map(move |line| {
        let line = line?;
        let arrival = line.value(0, "a whole number of microseconds", |text| text.parse().ok())?;
        Ok(Request {
            arrival: arrivals.since_first(Duration::from_micros(arrival), &line)?,
            service: line.value(2, MICROSECONDS, duration)?,
            capability: capability(&line, names)?,
            key: if with_key { key(&line)? } else { None },
        })
    })
}

fn duration(microseconds: &str) -> Option<Duration> {
    let duration = Duration::from_micros(microseconds.parse().ok()?);
    (duration <= LONGEST).then_some(duration)
}

fn capability(line: &Line<'_>, names: &mut CapabilityNames) -> Result<Option<u8>, Fault> {
    let is_name = |text: &&str| text.trim() == *text && !text.contains(char::is_control);
    let expected = "a capability name in UTF-8, without spaces at its ends and control \
                    characters, or nothing";
    let name = line.value(1, expected, |text| Some(text).filter(is_name).map(str::to_owned))?;
    if name.is_empty() {
        return Ok(None);
    }
    let expected = "one of the 128 capabilities named above (there can be no more)";
    names.number(&name).map(Some).ok_or_else(|| line.fault(1, expected))
}

fn key(line: &Line<'_>) -> Result<Option<u64>, Fault> {
    let hash = |text: &str| Some((!text.is_empty()).then(|| raddle::hash::of(text)));
    line.value(3, "a key in UTF-8, or nothing", hash)
}
