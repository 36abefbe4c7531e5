//! Checks the form of samples and tables, not the figures.

use std::collections::BTreeMap;
use std::process::{Command, Output};

fn peers(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_raddle-peers");
    Command::new(program).args(arguments).output().expect("the program starts")
}

fn figures(scenario: &str, contender: &str) -> BTreeMap<String, f64> {
    let output = peers(&["measure", scenario, contender, "--seconds=0.01", "--rounds-per-us=10"]);
    assert!(output.status.success(), "{scenario} {contender}: {output:?}");
    let line = String::from_utf8(output.stdout).expect("JSON is text");
    assert_eq!(line.lines().count(), 1, "{line}");
    serde_json::from_str(&line).expect("the line is a sample")
}

#[test]
fn a_throughput_sample_has_one_figure() {
    for (scenario, contender) in [
        ("tell/4", "raddle"),
        ("tell/1", "actix"),
        ("pool/empty", "ractor factory queuer"),
        ("pool/1us", "kameo ActorPool"),
        ("pool/bimodal", "rayon scope"),
        ("await/5ms", "raddle concurrent"),
        ("await/5ms", "raddle exclusive"),
        ("await/1ms", "kameo delegating"),
        ("await/1ms", "xtra shared"),
    ] {
        let figures = figures(scenario, contender);
        assert_eq!(figures.len(), 1, "{scenario} {contender}");
        assert!(figures["rate"] > 0.0, "{scenario} {contender}");
    }
}

#[test]
fn an_ask_sample_has_three_ordered_percentiles() {
    for contender in ["raddle", "crossbeam blocking", "xtra"] {
        let figures = figures("ask/50us-apart", contender);
        assert!(figures["p50"] <= figures["p99"] && figures["p99"] <= figures["p99.9"]);
    }
}

#[test]
fn a_selection_sample_has_a_cost() {
    for contender in ["raddle power_of_two", "tower p2c peak ewma"] {
        assert!(figures("select/4", contender)["cost"] > 0.0, "{contender}");
    }
}

#[test]
fn a_comparison_measures_only_what_was_chosen() {
    let output = peers(&["compare", "--quick", "--only=select/4 raddle,tell/1 std"]);
    let printed = String::from_utf8(output.stdout).expect("tables are text");
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("raddle join_idle") && !printed.contains("tower p2c"), "{printed}");
    assert!(printed.contains("std sync_channel") && !printed.contains("Pool:"), "{printed}");
}

#[test]
fn an_open_loop_sample_accounts_for_every_task() {
    for contender in ["raddle", "crossbeam shared", "kameo ActorPool"] {
        let output = peers(&["openloop-sample", "slow", contender, "--load=40", "--seconds=0.2"]);
        assert!(output.status.success(), "{contender}: {output:?}");
        let sample: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("the line is a sample");
        assert!(sample["submitted"].as_u64() > sample["unfinished"].as_u64(), "{sample}");
        let percentiles = sample["percentiles"].as_array().expect("there are percentiles");
        let values = percentiles.iter().map(|pair| pair[1].as_f64().expect("a number"));
        assert!(values.clone().is_sorted() && values.clone().count() > 70, "{sample}");
    }
}

#[test]
fn errors_say_what_is_allowed() {
    for (arguments, expected) in [
        (&["measure", "tell/9", "raddle"][..], "allowed are tell/1, "),
        (&["measure", "tell/1", "erlang"][..], "allowed are raddle, crossbeam, "),
        (&["measure", "tell/1", "raddle", "--seconds=0"][..], "allowed is 0.001 to 60"),
        (
            &["compare", "--only=tell,erlang"][..],
            "`erlang` is part of no name, allowed are parts of: tell/1 raddle, ",
        ),
        (&["openloop", "--only=erlang"][..], "allowed are parts of: raddle, raddle power_of_two, "),
        (&["openloop", "--load=60"][..], "expected one of [30, 50, 70, 90]"),
        (&["openloop-sample", "slow", "erlang"][..], "allowed are raddle, raddle power_of_two, "),
    ] {
        let output = peers(arguments);
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).expect("messages are text");
        assert!(error.contains(expected), "{error}");
    }
}
