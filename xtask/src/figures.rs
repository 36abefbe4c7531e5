//! Repeats the simulated figures of `docs/strategies.md`.
//!
//! A comment above a table says what its columns are, by the commands in the last block of code before
//! it: `<!-- figures: 1 mean / p99 | 2 expired -->` are the mean and the 99th percentile that the first
//! command prints for the strategy of the row, and the expired tasks that the second one counts.

use std::collections::HashMap;
use std::error::Error;
use std::fs;

use xshell::{Shell, cmd};

const DOCUMENT: &str = "docs/strategies.md";
const MARK: &str = "<!-- figures: ";
const COMMAND: &str = "cargo run --release -- simulate ";

/// Compares the figures with those of a new run, or replaces them.
///
/// # Errors
/// When a simulation fails, a mark is wrong, or a figure differs.
pub(crate) fn run(shell: &Shell, update: bool) -> Result<(), Box<dyn Error>> {
    let document = fs::read_to_string(shell.current_dir().join(DOCUMENT))?;
    let mut runs = HashMap::new();
    let (repeated, tables) = repeat(&document, |command| {
        if let Some(run) = runs.get(command) {
            return Ok(Run::clone(run));
        }
        let run = simulate(shell, command)?;
        runs.insert(command.to_owned(), run.clone());
        Ok(run)
    })?;
    if update {
        shell.write_file(DOCUMENT, repeated)?;
        return Ok(());
    }
    let differences: Vec<_> = document
        .lines()
        .zip(repeated.lines())
        .filter(|(before, now)| before != now)
        .map(|(before, now)| format!("\n- {before}\n+ {now}"))
        .collect();
    if !differences.is_empty() {
        let differences = differences.concat();
        return Err(format!("{DOCUMENT} differs from `cargo xtask figures`:{differences}").into());
    }
    println!("{tables} tables of {DOCUMENT} repeated");
    Ok(())
}

/// What a simulation wrote: the columns of its CSV file by strategy.
type Run = HashMap<String, HashMap<String, String>>;

fn simulate(shell: &Shell, command: &str) -> Result<Run, Box<dyn Error>> {
    let mut options = command.split(' ').collect::<Vec<_>>();
    if let Some(csv) = options.iter().position(|option| *option == "--csv") {
        options.drain(csv..csv + 2);
    }
    let folder = shell.create_temp_dir()?;
    let file = folder.path().join("figures.csv");
    let command = cmd!(shell, "cargo run --quiet --release -- simulate {options...} --csv {file}");
    command.ignore_stdout().run()?;
    let csv = fs::read_to_string(file)?;
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<_> = lines.next().ok_or("an empty CSV file")?.collect();
    let rows = lines.map(|cells| names.iter().cloned().zip(cells).collect::<HashMap<_, _>>());
    Ok(rows.map(|row| (row["strategy"].clone(), row)).collect())
}

/// Returns the document with its figures repeated, and the number of its tables.
fn repeat(
    document: &str,
    mut run: impl FnMut(&str) -> Result<Run, Box<dyn Error>>,
) -> Result<(String, usize), Box<dyn Error>> {
    let (mut result, mut tables) = (String::new(), 0);
    let mut commands: Vec<&str> = Vec::new();
    let mut columns: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut is_code = false;
    for line in document.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
            if is_code {
                commands.clear();
            }
        } else if is_code {
            commands.extend(line.strip_prefix(COMMAND));
        } else if let Some(mark) = line.strip_prefix(MARK) {
            let mark = mark.strip_suffix(" -->").ok_or_else(|| format!("not closed: {line}"))?;
            columns = mark.split(" | ").map(column).collect::<Option<_>>().ok_or(line)?;
            tables += 1;
        } else if !line.starts_with('|') && !line.is_empty() {
            columns.clear();
        } else if let Some(name) = line.strip_prefix("| `").filter(|_| !columns.is_empty()) {
            let (name, _) = name.split_once('`').ok_or(line)?;
            result.push_str(&format!("| `{name}` |"));
            for (number, figures) in &columns {
                let command = number.checked_sub(1).and_then(|number| commands.get(number));
                let runs = run(command.ok_or_else(|| format!("no command {number}: {line}"))?)?;
                let row = runs.get(name).ok_or_else(|| format!("{name} was not simulated"))?;
                let figures: Result<Vec<_>, _> = figures.iter().map(|of| figure(row, of)).collect();
                result.push_str(&format!(" {} |", figures?.join(" / ")));
            }
            result.push('\n');
            continue;
        }
        result.push_str(line);
        result.push('\n');
    }
    Ok((result, tables))
}

/// The number of a command and its figures.
fn column(text: &str) -> Option<(usize, Vec<&str>)> {
    let (number, figures) = text.split_once(' ')?;
    Some((number.parse().ok()?, figures.split(" / ").collect()))
}

fn figure(row: &HashMap<String, String>, name: &str) -> Result<String, Box<dyn Error>> {
    let number = |column: &str| -> Result<f64, Box<dyn Error>> {
        let cell = row.get(column).ok_or_else(|| format!("no column {column}"))?;
        Ok(cell.parse()?)
    };
    let share = |name: &String| name.starts_with("share_").then(|| number(name));
    match name {
        "mean" | "p99" | "p999" => Ok(milliseconds(number(&format!("latency_us_{name}"))? / 1e3)),
        "first share" => Ok(format!("{:.1} %", 100.0 * number("share_any-0")?)),
        "least share" => {
            let shares = row.keys().filter_map(share).collect::<Result<Vec<_>, _>>()?;
            let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
            Ok(format!("{:.2}", least * shares.len() as f64))
        }
        _ => Ok(with_commas(number(name)?)),
    }
}

/// Three significant digits, or all of those before the point.
fn milliseconds(time: f64) -> String {
    match time {
        ..9.995 => format!("{time:.2}"),
        ..99.95 => format!("{time:.1}"),
        _ => with_commas(time),
    }
}

fn with_commas(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut result = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulated(command: &str) -> Result<Run, Box<dyn Error>> {
        let columns = match command {
            "a.toml" => [("latency_us_mean", "1234.5"), ("latency_us_p99", "99960")],
            "b.toml" => [("share_any-0", "0.1"), ("share_any-1", "0.9")],
            _ => return Err(format!("unexpected {command}").into()),
        };
        let columns = columns.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok([("random".to_owned(), columns.into_iter().collect())].into())
    }

    const BLOCK: &str = "```\ncargo run --release -- simulate a.toml\n\
                         cargo run --release -- simulate b.toml\n```\n";

    #[test]
    fn the_figures_of_marked_tables_are_repeated() {
        let table = |mark: &str, cells: &str| {
            format!("{BLOCK}\n{mark}\n| | x | y |\n|---|--:|--:|\n| `random` |{cells} |\n\nText\n")
        };
        let mark = "<!-- figures: 1 mean / p99 | 2 first share | 2 least share -->";
        let (repeated, tables) = repeat(&table(mark, " old | old | old"), simulated).unwrap();
        assert_eq!(repeated, table(mark, " 1.23 / 100 | 10.0 % | 0.20"));
        assert_eq!(tables, 1);
        let unmarked = table("Text", " old | old");
        assert_eq!(repeat(&unmarked, simulated).unwrap(), (unmarked, 0));
        for wrong in ["<!-- figures: 3 mean -->", "<!-- figures: mean -->", "<!-- figures: 1 x -->"]
        {
            assert!(repeat(&table(wrong, " old"), simulated).is_err(), "{wrong}");
        }
    }

    #[test]
    fn figures_have_three_digits() {
        let times = [0.004, 9.994, 9.996, 99.94, 99.96, 999.6, 54_392.4];
        let texts = ["0.00", "9.99", "10.0", "99.9", "100", "1,000", "54,392"];
        assert_eq!(times.map(milliseconds), texts);
    }
}
