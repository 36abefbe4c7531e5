//! What the program writes to a terminal: how wide, in which columns, and without what.

#[allow(dead_code, reason = "not every program of tests uses all of it")]
mod common;

use std::ffi::OsStr;
use std::fs;

use assert_cmd::Command;
use common::{HEADER, text, trace};
use tempfile::TempDir;

/// Runs the program in a terminal of this width; returns its exit code, output and errors.
fn in_width(width: usize, arguments: &[impl AsRef<OsStr>]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("raddle").unwrap();
    let output = command.env("COLUMNS", width.to_string()).args(arguments).output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn tasks(count: usize) -> String {
    let line = |n: usize| format!("{},,{}\n", n * 300, 900 + n % 11 * 100);
    HEADER.to_owned() + &(0..count).map(line).collect::<String>()
}

/// The headings of every table.
fn headings(printed: &str) -> Vec<Vec<&str>> {
    let tables = printed.lines().filter(|line| line.starts_with("| strategy "));
    tables
        .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

fn assert_tables_fit(printed: &str, width: usize) {
    let rows: Vec<_> = printed.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 4, "{printed}");
    for row in rows {
        assert!(row.chars().count() <= width, "{} columns: {row}", row.chars().count());
    }
}

#[test]
fn tables_fit_the_terminal_and_say_which_columns_are_missing() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &tasks(200));
    let trace = trace.to_str().unwrap();
    for command in ["replay", "simulate", "advise"] {
        for width in [60, 80, 120] {
            let (code, printed, error) = in_width(width, &[command, trace]);
            assert_eq!(code, Some(0), "{error}");
            assert_tables_fit(&printed, width);
            let figures = headings(&printed).remove(0);
            assert!(figures.iter().any(|heading| heading.starts_with("p99")), "{figures:?}");
            assert!(printed.contains("Not shown: "), "{printed}");
            assert!(printed.contains("--columns all"), "{printed}");
        }
        let (_, printed, _) = in_width(1_000, &[command, trace]);
        assert!(!printed.contains("Not shown"), "{printed}");
    }
}

#[test]
fn columns_are_shown_on_request() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &tasks(200));
    let trace = trace.to_str().unwrap();
    for command in ["replay", "simulate", "advise"] {
        let arguments = [command, trace, "--columns=max,p50,tasks/s"];
        let (code, printed, error) = in_width(80, &arguments);
        assert_eq!(code, Some(0), "{error}");
        let expected = ["strategy", "max ms", "p50 ms", "tasks/s"];
        assert_eq!(headings(&printed)[0], expected, "{printed}");
        assert!(!printed.contains("Not shown"), "{printed}");

        let (_, whole, _) = in_width(1_000, &[command, trace]);
        let (_, split, _) = in_width(80, &[command, trace, "--columns=all"]);
        assert_tables_fit(&split, 80);
        let every = |printed: &str| {
            let headings = headings(printed).concat();
            headings
                .into_iter()
                .filter(|heading| *heading != "strategy")
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(every(&split), every(&whole));

        let (code, printed, error) = in_width(80, &[command, trace, "--columns=p99,best"]);
        assert_eq!((code, printed.as_str()), (Some(2), ""));
        assert!(error.contains("`best` is not a column: expected all, or some of "), "{error}");
    }
}

#[test]
fn percentiles_with_few_tasks_beyond_them_are_pointed_out() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &tasks(200));
    for command in ["replay", "simulate"] {
        let (_, printed, _) = in_width(80, &[command, trace.to_str().unwrap()]);
        let expected = "of 200 tasks, 2 are beyond p99 and 0 beyond p99.9";
        assert!(printed.contains(expected), "{printed}");
    }
}

const SCENARIO: &str = r#"workers = "1x1.0"
[arrivals]
kind = "steady"
rate = 100
[service]
kind = "constant"
time = "1ms"
"#;

fn assert_no_controls(text: &str) {
    let found = text.chars().find(|char| char.is_control() && *char != '\n');
    assert_eq!(found, None, "{text:?}");
}

#[test]
fn no_control_character_of_the_input_reaches_the_output() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let wrong_column = format!("{HEADER}0,,\u{1b}]0;title\u{7}\n");
    let unserved = format!("{HEADER}0,\u{1b}[2J\u{9b}5m,1\n");
    let worker = "[[worker]]\nname = \"a\\u001b[31mb\"\n[arrivals]";
    let named = "tasks = 100\n".to_owned() + &SCENARIO.replace("[arrivals]", worker);
    let unknown_key = format!("\"\\u001b[31m\" = 1\n{SCENARIO}");
    let cases = [
        ("simulate", path("a\u{1b}[31m\r.csv", &tasks(20)), 0),
        ("advise", path("b\u{1b}[31m.csv", &tasks(20)), 0),
        ("replay", path("c\u{1b}[31m.csv", &tasks(20)), 0),
        ("simulate", path("d.csv", "\u{1b}[31mtime,size\r\n1,2\n"), 2),
        ("simulate", path("e.csv", &wrong_column), 2),
        ("replay", path("f.csv", &unserved), 2),
        ("simulate", path("g.toml", &named), 0),
        ("simulate", path("h.toml", &unknown_key), 2),
        ("simulate", path("i.toml", &format!("tasks = \"\\u001b[31m\"\n{SCENARIO}")), 2),
        ("simulate", folder.path().join("\u{1b}[31mmissing.csv"), 2),
    ];
    for (command, file, expected) in cases {
        let workers = if command == "replay" { "--workers=1x1:code" } else { "--seed=1" };
        let workers = if file.ends_with("c\u{1b}[31m.csv") { "--seed=1" } else { workers };
        let arguments = [OsStr::new(command), file.as_os_str(), OsStr::new(workers)];
        let (code, printed, error) = in_width(80, &arguments);
        assert_eq!(code, Some(expected), "{file:?}: {error}");
        assert_no_controls(&printed);
        assert_no_controls(&error);
        let all = printed + &error;
        assert!(all.contains("\\u") || all.contains("U+001B"), "{file:?}: {all}");
    }
    let page = folder.path().join("page.html");
    let named = folder.path().join("g.toml");
    let arguments = [OsStr::new("simulate"), named.as_os_str(), "--report".as_ref(), page.as_ref()];
    assert_eq!(in_width(80, &arguments).0, Some(0));
    let page = fs::read_to_string(page).unwrap();
    assert_no_controls(&page);
    assert!(page.contains("a\\u{1b}[31mb"), "the worker is in the page");
    let (code, _, error) = in_width(80, &["compare", "--strategy=\u{1b}[31m"]);
    assert_eq!(code, Some(2));
    assert_no_controls(&error);
}

#[test]
fn reports_have_no_control_characters_and_json_keeps_names() {
    let folder = TempDir::new().unwrap();
    let worker = "[[worker]]\nname = \"a\\u001b\\u007f\\u009b2J\\u202eb\"\n[arrivals]";
    let scenario = "tasks = 100\n".to_owned() + &SCENARIO.replace("[arrivals]", worker);
    let file = folder.path().join("s.toml");
    fs::write(&file, scenario).unwrap();
    let file = file.to_str().unwrap();
    let in_report = |option: &str| {
        let (code, report, error) =
            in_width(80, &["simulate", file, "--strategy=random", option, "-"]);
        assert_eq!(code, Some(0), "{error}");
        assert_no_controls(&report);
        assert!(!report.contains('\u{202e}'), "{report:?}");
        report
    };
    let json: serde_json::Value = serde_json::from_str(&in_report("--json")).unwrap();
    let shares = json["strategies"][0]["share"].as_object().unwrap();
    assert!(shares.contains_key("a\u{1b}\u{7f}\u{9b}2J\u{202e}b"), "{shares:?}");
    assert!(in_report("--csv").contains(r"share_a\u{1b}\u{7f}\u{9b}2J\u{202e}b"));
    let pictures = folder.path().join("pictures");
    assert_eq!(in_width(80, &["simulate", file, "--svg", pictures.to_str().unwrap()]).0, Some(0));
    for picture in fs::read_dir(pictures).unwrap() {
        assert_no_controls(&fs::read_to_string(picture.unwrap().path()).unwrap());
    }
}

#[test]
fn an_error_does_not_repeat_megabytes_of_input() {
    let folder = TempDir::new().unwrap();
    let long = "x".repeat(4 << 20);
    for content in [
        long.clone(),
        format!("{HEADER}0,,{long}\n"),
        format!("{HEADER}0,{long},1\n"),
        SCENARIO.replace("1x1.0", &long),
        format!("{long} = 1\n{SCENARIO}"),
        format!("tasks = \"{long}\"\n{SCENARIO}"),
    ] {
        let name = if content.contains("[service]") { "t.toml" } else { "t.csv" };
        let path = folder.path().join(name);
        fs::write(&path, &content).unwrap();
        let arguments = ["simulate", path.to_str().unwrap(), "--workers=1x1.0:code"];
        let (code, printed, error) = in_width(80, &arguments);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{error:.1000}");
        assert!(error.len() < 2_000, "{} bytes: {error:.1000}", error.len());
        assert!(error.contains('…'), "{error}");
    }
}

/// Runs the program in a pseudo-terminal of 80 columns; returns everything that it wrote.
#[cfg(target_os = "linux")]
fn in_terminal(before: &str, arguments: &str) -> String {
    let program = assert_cmd::cargo::cargo_bin!("raddle");
    let command = format!("stty cols 80; {before} {} {arguments}", program.display());
    let output = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program `script` of util-linux makes a terminal");
    text(&output.stdout)
}

#[cfg(target_os = "linux")]
#[test]
fn colours_and_width_follow_the_terminal_and_no_color() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &tasks(200));
    let arguments = format!("replay {}", trace.display());
    let coloured = in_terminal("", &arguments);
    assert!(coloured.contains("\u{1b}[38;5;"), "{coloured}");
    let plain = in_terminal("NO_COLOR=1", &arguments);
    assert!(!plain.contains("\u{1b}[3") && !plain.contains("\u{1b}[0m"), "{plain:?}");
    let tables = plain.replace('\r', "\n");
    assert_tables_fit(&tables, 80);
    for line in tables.split(['\n', '\u{1b}']) {
        let line = line.trim_start_matches("[2K");
        let bar = line.contains('[') && line.contains("left");
        assert!(!bar || line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn tables_on_standard_error_follow_what_shows_that() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &tasks(200));
    let other = folder.path().join("other");
    let arguments = format!("simulate {} --json -", trace.display());
    let shown = in_terminal("", &format!("{arguments} > {}", other.display()));
    assert!(shown.contains("\u{1b}[38;5;") && shown.contains("Not shown: "), "{shown}");
    in_terminal("", &format!("{arguments} 2> {}", other.display()));
    let tables = fs::read_to_string(other).unwrap();
    assert!(tables.contains("| strategy "), "{tables}");
    assert!(!tables.contains("\u{1b}[38;5;") && !tables.contains("Not shown"), "{tables}");
}
