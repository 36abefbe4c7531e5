//! What the models tell while they are run: a line each, from `loom-tests/src/model.rs`.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

/// What one model, or one twin, reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// The name of its file.
    pub(super) file: String,
    pub(super) name: String,
    /// Preemptions an execution.
    pub(super) bound: u32,
    /// Explored, or until the twin failed.
    pub(super) executions: u64,
    pub(super) took: Duration,
    /// Why a twin failed.
    pub(super) failed_with: Option<String>,
}

impl Model {
    pub(super) fn is_twin(&self) -> bool {
        self.failed_with.is_some()
    }
}

impl FromStr for Model {
    type Err = Box<dyn Error>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let fields: Vec<_> = line.split('\t').collect();
        let [file, name, bound, executions, millis, failed_with] = fields[..] else {
            return Err(format!("`{line}` is no report of a model").into());
        };
        Ok(Self {
            file: file.into(),
            name: name.into(),
            bound: bound.parse()?,
            executions: executions.parse()?,
            took: Duration::from_millis(millis.parse()?),
            failed_with: (!failed_with.is_empty()).then(|| failed_with.into()),
        })
    }
}

/// The models of a report by file and name, and the twins of each file after its models.
///
/// # Errors
/// When a line is none of a model.
pub(super) fn read(report: &str) -> Result<Vec<Model>, Box<dyn Error>> {
    let mut models = report.lines().map(str::parse).collect::<Result<Vec<Model>, _>>()?;
    models.sort_by_cached_key(|model| (model.file.clone(), model.is_twin(), model.name.clone()));
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_come_before_their_twins() {
        let models = read("b\tone\t3\t7\t1\t\na\tearly\t2\t66\t3\ttorn\na\tring\t2\t863\t20\t\n");
        let models = models.unwrap();
        let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["ring", "early", "one"]);
        assert_eq!(models[1].failed_with.as_deref(), Some("torn"));
        assert!(!models[0].is_twin());
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(read("a_ring\tring\t2\n").is_err());
        assert!(read("a_ring\tring\ttwo\t863\t20\t\n").is_err());
    }
}
