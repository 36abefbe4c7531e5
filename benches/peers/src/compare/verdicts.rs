//! The targets of the comparison, and whether they are met.

use serde::Serialize;

use super::results::Results;
use crate::figures::{COST, Figure, P50, P99, RATE, Unit};
use crate::scenario;

/// A figure and its target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The number of the target.
    pub show: u32,
    /// A description of the figure.
    pub what: String,
    /// The measurement; `None` if a contender has no sample.
    pub figure: Option<f64>,
    /// The target.
    pub bound: Bound,
}

/// The bound of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// A ratio of at least this.
    TimesAtLeast(f64),
    /// A ratio of at most this.
    TimesAtMost(f64),
    /// A ratio greater than this.
    TimesAbove(f64),
    /// At most this many nanoseconds.
    NanosecondsAtMost(f64),
}

impl Bound {
    /// Returns whether the figure meets it.
    pub fn holds(self, figure: f64) -> bool {
        match self {
            Self::TimesAtLeast(bound) => figure >= bound,
            Self::TimesAtMost(bound) | Self::NanosecondsAtMost(bound) => figure <= bound,
            Self::TimesAbove(bound) => figure > bound,
        }
    }

    fn write(self, figure: f64) -> (String, String) {
        let times = |figure: f64| format!("{figure:.2}");
        let time = |figure| Unit::Nanoseconds.write(figure);
        match self {
            Self::TimesAtLeast(bound) => (times(figure), format!("at least {bound}")),
            Self::TimesAtMost(bound) => (times(figure), format!("at most {bound}")),
            Self::TimesAbove(bound) => (times(figure), format!("above {bound}")),
            Self::NanosecondsAtMost(bound) => (time(figure), format!("at most {}", time(bound))),
        }
    }
}

/// Prints each verdict with its figure and bound.
pub fn print(verdicts: &[Verdict]) {
    println!();
    for Verdict { show, what, figure, bound } in verdicts {
        match figure {
            Some(figure) => {
                let (written, target) = bound.write(*figure);
                let holds = if bound.holds(*figure) { "holds" } else { "falls short" };
                println!("Show {show}: {what}: {written}, {target}: {holds}");
            }
            None => println!("Show {show}: {what}: not measured"),
        }
    }
}

/// Returns the verdicts on what was measured.
pub fn of(results: &Results) -> Vec<Verdict> {
    let judge = Judge(results);
    let verdicts = [pools(&judge), tells(&judge), asks(&judge), selections(&judge)];
    verdicts.into_iter().flatten().filter(|verdict| verdict.figure.is_some()).collect()
}

struct Judge<'r>(&'r Results);

impl Judge<'_> {
    fn times(&self, scenario: &str, figure: Figure, ours: &str, theirs: &str) -> Option<f64> {
        let ours = self.0.median(scenario, ours, figure)?;
        Some(ours / self.0.median(scenario, theirs, figure)?)
    }

    /// The ratio of `ours` to the best of those that `among` accepts.
    fn times_best(
        &self,
        scenario: &str,
        figure: Figure,
        ours: &str,
        among: impl Fn(&str) -> bool,
    ) -> Option<f64> {
        let scenarios = scenario::all();
        let known = scenarios.iter().find(|known| known.name == scenario)?;
        let others = known.contenders.iter().filter(|contender| among(&contender.name));
        let best = others
            .filter_map(|contender| self.0.median(scenario, &contender.name, figure))
            .reduce(if figure.more_is_better { f64::max } else { f64::min })?;
        Some(self.0.median(scenario, ours, figure)? / best)
    }
}

fn verdict(show: u32, what: impl Into<String>, figure: Option<f64>, bound: Bound) -> Verdict {
    Verdict { show, what: what.into(), figure, bound }
}

fn pools(judge: &Judge<'_>) -> Vec<Verdict> {
    const BY_HAND: &str = "crossbeam own channels";
    let empty = |theirs: &str, bound| {
        let what = format!("pool of 4, empty tasks, raddle to {theirs}");
        let figure = judge.times("pool/empty", RATE, "raddle", theirs);
        verdict(1, what, figure, Bound::TimesAtLeast(bound))
    };
    let factory = |name: &str| name.starts_with("ractor factory");
    let others = |name: &str| !name.starts_with("raddle") && name != BY_HAND;
    vec![
        empty(BY_HAND, 0.6),
        empty("rayon spawn", 1.5),
        empty("actix SyncArbiter", 3.0),
        empty("kameo ActorPool", 8.0),
        verdict(
            1,
            "pool of 4, empty tasks, raddle to ractor's better factory",
            judge.times_best("pool/empty", RATE, "raddle", factory),
            Bound::TimesAtLeast(15.0),
        ),
        verdict(
            1,
            format!("pool of 4, tasks of 1 us, raddle to {BY_HAND}"),
            judge.times("pool/1us", RATE, "raddle", BY_HAND),
            Bound::TimesAtLeast(0.95),
        ),
        verdict(
            1,
            "pool of 4, tasks of 1 us, raddle to the best of all others",
            judge.times_best("pool/1us", RATE, "raddle", others),
            Bound::TimesAbove(1.0),
        ),
    ]
}

fn tells(judge: &Judge<'_>) -> Vec<Verdict> {
    let framework = |name: &str| ["actix", "ractor", "kameo", "xtra"].contains(&name);
    ["tell/1", "tell/4"]
        .into_iter()
        .flat_map(|name| {
            [
                verdict(
                    2,
                    format!("{name}, raddle to the bare crossbeam channel"),
                    judge.times(name, RATE, "raddle", "crossbeam"),
                    Bound::TimesAtLeast(0.7),
                ),
                verdict(
                    2,
                    format!("{name}, raddle to the best actor framework"),
                    judge.times_best(name, RATE, "raddle", framework),
                    Bound::TimesAtLeast(3.0),
                ),
            ]
        })
        .collect()
}

fn asks(judge: &Judge<'_>) -> Vec<Verdict> {
    const BACK_TO_BACK: &str = "ask/back-to-back";
    let spinning = |figure: Figure, bound| {
        let what = format!("ask back to back, {figure}, raddle spinning to crossbeam spinning");
        let times = judge.times(BACK_TO_BACK, figure, "raddle spinning", "crossbeam spinning");
        verdict(3, what, times, Bound::TimesAtMost(bound))
    };
    let time = |scenario: &str, words: &str, figure: Figure, bound| {
        let measured = judge.0.median(scenario, "raddle", figure);
        verdict(
            3,
            format!("ask {words}, {figure}, raddle's default wait"),
            measured,
            Bound::NanosecondsAtMost(bound),
        )
    };
    vec![
        spinning(P50, 1.4),
        spinning(P99, 1.6),
        verdict(
            3,
            "ask back to back, p50, raddle's default wait to crossbeam backoff",
            judge.times(BACK_TO_BACK, P50, "raddle", "crossbeam backoff"),
            Bound::TimesAtMost(1.2),
        ),
        time(BACK_TO_BACK, "back to back", P99, 2_000.0),
        time("ask/50us-apart", "50 us apart", P50, 1_500.0),
    ]
}

/// Compares like with like: two random choices with tower's, round robin with pingora's.
fn selections(judge: &Judge<'_>) -> Vec<Verdict> {
    let pairs = [
        ("tower p2c pending", "raddle power_of_two"),
        ("pingora round robin", "raddle round_robin"),
    ];
    [4, 16, 64]
        .into_iter()
        .flat_map(|targets| {
            pairs.map(|(theirs, ours)| {
                verdict(
                    4,
                    format!("selection among {targets}, {theirs} to {ours}"),
                    judge.times(&format!("select/{targets}"), COST, theirs, ours),
                    Bound::TimesAtLeast(10.0),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    fn results(scenario: &str, rates: &[(&str, f64)]) -> Results {
        let mut results = Results::default();
        for (contender, rate) in rates {
            results.add(scenario, contender, Figures::one(RATE, *rate));
        }
        results
    }

    #[test]
    fn only_measured_figures_are_judged() {
        assert!(of(&Results::default()).is_empty());
        let verdicts = of(&results("tell/1", &[("raddle", 14.0), ("crossbeam", 20.0)]));
        assert_eq!(verdicts.len(), 1);
        assert_eq!(verdicts[0].figure, Some(0.7));
        assert!(verdicts[0].bound.holds(0.7) && !verdicts[0].bound.holds(0.69));
    }

    #[test]
    fn the_best_framework_is_the_fastest() {
        let rates = [("raddle", 12.0), ("actix", 4.0), ("kameo", 2.0), ("tokio task", 9.0)];
        let verdicts = of(&results("tell/4", &rates));
        assert_eq!(verdicts[0].figure, Some(3.0));
    }

    #[test]
    fn being_ahead_requires_more_than_a_tie() {
        let rates = [("raddle", 5.0), ("kanal shared", 5.0), ("raddle round robin", 9.0)];
        let verdicts = of(&results("pool/1us", &rates));
        assert_eq!(verdicts[0].figure, Some(1.0));
        assert!(!verdicts[0].bound.holds(1.0));
    }
}
