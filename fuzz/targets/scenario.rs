//! Scenario files: no text makes the reader panic, an error stands on a line that there is and says
//! what would be right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raddle::sim::{FileFault, Scenario};

fuzz_target!(|text: &str| {
    match Scenario::from_toml(text) {
        Ok(scenario) => {
            assert!(!scenario.workers.is_empty());
            assert!(scenario.warm_up < scenario.tasks);
        }
        Err(fault) => check(text, &fault),
    }
});

fn check(text: &str, fault: &FileFault) {
    let words = fault.to_string();
    let (line, right) = match fault {
        FileFault::Syntax { line, message } => (*line, message.as_str()),
        FileFault::Unknown { line, known, .. } => (*line, known.as_str()),
        FileFault::Missing { line, allowed, .. } | FileFault::Value { line, allowed, .. } => {
            (*line, allowed.as_str())
        }
        FileFault::Workers { line, .. } => (*line, "the workers' own words"),
        _ => panic!("a kind of fault that is not known here: {words}"),
    };
    assert!((1..=text.split('\n').count()).contains(&line), "no such line: {words}");
    assert!(words.starts_with(&format!("line {line}: ")), "{words}");
    assert!(!right.is_empty(), "what would be right is missing: {words}");
}
