//! Runs `raddle simulate` and `raddle advise`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{HEADER, json, raddle, refused, text, trace};
use serde_json::Value;
use tempfile::TempDir;

/// Half of the workers are four times as slow, and durations vary: blind strategies do badly.
const SCENARIO: &str = r#"
workers = "4x1.0,4x0.25"
tasks = 5_000
[arrivals]
kind = "poisson"
load = 0.7
[service]
kind = "bimodal"
short = "1ms"
long = "20ms"
long_share = 0.1
"#;

fn scenario(folder: &TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("scenario.toml");
    fs::write(&path, content).unwrap();
    path
}

/// Two hundred tasks with keys, of two capabilities or none.
fn keyed_trace() -> String {
    let capability = |n: usize| ["code", "chat", ""][n % 3];
    let line =
        |n: usize| format!("{},{},{},k{}\n", n * 200, capability(n), 100 + n % 7 * 100, n % 5);
    HEADER.trim_end().to_owned() + ",key\n" + &(0..200).map(line).collect::<String>()
}

fn strategies() -> Vec<&'static str> {
    raddle::strategies::StrategyName::ALL.map(|name| name.as_str()).to_vec()
}

/// Runs the program twice with `--json`, and returns the report and the output, which must be
/// equal.
fn reproducible(folder: &TempDir, arguments: &[&str]) -> (Value, String) {
    let run = |name: &str| {
        let path = folder.path().join(name);
        let output = raddle(&[arguments, &["--json", path.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        (json(&path), text(&output.stdout))
    };
    let (first, second) = (run("one.json"), run("two.json"));
    assert_eq!(first, second, "{arguments:?} twice");
    first
}

fn assert_whole(strategy: &Value, tasks: u64) {
    let count = |end: &str| strategy[end].as_u64().unwrap();
    let ends = ["completed", "failed", "expired", "rejected", "stuck"].map(count);
    assert_eq!(ends.iter().sum::<u64>(), tasks, "{strategy}");
    let shares = strategy["share"].as_object().unwrap();
    let sum: f64 = shares.values().map(|share| share.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{strategy}");
    let figures = ["p50", "p90", "p99", "p999", "max"]
        .map(|figure| strategy["latency_us"][figure].as_f64().unwrap());
    assert!(figures.is_sorted() && figures[0] > 0.0, "{strategy}");
    for figure in ["throughput_per_s", "utilisation", "span_s"] {
        assert!(strategy[figure].as_f64().unwrap() > 0.0, "{figure} of {strategy}");
    }
}

#[test]
fn help_lists_the_options() {
    for (command, options) in [
        ("simulate", &["--strategy", "--workers", "--tasks", "--csv", "--load", "--speedup"][..]),
        (
            "advise",
            &[
                "--objective",
                "--seeds",
                "--load",
                "--report",
                "--svg",
                "--json",
                "--durations-unknown",
            ],
        ),
    ] {
        let help = text(&raddle(&[command, "--help"]).stdout);
        for option in options {
            assert!(help.contains(option), "{option} in {help}");
        }
    }
}

#[test]
fn a_simulation_runs_every_strategy_and_is_reproducible() {
    let folder = TempDir::new().unwrap();
    let file = scenario(&folder, SCENARIO);
    let (csv_path, page) = (folder.path().join("r.csv"), folder.path().join("r.html"));
    let (report, table) = reproducible(
        &folder,
        &[
            "simulate",
            file.to_str().unwrap(),
            "--csv",
            csv_path.to_str().unwrap(),
            "--report",
            page.to_str().unwrap(),
        ],
    );
    assert!(table.contains("5000 tasks") && table.contains("load 70.0 %"), "{table}");
    assert!(table.contains("workers 4x1.0,4x0.25"), "{table}");
    let workload = &report["workload"];
    assert_eq!((&workload["tasks"], &workload["warm_up"]), (&5_000.into(), &500.into()));
    assert!((workload["load"].as_f64().unwrap() - 0.7).abs() < 1e-9);
    assert_eq!(
        (&workload["interrupted"], &workload["durations_known"]),
        (&false.into(), &false.into())
    );
    let all = report["strategies"].as_array().unwrap();
    let names: Vec<_> = all.iter().map(|one| one["strategy"].as_str().unwrap()).collect();
    assert_eq!(names, strategies());
    for strategy in all {
        assert_whole(strategy, 5_000);
        assert_eq!(strategy["share"].as_object().unwrap().len(), 8);
    }
    let mut csv = csv::Reader::from_path(&csv_path).unwrap();
    assert_eq!(csv.records().map(Result::unwrap).count(), names.len());
    let page = fs::read_to_string(page).unwrap();
    for name in names {
        assert_eq!(table.matches(&format!("| {name} ")).count(), 2, "{name} in {table}");
        assert!(page.contains(name), "{name} in the page");
    }
    assert!(page.contains("Repeat with") && page.contains("raddle simulate"), "{page}");
}

#[test]
fn options_override_the_scenario() {
    let folder = TempDir::new().unwrap();
    let file = scenario(&folder, SCENARIO);
    let (report, table) = reproducible(
        &folder,
        &[
            "simulate",
            file.to_str().unwrap(),
            "--workers=2x1.0:code,30x2.0",
            "--strategy=least_loaded",
            "--tasks=1000",
            "--seed=9",
            "--load=0.4",
        ],
    );
    let workload = &report["workload"];
    assert_eq!((&workload["tasks"], &workload["warm_up"]), (&1_000.into(), &100.into()));
    assert_eq!((&workload["seed"], &workload["workers"]), (&9.into(), &"2x1.0:code,30x2.0".into()));
    assert!((workload["load"].as_f64().unwrap() - 0.4).abs() < 1e-9, "{workload}");
    assert_eq!(report["strategies"].as_array().unwrap().len(), 1);
    assert!(table.contains("(--json has the shares of the 32 workers)"), "{table}");
    let other = raddle(&["simulate", file.to_str().unwrap(), "--seed=10", "--speedup=0.5"]);
    assert!(text(&other.stdout).contains("load 70.0 %"), "{}", text(&other.stdout));
    assert!(text(&other.stdout).contains("speedup 0.5"), "{}", text(&other.stdout));
}

#[test]
fn a_trace_is_simulated_with_its_capabilities() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &keyed_trace());
    let (report, table) = reproducible(
        &folder,
        &["simulate", trace.to_str().unwrap(), "--workers=1x1.0:code,1x1.0:chat,2x1.0"],
    );
    assert!(table.contains("durations known"), "{table}");
    for strategy in report["strategies"].as_array().unwrap() {
        assert_whole(strategy, 200);
        assert_eq!(strategy["completed"], 200);
    }
    let limited = ["simulate", trace.to_str().unwrap(), "--tasks=20", "--durations-unknown"];
    let (report, table) = reproducible(&folder, &limited);
    assert_eq!(report["workload"]["tasks"], 20);
    assert!(table.contains("durations unknown"), "{table}");
}

#[test]
fn durations_can_be_hidden_in_scenarios_too() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios/durations.toml");
    let arguments = ["simulate", file.to_str().unwrap(), "--tasks=100", "--durations-unknown"];
    assert!(text(&raddle(&arguments[..3]).stdout).contains("durations known"));
    assert!(text(&raddle(&arguments).stdout).contains("durations unknown"));
}

#[test]
fn advice_ranks_gives_reasons_and_is_reproducible() {
    let folder = TempDir::new().unwrap();
    let file = scenario(&folder, SCENARIO);
    let page = folder.path().join("a.html");
    let (at_page, pictures) = (page.to_str().unwrap(), folder.path().join("pictures"));
    let at_pictures = pictures.to_str().unwrap();
    let (report, printed) = reproducible(
        &folder,
        &["advise", file.to_str().unwrap(), "--report", at_page, "--svg", at_pictures],
    );
    assert_eq!((&report["objective"], &report["seeds"]), (&"p99".into(), &5.into()));
    let ranking = report["ranking"].as_array().unwrap();
    assert_eq!(ranking.len(), strategies().len());
    let rank = |name: &str| ranking.iter().position(|one| one["strategy"] == name).unwrap();
    assert!(rank("least_loaded") < rank("round_robin"), "{printed}");
    assert!(rank("least_loaded") < rank("random"), "{printed}");
    assert_eq!(ranking[0]["behind"]["mean"], 0.0);
    assert_eq!(ranking[rank("random")]["ties"], false);
    let mut means = Vec::new();
    for ranked in ranking {
        let figure = |end: &str| ranked["objective"][end].as_f64().unwrap();
        assert!(figure("low") <= figure("mean") && figure("mean") <= figure("high"), "{printed}");
        let p99 = ranked["latency_us"]["p99"].as_f64().unwrap();
        assert!((figure("mean") / p99 - 1.0).abs() < 1e-9, "{ranked}");
        means.push(figure("mean"));
    }
    assert!(means.is_sorted(), "{printed}");
    let advice = report["advice"].as_array().unwrap();
    let first = advice[0].as_str().unwrap();
    assert!(first.starts_with(&format!("Use {}", ranking[0]["strategy"].as_str().unwrap())));
    assert!(printed.contains(first), "{printed}");
    assert!(
        printed.contains("durations vary a lot (squared coefficient of variation 3."),
        "{printed}"
    );
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Which strategy for") && page.contains("p99 latency"), "{page}");
    for (picture, title) in [
        ("percentiles.svg", "Latency by percentile"),
        ("load-mean.svg", "Latency by load, mean"),
        ("load-p99.svg", "Latency by load, 99th percentile"),
    ] {
        let picture = fs::read_to_string(pictures.join(picture)).unwrap();
        assert!(picture.contains(&format!("<title id=\"t\">{title}</title>")), "{picture}");
    }
    assert_eq!(fs::read_dir(&pictures).unwrap().count(), 3);
}

#[test]
fn pictures_do_not_need_a_page() {
    let folder = TempDir::new().unwrap();
    let file = scenario(&folder, SCENARIO);
    let pictures = folder.path().join("made/of/it");
    let arguments = ["simulate", file.to_str().unwrap(), "--svg", pictures.to_str().unwrap()];
    let output = raddle(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let picture = fs::read_to_string(pictures.join("percentiles.svg")).unwrap();
    for strategy in strategies() {
        assert!(picture.contains(&format!("data-name=\"{strategy}\"")), "{strategy}");
    }
}

#[test]
fn strategies_are_ranked_by_the_objective() {
    let folder = TempDir::new().unwrap();
    // Below capacity, the tasks set the throughput.
    let file = scenario(&folder, &SCENARIO.replace("load = 0.7", "load = 1.5"));
    for (objective, figure) in [("mean", "mean latency"), ("throughput", "throughput")] {
        let arguments = ["advise", file.to_str().unwrap(), "--seeds=2", "--objective", objective];
        let (report, printed) = reproducible(&folder, &arguments);
        assert!(printed.contains(&format!("its {figure} of ")), "{printed}");
        let ranking = report["ranking"].as_array().unwrap();
        let figures: Vec<_> =
            ranking.iter().map(|one| one["objective"]["mean"].as_f64().unwrap()).collect();
        let sorted = if objective == "mean" {
            figures.is_sorted()
        } else {
            figures.is_sorted_by(|one, next| one >= next)
        };
        assert!(sorted, "{objective}: {figures:?}");
    }
}

#[test]
fn load_scales_the_arrivals_of_a_trace() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &keyed_trace());
    let arguments =
        ["advise", trace.to_str().unwrap(), "--load=0.9", "--seeds=2", "--workers=4x1.0"];
    let (report, printed) = reproducible(&folder, &arguments);
    assert!(printed.contains("load 90.0 %"), "{printed}");
    assert!((report["workload"]["load"].as_f64().unwrap() - 0.9).abs() < 1e-6);
}

#[test]
fn invalid_options_are_errors_that_say_what_is_allowed() {
    let folder = TempDir::new().unwrap();
    let file = scenario(&folder, SCENARIO);
    let file = file.to_str().unwrap();
    let trace = trace(&folder, &keyed_trace());
    let trace = trace.to_str().unwrap();
    let wrong = folder.path().join("wrong.toml");
    fs::write(&wrong, SCENARIO.replace("load = 0.7", "load = 0")).unwrap();
    let wrong = wrong.to_str().unwrap();
    let unknown = folder.path().join("unknown.toml");
    fs::write(&unknown, SCENARIO.replace("long_share", "longshare")).unwrap();
    let unknown = unknown.to_str().unwrap();
    let once = folder.path().join("once.csv");
    fs::write(&once, format!("{HEADER}5,,1\n5,,1\n")).unwrap();
    let once = once.to_str().unwrap();
    let cases: [(&[&str], &str); 15] = [
        (&["simulate"], "<FILE>"),
        (&["simulate", "/no/such.toml"], "cannot read the scenario /no/such.toml: "),
        (&["simulate", "/no/such.csv"], "cannot read the trace /no/such.csv: "),
        (&["simulate", wrong], "line 6: arrivals.load is `0`, allowed is "),
        (&["simulate", unknown], "line 7: service.long_share is missing, allowed is "),
        (&["simulate", file, "--strategy=best"], "expected all, or names joined by commas: round_"),
        (&["simulate", file, "--tasks=0"], "'--tasks <N>'"),
        (&["simulate", file, "--workers=0x1"], "is not a number of workers: expected 1 to 65535"),
        (&["simulate", file, "--load=0"], "expected a fraction of the workers' capacity"),
        (&["simulate", file, "--speedup=1e7"], "speedup is 10000000, allowed is up to 2900.000"),
        (&["simulate", file, "--csv=r", "--report=r"], "--report and --csv name the same file r"),
        (&["simulate", trace, "--workers=2x1.0:code"], "serves `chat`, which tasks require"),
        (&["advise", file, "--objective=best"], "[possible values: p99, mean, throughput]"),
        (&["advise", file, "--seeds=1"], "1 is not in 2..=1000"),
        (
            &["advise", once, "--load=0.5"],
            "--load 0.5 is not possible: the tasks arrive all at once",
        ),
    ];
    for (arguments, expected) in cases {
        let error = refused(arguments);
        assert!(error.contains(expected), "{arguments:?} gave {error}");
    }
}

#[test]
fn tasks_that_arrive_all_at_once_are_simulated_and_advised_on() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &(HEADER.to_owned() + &"0,,1000\n".repeat(40)));
    let page = folder.path().join("a.html");
    let arguments =
        ["advise", trace.to_str().unwrap(), "--seeds=2", "--report", page.to_str().unwrap()];
    let (report, printed) = reproducible(&folder, &arguments);
    assert!(printed.contains("all at once"), "{printed}");
    assert!(report["workload"]["load"].is_null(), "{report}");
}

#[test]
fn the_largest_latency_is_exact_and_slow_rates_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.json");
    for (micros, rate) in [(416_667, "2.400"), (384_615, "2.600")] {
        let lines = (0..100).map(|n| format!("{},,{}\n", n * micros, micros)).collect::<String>();
        let trace = trace(&folder, &format!("{HEADER}{lines}"));
        let arguments = ["simulate", trace.to_str().unwrap(), "--workers=1x1", "--strategy=random"];
        let output = raddle(&[&arguments[..], &["--json", path.to_str().unwrap()]].concat());
        let max = json(&path)["strategies"][0]["latency_us"]["max"].as_f64().unwrap();
        assert_eq!(max, f64::from(micros));
        let table = text(&output.stdout);
        assert!(table.contains(&format!("| {rate} ")), "{rate} in {table}");
    }
}

#[test]
fn the_example_scenarios_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios");
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let output = raddle(&["simulate", file.to_str().unwrap(), "--tasks=1000"]);
        assert!(output.status.success(), "{}: {}", file.display(), text(&output.stderr));
        seen += 1;
    }
    assert!(seen >= 5);
}

#[cfg(unix)]
#[test]
fn ctrl_c_exits_with_130_and_writes_what_was_finished() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = TempDir::new().unwrap();
    // Hours of work.
    let file = scenario(&folder, &SCENARIO.replace("5_000", "100_000_000_000"));
    let path = folder.path().join("r.json");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("raddle"))
        .args(["simulate", file.to_str().unwrap(), "--json", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("100000000000 tasks"), "{line}");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let rest: Vec<_> = out.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert_eq!(json(&path)["workload"]["interrupted"], true);
    assert!(rest.iter().any(|line| line.starts_with("Interrupted")), "{rest:?}");
}
