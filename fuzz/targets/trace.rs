//! Traces: parsing never panics, a fault is where the error says, and a parsed trace survives a
//! round trip through its text.
#![no_main]
#![allow(dead_code, unused_imports, reason = "only a part of the program is used")]

// The program is not a library, so its parser is compiled here.
#[path = "../../crates/cli/src/trace/mod.rs"]
mod trace;
#[path = "../../crates/cli/src/workload/mod.rs"]
mod workload;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use trace::{Fault, Reading, TokenCost, parse};
use workload::Workload;

const ALL: Reading =
    Reading { cost: TokenCost { context_ms: 0.5, generated_ms: 20.0 }, limit: usize::MAX };

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes, "fuzz".into(), ALL) {
        Ok(workload) => check_read(&workload),
        // Within quotes, commas are ordinary characters.
        Err(fault) if bytes.contains(&b'"') => check_words(&fault),
        Err(fault) => {
            check_words(&fault);
            check_position(bytes, &fault);
        }
    }
});

fn check_words(fault: &Fault) {
    let words = fault.to_string();
    assert!(words.contains("expected "), "what is expected is missing: {words}");
    if let Fault::Value { line, column, .. }
    | Fault::ColumnCount { line, column, .. }
    | Fault::Form { line, column, .. }
    | Fault::UnknownHeader { line, column, .. } = fault
    {
        assert!(words.starts_with(&format!("line {line}, column {column}")), "{words}");
        assert!(*line >= 1 && *column >= 1, "{words}");
    }
}

/// Checks that the value quoted by the error is at the stated line and column.
fn check_position(bytes: &[u8], fault: &Fault) {
    let content = |line: u64| {
        // The planted bug: blank lines are not counted.
        let blank = bytes.windows(2).filter(|pair| pair == b"\n\n").count();
        let line = if cfg!(feature = "planted") { line - blank as u64 } else { line };
        let line = bytes.split(|byte| *byte == b'\n').nth(line as usize - 1);
        let line = line.expect("the line exists");
        line.strip_suffix(b"\r").unwrap_or(line)
    };
    let values = |line: u64| -> Vec<String> {
        let content = String::from_utf8_lossy(content(line));
        content.split(',').map(|value| value.trim_matches([' ', '\t']).to_owned()).collect()
    };
    let is_there = match fault {
        Fault::Value { line, column, found, .. } => values(*line).get(column - 1) == Some(found),
        Fault::ColumnCount { line, found, .. } => values(*line).len() == *found,
        Fault::Form { line, column, expected } if expected.starts_with("no control") => {
            values(*line)[column - 1].contains(|c: char| c.is_ascii_control())
        }
        _ => true,
    };
    assert!(is_there, "not at the stated position: {fault}");
}

fn check_read(workload: &Workload) {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let requests = &workload.requests;
    assert_eq!(requests[0].arrival, Duration::ZERO, "arrivals are relative to the first");
    assert!(requests.is_sorted_by_key(|request| request.arrival), "in ascending order");
    assert!(requests.iter().all(|request| request.arrival.max(request.service) <= YEAR));
    let names: Vec<_> = workload.capabilities.iter().collect();
    assert!(names.len() <= 128 && names.iter().all(|name| !name.is_empty()));
    assert!(
        requests
            .iter()
            .filter_map(|request| request.capability)
            .all(|number| { usize::from(number) < names.len() })
    );
    let is_whole = |time: Duration| time.subsec_nanos().is_multiple_of(1_000);
    let is_written = |request: &workload::Request| {
        is_whole(request.arrival) && is_whole(request.service) && request.key.is_none()
    };
    // A written trace has microseconds only, and a key cannot be recovered from its hash.
    if requests.iter().all(is_written) {
        let again = parse(&written(workload, &names), "again".into(), ALL)
            .expect("a written trace is valid");
        assert_eq!(again.requests, *requests);
        assert!(again.capabilities.iter().eq(names));
    }
}

fn written(workload: &Workload, names: &[&str]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["arrival_us", "capability", "service_us"]).unwrap();
    for request in &workload.requests {
        let name = request.capability.map_or("", |number| names[usize::from(number)]);
        let micros = |time: Duration| time.as_micros().to_string();
        writer.write_record([&micros(request.arrival), name, &micros(request.service)]).unwrap();
    }
    writer.into_inner().unwrap()
}
