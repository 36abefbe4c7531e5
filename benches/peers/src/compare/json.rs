//! Writes all samples and verdicts as JSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::results::Results;
use super::verdicts::Verdict;
use crate::error::PeersError;
use crate::scenario::{Scenario, Settings};
use crate::versions;

/// Writes the file.
///
/// # Errors
/// If it cannot be written.
pub fn write(
    path: &Path,
    rounds: u32,
    settings: &Settings,
    scenarios: &[Scenario],
    results: &Results,
    verdicts: &[Verdict],
) -> Result<(), PeersError> {
    let versions: Value =
        versions::peers().into_iter().map(|(name, version)| (name, json!(version))).collect();
    let document = json!({
        "rounds": rounds,
        "seconds_per_sample": settings.seconds,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "versions": versions,
        "scenarios": scenarios.iter().map(|scenario| of(scenario, results)).collect::<Vec<_>>(),
        "verdicts": verdicts,
    });
    let written = File::create(path).map(BufWriter::new).and_then(|mut file| {
        serde_json::to_writer_pretty(&mut file, &document)?;
        file.flush()
    });
    written.map_err(|source| PeersError::Write { path: path.to_owned(), source })
}

fn of(scenario: &Scenario, results: &Results) -> Value {
    let contenders = scenario.contenders.iter().map(|contender| {
        let median = |figure: &crate::figures::Figure| {
            let median = results.median(&scenario.name, &contender.name, *figure);
            (figure.name, json!(median))
        };
        json!({
            "name": contender.name,
            "medians": scenario.figures.iter().map(median).collect::<Value>(),
            "samples": results.samples(&scenario.name, &contender.name),
            "lost": results.lost(&scenario.name, &contender.name),
        })
    });
    json!({
        "name": scenario.name,
        "title": scenario.title,
        "contenders": contenders.collect::<Vec<_>>(),
    })
}
