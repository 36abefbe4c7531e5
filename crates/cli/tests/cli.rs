//! Runs `raddle compare` and `raddle replay`.

mod common;

use std::fs;
use std::path::Path;

use common::{HEADER, json, raddle, refused, text, trace};
use serde_json::Value;
use tempfile::TempDir;

const STRATEGIES: [&str; 14] = [
    "round_robin",
    "least_loaded",
    "random",
    "capability_best",
    "latency_based",
    "weighted_round_robin",
    "join_idle",
    "power_of_two",
    "peak_ewma",
    "hot_cold",
    "expected_delay",
    "least_work",
    "bounded_hash",
    "warm_first",
];

/// Fifty small tasks, 200 us apart, of two capabilities or none.
fn small_trace() -> String {
    let capability = |n: usize| ["code", "chat", ""][n % 3];
    let line = |n: usize| format!("{},{},{}\n", n * 200, capability(n), 100 + n * 10);
    HEADER.to_owned() + &(0..50).map(line).collect::<String>()
}

fn assert_whole(strategy: &Value, tasks: u64) {
    assert_eq!(strategy["tasks"], tasks);
    let ends = ["completed", "failed", "rejected"].map(|end| strategy[end].as_u64().unwrap());
    assert_eq!(ends.iter().sum::<u64>(), tasks, "{strategy}");
    assert!(strategy.get("cancelled").is_none(), "{strategy}");
    let shares = strategy["share"].as_object().unwrap();
    let sum: f64 = shares.values().map(|share| share.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{strategy}");
    let figures = ["mean", "p50", "p90", "p99", "p999", "max"]
        .map(|figure| strategy["latency_us"][figure].as_f64().unwrap());
    assert!(figures[1..].is_sorted() && figures[0] > 0.0, "{strategy}");
    assert!(figures[0] <= figures[5], "{strategy}");
    for figure in ["throughput_per_s", "utilisation"] {
        assert!(strategy[figure].as_f64().unwrap() > 0.0, "{figure} of {strategy}");
    }
    assert!(strategy["select_ns_mean"].as_f64().unwrap() >= 0.0, "{strategy}");
}

#[test]
fn help_lists_commands_and_options() {
    let help = text(&raddle(&["--help"]).stdout);
    assert!(help.contains("compare") && help.contains("replay"), "{help}");
    let help = text(&raddle(&["replay", "--help"]).stdout);
    for option in [
        "--strategy",
        "--workers",
        "--service",
        "--mode",
        "--concurrency",
        "--limit",
        "--json",
        "--csv",
        "--seed",
        "--speedup",
        "--context-token-ms",
        "--generated-token-ms",
    ] {
        assert!(help.contains(option), "{option} in {help}");
    }
}

#[test]
fn every_strategy_runs_a_small_trace_and_accounts_for_every_task() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &small_trace());
    let (json_path, csv_path) = (folder.path().join("r.json"), folder.path().join("r.csv"));
    let output = raddle(&[
        "replay",
        trace.to_str().unwrap(),
        "--workers=2x2.0:code,1x1.0:chat,1x1.0",
        "--json",
        json_path.to_str().unwrap(),
        "--csv",
        csv_path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let table = text(&output.stdout);
    assert!(table.contains("50 tasks") && table.contains("speedup 1 (chosen"), "{table}");
    for strategy in STRATEGIES {
        assert_eq!(table.matches(&format!("| {strategy} ")).count(), 2, "{strategy} in {table}");
    }

    let report = json(&json_path);
    let workload = &report["workload"];
    assert_eq!(workload["source"], trace.to_str().unwrap());
    assert_eq!((&workload["tasks"], &workload["mode"]), (&50.into(), &"open".into()));
    assert_eq!(workload["workers"], "2x2.0:code,1x1.0:chat,1x1.0");
    assert_eq!(workload["interrupted"], false);
    let strategies = report["strategies"].as_array().unwrap();
    let names: Vec<_> = strategies.iter().map(|s| s["strategy"].as_str().unwrap()).collect();
    assert_eq!(names, STRATEGIES);
    for strategy in strategies {
        assert_whole(strategy, 50);
        assert_eq!(strategy["completed"], 50);
        let workers: Vec<_> = strategy["share"].as_object().unwrap().keys().collect();
        assert_eq!(workers.len(), 4, "{workers:?}");
    }

    let mut csv = csv::Reader::from_path(&csv_path).unwrap();
    let header = csv.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let records: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), STRATEGIES.len());
    for (record, strategy) in records.iter().zip(strategies) {
        assert_eq!(&record[column("strategy")], strategy["strategy"].as_str().unwrap());
        assert_eq!(&record[column("completed")], "50");
        let number = |name| record[column(name)].parse::<f64>().unwrap();
        assert_eq!(number("latency_us_p99"), strategy["latency_us"]["p99"].as_f64().unwrap());
        assert_eq!(number("share_any-3"), strategy["share"]["any-3"].as_f64().unwrap());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn a_closed_loop_keeps_its_concurrency_and_can_spin() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.json");
    let output = raddle(&[
        "compare",
        "--workers=2x8.0",
        "--concurrency=3",
        "--limit=60",
        "--strategy=least_loaded",
        "--service=spin",
        "--seed=5",
        "--json",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("closed loop, 3 in flight"));
    let report = json(&path);
    let workload = &report["workload"];
    assert_eq!((&workload["mode"], &workload["concurrency"]), (&"closed".into(), &3.into()));
    assert_eq!((&workload["service"], &workload["seed"]), (&"spin".into(), &5.into()));
    assert_eq!(report["strategies"].as_array().unwrap().len(), 1);
    assert_whole(&report["strategies"][0], 60);
}

#[test]
fn full_mailboxes_reject_tasks_and_these_are_counted() {
    let folder = TempDir::new().unwrap();
    let all_at_once = HEADER.to_owned() + &"0,,2000\n".repeat(40);
    let trace = trace(&folder, &all_at_once);
    let path = folder.path().join("r.json");
    let output = raddle(&[
        "replay",
        trace.to_str().unwrap(),
        "--workers=2x1",
        "--mailbox=1",
        "--strategy=round_robin",
        "--json",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let strategy = &json(&path)["strategies"][0];
    assert_whole(strategy, 40);
    assert!(strategy["rejected"].as_u64().unwrap() > 0, "{strategy}");
}

#[test]
fn errors_of_traces_name_file_line_column_and_what_is_allowed() {
    let folder = TempDir::new().unwrap();
    for (content, expected) in [
        ("", "the trace is empty: expected a header"),
        (HEADER, "the trace is empty: expected at least one request"),
        ("a,b\n1,2\n", "line 1, column 1: expected one of the headers"),
        (
            "arrival_us,capability,service_us\n0,,1\n1,,slow\n",
            "line 3, column 3 (service_us): expected a whole number of microseconds",
        ),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.97,x,1",
            "line 2, column 2 (ContextTokens): expected a whole number of tokens, found `x`",
        ),
    ] {
        let path = trace(&folder, content);
        let error = refused(&["replay", path.to_str().unwrap()]);
        assert!(
            error.contains(&format!("error: invalid trace {}: {expected}", path.display())),
            "{error}"
        );
    }
}

#[test]
fn invalid_options_are_errors_that_say_what_is_allowed() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &small_trace());
    let trace = trace.to_str().unwrap();
    let cases: [(&[&str], &str); 16] = [
        (&["replay", "/no/such.csv"], "cannot read the trace /no/such.csv: "),
        (&["compare", "--strategy=best"], "expected all, or names joined by commas: round_robin, "),
        (&["compare", "--strategy=random,random"], "`random` is there twice: expected each"),
        (&["compare", "--workers=0x1"], "`0` in `0x1` is not a number of workers: expected 1 to"),
        (&["compare", "--workers=2x0"], "`0` in `2x0` is not a speed: expected a number from"),
        (&["compare", "--workers=2xNaN"], "`NaN` in `2xNaN` is not a speed"),
        (&["compare", "--workers=some"], "`some` is not a group of workers: expected COUNTxSPEED"),
        (&["compare", "--workers=9999999x1"], "is not a number of workers: expected 1 to 65535"),
        (&["compare", "--workers=1000x1,25x2"], "1025 workers are too many: expected at most 1024"),
        (&["compare", "--workers=4x1:code"], "no worker of `--workers 4x1.0:code` serves `chat`"),
        (&["compare", "--mode=open", "--concurrency=2"], "--concurrency is for the closed loop"),
        (&["compare", "--limit=0"], "'--limit <N>'"),
        (&["replay", trace, "--speedup=0"], "expected a number from 0.001 to 1000000000"),
        (&["replay", trace, "--context-token-ms=-1"], "expected milliseconds, a number from 0"),
        (&["compare", "--json=/no/such/r.json"], "cannot write /no/such/r.json: "),
        (&["compare", "--json=r", "--csv=r"], "--json and --csv name the same file r"),
    ];
    for (arguments, expected) in cases {
        let error = refused(arguments);
        assert!(error.contains(expected), "{arguments:?} gave {error}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_sigterm_exit_with_130_and_write_the_report() {
    for signal in ["-INT", "-TERM"] {
        stopped_by(signal);
    }
}

#[cfg(unix)]
fn stopped_by(signal: &str) {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = TempDir::new().unwrap();
    // A short task, and one for which nobody would wait.
    let trace = trace(&folder, &format!("{HEADER}0,,1\n0,,3600000000\n"));
    let path = folder.path().join("r.json");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("raddle"))
        .args(["replay", trace.to_str().unwrap(), "--speedup=1", "--workers=1x1", "--json"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("2 tasks"), "{line}");
    let interrupted = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let rest: Vec<_> = out.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let report = json(&path);
    assert_eq!(report["workload"]["interrupted"], true);
    for strategy in report["strategies"].as_array().unwrap() {
        let count = |end| strategy.get(end).map_or(0, |count: &Value| count.as_u64().unwrap());
        let ends = ["completed", "failed", "rejected", "cancelled"].map(count);
        assert_eq!(ends.iter().sum::<u64>(), count("tasks"), "{strategy}");
        assert_eq!(count("failed"), 0, "{strategy}");
    }
    assert!(rest.iter().any(|line| line.starts_with("Interrupted")), "{rest:?}");
}

#[test]
fn without_a_terminal_a_line_every_ten_seconds_is_a_sign_of_life() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = TempDir::new().unwrap();
    // Half of the tasks are done at once; for the other one nobody would wait.
    let trace = trace(&folder, &format!("{HEADER}0,,1\n0,,3600000000\n"));
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("raddle"))
        .args(["replay", trace.to_str().unwrap(), "--speedup=1", "--workers=2x1"])
        .args(["--strategy=round_robin,random"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("round_robin: 25.0 % of all tasks done after "), "{line}");
}

#[test]
fn strategies_run_in_the_order_of_the_command_line() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &small_trace());
    let path = folder.path().join("r.json");
    for command in ["replay", "simulate"] {
        let (trace, path) = (trace.to_str().unwrap(), path.to_str().unwrap());
        let strategies = "--strategy=random,join_idle";
        let output = raddle(&[command, trace, strategies, "--json", path]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report = json(Path::new(path));
        let names: Vec<_> =
            report["strategies"].as_array().unwrap().iter().map(|one| &one["strategy"]).collect();
        assert_eq!(names, ["random", "join_idle"], "{command}");
    }
}

#[cfg(unix)]
#[test]
fn a_replay_is_planned_at_the_size_of_its_longest_task() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = TempDir::new().unwrap();
    // A year, or two at the slow worker, in at most 8 s.
    let trace = trace(&folder, &format!("{HEADER}0,,31536000000000\n"));
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("raddle"))
        .args(["replay", trace.to_str().unwrap(), "--workers=4x1.0,4x0.5"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("speedup 7884000 "), "{line}");
}

#[test]
fn the_azure_trace_is_replayed() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/tests/data/azure-llm-code-2023.csv");
    let output = raddle(&[
        "replay",
        path.to_str().unwrap(),
        "--limit=100",
        "--speedup=10000",
        "--strategy=random",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("100 tasks") && table.contains("speedup 10000"), "{table}");
}
