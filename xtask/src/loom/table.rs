//! What was explored, for a terminal and for the document.

use std::fmt::Write;
use std::time::Duration;

use super::report::Model;

/// The document's table is between these lines.
const BEGIN: &str = "<!-- by `cargo xtask loom --update` -->\n";
const END: &str = "<!-- end -->\n";

pub(super) fn print(models: &[Model]) {
    let width = models.iter().map(|model| model.name.chars().count()).max().unwrap_or(0);
    println!("\n{:<width$} {:>5} {:>10} {:>7}", "model", "bound", "executions", "seconds");
    for file in models.chunk_by(|one, next| one.file == next.file) {
        println!("{}", file[0].file);
        for Model { name, bound, executions, took, failed_with, .. } in file {
            let took = took.as_secs_f64();
            match failed_with {
                None => println!("{name:<width$} {bound:>5} {executions:>10} {took:>7.2}"),
                Some(reason) => {
                    println!("{name:<width$} {bound:>5} fails in execution {executions}: {reason}");
                }
            }
        }
    }
    let took: Duration = models.iter().map(|model| model.took).sum();
    println!("{}; {:.0} seconds of all models together", sum(models), took.as_secs_f64());
}

fn sum(models: &[Model]) -> String {
    let (twins, models): (Vec<_>, Vec<_>) = models.iter().partition(|model| model.is_twin());
    let executions: u64 = models.iter().map(|model| model.executions).sum();
    let (models, twins) = (models.len(), twins.len());
    format!("{models} models, {executions} executions; {twins} twins, each failed as it was to")
}

/// The document with a table of these models in place of the one that it has.
pub(super) fn replaced(document: &str, models: &[Model]) -> Option<String> {
    let (before, after) = document.split_once(BEGIN)?;
    let (_, after) = after.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", of(models)))
}

fn of(models: &[Model]) -> String {
    let mut table = String::from(
        "| file | models (bound): executions | planted bugs: what the model says of them |\n|---|---|---|\n",
    );
    for file in models.chunk_by(|one, next| one.file == next.file) {
        let (mut explored, mut planted) = (Vec::new(), Vec::new());
        for Model { name, bound, executions, failed_with, .. } in file {
            match failed_with {
                None => explored.push(format!("{name} ({bound}): {executions}")),
                Some(reason) => planted.push(format!("{name}: *{}*", reason.trim())),
            }
        }
        let [explored, planted] = [explored, planted].map(|cell| cell.join("<br>"));
        let _ = writeln!(table, "| `{}` | {explored} | {planted} |", file[0].file);
    }
    let _ = writeln!(table, "\n{}.", sum(models));
    table
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let models = report::read("a\tring\t2\t863\t20\t\na\tearly\t2\t66\t3\ttorn: \n").unwrap();
        let document = format!("before\n{BEGIN}\nold\n{END}after\n");
        let replaced = replaced(&document, &models).unwrap();
        assert!(replaced.contains("\n| `a` | ring (2): 863 | early: *torn:* |\n"), "{replaced}");
        assert!(replaced.contains("\n1 models, 863 executions; 1 twins"), "{replaced}");
        assert!(!replaced.contains("old"));
        assert_eq!(super::replaced(&replaced, &models).unwrap(), replaced);
        assert_eq!(super::replaced("no table", &models), None);
    }
}
