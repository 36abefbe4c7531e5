//! Scenarios as TOML.

use std::fs;
use std::path::Path;

use toml::de::DeTable;

use super::error::{FileError, ParseError};
use super::planned::PlannedWorker;
use super::section::{Section, line_of};
use super::tables::{
    read_arrivals, read_cache, read_capabilities, read_dispatchers, read_fault, read_keys,
    read_order, read_service, read_share, read_tracking,
};
use super::{Scenario, SimWorker};
#[cfg(doc)]
use crate::Order;
use crate::{Keys, Load, Workers};

impl Scenario {
    /// Loads a scenario from a TOML file; see [`from_toml`](Self::from_toml). Blocks on the file
    /// system.
    ///
    /// # Errors
    /// If the file cannot be read or does not contain a scenario.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::load_file(path.as_ref(), None)
    }

    /// Loads a scenario from a TOML file, with these workers in place of the file's own. A `load`
    /// is then a share of their capacity, a `rate` is unchanged, and faults refer to them.
    ///
    /// # Errors
    /// If the file cannot be read, or does not contain a scenario with its own workers or with
    /// these.
    pub fn load_with_workers(path: impl AsRef<Path>, workers: &Workers) -> Result<Self, FileError> {
        Self::load_file(path.as_ref(), Some(workers))
    }

    fn load_file(path: &Path, workers: Option<&Workers>) -> Result<Self, FileError> {
        let text = fs::read_to_string(path)
            .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, workers)
            .map_err(|source| FileError::Parse { path: path.to_owned(), source })
    }

    /// Parses a scenario from TOML. Durations are strings such as `"5ms"`;
    /// `docs/scenarios/equal.toml` shows every key.
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
    /// # Ok::<(), raddle_sim::ParseError>(())
    /// ```
    ///
    /// | key | value | default |
    /// |---|---|---|
    /// | `workers` | [`Workers`], such as `"4x1.0:code,2x0.5"` | only those of `[[worker]]` |
    /// | `[[worker]]` | `name`, `count`, `speed`, `weight`, `capabilities` | only those of `workers` |
    /// | `tasks` | a whole number | 1,000,000 |
    /// | `warm_up` | a whole number | a tenth of `tasks` |
    /// | `seed` | a whole number | 1 |
    /// | `timeout` | a duration | none |
    /// | `mailbox` | number of tasks that can wait for a worker | unbounded |
    /// | `failure_rate` | a share of the tasks, 0 to 1 | 0 |
    /// | `durations_known`, `stealing` | `true` or `false` | `false` |
    /// | `order` | `fifo`, `boost` or `boost_exact` ([`Order`]) | `fifo` |
    /// | `refresh_interval` | a duration | 1 s |
    /// | `sample_interval` | a duration | queues are not sampled |
    /// | `[arrivals]` | `kind` = `poisson`, `steady` or `bursty` (`burst`, `burst_length`, `quiet_length`); `rate` per second, or `load` as a share of the workers' capacity | required |
    /// | `[service]` | `kind` = `exponential` (`mean`), `constant` (`time`), `bimodal` (`short`, `long`, `long_share`), `pareto` (`mean`, `shape`, `longest`) | required |
    /// | `[[capability]]` | `share`; `name`, left out for tasks that require no capability | no task requires one |
    /// | `[keys]` | `count`, `exponent` | no keys |
    /// | `[cache]` | `keys` that each worker keeps, `cold_cost` of another one | keys cost nothing |
    /// | `[dispatchers]` | `count`, `sync_interval` | one |
    /// | `[[fault]]` | `kind` = `hang`, `fail_fast` (`after`), `slow_down` (`factor`), `restart`; `worker` by position or name, `at`, `duration` | none |
    /// | `[tracking]` | `enabled`, `window_size`, `history_decay`, `fast_threshold`, `failure_penalty`, `peak_decay` | [`Tracking::default`](raddle_core::Tracking) |
    ///
    /// # Errors
    /// Returns the first error, with its line, key and value, and the allowed values.
    pub fn from_toml(text: &str) -> Result<Self, ParseError> {
        Self::parse(text, None)
    }

    /// Parses a scenario from TOML, with these workers in place of its own, as
    /// [`load_with_workers`](Self::load_with_workers) does.
    ///
    /// # Errors
    /// Returns the first error in the scenario with its own workers or with these.
    pub fn from_toml_with_workers(text: &str, workers: &Workers) -> Result<Self, ParseError> {
        Self::parse(text, Some(workers))
    }

    fn parse(text: &str, instead: Option<&Workers>) -> Result<Self, ParseError> {
        let parsed = DeTable::parse(text).map_err(|error| ParseError::Syntax {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().replace('\n', ", "),
        })?;
        let mut file = Section::whole(text, parsed.get_ref());
        let mut planned = PlannedWorker::read_all(&mut file)?;
        if let Some(workers) = instead {
            planned = PlannedWorker::all_of(workers);
        }
        let workers: Vec<SimWorker> = planned.iter().map(PlannedWorker::sim_worker).collect();

        let service = file.section("service")?;
        let service = service.ok_or_else(|| file.missing("service", "a table [service]"))?;
        let service = read_service(service)?;
        let capacity: f64 = workers.iter().map(|worker| worker.speed).sum();
        let full_rate = capacity / service.mean_secs();
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
                return Err(warm_up.error(format!("below tasks, which is {}", scenario.tasks)));
            }
            scenario.warm_up = warm_up.value;
        }
        scenario.seed = file.whole_number("seed", 0)?.map_or(scenario.seed, |at| at.value);
        scenario.timeout = file.time("timeout")?;
        scenario.mailbox = match file.whole_number("mailbox", 1)? {
            Some(at) => Some(usize::try_from(at.value).unwrap_or(usize::MAX)),
            None => None,
        };
        scenario.cache = file.section("cache")?.map(read_cache).transpose()?;
        scenario.failure_rate = read_share(&mut file, "failure_rate")?.unwrap_or(0.0);
        scenario.durations_known = file.boolean("durations_known")?.unwrap_or(false);
        scenario.stealing = file.boolean("stealing")?.unwrap_or(false);
        scenario.order = read_order(&mut file)?.unwrap_or(scenario.order);
        scenario.refresh_interval =
            file.time("refresh_interval")?.unwrap_or(scenario.refresh_interval);
        scenario.sample_interval = file.time("sample_interval")?;
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

#[cfg(test)]
mod tests;
