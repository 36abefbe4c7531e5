//! Scenario files: parsing never panics, and an error names an existing line and what is allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raddle::sim::{ParseError, Scenario};

fuzz_target!(|text: &str| {
    match Scenario::from_toml(text) {
        Ok(scenario) => {
            assert!(!scenario.workers.is_empty());
            assert!(scenario.warm_up < scenario.tasks);
        }
        Err(error) => check(text, &error),
    }
});

fn check(text: &str, error: &ParseError) {
    let words = error.to_string();
    let (line, allowed) = match error {
        ParseError::Syntax { line, message } => (*line, message.as_str()),
        ParseError::Unknown { line, known, .. } => (*line, known.as_str()),
        ParseError::Missing { line, allowed, .. } | ParseError::Value { line, allowed, .. } => {
            (*line, allowed.as_str())
        }
        ParseError::Workers { line, .. } => (*line, "the source says"),
        _ => panic!("an unknown kind of error: {words}"),
    };
    assert!((1..=text.split('\n').count()).contains(&line), "no such line: {words}");
    assert!(words.starts_with(&format!("line {line}: ")), "{words}");
    assert!(!allowed.is_empty(), "what is allowed is missing: {words}");
}
