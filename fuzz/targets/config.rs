//! Configuration as text and as variables, one `KEY=value` per line: parsing never panics, an error
//! names the setting, its value and what is allowed, and a parsed configuration survives a round
//! trip through its text.
#![no_main]

use std::collections::BTreeMap;
use std::ffi::OsString;

use libfuzzer_sys::fuzz_target;
use raddle::strategies::BalancerConfig;

fuzz_target!(|text: &str| {
    match text.parse::<BalancerConfig>() {
        Ok(config) => check(config),
        Err(error) => {
            assert!(!error.setting.is_empty() && !error.allowed.is_empty(), "{error}");
            // An error about disabled tracking does not quote the text.
            let is_there = text.contains(&error.value) || error.value == "false";
            assert!(is_there, "does not occur in the text: {error}");
        }
    }
    let variables: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once('=')).collect();
    let read = BalancerConfig::from_variables(|name| variables.get(name).map(OsString::from));
    match read {
        Ok(config) => check(config),
        Err(error) => {
            let name = error.setting.as_str();
            assert!(name.starts_with("LOAD_BALANCER_") && !error.allowed.is_empty(), "{error}");
            assert_eq!(variables.get(name), Some(&error.value.as_str()), "the value that was set");
        }
    }
});

fn check(config: BalancerConfig) {
    let text = config.to_string();
    assert_eq!(text.parse(), Ok(config), "round trip: {text}");
    config.tracking().validate().expect("a parsed configuration is within its bounds");
    config.build().expect("a parsed configuration can be built");
}
