//! The tables of a scenario file, apart from its workers.

use std::time::Duration;

use raddle_core::{Capability, FastThreshold, Tracking};

use super::error::ParseError;
use super::planned::PlannedWorker;
use super::section::Section;
use super::{Cache, Dispatchers};
use crate::{Arrivals, Capabilities, Fault, FaultKind, Keys, Order, Service};

const SHARE: &str = "a share from 0 to 1";

pub fn read_share(section: &mut Section<'_>, key: &'static str) -> Result<Option<f64>, ParseError> {
    Ok(section.number(key, SHARE, is_share)?.map(|at| at.value))
}

fn is_share(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

pub fn read_service(mut section: Section<'_>) -> Result<Service, ParseError> {
    let kinds = ["exponential", "constant", "bimodal", "pareto"];
    let service = match section.choice("kind", &kinds)? {
        "exponential" => Service::Exponential { mean: section.required_time("mean")? },
        "constant" => Service::Constant(section.required_time("time")?),
        "bimodal" => Service::Bimodal {
            short: section.required_time("short")?,
            long: section.required_time("long")?,
            long_share: section.required_number("long_share", SHARE, is_share)?,
        },
        _ => {
            let mean = section.required_time("mean")?;
            let allowed = "a number above 1 and at most 100";
            let shape = section.required_number("shape", allowed, |x| x > 1.0 && x <= 100.0)?;
            let longest = section.required_time("longest")?;
            if longest <= mean {
                let mean = humantime::format_duration(mean);
                return Err(section.unsuitable_time(
                    "longest",
                    longest,
                    format!("above the mean, {mean}"),
                ));
            }
            Service::Pareto { mean, shape, longest }
        }
    };
    section.end()?;
    Ok(service)
}

/// `full_rate` is the rate, in tasks per second, that keeps every worker busy.
pub fn read_arrivals(mut section: Section<'_>, full_rate: f64) -> Result<Arrivals, ParseError> {
    let kind = section.choice("kind", &["poisson", "steady", "bursty"])?;
    let rate = section.number("rate", "tasks per second, a number above 0", is_positive)?;
    let load = section.number(
        "load",
        "a share of the workers' capacity, a number above 0 and at most 100",
        |x| x > 0.0 && x <= 100.0,
    )?;
    let rate = match (rate, load) {
        (Some(rate), None) => rate.value,
        (None, Some(load)) => load.value * full_rate,
        (Some(_), Some(load)) => return Err(load.error("only one of load and rate")),
        (None, None) => return Err(section.missing("load", "a load such as 0.9, or a rate")),
    };
    let arrivals = match kind {
        "poisson" => Arrivals::Poisson { rate },
        "steady" => Arrivals::Steady { rate },
        _ => {
            let burst_length = section.required_time("burst_length")?;
            let quiet_length = section.required_time("quiet_length")?;
            let (burst_s, quiet_s) = (burst_length.as_secs_f64(), quiet_length.as_secs_f64());
            // At most, every task arrives in a burst.
            let most = (burst_s + quiet_s) / burst_s;
            let allowed = format!(
                "a multiple of the mean rate, from 1 to {most:.6} with these lengths \
                 ((burst_length + quiet_length) / burst_length)"
            );
            let burst =
                section.required_number("burst", &allowed, |x| (1.0..=most).contains(&x))?;
            Arrivals::Bursty { rate, burst, burst_length, quiet_length }
        }
    };
    section.end()?;
    Ok(arrivals)
}

fn is_positive(number: f64) -> bool {
    number > 0.0 && number.is_finite()
}

pub fn read_capabilities(
    sections: Vec<Section<'_>>,
    workers: &[PlannedWorker],
) -> Result<Capabilities, ParseError> {
    let mut mix = Vec::new();
    for mut section in sections {
        let allowed = "a number above 0";
        let share = section.required_number("share", allowed, is_positive)?;
        let name = section.text("name", "the name of a capability")?;
        let capability = match name {
            None => None,
            Some(at) => {
                if !workers.iter().any(|worker| worker.plan.serves(at.value)) {
                    return Err(at.error("a capability that a worker serves"));
                }
                Some(Capability::intern(at.value).map_err(|error| at.error(error.to_string()))?)
            }
        };
        mix.push((capability, share));
        section.end()?;
    }
    Ok(if mix.is_empty() { Capabilities::None } else { Capabilities::Mix(mix) })
}

pub fn read_keys(mut section: Section<'_>) -> Result<Keys, ParseError> {
    let most = format!("a whole number from 1 to {}", u32::MAX);
    let count = section.whole_number("count", 1)?;
    let count = count.ok_or_else(|| section.missing("count", most.as_str()))?;
    let exponent =
        section.number("exponent", "a number from 0 to 10", |x| (0.0..=10.0).contains(&x))?;
    let keys = Keys::Zipf {
        count: u32::try_from(count.value).map_err(|_| count.error(most))?,
        exponent: exponent.map_or(1.0, |at| at.value),
    };
    section.end()?;
    Ok(keys)
}

pub fn read_order(file: &mut Section<'_>) -> Result<Option<Order>, ParseError> {
    let names = Order::ALL.map(Order::as_str);
    let allowed = format!("one of {}", names.join(", "));
    let Some(at) = file.text("order", &allowed)? else { return Ok(None) };
    let order = Order::ALL.into_iter().find(|order| order.as_str() == at.value);
    order.map(Some).ok_or_else(|| at.error(allowed))
}

pub fn read_cache(mut section: Section<'_>) -> Result<Cache, ParseError> {
    let keys = section.whole_number("keys", 1)?;
    let keys = keys.ok_or_else(|| section.missing("keys", "a whole number of at least 1"))?;
    let cache = Cache {
        keys: usize::try_from(keys.value).unwrap_or(usize::MAX),
        cold_cost: section.required_time("cold_cost")?,
    };
    section.end()?;
    Ok(cache)
}

pub fn read_dispatchers(mut section: Section<'_>) -> Result<Dispatchers, ParseError> {
    let allowed = "a whole number from 1 to 1024";
    let count = section.whole_number("count", 1)?;
    let count = count.ok_or_else(|| section.missing("count", allowed))?;
    if count.value > 1_024 {
        return Err(count.error(allowed));
    }
    let sync_interval = section.time_or_zero("sync_interval")?.unwrap_or(Duration::ZERO);
    section.end()?;
    Ok(Dispatchers { count: count.value as usize, sync_interval })
}

pub fn read_fault(
    mut section: Section<'_>,
    workers: &[PlannedWorker],
) -> Result<Fault, ParseError> {
    let kind = match section.choice("kind", &["hang", "fail_fast", "slow_down", "restart"])? {
        "hang" => FaultKind::Hang,
        "fail_fast" => FaultKind::FailFast { after: section.required_time("after")? },
        "slow_down" => {
            let allowed = "a number from 0.001 to 1000000, above 1 for slower";
            let factor =
                section.required_number("factor", allowed, |x| (1e-3..=1e6).contains(&x))?;
            FaultKind::SlowDown { factor }
        }
        _ => FaultKind::Restart,
    };
    let last = workers.len() - 1;
    let allowed = format!("a worker's position, 0 to {last}, or its name");
    let worker = section.number_or_text("worker", &allowed)?;
    let worker = worker.ok_or_else(|| section.missing("worker", allowed.as_str()))?;
    let position = match worker.value {
        Ok(position) => usize::try_from(position).ok().filter(|position| *position <= last),
        Err(name) => workers.iter().position(|worker| worker.plan.name == name),
    };
    let fault = Fault {
        worker: position.ok_or_else(|| worker.error(allowed))?,
        at: section.time_or_zero("at")?.unwrap_or(Duration::ZERO),
        duration: section.time("duration")?,
        kind,
    };
    section.end()?;
    Ok(fault)
}

pub fn read_tracking(mut section: Section<'_>) -> Result<Tracking, ParseError> {
    let mut tracking = Tracking::default();
    if let Some(enabled) = section.boolean("enabled")? {
        tracking.enabled = enabled;
    }
    let allowed = format!("a whole number from 1 to {}", Tracking::MAX_WINDOW);
    if let Some(at) = section.whole_number("window_size", 1)? {
        let window = usize::try_from(at.value).ok().filter(|x| *x <= Tracking::MAX_WINDOW);
        tracking.window = window.ok_or_else(|| at.error(allowed))?;
    }
    let allowed = "a number of at least 0 and below 1";
    if let Some(at) = section.number("history_decay", allowed, |x| (0.0..1.0).contains(&x))? {
        tracking.history_decay = at.value;
    }
    let allowed = "\"pool_mean\" or a duration such as \"500us\"";
    if let Some(at) = section.text("fast_threshold", allowed)? {
        tracking.fast = match at.value {
            "pool_mean" => FastThreshold::PoolMean,
            time => FastThreshold::Fixed(
                humantime::parse_duration(time).map_err(|_| at.error(allowed))?,
            ),
        };
    }
    let allowed = "a number of at least 0";
    if let Some(at) = section.number("failure_penalty", allowed, |x| x >= 0.0 && x.is_finite())? {
        tracking.failure_penalty = at.value;
    }
    if let Some(time) = section.time("peak_decay")? {
        let range = Tracking::MIN_PEAK_DECAY..=Tracking::MAX_PEAK_DECAY;
        if !range.contains(&time) {
            let allowed = format!("{:?} to {:?}", range.start(), range.end());
            return Err(section.unsuitable_time("peak_decay", time, allowed));
        }
        tracking.peak_decay = time;
    }
    section.end()?;
    Ok(tracking)
}
