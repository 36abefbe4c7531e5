//! The committed numbers of executions.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::report::Model;

/// The number of executions of each model, by file, name and bound. It is the same in each run and
/// build of the same code. Twins are left out.
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

    /// Describes each model whose number differs in `run`, or that only one of the two has.
    pub(super) fn differences(&self, run: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (model, expected) in &self.0 {
            match run.0.get(model) {
                Some(executions) if executions == expected => {}
                Some(executions) => {
                    differences.push(format!("{model}: {executions} executions, not {expected}"));
                }
                None => differences.push(format!("{model}: was not run")),
            }
        }
        let new = run.0.iter().filter(|(model, _)| !self.0.contains_key(*model));
        differences.extend(new.map(|(model, count)| format!("{model}: new, {count} executions")));
        differences
    }

    /// Names each model for which the numbers of a deep run, which is rarely made, are out of
    /// date: only one of the two has it, or it has other executions with the same bound.
    pub(super) fn outdated(&self, deep: &Self) -> Vec<String> {
        fn names(of: &Executions) -> BTreeSet<&str> {
            of.0.keys().filter_map(|model| Some(model.rsplit_once(',')?.0)).collect()
        }
        let (own, others) = (names(self), names(deep));
        let only_one = own.symmetric_difference(&others).map(|name| (*name).to_owned());
        let differs = |(model, count): (&String, &u64)| {
            deep.0.get(model).is_some_and(|deep| deep != count).then(|| model.clone())
        };
        only_one.chain(self.0.iter().filter_map(differs)).collect()
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
        let mut rows = BTreeMap::new();
        for line in lines {
            let (model, executions) =
                row(line).ok_or_else(|| format!("`{line}` is not a model and a number"))?;
            if rows.insert(model, executions).is_some() {
                return Err(format!("`{line}`: the model is listed twice").into());
            }
        }
        Ok(Self(rows))
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
    fn executions_survive_a_round_trip_without_twins() {
        let executions = executions();
        let text = executions.to_string();
        let rows = "a_ring,\"ring\",3,7\na_ring,\"ring, [true, false]\",2,863\n";
        assert_eq!(text, format!("{}\n{rows}", Executions::HEAD));
        assert_eq!(text.parse::<Executions>().unwrap(), executions);
        assert!(executions.differences(&executions).is_empty());
    }

    #[test]
    fn changed_missing_and_new_models_are_reported() {
        let mut run = executions();
        run.0.insert("a_ring,\"ring\",3".into(), 1);
        run.0.remove("a_ring,\"ring, [true, false]\",2");
        run.0.insert("a_ring,\"other\",2".into(), 5);
        assert_eq!(
            executions().differences(&run),
            [
                "a_ring,\"ring\",3: 1 executions, not 7",
                "a_ring,\"ring, [true, false]\",2: was not run",
                "a_ring,\"other\",2: new, 5 executions",
            ]
        );
    }

    #[test]
    fn outdated_numbers_of_deep_runs_are_reported() {
        let mut deep = executions();
        assert!(executions().outdated(&deep).is_empty());
        // Another bound, other executions.
        deep.0.remove("a_ring,\"ring, [true, false]\",2");
        deep.0.insert("a_ring,\"ring, [true, false]\",3".into(), 9_000);
        assert!(executions().outdated(&deep).is_empty());
        deep.0.insert("a_ring,\"ring\",3".into(), 8);
        deep.0.insert("a_ring,\"other\",3".into(), 5);
        let expected = ["a_ring,\"other\"", "a_ring,\"ring\",3"];
        assert_eq!(executions().outdated(&deep), expected);
    }

    #[test]
    fn malformed_and_duplicate_rows_are_refused() {
        let twice = format!("{}\na_ring,\"ring\",3,7\na_ring,\"ring\",3,7\n", Executions::HEAD);
        assert!(twice.parse::<Executions>().unwrap_err().to_string().contains("twice"));
        assert!("file,model\n".parse::<Executions>().is_err());
        assert!(format!("{}\na_ring,many\n", Executions::HEAD).parse::<Executions>().is_err());
    }
}
