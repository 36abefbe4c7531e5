use std::time::{Duration, Instant};

use super::results::Results;
use super::{Arguments, json, table, verdicts};
use crate::error::{PeersError, in_range};
use crate::only::Only;
use crate::scenario::{self, Contender, Scenario, Settings};
use crate::{harness, process, versions};

/// The time that a sample may take besides measuring: to start, warm up and end a batch.
const GRACE: Duration = Duration::from_secs(15);

/// Measures, prints tables and verdicts, and writes the file if one was asked for.
///
/// # Errors
/// If an option is invalid, a process cannot be started or the file cannot be written.
pub fn run(arguments: &Arguments) -> Result<(), PeersError> {
    let (rounds, seconds) =
        if arguments.quick { (2, 0.1) } else { (arguments.rounds, arguments.seconds_per_sample) };
    in_range("--rounds", f64::from(rounds), 1.0, 1_000.0)?;
    in_range("--seconds-per-sample", seconds, 0.001, 60.0)?;
    let scenarios = chosen(&arguments.only)?;
    let settings = Settings { seconds, rounds_per_us: harness::calibrate() };
    print_head(rounds, &settings);
    let results = measure(&scenarios, rounds, &settings)?;
    for scenario in &scenarios {
        println!("\n{}\n{}", scenario.title, table::of(scenario, &results));
        for contender in &scenario.contenders {
            for why in results.lost(&scenario.name, &contender.name) {
                println!("{}: a sample of {} {why}", scenario.name, contender.name);
            }
        }
    }
    let verdicts = verdicts::of(&results);
    verdicts::print(&verdicts);
    match &arguments.json {
        Some(path) => json::write(path, rounds, &settings, &scenarios, &results, &verdicts),
        None => Ok(()),
    }
}

/// The scenarios with the chosen contenders.
fn chosen(only: &[String]) -> Result<Vec<Scenario>, PeersError> {
    let mut scenarios = scenario::all();
    let full = |scenario: &str, contender: &Contender| format!("{scenario} {}", contender.name);
    let names: Vec<String> = scenarios
        .iter()
        .flat_map(|scenario| scenario.contenders.iter().map(|one| full(&scenario.name, one)))
        .collect();
    let only = Only::new(only, &names, || names.join(", "))?;
    for Scenario { name, contenders, .. } in &mut scenarios {
        contenders.retain(|contender| only.takes(&full(name, contender)));
    }
    scenarios.retain(|scenario| !scenario.contenders.is_empty());
    Ok(scenarios)
}

fn print_head(rounds: u32, settings: &Settings) {
    let peers: Vec<_> =
        versions::peers().iter().map(|(name, version)| format!("{name} {version}")).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{}", peers.join(", "));
    println!(
        "{cores} cores; medians of {rounds} rounds of about {} s, each sample in its own process",
        settings.seconds
    );
}

/// Measures in rounds through all contenders of all scenarios, so that whatever else the machine
/// does affects all alike.
fn measure(
    scenarios: &[Scenario],
    rounds: u32,
    settings: &Settings,
) -> Result<Results, PeersError> {
    let mut results = Results::default();
    let begin = Instant::now();
    for round in 1..=rounds {
        for scenario in scenarios {
            for contender in &scenario.contenders {
                let child = process::start(&[
                    "measure".into(),
                    scenario.name.clone(),
                    contender.name.clone(),
                    format!("--seconds={}", settings.seconds),
                    format!("--rounds-per-us={}", settings.rounds_per_us),
                ])?;
                let limit = GRACE + Duration::from_secs_f64(settings.seconds * 4.0);
                match process::wait(child, limit) {
                    Ok(figures) => results.add(&scenario.name, &contender.name, figures),
                    Err(lost) => {
                        eprintln!("{} {}: {lost}", scenario.name, contender.name);
                        results.lose(&scenario.name, &contender.name, lost.to_string());
                    }
                }
            }
        }
        eprintln!("round {round} of {rounds}, {} s", begin.elapsed().as_secs());
    }
    Ok(results)
}
