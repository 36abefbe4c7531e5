use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Mutant, Verdict};

/// The document with the table, between these lines.
pub(super) const DOCUMENT: &str = "docs/verification.md";
const BEGIN: &str = "<!-- by `cargo xtask mutate-orderings --update` -->\n";
const END: &str = "<!-- end -->\n";

/// The verdicts as a table a file.
pub(super) fn of(verdicts: &[(Mutant<'_>, Verdict)]) -> String {
    let (mut table, mut file) = (String::new(), "");
    for (mutant, verdict) in verdicts {
        if mutant.site.file != file {
            file = &mutant.site.file;
            let _ = writeln!(table, "\n`{file}`\n\n| function | weakened | fails |\n|---|---|---|");
        }
        let _ = writeln!(table, "{}{} |", begin_of_row(mutant), outcome(mutant, verdict));
    }
    table.trim_start().to_owned()
}

/// What tells a mutant's row from others of its file.
fn begin_of_row(mutant: &Mutant<'_>) -> String {
    format!("| `{}` | `{}` | ", mutant.site.function, mutant.site.weakened(mutant.weaker))
}

fn outcome(mutant: &Mutant<'_>, verdict: &Verdict) -> String {
    match (verdict, mutant.explanation) {
        (Verdict::Killed { test, how: None }, _) => format!("`{test}`"),
        (Verdict::Killed { test, how: Some(how) }, _) => format!("`{test}`, {how}"),
        (Verdict::Survives { .. }, Some(explanation)) => format!("none: {}", explanation.reason),
        (Verdict::Survives { .. }, None) => "none".to_owned(),
    }
}

/// The document with this table instead of the one that it has.
pub(super) fn replaced(document: &str, table: &str) -> Option<String> {
    let (before, after) = document.split_once(BEGIN)?;
    let (_, after) = after.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// The tests that the table of a document names, by file and row.
pub(super) struct Known(BTreeMap<(String, String), String>);

impl Known {
    pub(super) fn of(document: &str) -> Self {
        let (mut known, mut file) = (BTreeMap::new(), "");
        for line in document.lines() {
            if let Some(name) = line.strip_prefix('`').and_then(|line| line.strip_suffix('`')) {
                file = name;
            } else if let Some((row, test)) = split_row(line) {
                known.insert((file.to_owned(), row.to_owned()), test.to_owned());
            }
        }
        Self(known)
    }

    /// The test that killed it the last time.
    pub(super) fn test_of(&self, mutant: &Mutant<'_>) -> Option<&str> {
        let row = (mutant.site.file.clone(), begin_of_row(mutant));
        self.0.get(&row).map(String::as_str)
    }
}

/// The begin of a row, and the test that it names.
fn split_row(line: &str) -> Option<(&str, &str)> {
    let (begin, test) = line.strip_suffix(" |")?.rsplit_once("| ")?;
    let test = test.strip_prefix('`')?.split('`').next()?;
    Some((&line[..begin.len() + 2], test))
}
