//! The committed counts of instructions.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::Count;

/// The accepted count of each step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Baseline {
    /// The compiler and target that the counts are of.
    pub(crate) compiler: String,
    steps: Vec<Count>,
}

impl Baseline {
    /// The path from the root of the workspace.
    pub(crate) const PATH: &str = "benches/instructions/baseline.csv";

    pub(crate) fn new(compiler: String, counts: &[Count]) -> Self {
        Self { compiler, steps: counts.to_vec() }
    }

    /// Returns the instructions of a step, or `None` if it is new.
    pub(crate) fn of(&self, step: &str) -> Option<u64> {
        self.steps.iter().find(|count| count.step == step).map(|count| count.instructions)
    }

    /// Iterates over the names of the steps.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|count| count.step.as_str())
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step,{}", self.compiler)?;
        self.steps.iter().try_for_each(|count| writeln!(f, "{},{}", count.step, count.instructions))
    }
}

impl FromStr for Baseline {
    type Err = Box<dyn Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |line| format!("{}: `{line}` is not a step and its count", Self::PATH);
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        let compiler = head.strip_prefix("step,").ok_or_else(|| wrong(head))?.to_owned();
        let count = |line: &str| {
            let (step, instructions) = line.split_once(',')?;
            Some(Count { step: step.to_owned(), instructions: instructions.parse().ok()? })
        };
        let steps = lines.map(|line| count(line).ok_or_else(|| wrong(line)));
        Ok(Self { compiler, steps: steps.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_survives_a_round_trip() {
        let counts = [
            Count { step: "tell/caller".into(), instructions: 546 },
            Count { step: "select/random/16".into(), instructions: 150 },
        ];
        let baseline = Baseline::new("rustc 1.95.0 x86_64".into(), &counts);
        let text = baseline.to_string();
        assert_eq!(text, "step,rustc 1.95.0 x86_64\ntell/caller,546\nselect/random/16,150\n");
        assert_eq!(text.parse::<Baseline>().unwrap(), baseline);
        assert_eq!((baseline.of("select/random/16"), baseline.of("tell")), (Some(150), None));
    }

    #[test]
    fn a_malformed_line_is_named_in_the_error() {
        let error = "step,rustc\ntell,many\n".parse::<Baseline>().unwrap_err();
        assert!(error.to_string().contains("`tell,many`"), "{error}");
        assert!("".parse::<Baseline>().is_err());
    }
}
