//! The example scenarios in `docs/scenarios/`.

use std::fs;
use std::path::{Path, PathBuf};

use raddle_sim::Scenario;
use raddle_strategies::LeastLoaded;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect()
}

#[test]
fn every_example_is_valid() {
    assert!(examples().len() >= 5);
    for path in examples() {
        let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let load = scenario.offered_load();
        assert!(load > 0.0 && load < 1.0, "load {load} in {}", path.display());
    }
}

#[test]
fn the_keys_commented_out_in_equal_toml_are_valid_too() {
    let path = examples().into_iter().find(|path| path.ends_with("equal.toml")).unwrap();
    let text = fs::read_to_string(path).unwrap();
    // Of the alternatives for `[service]`, keep one.
    let (top, service) = text.split_once("[service]").unwrap();
    let (_, rest) = service.split_once("# [[capability]]").unwrap();
    let service = "[service]\nkind = \"constant\"\ntime = \"1ms\"\n";
    let uncommented: String = format!("{top}{service}# [[capability]]{rest}")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with('[') || code.contains(" = ") && !code.contains("`") => {
                format!("{code}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let scenario = Scenario::from_toml(&uncommented).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((scenario.workers.len(), scenario.faults.len()), (10, 1));
    assert!(scenario.stealing && scenario.durations_known && scenario.timeout.is_some());
}

#[test]
fn every_example_runs() {
    for path in examples() {
        let mut scenario = Scenario::load(&path).unwrap();
        (scenario.tasks, scenario.warm_up) = (3_000, 300);
        let run = raddle_sim::simulate(&scenario, &LeastLoaded::new()).unwrap();
        let ends = run.completed + run.failed + run.panicked + run.expired + run.rejected;
        assert_eq!(ends + run.stuck, 3_000, "{}", path.display());
        assert!(run.completed > 2_900, "{} completed in {}", run.completed, path.display());
    }
}
