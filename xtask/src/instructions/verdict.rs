//! Compares counts with their baseline.

use std::fmt;

use super::baseline::Baseline;
use super::callgrind::Count;

/// The count and baseline of a step, one of which may be missing.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) step: String,
    count: Option<u64>,
    baseline: Option<u64>,
}

/// Returns the verdicts of all counts, followed by the steps that only the baseline has.
pub(crate) fn of_all(counts: &[Count], baseline: &Baseline) -> Vec<Verdict> {
    let counted = counts.iter().map(|Count { step, instructions }| Verdict {
        step: step.clone(),
        count: Some(*instructions),
        baseline: baseline.of(step),
    });
    let missing = baseline.steps().filter(|step| counts.iter().all(|count| count.step != *step));
    let missing = missing.map(|step| Verdict {
        step: step.to_owned(),
        count: None,
        baseline: baseline.of(step),
    });
    counted.chain(missing).collect()
}

/// Returns how much a count may differ from the baseline: 2 %, but at least 3 instructions, because
/// the worker's side of a task depends on times that differ between runs.
fn tolerance(baseline: u64) -> u64 {
    (baseline / 50).max(3)
}

impl Verdict {
    /// Returns whether the step takes more than its baseline, is new or is missing.
    pub(crate) fn is_wrong(&self) -> bool {
        match (self.count, self.baseline) {
            (Some(count), Some(baseline)) => count > baseline + tolerance(baseline),
            _ => true,
        }
    }

    /// Returns whether the step takes so much less that the baseline should be lowered.
    pub(crate) fn is_better(&self) -> bool {
        matches!((self.count, self.baseline), (Some(count), Some(baseline))
            if count + tolerance(baseline) < baseline)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |number: Option<u64>| number.map_or("none".to_owned(), |n| n.to_string());
        write!(f, "{:<32} {:>8} {:>8}", self.step, text(self.count), text(self.baseline))?;
        if let (Some(count), Some(baseline)) = (self.count, self.baseline) {
            write!(f, " {:>+7}", count as i64 - baseline as i64)?;
        }
        match (self.count, self.baseline) {
            (Some(_), None) => write!(f, "         new"),
            (None, _) => write!(f, "         missing"),
            _ if self.is_wrong() => write!(f, "  MORE"),
            _ if self.is_better() => write!(f, "  less"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(count: u64, baseline: u64) -> (bool, bool) {
        let verdict = Verdict { step: "tell".into(), count: Some(count), baseline: Some(baseline) };
        (verdict.is_wrong(), verdict.is_better())
    }

    #[test]
    fn more_than_the_tolerance_is_wrong_and_less_is_better() {
        assert_eq!([verdict(103, 100), verdict(97, 100)], [(false, false); 2]);
        assert_eq!([verdict(510, 500), verdict(490, 500)], [(false, false); 2]);
        assert_eq!([verdict(104, 100), verdict(511, 500)], [(true, false); 2]);
        assert_eq!([verdict(96, 100), verdict(489, 500)], [(false, true); 2]);
    }

    #[test]
    fn new_and_missing_steps_are_wrong() {
        let count = |step: &str| Count { step: step.into(), instructions: 7 };
        let baseline = Baseline::new("rustc".into(), &[count("old"), count("kept")]);
        let verdicts = of_all(&[count("kept"), count("new")], &baseline);
        let wrong: Vec<_> =
            verdicts.iter().map(|one| (one.step.as_str(), one.is_wrong())).collect();
        assert_eq!(wrong, [("kept", false), ("new", true), ("old", true)]);
        assert!(verdicts[2].to_string().contains("missing"));
    }
}
