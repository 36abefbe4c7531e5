//! The table of verdicts in the document.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::mutant::{Mutant, Verdict};

/// Returns the verdicts, as one table per file.
pub(super) fn of(verdicts: &[(Mutant<'_>, Verdict)]) -> String {
    let (mut table, mut file) = (String::new(), "");
    for (mutant, verdict) in verdicts {
        if mutant.site.file != file {
            file = &mutant.site.file;
            let _ = writeln!(table, "\n`{file}`\n\n| function | weakened | fails |\n|---|---|---|");
        }
        let _ = writeln!(table, "{}{} |", start_of_row(mutant), outcome(mutant, verdict));
    }
    table.trim_start().to_owned()
}

/// Returns the start of a mutant's row, which is unique in its file.
fn start_of_row(mutant: &Mutant<'_>) -> String {
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

/// The tests that the document's table names, by file and start of the row.
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

    /// Returns the test that killed the mutant the last time.
    pub(super) fn test_of(&self, mutant: &Mutant<'_>) -> Option<&str> {
        let row = (mutant.site.file.clone(), start_of_row(mutant));
        self.0.get(&row).map(String::as_str)
    }
}

/// Returns the start of a row and the test that it names.
fn split_row(line: &str) -> Option<(&str, &str)> {
    let (start, test) = line.strip_suffix(" |")?.rsplit_once("| ")?;
    let test = test.strip_prefix('`')?.split('`').next()?;
    Some((&line[..start.len() + 2], test))
}

#[cfg(test)]
mod tests {
    use super::super::sites;
    use super::*;

    #[test]
    fn tests_named_in_the_document_of_orderings_kill_a_mutant() {
        let table = include_str!("../../../docs/verification.md");
        let document = include_str!("../../../docs/memory-ordering.md");
        let is_killing = |name: &str| table.contains(&format!("::{name}`"));
        let cells = document.lines().filter_map(|line| {
            let [_, _, _, fails] =
                line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect::<Vec<_>>()[..]
            else {
                return None;
            };
            Some(fails)
        });
        let names: Vec<_> = cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .filter(|name| name.contains('_'))
            .collect();
        assert!(names.len() > 10, "the column is not found: {names:?}");
        for name in names {
            assert!(is_killing(name), "{name} kills no mutant");
        }
    }

    #[test]
    fn the_test_named_in_a_row_is_found() {
        let sites = sites::find("a.rs", "fn f() { a.load(Acquire); }");
        let site = &sites.unwrap()[0];
        let weaker = sites::Ordering::Relaxed;
        let mutant = Mutant { number: 0, site, weaker, explanation: None };
        let killed = Verdict::Killed { test: "file::test".to_owned(), how: Some("deadlock") };
        let verdicts = [(mutant, killed)];
        let known = Known::of(&of(&verdicts));
        assert_eq!(known.test_of(&verdicts[0].0), Some("file::test"));
    }
}
