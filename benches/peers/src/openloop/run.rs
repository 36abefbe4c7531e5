use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::board::Sample;
use super::case::{Case, LOADS, SERVICE, WORKERS, arrivals};
use super::drive::OpenLoop;
use super::report;
use super::stage::{Row, Stage};
use super::{Arguments, SampleArguments, contenders};
use crate::error::{PeersError, in_range};
use crate::only::Only;
use crate::{process, versions};

/// The time that a process may take besides its load: to start, calibrate and drain.
const GRACE: Duration = Duration::from_secs(15);

/// Measures, prints tables and writes the files if they were asked for.
///
/// # Errors
/// If an option is invalid, a process cannot be started or a file cannot be written.
pub fn run(arguments: &Arguments) -> Result<(), PeersError> {
    in_range("--seconds", arguments.seconds, 0.01, 3_600.0)?;
    in_range("--jobs", arguments.jobs as f64, 1.0, 64.0)?;
    let all = contenders::all();
    let full: Vec<_> = all.iter().map(|contender| contender.name.to_owned()).collect();
    let only = Only::new(&arguments.only, &full, || full.join(", "))?;
    let names: Vec<_> =
        all.iter().map(|contender| contender.name).filter(|name| only.takes(name)).collect();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..100_000));
    print_head(arguments, seed);
    let mut stages = Vec::new();
    for case in [Case::Healthy, Case::Slow, Case::Hiccup] {
        for load in LOADS {
            let is_chosen = arguments.case.is_none_or(|only| only == case);
            if is_chosen && arguments.load.is_none_or(|only| only == load) {
                let stage = measure(arguments, seed, case, load, &names)?;
                println!("{}", report::table(&stage));
                stages.push(stage);
            }
        }
    }
    report::print_verdicts(&stages);
    match &arguments.out {
        Some(folder) => report::write(folder, seed, &stages),
        None => Ok(()),
    }
}

fn print_head(arguments: &Arguments, seed: u64) {
    let peers: Vec<_> =
        versions::peers().iter().map(|(name, version)| format!("{name} {version}")).collect();
    println!("{}", peers.join(", "));
    println!(
        "{WORKERS} workers that sleep {} ms per task; Poisson arrivals for {} s, seed {seed}; latency \
         from when a task was due; load in percent of the capacity of all workers",
        SERVICE.as_millis(),
        arguments.seconds
    );
}

/// Measures all contenders with the same arrivals.
fn measure(
    arguments: &Arguments,
    seed: u64,
    case: Case,
    load: u32,
    names: &[&'static str],
) -> Result<Stage, PeersError> {
    let waiting: Mutex<VecDeque<_>> = Mutex::new(names.iter().copied().enumerate().collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut rows = Vec::new();
        while let Some((at, name)) = next() {
            rows.push((
                at,
                Row { contender: name, sample: one(arguments, seed, case, load, name)? },
            ));
        }
        Ok(rows)
    };
    let mut rows = thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.jobs).map(|_| scope.spawn(work)).collect();
        let mut rows = Vec::new();
        for thread in threads {
            rows.extend(thread.join().expect("measuring does not panic")?);
        }
        Ok::<_, PeersError>(rows)
    })?;
    rows.sort_by_key(|(at, _)| *at);
    Ok(Stage { case, load, rows: rows.into_iter().map(|(_, row)| row).collect() })
}

fn one(
    arguments: &Arguments,
    seed: u64,
    case: Case,
    load: u32,
    contender: &str,
) -> Result<Option<Sample>, PeersError> {
    let child = process::start(&[
        "openloop-sample".into(),
        case.name().into(),
        contender.into(),
        format!("--load={load}"),
        format!("--seconds={}", arguments.seconds),
        format!("--seed={seed}"),
    ])?;
    // A pool with bounded mailboxes may delay arrivals.
    let limit = GRACE + Duration::from_secs_f64(arguments.seconds * 4.0);
    Ok(process::wait(child, limit)
        .inspect_err(|lost| eprintln!("{} at {load} %, {contender}: {lost}", case.name()))
        .ok())
}

/// Measures one contender and prints the sample as a line of JSON.
///
/// # Errors
/// If there is no such contender or a number is out of range.
pub fn sample(arguments: &SampleArguments) -> Result<(), PeersError> {
    in_range("--seconds", arguments.seconds, 0.01, 3_600.0)?;
    in_range("--load", f64::from(arguments.load), 1.0, 200.0)?;
    let known = contenders::all();
    let contender = known.iter().find(|known| known.name == arguments.contender);
    let contender = contender.ok_or_else(|| PeersError::NoContender {
        scenario: "openloop".into(),
        contender: arguments.contender.clone(),
        known: known.iter().map(|known| known.name).collect::<Vec<_>>().join(", "),
    })?;
    let rate = arguments.case.capacity() * f64::from(arguments.load) / 100.0;
    let time = Duration::from_secs_f64(arguments.seconds);
    let due = arrivals(rate, time, arguments.seed);
    (contender.run)(OpenLoop::new(arguments.case, due));
    Ok(())
}
