//! raddle's own trace format: `arrival_us,capability,service_us` and optionally `key`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::arrivals::{Arrivals, LONGEST};
use super::columns::{Line, Lines};
use super::error::Fault;
use crate::workload::{CapabilityNames, Request};

/// The header without keys.
pub const HEADER: &str = "arrival_us,capability,service_us";
/// The header with keys.
pub const HEADER_WITH_KEY: &str = "arrival_us,capability,service_us,key";

const COLUMNS: [&str; 4] = ["arrival_us", "capability", "service_us", "key"];
const MICROSECONDS: &str = "a whole number of microseconds, at most a year";

/// Reads the requests after the header, and adds their capabilities to `names`.
pub fn requests<'a>(
    bytes: &'a [u8],
    with_key: bool,
    names: &'a mut CapabilityNames,
) -> impl Iterator<Item = Result<Request, Fault>> + 'a {
    let (columns, header) =
        if with_key { (&COLUMNS[..], HEADER_WITH_KEY) } else { (&COLUMNS[..3], HEADER) };
    let mut arrivals = Arrivals::default();
    Lines::new(bytes, columns, header).map(move |line| {
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

fn capability(line: &Line, names: &mut CapabilityNames) -> Result<Option<u8>, Fault> {
    let name =
        line.value(1, "a capability name in UTF-8, or nothing", |text| Some(text.to_owned()))?;
    if name.is_empty() {
        return Ok(None);
    }
    let expected = "one of the 128 capabilities named above (there can be no more)";
    names.number(&name).map(Some).ok_or_else(|| line.fault(1, expected))
}

fn key(line: &Line) -> Result<Option<u64>, Fault> {
    let hash = |text: &str| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Some((!text.is_empty()).then(|| hasher.finish()))
    };
    line.value(3, "a key in UTF-8, or nothing", hash)
}
