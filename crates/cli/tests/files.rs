//! What the program reads, and where it writes.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

use common::{HEADER, json, raddle, refused, text, trace};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

const SCENARIO: &str = r#"
workers = "2x1.0"
tasks = 100
[arrivals]
kind = "poisson"
load = 0.5
[service]
kind = "exponential"
mean = "1ms"
"#;

/// Ten small tasks.
fn small() -> String {
    HEADER.to_owned() + &(0..10).map(|n| format!("{},,100\n", n * 200)).collect::<String>()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Runs the program with this on standard input.
fn fed(input: &[u8], arguments: &[&str]) -> Output {
    let mut raddle = assert_cmd::Command::cargo_bin("raddle").unwrap();
    raddle.args(arguments).write_stdin(input).output().unwrap()
}

/// Simulates a trace with these lines after the header, which must be refused.
fn fault(lines: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.csv");
    fs::write(&path, lines).unwrap();
    refused(&["simulate", path.to_str().unwrap(), "--strategy=random"])
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_where_it_begins() {
    let error = fault(format!("{HEADER}0,,1\n1,\"code,1\n2,,1\n3,,1\n").as_bytes());
    assert!(
        error.contains("line 3, column 2: expected a closing quote on the same line"),
        "{error}"
    );
    // Closed by another such quote, far below.
    let error = fault(format!("{HEADER}0,,1\n1,\"code,1\n2,,1\n3,chat\",1\n").as_bytes());
    assert!(error.contains("line 3, column 2: expected a closing quote"), "{error}");
    let error = fault(b"arrival_us,\"capability,service_us\n0,,1\n");
    assert!(error.contains("line 1, column 2: expected a closing quote"), "{error}");
}

#[test]
fn nothing_in_a_trace_is_ignored_or_misread() {
    let own = HEADER.as_bytes();
    let azure = AZURE.as_bytes();
    let cases: [(&[u8], &[u8], &str); 23] = [
        (
            own,
            b"0,,1\n1,\"code\"x,1\n",
            "line 3, column 2: expected a comma or the end of the line",
        ),
        (own, b"0,co\"de,1\n", "line 2, column 2: expected no quote inside a value"),
        (own, b"0,,1,\n", "line 2, column 4: expected 3 columns"),
        (own, b"0,\n", "line 2, column 3: expected 3 columns"),
        (own, b"0,,1\n \n1,,1\n", "line 3, column 2: expected 3 columns"),
        (own, b"0,co\0de,1\n", "line 2, column 2: expected no control character, found U+0000"),
        (
            own,
            b"0,\"co\x1b[2Jde\",1\n",
            "line 2, column 2: expected no control character, found U+001B",
        ),
        (own, b"0,,1\r1,,1\n", "line 2, column 3: expected a line end (LF or CR LF), found a CR"),
        (own, b"0,,1\r\r\n", "line 2, column 3: expected a line end (LF or CR LF), found a CR"),
        (own, b"0,,1\n\0\0\0\0", "line 3, column 1: expected no control character, found U+0000"),
        (
            own,
            b"0,caf\xe9,1\n",
            "line 2, column 2 (capability): expected a capability name in UTF-8",
        ),
        (own, b"0,\" code\",1\n", "line 2, column 2 (capability): expected a capability name"),
        (
            own,
            "0,co\u{85}de,1\n".as_bytes(),
            "line 2, column 2 (capability): expected a capability",
        ),
        (own, b"0,,-1\n", "line 2, column 3 (service_us): expected a whole number"),
        (own, b"0,,NaN\n", "line 2, column 3 (service_us): expected a whole number"),
        (own, b"0,,inf\n", "line 2, column 3 (service_us): expected a whole number"),
        (own, b"0,,1e3\n", "line 2, column 3 (service_us): expected a whole number"),
        (
            own,
            b"18446744073709551616,,1\n",
            "line 2, column 1 (arrival_us): expected a whole number",
        ),
        (azure, b"2023-11-16,1,1\n", "line 2, column 1 (TIMESTAMP): expected a time like"),
        (azure, b"2023-11-16 18:17:60,1,1\n", "line 2, column 1 (TIMESTAMP): expected a time like"),
        (
            azure,
            b"2023-11-16 18:17:03+01:00[Europe/Berlin],1,1\n",
            "line 2, column 1 (TIMESTAMP): expected a time like",
        ),
        (
            azure,
            b"2023-11-16 18:17:03,1,1\n2023-11-16 18:17:04+02:00,1,1\n",
            "line 3, column 1 (TIMESTAMP): expected offsets from UTC in all times of the trace",
        ),
        (
            azure,
            b"2023-11-16 18:17:03,4294967296,1\n",
            "line 2, column 2 (ContextTokens): expected",
        ),
    ];
    for (header, lines, expected) in cases {
        let error = fault(&[header, lines].concat());
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_header_that_is_not_known_is_an_error_at_its_first_other_column() {
    for (header, column) in [
        ("arrival_us,capability,service_ms", 3),
        ("arrival_us,capability,service_us,Key", 4),
        ("arrival_us,capability,service_us,", 4),
        ("arrival_us,capability,service_us,key,key", 5),
        ("arrival_us,arrival_us,service_us", 2),
        ("\"arrival_us,capability\",service_us", 1),
        ("arrival_us,capability", 3),
        ("TIMESTAMP,GeneratedTokens,ContextTokens", 2),
    ] {
        let error = fault(format!("{header}\n0,,1\n").as_bytes());
        let expected = format!("line 1, column {column}: expected one of the headers `arrival_us,");
        assert!(error.contains(&expected), "{header}: {error}");
    }
    let error = fault(b"\n\ntime\n");
    assert!(error.contains("line 3, column 1: expected one of the headers"), "{error}");
}

#[test]
fn what_is_not_ambiguous_in_a_trace_is_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.json");
    for content in [
        "\u{feff}arrival_us,capability,service_us\r\n0,\"a \"\"b\"\", c\",1\r\n\r\n1 ,\t\"\" , 5",
        "\"arrival_us\",\"capability\",\"service_us\"\n\"0\",\"a\",\"1\"\n1,,5\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 23:59:59.5+00:00,1,1\n\
         2024-05-11T01:00:00+01:00,1,1\n",
    ] {
        let trace = trace(&folder, content);
        let arguments = ["simulate", trace.to_str().unwrap(), "--strategy=random", "--json"];
        let output = raddle(&[&arguments[..], &[path.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{content}: {}", text(&output.stderr));
        assert_eq!(json(&path)["workload"]["tasks"], 2, "{content}");
    }
}

#[test]
fn a_cost_of_tokens_without_tokens_is_refused() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &small());
    for (input, command) in
        [(trace.to_str().unwrap(), "replay"), (trace.to_str().unwrap(), "simulate")]
    {
        let error = refused(&[command, input, "--generated-token-ms=5"]);
        assert!(
            error.contains("--generated-token-ms has no effect: expected an Azure trace"),
            "{error}"
        );
    }
    let output = fed(SCENARIO.as_bytes(), &["advise", "-", "--context-token-ms=5"]);
    assert!(text(&output.stderr).contains("--context-token-ms has no effect"), "{output:?}");
    let azure = format!("{AZURE}2023-11-16 18:17:03,1,1\n");
    let arguments = ["simulate", "-", "--strategy=random", "--context-token-ms=1000"];
    let output = fed(azure.as_bytes(), &[&arguments[..], &["--generated-token-ms=0"]].concat());
    assert!(text(&output.stdout).contains("1 tasks of 1000.000 ms"), "{output:?}");
}

#[test]
fn traces_and_scenarios_are_read_from_standard_input() {
    for (input, command) in [
        (small(), &["replay", "-"][..]),
        (small(), &["simulate", "-"]),
        (SCENARIO.into(), &["simulate", "-"]),
        (SCENARIO.into(), &["advise", "-", "--seeds=2"]),
    ] {
        for input in [input.as_bytes().to_vec(), gzipped(input.as_bytes())] {
            let output = fed(&input, &[command, &["--strategy=random"]].concat());
            assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
            let heading = text(&output.stdout);
            assert!(
                heading.starts_with("-: 10 tasks") || heading.starts_with("-: 100 tasks"),
                "{heading}"
            );
        }
    }
    let output = fed(b"a,b\n", &["simulate", "-"]);
    let error = text(&output.stderr);
    assert!(
        error.contains("invalid trace -: line 1, column 1: expected one of the headers"),
        "{error}"
    );
    let output = fed(b"workers = 3\n", &["simulate", "-"]);
    assert!(text(&output.stderr).contains("- is not a scenario: line 1: "), "{output:?}");
}

#[test]
fn compressed_files_are_read_and_broken_ones_refused() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let whole = gzipped(small().as_bytes());
    // `cat one.gz two.gz` is a file of gzip, too.
    let content = small();
    let (head, tail) = content.split_at(50);
    let parts = [gzipped(head.as_bytes()), gzipped(tail.as_bytes())].concat();
    for path in [
        file("t.csv.gz", &whole),
        file("named.csv", &whole),
        file("parts.gz", &parts),
        file("s.toml.gz", &gzipped(SCENARIO.as_bytes())),
    ] {
        let output = raddle(&["simulate", &path, "--strategy=random"]);
        assert!(output.status.success(), "{path}: {}", text(&output.stderr));
    }
    let mut flipped = whole.clone();
    flipped[whole.len() - 5] ^= 1;
    for path in [
        file("cut.gz", &whole[..whole.len() - 9]),
        file("flipped.gz", &flipped),
        file("more.gz", &[&whole[..], b"rest"].concat()),
    ] {
        let error = refused(&["simulate", &path, "--strategy=random"]);
        assert!(error.contains(&format!("cannot read the trace {path}: ")), "{error}");
    }
}

#[test]
fn the_end_of_a_name_says_what_is_a_scenario() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("S.TOML");
    fs::write(&path, SCENARIO).unwrap();
    let path = path.to_str().unwrap();
    let output = raddle(&["simulate", path, "--strategy=random"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let error = refused(&["replay", path]);
    assert!(
        error.contains("S.TOML is a scenario") && error.contains("`raddle simulate`"),
        "{error}"
    );
    let output = fed(SCENARIO.as_bytes(), &["replay", "-"]);
    assert!(text(&output.stderr).contains("`raddle simulate`"), "{output:?}");
}

/// Runs the program in `folder`, where it must refuse to write over `trace.csv`.
fn kept(folder: &TempDir, arguments: &[&str]) -> String {
    let path = folder.path().join("trace.csv");
    let mut raddle = assert_cmd::Command::cargo_bin("raddle").unwrap();
    let output = raddle.current_dir(folder).args(arguments).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(fs::read_to_string(path).unwrap(), small(), "{arguments:?}: {error}");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(error.contains(" name the same file "), "{arguments:?}: {error}");
    error
}

#[test]
fn no_output_may_be_the_input() {
    let folder = TempDir::new().unwrap();
    trace(&folder, &small());
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    let absolute = folder.path().join("a/../trace.csv");
    for output in ["trace.csv", "./trace.csv", "a/../trace.csv", absolute.to_str().unwrap()] {
        for option in ["--json", "--csv", "--report"] {
            let error = kept(&folder, &["simulate", "trace.csv", option, output]);
            let expected = format!("error: the input and {option} name the same file {output}: ");
            assert!(error.contains(&expected), "{error}");
        }
        kept(&folder, &["advise", "trace.csv", "--json", output]);
        kept(&folder, &["advise", "trace.csv", "--report", output]);
        for option in ["--json", "--csv"] {
            let error = kept(&folder, &["replay", "trace.csv", option, output]);
            assert!(error.contains("the trace and --"), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn links_to_the_input_are_the_input() {
    use std::os::unix::fs::symlink;

    let folder = TempDir::new().unwrap();
    trace(&folder, &small());
    let path = |name: &str| folder.path().join(name);
    symlink("trace.csv", path("soft")).unwrap();
    symlink("soft", path("softer")).unwrap();
    fs::hard_link(path("trace.csv"), path("hard")).unwrap();
    symlink(folder.path(), path("here")).unwrap();
    for output in ["soft", "softer", "hard", "here/trace.csv", "here/here/hard"] {
        kept(&folder, &["simulate", "trace.csv", "--json", output]);
        kept(&folder, &["simulate", output, "--json", "trace.csv"]);
    }
    // A folder of pictures.
    fs::create_dir(path("pictures")).unwrap();
    symlink("../trace.csv", path("pictures/load-p99.svg")).unwrap();
    let error = kept(&folder, &["advise", "trace.csv", "--svg", "pictures"]);
    assert!(
        error.contains("the input and --svg name the same file pictures/load-p99.svg"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn no_output_may_be_another_output() {
    use std::os::unix::fs::symlink;

    let folder = TempDir::new().unwrap();
    trace(&folder, &small());
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("a")).unwrap();
    // Neither of the two exists yet.
    symlink("new", path("dangling")).unwrap();
    for outputs in [
        &["--json", "r", "--csv", "a/../r"][..],
        &["--json", "dangling", "--csv", "new"],
        &["--json", "a/percentiles.svg", "--svg", "a"],
        &["--report", "not/there/percentiles.svg", "--svg", "not/there"],
        &["--json", "-", "--csv", "/dev/stdout"],
    ] {
        kept(&folder, &[&["simulate", "trace.csv"], outputs].concat());
    }
    let same_picture = folder.path().join("b");
    fs::create_dir(&same_picture).unwrap();
    symlink("load-p99.svg", same_picture.join("load-mean.svg")).unwrap();
    let error = kept(&folder, &["advise", "trace.csv", "--svg", "b"]);
    assert!(error.contains("--svg and --svg name the same file b/load-p99.svg"), "{error}");
    assert!(!path("new").exists() && !path("r").exists());
}

#[cfg(unix)]
#[test]
fn a_redirected_stream_is_an_output() {
    use std::process::{Command, Stdio};

    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &small());
    let appended = || fs::File::options().append(true).open(&trace).unwrap();
    let run = |arguments: &[&str], input: Stdio, output: Stdio| {
        let mut raddle = Command::new(assert_cmd::cargo::cargo_bin!("raddle"));
        let raddle = raddle.current_dir(&folder).arg("simulate").args(arguments);
        raddle.args(["--strategy=random"]).stdin(input).stdout(output).output().unwrap()
    };
    let opened = || Stdio::from(fs::File::open(&trace).unwrap());
    for (arguments, input, output, expected) in [
        (
            &["trace.csv"][..],
            Stdio::null(),
            appended().into(),
            "the input and standard output name",
        ),
        (&["-"], opened(), appended().into(), "the input and standard output name"),
        (&["-", "--json=trace.csv"], opened(), Stdio::null(), "the input and --json name"),
        (
            &["trace.csv", "--json=log"],
            Stdio::null(),
            fs::File::create(folder.path().join("log")).unwrap().into(),
            "standard output and --json name the same file log: ",
        ),
    ] {
        let output = run(arguments, input, output);
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(expected), "{arguments:?}: {error}");
        assert_eq!(fs::read_to_string(&trace).unwrap(), small());
    }
}

#[test]
fn a_report_on_standard_output_has_it_alone() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &small());
    let trace = trace.to_str().unwrap();
    let stdout = Path::new("/dev/stdout");
    let names = if stdout.exists() { &["-", "/dev/stdout"][..] } else { &["-"] };
    for name in names {
        for command in ["simulate", "replay", "advise"] {
            let output = raddle(&[command, trace, "--strategy=random", "--json", name]);
            let error = text(&output.stderr);
            assert!(output.status.success(), "{command}: {error}");
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["workload"]["tasks"], 10);
            assert!(error.contains("10 tasks") && error.contains("| random "), "{error}");
        }
        let output = raddle(&["simulate", trace, "--strategy=random", "--csv", name]);
        assert!(text(&output.stdout).starts_with("strategy,tasks,"), "{output:?}");
        let output = raddle(&["simulate", trace, "--strategy=random", "--report", name]);
        assert!(text(&output.stdout).starts_with("<!DOCTYPE html>"), "{output:?}");
    }
    let error = refused(&["simulate", trace, "--svg", "-"]);
    assert!(error.contains("cannot write -: it is standard output: expected a folder"), "{error}");
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_written_as_they_are() {
    let folder = TempDir::new().unwrap();
    let trace = trace(&folder, &small());
    let trace = trace.to_str().unwrap();
    let null = ["--json=/dev/null", "--csv=/dev/null"];
    let output = raddle(&[&["simulate", trace, "--strategy=random"], &null[..]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    if Path::new("/dev/full").exists() {
        let output = raddle(&["simulate", trace, "--strategy=random", "--json=/dev/full"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("cannot write /dev/full: "), "{output:?}");
    }
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    let output =
        raddle(&["simulate", trace, "--strategy=random", "--json", pipe.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&reader.join().unwrap()).unwrap();
    assert_eq!(report["workload"]["tasks"], 10);
}
