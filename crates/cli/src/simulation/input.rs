//! Reads what to simulate: a scenario, or a trace and workers for it.

use std::io;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use raddle::sim::{Contender, FileError, Load, Order, Request, Scenario, Workers};
use raddle::{Capability, MailboxOrder};

use crate::args::SimulationArgs;
use crate::choice::Choice;
use crate::failure::Failure;
use crate::report::simulated::SimulatedWorkload;
use crate::source;
use crate::trace::{self, Reading};
use crate::workload::Workload;

/// The default workers of a trace, as in `replay`.
const DEFAULT_WORKERS: &str = "4x1.0,4x0.5";

/// The approximate number of samples in a timeline of a page.
const SAMPLES: f64 = 200.0;

/// What to simulate.
#[derive(Debug)]
pub struct Input {
    /// The workers and their load.
    pub scenario: Scenario,
    /// The strategies.
    pub contenders: Vec<Contender>,
    /// The number of simulating threads.
    pub threads: NonZeroUsize,
    /// The scenario, as reported.
    pub workload: SimulatedWorkload,
}

impl Input {
    /// Reads what the command line names.
    ///
    /// `offers_boost` decides whether all strategies include those with boosted mailboxes, where
    /// these differ from others.
    pub fn read(args: &SimulationArgs, offers_boost: bool) -> Result<Self, Failure> {
        let is_named_scenario = source::is_scenario(&args.file, &[]);
        let what = if is_named_scenario { "scenario" } else { "trace" };
        let bytes = source::read(what, &args.file)?;
        let is_scenario = source::is_scenario(&args.file, &bytes);
        let mut scenario =
            if is_scenario { of_file(args, bytes)? } else { of_trace(args, &bytes)? };
        if let Some(seed) = args.seed {
            scenario.seed = seed;
        }
        scenario.durations_known &= !args.durations_unknown;
        scenario.speedup = args.speedup.unwrap_or(1.0);
        if let Some(load) = args.load {
            scenario = scenario.at_load(load).ok_or(Failure::NoLoad { load })?;
        }
        scenario.validate()?;
        let facts = scenario.facts();
        if args.report.is_some() && scenario.sample_interval.is_none() {
            let rate = facts.load * scenario.capacity() / facts.service.mean.as_secs_f64();
            let every = scenario.tasks as f64 / rate / SAMPLES;
            scenario.sample_interval =
                Duration::try_from_secs_f64(every).ok().filter(|every| !every.is_zero());
        }
        let workload = SimulatedWorkload {
            source: args.file.display().to_string(),
            tasks: scenario.tasks,
            warm_up: scenario.warm_up,
            seed: scenario.seed,
            speedup: scenario.speedup,
            workers: args.workers.as_ref().map_or_else(|| written(&scenario), Workers::to_string),
            load: 0.0,
            peak_load: 0.0,
            service_us_mean: 0.0,
            service_scv: 0.0,
            gap_scv: 0.0,
            durations_known: scenario.durations_known,
            interrupted: false,
        };
        let boosted = offers_boost && scenario.order == Order::Fifo && scenario.tells_sizes();
        let choices = args.strategy.choices(boosted).into_iter();
        Ok(Self {
            scenario,
            contenders: choices.map(contender).collect(),
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            workload: workload.with_facts(&facts),
        })
    }

    /// Returns a line that summarises the workload.
    pub fn heading(&self) -> String {
        let workload = &self.workload;
        let load = if workload.load.is_nan() {
            "all at once".into()
        } else if workload.peak_load > 1.1 * workload.load {
            format!("load {:.1} %, peak {:.0} %", workload.load * 100.0, workload.peak_load * 100.0)
        } else {
            format!("load {:.1} %", workload.load * 100.0)
        };
        let speedup = match workload.speedup {
            1.0 => String::new(),
            speedup => format!("; speedup {speedup}"),
        };
        format!(
            "{}: {} tasks of {:.3} ms on average (squared variation {:.2}); workers {}; {load}; \
             durations {}; seed {}{speedup}",
            workload.source,
            workload.tasks,
            workload.service_us_mean / 1e3,
            workload.service_scv,
            workload.workers,
            if workload.durations_known { "known" } else { "unknown" },
            workload.seed,
        )
    }
}

/// A plain strategy has mailboxes as in the scenario.
fn contender(choice: Choice) -> Contender {
    let plain = Contender::from(choice.strategy);
    if choice.order == MailboxOrder::Fifo { plain } else { plain.ordered(choice.order.into()) }
}

fn of_file(args: &SimulationArgs, bytes: Vec<u8>) -> Result<Scenario, Failure> {
    args.tokens.check_used(false)?;
    let path = || args.file.clone();
    let text = String::from_utf8(bytes).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        FileError::Read { path: path(), source }
    })?;
    let scenario = match &args.workers {
        None => Scenario::from_toml(&text),
        Some(workers) => Scenario::from_toml_with_workers(&text, workers),
    };
    let mut scenario = scenario.map_err(|source| FileError::Parse { path: path(), source })?;
    if let Some(tasks) = args.tasks {
        let warm_up = scenario.warm_up as f64 / scenario.tasks as f64 * tasks.get() as f64;
        (scenario.tasks, scenario.warm_up) = (tasks.get(), warm_up as u64);
    }
    Ok(scenario)
}

fn of_trace(args: &SimulationArgs, bytes: &[u8]) -> Result<Scenario, Failure> {
    let limit = args.tasks.map_or(u64::MAX, u64::from);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let workload = trace::load(&args.file, bytes, Reading { cost: args.tokens.cost(), limit })?;
    let workers = match &args.workers {
        Some(workers) => workers.clone(),
        None => DEFAULT_WORKERS.parse().unwrap_or_else(|error| unreachable!("{error}")),
    };
    args.tokens.check_used(workload.has_tokens)?;
    workload.check_served_by(&workers)?;
    let requests = requests(&workload)?;
    let mut scenario = Scenario::new(workers.sim_workers(), Load::of_trace(&requests));
    (scenario.tasks, scenario.warm_up) = (requests.len() as u64, 0);
    scenario.durations_known = true;
    Ok(scenario)
}

fn requests(workload: &Workload) -> Result<Vec<Request>, Failure> {
    let names = workload.capabilities.iter();
    let names: Vec<Capability> = names.map(Capability::intern).collect::<Result<_, _>>()?;
    let request = |request: &crate::workload::Request| Request {
        arrival: request.arrival,
        service: request.service,
        capability: request.capability.map(|number| names[usize::from(number)]),
        key: request.key,
    };
    Ok(workload.requests.iter().map(request).collect())
}

/// Writes a scenario's workers as for `--workers`, without their capabilities.
fn written(scenario: &Scenario) -> String {
    let alike = scenario.workers.chunk_by(|one, next| one.speed == next.speed);
    let groups = alike.map(|group| format!("{}x{:?}", group.len(), group[0].speed));
    groups.collect::<Vec<_>>().join(",")
}
