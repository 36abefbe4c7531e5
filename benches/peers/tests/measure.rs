//! Contenders measure and answer in one line. Nothing is said of how fast they are.

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
fn a_rate_is_one_figure() {
    for (scenario, contender) in [
        ("tell/4", "raddle"),
        ("tell/1", "actix"),
        ("pool/empty", "ractor factory queuer"),
        ("pool/1us", "kameo ActorPool"),
        ("pool/bimodal", "rayon scope"),
    ] {
        let figures = figures(scenario, contender);
        assert_eq!(figures.len(), 1, "{scenario} {contender}");
        assert!(figures["rate"] > 0.0, "{scenario} {contender}");
    }
}

#[test]
fn asks_have_three_percentiles_in_order() {
    for contender in ["raddle", "crossbeam blocking", "xtra"] {
        let figures = figures("ask/50us-apart", contender);
        assert!(figures["p50"] <= figures["p99"] && figures["p99"] <= figures["p99.9"]);
    }
}

#[test]
fn selections_have_a_cost() {
    for contender in ["raddle power_of_two", "tower p2c peak ewma"] {
        assert!(figures("select/4", contender)["cost"] > 0.0, "{contender}");
    }
}

#[test]
fn a_comparison_prints_what_it_was_asked_for_and_no_more() {
    let output = peers(&["compare", "--quick", "--only=select/4 raddle"]);
    let printed = String::from_utf8(output.stdout).expect("tables are text");
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("raddle join_idle") && !printed.contains("tower p2c"), "{printed}");
}

#[test]
fn an_open_loop_tells_what_became_of_every_task() {
    for contender in ["raddle", "crossbeam shared", "kameo ActorPool"] {
        let output = peers(&["openloop-sample", "slow", contender, "--load=40", "--seconds=0.2"]);
        assert!(output.status.success(), "{contender}: {output:?}");
        let sample: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("the line is a sample");
        assert!(sample["given"].as_u64() > sample["unfinished"].as_u64(), "{sample}");
        let percentiles = sample["percentiles"].as_array().expect("there are percentiles");
        let values = percentiles.iter().map(|pair| pair[1].as_f64().expect("a number"));
        assert!(values.clone().is_sorted() && values.clone().count() > 70, "{sample}");
    }
}

#[test]
fn mistakes_are_told_with_what_is_allowed() {
    for (arguments, told) in [
        (&["measure", "tell/9", "raddle"][..], "there are tell/1, "),
        (&["measure", "tell/1", "erlang"][..], "it has raddle, crossbeam, "),
        (&["measure", "tell/1", "raddle", "--seconds=0"][..], "allowed is 0.001 to 60"),
        (&["compare", "--only=erlang"][..], "nothing to measure"),
        (&["openloop", "--only=erlang"][..], "nothing to measure"),
        (&["openloop-sample", "slow", "erlang"][..], "it has raddle, raddle power_of_two, "),
    ] {
        let output = peers(arguments);
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).expect("messages are text");
        assert!(error.contains(told), "{error}");
    }
}
