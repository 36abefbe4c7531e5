//! The times that `raddle replay` reports, and what distorts them.

#[allow(dead_code, reason = "not every program of tests uses all of it")]
mod common;

use std::thread;

use common::{HEADER, json, raddle, text, trace};
use serde_json::Value;
use tempfile::TempDir;

/// Runs a command on a trace; returns the report, and what was printed to output and error.
fn on_trace(command: &str, tasks: &str, arguments: &[&str]) -> (Value, String, String) {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &(HEADER.to_owned() + tasks));
    let file = folder.path().join("r.json");
    let given = [command, trace.to_str().unwrap(), "--json", file.to_str().unwrap()];
    let output = raddle(&[&given[..], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    (json(&file), text(&output.stdout), text(&output.stderr))
}

/// Five tasks of 200 ms, a second apart.
const SLOW: &str =
    "0,,200000\n1000000,,200000\n2000000,,200000\n3000000,,200000\n4000000,,200000\n";

#[test]
fn a_replay_that_is_sped_up_reports_in_the_traces_own_time() {
    let arguments = ["--speedup=20", "--workers=1x1.0", "--strategy=random"];
    let (report, printed, _) = on_trace("replay", SLOW, &arguments);
    let workload = &report["workload"];
    assert_eq!((&workload["span_s"], &workload["work_s"]), (&4.0.into(), &1.0.into()));
    assert!(printed.contains("1.00 s of work") && printed.contains("over 4.00 s, load 25 %"));
    let strategy = &report["strategies"][0];
    // A sleep is never too short. To three digits.
    let latency = |figure: &str| strategy["latency_us"][figure].as_f64().unwrap();
    for figure in ["mean", "p50", "p99", "max"] {
        assert!(latency(figure) >= 199_500.0, "{figure} of {strategy}");
    }
    // From the first arrival to the last end are at least 4.2 s.
    let throughput = strategy["throughput_per_s"].as_f64().unwrap();
    assert!(throughput > 0.0 && throughput <= 5.0 / 4.2, "{strategy}");
}

#[test]
fn oversleep_and_the_lag_of_the_generator_are_measured_and_printed() {
    let arguments = ["--speedup=20", "--workers=1x1.0", "--strategy=random"];
    let (report, printed, _) = on_trace("replay", SLOW, &arguments);
    let strategy = &report["strategies"][0];
    for measured in ["lag_us", "overrun_us"] {
        let figure = |name: &str| strategy[measured][name].as_f64().unwrap();
        assert!(0.0 < figure("mean") && figure("mean") <= figure("max"), "{strategy}");
    }
    assert!(printed.contains("lag of the generator") && printed.contains("oversleep"), "{printed}");
}

#[test]
fn tasks_that_drown_in_oversleep_are_warned_about() {
    // Tasks of 10 us.
    let tasks: String = (0..100).map(|n| format!("{},,1000\n", n * 2_000)).collect();
    let arguments = ["--speedup=100", "--workers=2x1.0", "--strategy=random"];
    let (report, _, warned) = on_trace("replay", &tasks, &arguments);
    assert!(report["strategies"][0]["overrun_share"].as_f64().unwrap() > 0.05, "{report}");
    assert!(warned.starts_with("warning: workers overslept"), "{warned}");
    assert!(warned.contains("`raddle simulate`"), "{warned}");
    let warnings = report["warnings"].as_array().unwrap();
    assert!(warnings.iter().all(|one| warned.contains(one.as_str().unwrap())), "{warnings:?}");
}

#[test]
fn spinning_workers_that_share_cores_are_warned_about() {
    let cores = thread::available_parallelism().unwrap().get();
    let run = |workers: usize| {
        let workers = format!("--workers={workers}x1.0");
        on_trace("replay", "0,,100\n200,,100\n", &["--service=spin", &workers, "--strategy=random"])
    };
    let (report, _, warned) = run(cores + 1);
    let expected = format!("warning: {} workers spin on {cores} core", cores + 1);
    assert!(warned.contains(&expected), "{warned}");
    assert!(warned.contains("--service sleep"), "{warned}");
    assert!(!report["warnings"].as_array().unwrap().is_empty(), "{report}");
    let (_, _, warned) = run(cores);
    assert!(!warned.contains("workers spin on"), "{warned}");
}

#[test]
fn a_speedup_means_the_same_in_every_command() {
    let tasks: String =
        (0..200).map(|n| format!("{},,{}\n", n * 500, 1_000 + n % 9 * 50)).collect();
    let load = |printed: &str| {
        let load = printed.split("load ").nth(1).unwrap();
        load.split([' ', '.']).next().unwrap().to_owned()
    };
    let workers = ["--workers=4x1.0", "--strategy=round_robin"];
    let (_, replayed, _) = on_trace("replay", &tasks, &[&workers[..], &["--speedup=2"]].concat());
    let (plain, simulated, _) = on_trace("simulate", &tasks, &workers);
    let fast = &[&workers[..], &["--speedup=2"]].concat();
    let (fast, sped_up, _) = on_trace("simulate", &tasks, fast);
    assert_eq!((load(&replayed), load(&sped_up)), (load(&simulated), load(&simulated)));
    assert!(replayed.contains("speedup 2") && sped_up.contains("speedup 2"), "{sped_up}");
    let (plain, fast) = (&plain["strategies"][0], &fast["strategies"][0]);
    for figure in ["span_s", "throughput_per_s"] {
        let ratio = fast[figure].as_f64().unwrap() / plain[figure].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 1e-3, "{figure}: {ratio}");
    }
    for figure in ["mean", "p50", "p99", "max"] {
        let latency = |one: &Value| one["latency_us"][figure].as_f64().unwrap();
        assert!((latency(fast) / latency(plain) - 1.0).abs() < 2e-3, "{figure}");
    }
    let (advised, printed, _) = on_trace("advise", &tasks, &["--speedup=2", "--seeds=2"]);
    assert!(printed.contains("speedup 2"), "{printed}");
    assert!(advised["ranking"][0]["latency_us"]["p50"].as_f64().unwrap() >= 1_000.0, "{advised}");
}

#[test]
fn a_speedup_that_leaves_tasks_no_length_is_refused_by_every_command() {
    let folder = TempDir::new().unwrap();
    // Two tasks of a millisecond, a year apart.
    let trace = trace(&folder, &format!("{HEADER}0,,1000\n31536000000000,,1000\n"));
    let trace = trace.to_str().unwrap();
    for command in ["replay", "simulate", "advise"] {
        let output = raddle(&[command, trace, "--speedup=1e9"]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
        let expected =
            "speedup is 1000000000, allowed is up to 1000.000: above that, tasks would take";
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let output = raddle(&["replay", trace]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
    let expected = "a replay in 8 s per strategy is not possible: tasks would take less than a \
                    microsecond (expected --speedup with at most 1000.000, --limit, or `raddle \
                    simulate`)";
    assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
}
