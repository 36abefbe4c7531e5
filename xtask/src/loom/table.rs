//! The table of all models, for a terminal and for the document.

use std::fmt::Write;
use std::time::Duration;

use super::report::Model;

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
    println!("{}; {:.0} seconds in total", sum(models), took.as_secs_f64());
}

fn sum(models: &[Model]) -> String {
    let (twins, models): (Vec<_>, Vec<_>) = models.iter().partition(|model| model.is_twin());
    let executions: u64 = models.iter().map(|model| model.executions).sum();
    let (models, twins) = (models.len(), twins.len());
    format!(
        "{models} models, {executions} executions; {twins} twins, each of which failed as expected"
    )
}

/// Returns the table of the document.
pub(super) fn of(models: &[Model]) -> String {
    let mut table = String::from(
        "| file | models (bound): executions | planted bugs: how the model fails |\n|---|---|---|\n",
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
    fn each_file_is_a_row() {
        let models = report::read("a\tring\t2\t863\t20\t\na\tearly\t2\t66\t3\ttorn: \n").unwrap();
        let table = of(&models);
        assert!(table.contains("\n| `a` | ring (2): 863 | early: *torn:* |\n"), "{table}");
        assert!(table.contains("\n1 models, 863 executions; 1 twins"), "{table}");
    }
}
