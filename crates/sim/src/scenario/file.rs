//! Scenarios as TOML.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use raddle_core::{Capability, FastThreshold, Tracking};
use thiserror::Error;
use toml::de::DeTable;

use super::section::{Section, line_of};
use super::{Dispatchers, Scenario, SimWorker};
use crate::{
    Arrivals, Capabilities, Fault, FaultKind, Keys, Load, Service, WorkerPlan, Workers,
    WorkersError,
};

/// Why a file gives no scenario.
#[derive(Debug, Error)]
pub enum FileError {
    /// It could not be read.
    #[error("cannot read the scenario {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What it holds is no scenario.
    #[error("{}: {fault}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        fault: FileFault,
    },
}

/// What is wrong inside a scenario file.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum FileFault {
    /// It is not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Where.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// A key that means nothing there.
    #[error("line {line}: the key `{key}` is not known, known here are {known}")]
    Unknown {
        /// Where.
        line: usize,
        /// The key.
        key: String,
        /// The keys that are known in its place.
        known: String,
    },
    /// A key that must be there and is not.
    #[error("line {line}: {key} is missing, allowed is {allowed}")]
    Missing {
        /// Where the table begins that it should be in.
        line: usize,
        /// The key.
        key: String,
        /// What it may be.
        allowed: String,
    },
    /// A value that cannot be.
    #[error("line {line}: {key} is `{value}`, allowed is {allowed}")]
    Value {
        /// Where.
        line: usize,
        /// The key.
        key: String,
        /// What it was set to.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// Workers that cannot be.
    #[error("line {line}: workers: {source}")]
    Workers {
        /// Where.
        line: usize,
        /// What is wrong with them.
        source: WorkersError,
    },
}

/// A worker with what can be known of it before it is one.
struct Planned {
    plan: WorkerPlan,
    weight: u32,
}

impl Scenario {
    /// Loads a scenario from a file; see [`from_toml`](Self::from_toml).
    ///
    /// # Errors
    /// When the file cannot be read or is no scenario.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::load_file(path.as_ref(), None)
    }

    /// The same with other workers than those of the file. A load is then a share of what these can
    /// do, a rate stays, and faults are at these.
    ///
    /// # Errors
    /// When the file cannot be read or is no scenario, with its own workers or these.
    pub fn load_with_workers(path: impl AsRef<Path>, workers: &Workers) -> Result<Self, FileError> {
        Self::load_file(path.as_ref(), Some(workers))
    }

    fn load_file(path: &Path, workers: Option<&Workers>) -> Result<Self, FileError> {
        let text = fs::read_to_string(path)
            .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
        Self::read(&text, workers)
            .map_err(|fault| FileError::Fault { path: path.to_owned(), fault })
    }

    /// A scenario as TOML. Times are texts such as `"5ms"`; `docs/scenarios/` has an example of
    /// every key.
    ///
    /// ```
    /// use raddle_sim::Scenario;
    ///
    /// let scenario = Scenario::from_toml(
    ///     r#"
    ///     workers = "4x1.0,2x0.5"
    ///     tasks = 10_000
    ///     [arrivals]
    ///     kind = "poisson"
    ///     load = 0.9
    ///     [service]
    ///     kind = "exponential"
    ///     mean = "2ms"
    ///     "#,
    /// )?;
    /// assert_eq!((scenario.workers.len(), scenario.warm_up), (6, 1_000));
    /// # Ok::<(), raddle_sim::FileFault>(())
    /// ```
    ///
    /// | key | value | without it |
    /// |---|---|---|
    /// | `workers` | as [`Workers`]: `"4x1.0:code,2x0.5"` | those of `[[worker]]` only |
    /// | `[[worker]]` | `name`, `count`, `speed`, `weight`, `capabilities` | none but `workers` |
    /// | `tasks` | a whole number | a million |
    /// | `warm_up` | a whole number | a tenth of them |
    /// | `seed` | a whole number | 1 |
    /// | `deadline` | a time | none |
    /// | `mailbox` | tasks that may wait for a worker | room for all |
    /// | `failing` | a share | 0 |
    /// | `sizes_known`, `stealing` | `true` or `false` | `false` |
    /// | `refresh_every` | a time | 1 s |
    /// | `sample_every` | a time | queues are not noted |
    /// | `[arrivals]` | `kind` = `poisson`, `steady` or `bursty` (`burst`, `burst_length`, `quiet_length`); `rate`, or `load` of the workers' capacity | an error |
    /// | `[service]` | `kind` = `exponential` (`mean`), `constant` (`time`), `bimodal` (`short`, `long`, `long_share`), `pareto` (`mean`, `shape`, `longest`) | an error |
    /// | `[[capability]]` | `share`, and `name` unless it is of the tasks that ask for none | no task asks for one |
    /// | `[keys]` | `count`, `exponent` | no keys |
    /// | `[dispatchers]` | `count`, `news_every` | one |
    /// | `[[fault]]` | `kind` = `hang`, `fail_fast` (`after`), `slow_down` (`factor`), `restart`; `worker` by position or name, `at`, `lasting` | none |
    /// | `[tracking]` | `enabled`, `window_size`, `history_decay`, `fast_threshold`, `failure_penalty`, `peak_decay` | [`Tracking::default`] |
    ///
    /// # Errors
    /// The first thing that is wrong: its line, key and value, and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, FileFault> {
        Self::read(text, None)
    }

    fn read(text: &str, instead: Option<&Workers>) -> Result<Self, FileFault> {
        let parsed = DeTable::parse(text).map_err(|error| FileFault::Syntax {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().replace('\n', ", "),
        })?;
        let mut file = Section::whole(text, parsed.get_ref());
        let mut planned = read_workers(&mut file)?;
        if let Some(workers) = instead {
            planned = planned_of(workers);
        }
        let worker = |planned: &Planned| SimWorker {
            spec: planned.plan.spec().weight(planned.weight),
            speed: planned.plan.speed,
        };
        let workers: Vec<SimWorker> = planned.iter().map(worker).collect();

        let service = file.section("service")?;
        let service = service.ok_or_else(|| file.missing("service", "a table [service]"))?;
        let service = read_service(service)?;
        let capacity: f64 = workers.iter().map(|worker| worker.speed).sum();
        let full_rate = capacity / service.mean();
        let arrivals = file.section("arrivals")?;
        let arrivals = arrivals.ok_or_else(|| file.missing("arrivals", "a table [arrivals]"))?;
        let arrivals = read_arrivals(arrivals, full_rate)?;
        let load = Load {
            capabilities: read_capabilities(file.sections("capability")?, &planned)?,
            keys: file.section("keys")?.map_or(Ok(Keys::None), read_keys)?,
            ..Load::new(arrivals, service)
        };

        let mut scenario = Self::new(workers, load);
        if let Some(tasks) = file.whole_number("tasks", 1)? {
            scenario.tasks = tasks.value;
            scenario.warm_up = tasks.value / 10;
        }
        if let Some(warm_up) = file.whole_number("warm_up", 0)? {
            if warm_up.value >= scenario.tasks {
                return Err(warm_up.fault(format!("below tasks, which is {}", scenario.tasks)));
            }
            scenario.warm_up = warm_up.value;
        }
        scenario.seed = file.whole_number("seed", 0)?.map_or(scenario.seed, |at| at.value);
        scenario.deadline = file.time("deadline")?;
        scenario.mailbox = match file.whole_number("mailbox", 1)? {
            Some(at) => Some(usize::try_from(at.value).unwrap_or(usize::MAX)),
            None => None,
        };
        scenario.failing = share(&mut file, "failing")?.unwrap_or(0.0);
        scenario.sizes_known = file.truth("sizes_known")?.unwrap_or(false);
        scenario.stealing = file.truth("stealing")?.unwrap_or(false);
        scenario.refresh_every = file.time("refresh_every")?.unwrap_or(scenario.refresh_every);
        scenario.sample_every = file.time("sample_every")?;
        if let Some(section) = file.section("dispatchers")? {
            scenario.dispatchers = read_dispatchers(section)?;
        }
        let faults = file.sections("fault")?.into_iter();
        scenario.faults =
            faults.map(|fault| read_fault(fault, &planned)).collect::<Result<_, _>>()?;
        if let Some(section) = file.section("tracking")? {
            scenario.tracking = read_tracking(section)?;
        }
        file.end()?;
        Ok(scenario)
    }
}

fn share(section: &mut Section<'_>, key: &'static str) -> Result<Option<f64>, FileFault> {
    let value = section.number(key, "a share from 0 to 1", |x| (0.0..=1.0).contains(&x))?;
    Ok(value.map(|at| at.value))
}

fn planned_of(workers: &Workers) -> Vec<Planned> {
    workers.plans().into_iter().map(|plan| Planned { plan, weight: 1 }).collect()
}

/// Those of the line `workers` first, then those of each `[[worker]]`.
fn read_workers(file: &mut Section<'_>) -> Result<Vec<Planned>, FileFault> {
    let allowed = "workers such as \"4x1.0:code,2x0.5\", or tables [[worker]]";
    let mut all: Vec<Planned> = Vec::new();
    if let Some(at) = file.text("workers", allowed)? {
        let workers: Workers =
            at.value.parse().map_err(|source| FileFault::Workers { line: at.line(), source })?;
        all = planned_of(&workers);
    }
    for mut section in file.sections("worker")? {
        let name = section.text("name", "a name, such as \"gpu\"")?;
        let most = (Workers::MOST - all.len()) as u64;
        let count = match section.whole_number("count", 1)? {
            Some(at) if at.value > most => {
                let most = Workers::MOST;
                return Err(at.fault(format!("a whole number, and at most {most} in all")));
            }
            count => count.map_or(1, |at| at.value),
        };
        let speed = section
            .number("speed", "a number from 0.001 to 1000", |x| (1e-3..=1e3).contains(&x))?
            .map_or(1.0, |at| at.value);
        let weight = match section.whole_number("weight", 0)? {
            Some(at) => u32::try_from(at.value)
                .map_err(|_| at.fault(format!("a whole number of at most {}", u32::MAX)))?,
            None => 1,
        };
        let capabilities: Vec<String> =
            section.texts("capabilities")?.into_iter().map(str::to_owned).collect();
        let kind = match &name {
            Some(at) => at.value.to_owned(),
            None if capabilities.is_empty() => "any".into(),
            None => capabilities.join("+"),
        };
        for _ in 0..count {
            // As it is called if it is one worker, else numbered.
            let numbered = format!("{kind}-{}", all.len());
            let name = if name.is_some() && count == 1 { kind.clone() } else { numbered };
            let plan = WorkerPlan { name, speed, capabilities: capabilities.clone() };
            all.push(Planned { plan, weight });
        }
        let mut seen = HashSet::new();
        if let Some(twice) = all.iter().find(|worker| !seen.insert(&worker.plan.name)) {
            let allowed = format!("a name but `{}`, which is taken", twice.plan.name);
            return Err(match name {
                Some(at) => at.fault(allowed),
                None => section.missing("name", allowed),
            });
        }
        section.end()?;
    }
    if all.is_empty() {
        return Err(file.missing("workers", allowed));
    }
    Ok(all)
}

fn read_service(mut section: Section<'_>) -> Result<Service, FileFault> {
    let kinds = ["exponential", "constant", "bimodal", "pareto"];
    let service = match section.choice("kind", &kinds)? {
        "exponential" => Service::Exponential { mean: section.needed_time("mean")? },
        "constant" => Service::Constant(section.needed_time("time")?),
        "bimodal" => Service::Bimodal {
            short: section.needed_time("short")?,
            long: section.needed_time("long")?,
            long_share: {
                let missing = section.missing("long_share", "a share from 0 to 1");
                share(&mut section, "long_share")?.ok_or(missing)?
            },
        },
        _ => {
            let mean = section.needed_time("mean")?;
            let allowed = "a number above 1 and at most 100";
            let shape = section.number("shape", allowed, |x| x > 1.0 && x <= 100.0)?;
            let shape = shape.ok_or_else(|| section.missing("shape", allowed))?.value;
            let longest = section.needed_time("longest")?;
            if longest <= mean {
                let mean = humantime::format_duration(mean);
                return Err(section.unfit("longest", longest, format!("above the mean, {mean}")));
            }
            Service::Pareto { mean, shape, longest }
        }
    };
    section.end()?;
    Ok(service)
}

/// `full_rate` is that of the workers at work without a pause.
fn read_arrivals(mut section: Section<'_>, full_rate: f64) -> Result<Arrivals, FileFault> {
    let kind = section.choice("kind", &["poisson", "steady", "bursty"])?;
    let rate = section.number("rate", "tasks a second, a number above 0", above_zero)?;
    let load = section.number(
        "load",
        "a share of what the workers can do, a number above 0 and at most 100",
        |x| x > 0.0 && x <= 100.0,
    )?;
    let rate = match (rate, load) {
        (Some(rate), None) => rate.value,
        (None, Some(load)) => load.value * full_rate,
        (Some(_), Some(load)) => return Err(load.fault("absent where there is a rate")),
        (None, None) => return Err(section.missing("load", "a load such as 0.9, or a rate")),
    };
    let arrivals = match kind {
        "poisson" => Arrivals::Poisson { rate },
        "steady" => Arrivals::Steady { rate },
        _ => {
            let burst_length = section.needed_time("burst_length")?;
            let quiet_length = section.needed_time("quiet_length")?;
            let (burst_s, quiet_s) = (burst_length.as_secs_f64(), quiet_length.as_secs_f64());
            // At most all tasks come within bursts.
            let most = (burst_s + quiet_s) / burst_s;
            let allowed = format!(
                "a multiple of the mean rate, from 1 to {most:.6} with these lengths \
                 ((burst_length + quiet_length) / burst_length)"
            );
            let burst = section.number("burst", &allowed, |x| (1.0..=most).contains(&x))?;
            let burst = burst.ok_or_else(|| section.missing("burst", allowed))?.value;
            Arrivals::Bursty { rate, burst, burst_length, quiet_length }
        }
    };
    section.end()?;
    Ok(arrivals)
}

fn above_zero(number: f64) -> bool {
    number > 0.0 && number.is_finite()
}

fn read_capabilities(
    sections: Vec<Section<'_>>,
    workers: &[Planned],
) -> Result<Capabilities, FileFault> {
    let mut mix = Vec::new();
    for mut section in sections {
        let allowed = "a number above 0";
        let share = section.number("share", allowed, above_zero)?;
        let share = share.ok_or_else(|| section.missing("share", allowed))?.value;
        let name = section.text("name", "the name of a capability")?;
        let capability = match name {
            None => None,
            Some(at) => {
                if !workers.iter().any(|worker| worker.plan.serves(at.value)) {
                    return Err(at.fault("a capability that a worker serves"));
                }
                Some(Capability::intern(at.value).map_err(|error| at.fault(error.to_string()))?)
            }
        };
        mix.push((capability, share));
        section.end()?;
    }
    Ok(if mix.is_empty() { Capabilities::None } else { Capabilities::Mix(mix) })
}

fn read_keys(mut section: Section<'_>) -> Result<Keys, FileFault> {
    let most = format!("a whole number from 1 to {}", u32::MAX);
    let count = section.whole_number("count", 1)?;
    let count = count.ok_or_else(|| section.missing("count", most.as_str()))?;
    let exponent =
        section.number("exponent", "a number from 0 to 10", |x| (0.0..=10.0).contains(&x))?;
    let keys = Keys::Zipf {
        count: u32::try_from(count.value).map_err(|_| count.fault(most))?,
        exponent: exponent.map_or(1.0, |at| at.value),
    };
    section.end()?;
    Ok(keys)
}

fn read_dispatchers(mut section: Section<'_>) -> Result<Dispatchers, FileFault> {
    let allowed = "a whole number from 1 to 1024";
    let count = section.whole_number("count", 1)?;
    let count = count.ok_or_else(|| section.missing("count", allowed))?;
    if count.value > 1_024 {
        return Err(count.fault(allowed));
    }
    let news_every = section.time_or_zero("news_every")?.unwrap_or(Duration::ZERO);
    section.end()?;
    Ok(Dispatchers { count: count.value as usize, news_every })
}

fn read_fault(mut section: Section<'_>, workers: &[Planned]) -> Result<Fault, FileFault> {
    let kind = match section.choice("kind", &["hang", "fail_fast", "slow_down", "restart"])? {
        "hang" => FaultKind::Hang,
        "fail_fast" => FaultKind::FailFast { after: section.needed_time("after")? },
        "slow_down" => {
            let allowed = "a number from 0.001 to 1000000, above 1 for slower";
            let factor = section.number("factor", allowed, |x| (1e-3..=1e6).contains(&x))?;
            let factor = factor.ok_or_else(|| section.missing("factor", allowed))?.value;
            FaultKind::SlowDown { factor }
        }
        _ => FaultKind::Restart,
    };
    let last = workers.len() - 1;
    let allowed = format!("a worker's position, 0 to {last}, or its name");
    let worker = section.number_or_text("worker", &allowed)?;
    let worker = worker.ok_or_else(|| section.missing("worker", allowed.as_str()))?;
    let place = match worker.value {
        Ok(place) => usize::try_from(place).ok().filter(|place| *place <= last),
        Err(name) => workers.iter().position(|worker| worker.plan.name == name),
    };
    let fault = Fault {
        worker: place.ok_or_else(|| worker.fault(allowed))?,
        at: section.time_or_zero("at")?.unwrap_or(Duration::ZERO),
        lasting: section.time("lasting")?,
        kind,
    };
    section.end()?;
    Ok(fault)
}

fn read_tracking(mut section: Section<'_>) -> Result<Tracking, FileFault> {
    let mut tracking = Tracking::default();
    if let Some(enabled) = section.truth("enabled")? {
        tracking.enabled = enabled;
    }
    let allowed = format!("a whole number from 1 to {}", Tracking::MAX_WINDOW);
    if let Some(at) = section.whole_number("window_size", 1)? {
        let window = usize::try_from(at.value).ok().filter(|x| *x <= Tracking::MAX_WINDOW);
        tracking.window = window.ok_or_else(|| at.fault(allowed))?;
    }
    let allowed = "a number of at least 0 and below 1";
    if let Some(at) = section.number("history_decay", allowed, |x| (0.0..1.0).contains(&x))? {
        tracking.history_decay = at.value;
    }
    let allowed = "\"pool_mean\" or a time such as \"500us\"";
    if let Some(at) = section.text("fast_threshold", allowed)? {
        tracking.fast = match at.value {
            "pool_mean" => FastThreshold::PoolMean,
            time => FastThreshold::Fixed(
                humantime::parse_duration(time).map_err(|_| at.fault(allowed))?,
            ),
        };
    }
    let allowed = "a factor of at least 0";
    if let Some(at) = section.number("failure_penalty", allowed, |x| x >= 0.0 && x.is_finite())? {
        tracking.failure_penalty = at.value;
    }
    if let Some(time) = section.time("peak_decay")? {
        let range = Tracking::MIN_PEAK_DECAY..=Tracking::MAX_PEAK_DECAY;
        if !range.contains(&time) {
            let allowed = format!("{:?} to {:?}", range.start(), range.end());
            return Err(section.unfit("peak_decay", time, allowed));
        }
        tracking.peak_decay = time;
    }
    section.end()?;
    Ok(tracking)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raddle_core::WorkerSpec;

    use super::*;

    const LOAD: &str = "[arrivals]\nkind = \"poisson\"\nload = 0.5\n\
                        [service]\nkind = \"constant\"\ntime = \"2ms\"\n";

    fn read(text: &str) -> Result<Scenario, FileFault> {
        Scenario::from_toml(text)
    }

    /// A scenario of these lines at the top, and an ordinary load below.
    fn with(top: &str) -> Result<Scenario, FileFault> {
        read(&format!("{top}\n{LOAD}"))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_not_said_is_at_its_default() {
        let scenario = with("workers = \"2x1.0,1x2.0\"").unwrap();
        // Half of what four workers of speed 1 do at 2 ms a task.
        let load = Load::new(Arrivals::Poisson { rate: 1_000.0 }, Service::Constant(ms(2)));
        let workers: Workers = "2x1.0,1x2.0".parse().unwrap();
        assert_eq!(scenario, Scenario::new(workers.simulated(), load));
    }

    #[test]
    fn every_key_is_read() {
        let scenario = read(
            r#"
            workers = "1x1.0:code"
            tasks = 5_000
            warm_up = 100
            seed = 7
            deadline = "1s"
            mailbox = 64
            failing = 0.01
            sizes_known = true
            stealing = true
            refresh_every = "100ms"
            sample_every = "10ms"
            [[worker]]
            name = "gpu"
            count = 2
            speed = 2.5
            weight = 3
            capabilities = ["code", "chat"]
            [[worker]]
            name = "old"
            speed = 0.5
            [arrivals]
            kind = "bursty"
            rate = 500
            burst = 3
            burst_length = "10ms"
            quiet_length = "40ms"
            [service]
            kind = "pareto"
            mean = "1ms"
            shape = 1.5
            longest = "1s"
            [[capability]]
            name = "code"
            share = 0.7
            [[capability]]
            share = 0.3
            [keys]
            count = 100
            exponent = 0.9
            [dispatchers]
            count = 4
            news_every = "5ms"
            [[fault]]
            kind = "hang"
            worker = "old"
            at = "1s"
            lasting = "2s"
            [[fault]]
            kind = "fail_fast"
            worker = 0
            after = "10us"
            [[fault]]
            kind = "slow_down"
            worker = 1
            factor = 10
            [[fault]]
            kind = "restart"
            worker = 2
            [tracking]
            enabled = true
            window_size = 50
            history_decay = 0.5
            fast_threshold = "1ms"
            failure_penalty = 3
            peak_decay = "2s"
            "#,
        )
        .unwrap();
        let names: Vec<_> = scenario.workers.iter().map(|worker| worker.spec.name()).collect();
        assert_eq!(names, ["code-0", "gpu-1", "gpu-2", "old"]);
        assert_eq!(scenario.workers[2].speed, 2.5);
        let gpu = WorkerSpec::new("gpu-2").capability("code").capability("chat").weight(3);
        assert_eq!(scenario.workers[2].spec, gpu);
        assert_eq!((scenario.tasks, scenario.warm_up, scenario.seed), (5_000, 100, 7));
        assert_eq!((scenario.deadline, scenario.mailbox), (Some(ms(1_000)), Some(64)));
        assert!(scenario.sizes_known && scenario.stealing && scenario.failing == 0.01);
        assert_eq!((scenario.refresh_every, scenario.sample_every), (ms(100), Some(ms(10))));
        let (rate, burst, burst_length, quiet_length) = (500.0, 3.0, ms(10), ms(40));
        assert_eq!(
            scenario.load,
            Load {
                arrivals: Arrivals::Bursty { rate, burst, burst_length, quiet_length },
                service: Service::Pareto { mean: ms(1), shape: 1.5, longest: ms(1_000) },
                capabilities: Capabilities::Mix(vec![
                    (Some(Capability::intern("code").unwrap()), 0.7),
                    (None, 0.3)
                ]),
                keys: Keys::Zipf { count: 100, exponent: 0.9 },
            }
        );
        assert_eq!(scenario.dispatchers, Dispatchers { count: 4, news_every: ms(5) });
        let fault = |worker, at, lasting, kind| Fault { worker, at: ms(at), lasting, kind };
        assert_eq!(
            scenario.faults,
            [
                fault(3, 1_000, Some(ms(2_000)), FaultKind::Hang),
                fault(0, 0, None, FaultKind::FailFast { after: Duration::from_micros(10) }),
                fault(1, 0, None, FaultKind::SlowDown { factor: 10.0 }),
                fault(2, 0, None, FaultKind::Restart),
            ]
        );
        let (window, history_decay, failure_penalty) = (50, 0.5, 3.0);
        let fast = FastThreshold::Fixed(ms(1));
        let peak_decay = ms(2_000);
        let enabled = true;
        let tracking =
            Tracking { enabled, window, history_decay, fast, failure_penalty, peak_decay };
        assert_eq!(scenario.tracking, tracking);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_key_and_value_and_what_is_right() {
        let one = "workers = \"1x1\"\n";
        let load = |text: &str| read(&format!("{one}{text}"));
        let service = "[service]\nkind = \"constant\"\ntime = \"1ms\"\n";
        let cases = [
            (with("workers ="), "line 1: "),
            (with(""), "line 1: workers is missing, allowed is workers such as"),
            (with("workers = \"0x1\""), "line 1: workers: `0` in `0x1` is not a number of workers"),
            (with("workers = 4"), "line 1: workers is `4`, allowed is workers such as"),
            (
                with("workers = \"1x1\"\ntask = 5"),
                "line 2: the key `task` is not known, known here are workers, worker, service, \
                 arrivals, capability, keys, tasks, warm_up,",
            ),
            (
                with("workers = \"1x1\"\n\ntasks = 0"),
                "line 3: tasks is `0`, allowed is a whole number of at least 1",
            ),
            (with("workers = \"1x1\"\ntasks = 1.5"), "line 2: tasks is `1.5`, allowed is a whole"),
            (
                with("workers = \"1x1\"\ntasks = 10\nwarm_up = 10"),
                "line 3: warm_up is `10`, allowed is below tasks, which is 10",
            ),
            (
                with("workers = \"1x1\"\ndeadline = \"soon\""),
                "line 2: deadline is `\"soon\"`, allowed is a time above zero and at most a year",
            ),
            (with("workers = \"1x1\"\ndeadline = \"0s\""), "line 2: deadline is `\"0s\"`, allowed"),
            (with("workers = \"1x1\"\nfailing = 2"), "line 2: failing is `2`, allowed is a share"),
            (with("workers = \"1x1\"\nfailing = nan"), "line 2: failing is `nan`, allowed is"),
            (
                with("workers = \"1x1\"\nstealing = 1"),
                "line 2: stealing is `1`, allowed is true or",
            ),
            (with("workers = \"1x1\"\nkeys = 1"), "line 2: keys is `1`, allowed is a table [keys]"),
            (with("workers = \"1x1\"\nfault = 1"), "line 2: fault is `1`, allowed is one or more"),
            (
                with("[[worker]]\nname = \"a\"\n[[worker]]\nname = \"a\""),
                "line 4: worker[1].name is `\"a\"`, allowed is a name but `a`, which is taken",
            ),
            (
                with("[[worker]]\ncount = 100001"),
                "line 2: worker[0].count is `100001`, allowed is a whole number, and at most",
            ),
            (
                with("[[worker]]\nspeed = -1"),
                "line 2: worker[0].speed is `-1`, allowed is a number",
            ),
            (
                with("[[worker]]\ncapabilities = \"x\""),
                "line 2: worker[0].capabilities is `\"x\"`, allowed is a list of texts",
            ),
            (load(service), "line 1: arrivals is missing, allowed is a table [arrivals]"),
            (load("[arrivals]"), "line 1: service is missing, allowed is a table [service]"),
            (
                load("[service]\nkind = \"normal\""),
                "line 3: service.kind is `\"normal\"`, allowed is one of exponential, constant,",
            ),
            (load("[service]\n"), "line 2: service.kind is missing, allowed is one of"),
            (
                load("[service]\nkind = \"exponential\""),
                "line 2: service.mean is missing, allowed is a time such as \"5ms\"",
            ),
            (
                load("[service]\nkind = \"constant\"\ntime = \"1ms\"\nmean = \"1ms\""),
                "line 5: the key `service.mean` is not known, known here are kind, time",
            ),
            (
                load("[service]\nkind=\"pareto\"\nmean=\"2ms\"\nshape=1"),
                "line 5: service.shape is `1`, allowed is a number above 1",
            ),
            (
                load("[service]\nkind=\"pareto\"\nmean=\"2ms\"\nshape=2\nlongest=\"1ms\""),
                "line 2: service.longest is `1ms`, allowed is above the mean, 2ms",
            ),
            (
                load(&format!("{service}[arrivals]\nkind = \"steady\"\nload = 1\nrate = 1")),
                "line 7: arrivals.load is `1`, allowed is absent where there is a rate",
            ),
            (
                load(&format!("{service}[arrivals]\nkind = \"steady\"")),
                "line 5: arrivals.load is missing, allowed is a load such as 0.9, or a rate",
            ),
            (
                load(&format!(
                    "{service}[arrivals]\nkind = \"bursty\"\nload = 1\nburst = 6\n\
                     burst_length = \"1ms\"\nquiet_length = \"4ms\""
                )),
                "line 8: arrivals.burst is `6`, allowed is a multiple of the mean rate, from 1 to 5",
            ),
            (
                with("workers = \"1x1:a\"\n[[capability]]\nname = \"b\"\nshare = 1"),
                "line 3: capability[0].name is `\"b\"`, allowed is a capability that a worker serves",
            ),
            (
                with("workers = \"1x1\"\n[[fault]]\nkind = \"hang\"\nworker = 1"),
                "line 4: fault[0].worker is `1`, allowed is a worker's position, 0 to 0, or its name",
            ),
            (
                with("workers = \"1x1\"\n[[fault]]\nkind = \"hang\"\nworker = \"x\""),
                "line 4: fault[0].worker is `\"x\"`, allowed is a worker's position",
            ),
            (
                with("workers = \"1x1\"\n[dispatchers]\ncount = 0"),
                "line 3: dispatchers.count is `0`, allowed is a whole number of at least 1",
            ),
            (
                with("workers = \"1x1\"\n[tracking]\nwindow_size = 65537"),
                "line 3: tracking.window_size is `65537`, allowed is a whole number from 1 to 65536",
            ),
        ];
        for (scenario, expected) in cases {
            let fault = scenario.unwrap_err().to_string();
            assert!(fault.starts_with(expected), "{fault}\nnot\n{expected}");
        }
    }

    #[test]
    fn other_workers_have_the_same_load_or_the_same_rate_and_the_faults() {
        let read = |arrivals: &str, workers: &str| {
            let text = format!("workers = \"4x1\"\n{LOAD}").replace("load = 0.5", arrivals)
                + "[[fault]]\nkind = \"hang\"\nworker = 3\n";
            Scenario::read(&text, Some(&workers.parse().unwrap()))
        };
        let load = read("load = 0.5", "8x2.0").unwrap();
        assert_eq!((load.workers.len(), load.offered_load()), (8, 0.5));
        let rate = read("rate = 1000", "8x2.0").unwrap();
        assert_eq!(rate.offered_load(), 0.125);
        let fault = read("load = 0.5", "2x1.0").unwrap_err().to_string();
        assert!(fault.contains("a worker's position, 0 to 1, or its name"), "{fault}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            lines in prop::collection::vec(
                "(\\[\\[?)?(workers?|tasks|load|rate|kind|service|arrivals|keys)\\]{0,2}( = [\"0-9a-z.-]{0,8})?",
                0..12,
            )
        ) {
            let _ = Scenario::from_toml(&lines.join("\n"));
        }
    }
}
