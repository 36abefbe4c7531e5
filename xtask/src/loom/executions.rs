//! The committed counts.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::report::Model;

/// How many executions each model has, by its file, name and bound. They are the same in each run and
/// build of the same code. How soon a twin fails is not of interest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Executions(BTreeMap<String, u64>);

impl Executions {
    const HEAD: &str = "file,model,bound,executions";

    pub(super) fn of(models: &[Model]) -> Self {
        let models = models.iter().filter(|model| !model.is_twin());
        let row = |model: &Model| {
            let Model { file, name, bound, executions, .. } = model;
            (format!("{file},\"{name}\",{bound}"), *executions)
        };
        Self(models.map(row).collect())
    }

    /// What is otherwise in a run.
    pub(super) fn differences(&self, run: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (model, expected) in &self.0 {
            match run.0.get(model) {
                Some(executions) if executions == expected => {}
                Some(executions) => {
                    differences.push(format!("{model}: {executions} executions, not {expected}"));
                }
                None => differences.push(format!("{model}: was not explored")),
            }
        }
        let new = run.0.iter().filter(|(model, _)| !self.0.contains_key(*model));
        differences
            .extend(new.map(|(model, count)| format!("{model}: is new, {count} executions")));
        differences
    }
}

impl fmt::Display for Executions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Self::HEAD)?;
        self.0.iter().try_for_each(|(model, executions)| writeln!(f, "{model},{executions}"))
    }
}

impl FromStr for Executions {
    type Err = Box<dyn Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = text.lines();
        if lines.next() != Some(Self::HEAD) {
            return Err(format!("the first line is not `{}`", Self::HEAD).into());
        }
        let row = |line: &str| {
            let (model, executions) = line.rsplit_once(',')?;
            Some((model.to_owned(), executions.parse().ok()?))
        };
        let rows = lines.map(|line| row(line).ok_or(format!("`{line}` is no model and count")));
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    const REPORT: &str = "a_ring\tring, [true, false]\t2\t863\t20\t\n\
                          a_ring\tearly\t2\t66\t3\ttorn\n\
                          a_ring\tring\t3\t7\t1\t\n";

    fn executions() -> Executions {
        Executions::of(&report::read(REPORT).unwrap())
    }

    #[test]
    fn it_reads_what_it_wrote_and_leaves_twins_out() {
        let executions = executions();
        let text = executions.to_string();
        let rows = "a_ring,\"ring\",3,7\na_ring,\"ring, [true, false]\",2,863\n";
        assert_eq!(text, format!("{}\n{rows}", Executions::HEAD));
        assert_eq!(text.parse::<Executions>().unwrap(), executions);
        assert!(executions.differences(&executions).is_empty());
    }

    #[test]
    fn a_model_that_collapses_is_gone_or_is_new_is_told() {
        let mut run = executions();
        run.0.insert("a_ring,\"ring\",3".into(), 1);
        run.0.remove("a_ring,\"ring, [true, false]\",2");
        run.0.insert("a_ring,\"other\",2".into(), 5);
        assert_eq!(
            executions().differences(&run),
            [
                "a_ring,\"ring\",3: 1 executions, not 7",
                "a_ring,\"ring, [true, false]\",2: was not explored",
                "a_ring,\"other\",2: is new, 5 executions",
            ]
        );
    }

    #[test]
    fn what_are_no_counts_is_refused() {
        assert!("file,model\n".parse::<Executions>().is_err());
        assert!(format!("{}\na_ring,many\n", Executions::HEAD).parse::<Executions>().is_err());
    }
}
