//! The report that the models write, one line each, by `loom-tests/src/model.rs`.

use std::collections::HashSet;
use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The report of one model or twin. A twin is a model with a planted bug, which must fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// The file's name without its extension.
    pub(super) file: String,
    pub(super) name: String,
    /// The maximum number of preemptions per execution.
    pub(super) bound: u32,
    /// For a twin, those until it failed.
    pub(super) executions: u64,
    pub(super) took: Duration,
    /// The reason why a twin failed.
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
            return Err(format!("`{line}` is not the report of a model").into());
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

/// Returns the models sorted by file and name, with the twins of each file after its models.
///
/// # Errors
/// When a line is malformed, or two models or twins of a file have the same name.
pub(super) fn read(report: &str) -> Result<Vec<Model>, Box<dyn Error>> {
    let mut models = report.lines().map(str::parse).collect::<Result<Vec<Model>, _>>()?;
    models.sort_by_cached_key(|model| (model.file.clone(), model.is_twin(), model.name.clone()));
    // Whatever their bounds: those are equal in a deep run.
    let mut names = HashSet::new();
    match models.iter().find(|model| !names.insert((&model.file, &model.name))) {
        Some(Model { file, name, .. }) => {
            Err(format!("{file}: two models are called `{name}`").into())
        }
        None => Ok(models),
    }
}

/// Checks that each file of tests has a model, which one that is compiled to nothing has not.
///
/// # Errors
/// When a file has none.
pub(super) fn check_files(models: &[Model], files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let has_model = |file: &&PathBuf| {
        let name = file.file_stem().unwrap_or_default();
        models.iter().any(|model| !model.is_twin() && name == model.file.as_str())
    };
    match files.iter().find(|file| !has_model(file)) {
        None if files.is_empty() => Err("there are no files of models".into()),
        None => Ok(()),
        Some(file) => Err(format!("{} has run no model", file.display()).into()),
    }
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
    fn two_models_of_one_name_are_refused() {
        for other in ["a\tring\t2\t863\t21\t", "a\tring\t3\t9\t20\t", "a\tring\t2\t9\t1\ttorn"] {
            let error = read(&format!("a\tring\t2\t863\t20\t\n{other}\n")).unwrap_err();
            assert_eq!(error.to_string(), "a: two models are called `ring`", "{other}");
        }
        assert!(read("a\tring\t2\t863\t20\t\nb\tring\t2\t863\t20\t\n").is_ok());
    }

    #[test]
    fn a_file_without_a_model_is_refused() {
        let models = read("a\tring\t2\t863\t20\t\nb\tearly\t2\t66\t3\ttorn\n").unwrap();
        let [a, b] = ["tests/a.rs", "tests/b.rs"].map(PathBuf::from);
        assert!(check_files(&models, std::slice::from_ref(&a)).is_ok());
        let error = check_files(&models, &[a, b]).unwrap_err();
        assert_eq!(error.to_string(), "tests/b.rs has run no model");
        assert!(check_files(&models, &[]).is_err());
    }

    #[test]
    fn malformed_reports_are_refused() {
        assert!(read("a_ring\tring\t2\n").is_err());
        assert!(read("a_ring\tring\ttwo\t863\t20\t\n").is_err());
    }
}
