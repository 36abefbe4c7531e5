//! The advice in words: which, how surely, why, and when not.

use raddle::sim::{Advice, Curve, Facts, MOST_LOST, Objective, Standing};

/// Above this squared coefficient of variation sizes are called unequal.
const UNEQUAL_SIZES: f64 = 1.5;
/// Above this ratio of the fastest to the slowest worker's speed they are called unequal.
const UNEQUAL_SPEEDS: f64 = 1.2;
/// Above this ratio of the peak to the mean load arrivals are called bursty.
const BURSTY: f64 = 1.5;
/// Below this load queues are mostly empty.
const LOW_LOAD: f64 = 0.4;
/// Who ties and is behind by at most this share of the best is as good.
const CLOSE: f64 = 0.05;
/// At another load another strategy is named if its latency is less by this factor.
const WORTH_NAMING: f64 = 0.95;

/// What a strategy looks at, in words that follow its name, and when it is not the one to take.
struct Traits {
    name: &'static str,
    does: &'static str,
    not: &'static str,
    looks_at: &'static [Looks],
}

/// What a strategy looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    Queues,
    Speeds,
    Sizes,
    Capabilities,
    Keys,
    /// At no more than a few workers, in turn or by chance: dispatchers do not herd.
    AtFew,
}

use Looks::{AtFew, Capabilities, Keys, Queues, Sizes, Speeds};

const TRAITS: [Traits; 13] = [
    Traits {
        name: "round_robin",
        does: "gives every worker the same number of tasks and looks at nothing",
        not: "with sizes that vary, a slower worker or one that hangs, as it does not look",
        looks_at: &[AtFew],
    },
    Traits {
        name: "least_loaded",
        does: "gives each task to the worker with the fewest",
        not: "where several dispatchers hear late of each other (they herd on the same worker), or \
              speeds differ so much that a short queue is no early end",
        looks_at: &[Queues],
    },
    Traits {
        name: "random",
        does: "draws a worker and looks at nothing",
        not: "at any load at which queues form",
        looks_at: &[AtFew],
    },
    Traits {
        name: "capability_best",
        does: "prefers workers that have done this kind of task well",
        not: "where workers are alike: it then tells apart what does not differ",
        looks_at: &[Capabilities, Speeds],
    },
    Traits {
        name: "latency_based",
        does: "weighs each worker's latencies by its queue",
        not: "where workers are alike, as latencies then only tell of past queues",
        looks_at: &[Queues, Speeds],
    },
    Traits {
        name: "weighted_round_robin",
        does: "shares out by measured speed and looks at no queue",
        not: "with bursts or sizes that vary, as it does not see queues",
        looks_at: &[Speeds, AtFew],
    },
    Traits {
        name: "join_idle",
        does: "takes an idle worker while there is one, else the shorter queue of two",
        not: "where workers are seldom idle, or differ much in speed",
        looks_at: &[Queues, AtFew],
    },
    Traits {
        name: "power_of_two",
        does: "takes the shorter queue of two drawn at random",
        not: "with one dispatcher that knows all queues, where looking at all of them is better",
        looks_at: &[Queues, AtFew],
    },
    Traits {
        name: "peak_ewma",
        does: "takes the better of two by recent latency and queue",
        not: "where workers are alike and sizes vary, as a long task is then taken for a slow worker",
        looks_at: &[Queues, Speeds, AtFew],
    },
    Traits {
        name: "hot_cold",
        does: "keeps away from the workers with the longest queues and then takes the fastest",
        not: "with few workers, of which a sample is nearly all",
        looks_at: &[Queues, Speeds, AtFew],
    },
    Traits {
        name: "expected_delay",
        does: "weighs queues by measured speed",
        not: "with equal workers, where it is least_loaded with noise, and where dispatchers hear late",
        looks_at: &[Queues, Speeds],
    },
    Traits {
        name: "least_work",
        does: "gives each task to the worker with the least work ahead, by the tasks' sizes",
        not: "where sizes are not known beforehand, or known badly",
        looks_at: &[Queues, Speeds, Sizes],
    },
    Traits {
        name: "bounded_hash",
        does: "keeps the tasks of a key together while that worker is not too full",
        not: "where a key's next task gains nothing from being where the last one was",
        looks_at: &[Keys, Queues],
    },
];

/// The sentences, the most important first.
pub fn advice(advice: &Advice, sizes_known: bool) -> Vec<String> {
    let Some((best, others)) = advice.ranking.split_first() else {
        return Vec::new();
    };
    let mut sentences = vec![winner(advice.objective, best, others)];
    sentences.extend(ties(best, others));
    let facts = &advice.facts;
    if let Some(traits) = TRAITS.iter().find(|traits| traits.name == best.strategy) {
        sentences.push(why(traits, facts));
        sentences.push(format!("It would not be the one {}.", traits.not));
    }
    sentences.extend(of_load(facts));
    sentences.extend(at_other_loads(advice, best));
    if sizes_known && advice.ranking.iter().any(|standing| standing.strategy == "least_work") {
        sentences.push(
            "least_work was told the exact size of every task beforehand: that is its best case \
             (the tokens that a language model will generate, for one, are not known; those of the \
             context are)."
                .into(),
        );
    }
    if facts.keys && advice.ranking.iter().any(|standing| standing.strategy == "bounded_hash") {
        sentences.push(
            "What a warm cache gains by keeping a key's tasks together is not simulated.".into(),
        );
    }
    sentences
}

fn winner(objective: Objective, best: &Standing, others: &[Standing]) -> String {
    let mut text = format!(
        "Take {}: its {} of {} is the best of {}",
        best.strategy,
        called(objective),
        measured(objective, best),
        others.len() + 1
    );
    if let Some(next) = others.iter().find(|standing| !standing.ties) {
        let (own, next_figure) = (best.figure.mean, next.figure.mean);
        if next.lost - best.lost > MOST_LOST {
            text += &format!(
                "; the next that can be told from it, {}, leaves {:.1} % of the tasks undone",
                next.strategy,
                next.lost * 100.0
            );
        } else if own > 0.0 && next_figure > 0.0 {
            let more = match objective {
                Objective::Throughput => own / next_figure - 1.0,
                _ => next_figure / own - 1.0,
            };
            text += &format!(
                ", {} than that of {}, the next that can be told from it",
                apart(objective, more),
                next.strategy
            );
        }
    }
    text + "."
}

/// `12 % less`, `3.4 times less`.
fn apart(objective: Objective, more: f64) -> String {
    let word = if objective == Objective::Throughput { "more" } else { "less" };
    match objective {
        // Of the other's figure, as readers take a percentage.
        Objective::Throughput if more < 1.0 => format!("{:.1} % {word}", more * 100.0),
        _ if more < 1.0 => format!("{:.1} % {word}", more / (1.0 + more) * 100.0),
        _ => format!("{:.1} times {word}", 1.0 + more),
    }
}

fn called(objective: Objective) -> &'static str {
    match objective {
        Objective::P99 => "99th percentile of latency",
        Objective::Mean => "mean latency",
        Objective::Throughput => "throughput",
    }
}

fn measured(objective: Objective, standing: &Standing) -> String {
    let (mean, half) = (standing.figure.mean, standing.figure.half_width.unwrap_or(0.0));
    if objective == Objective::Throughput {
        return format!("{mean:.1} ± {half:.1} tasks/s");
    }
    let (unit, nanos) = match mean {
        ..1e3 => ("ns", 1.0),
        ..1e6 => ("us", 1e3),
        ..1e9 => ("ms", 1e6),
        _ => ("s", 1e9),
    };
    // Both to the same digits, four of the mean.
    let mean = mean / nanos;
    let digits = match mean {
        ..10.0 => 3,
        ..100.0 => 2,
        _ => 1,
    };
    format!("{mean:.digits$} ± {:.digits$} {unit}", half / nanos)
}

/// Those that tie: as their figures are as good, or as their own runs differ too much to tell.
fn ties(best: &Standing, others: &[Standing]) -> Vec<String> {
    let is_close = |one: &&Standing| one.behind.mean <= CLOSE * best.figure.mean;
    let (close, wide): (Vec<_>, Vec<_>) =
        others.iter().filter(|standing| standing.ties).partition(is_close);
    let names = |all: &[&Standing]| listed(all.iter().map(|standing| standing.strategy.as_str()));
    let mut text = Vec::new();
    if !close.is_empty() {
        text.push(format!(
            "It ties with {}: on the same tasks the difference may be nothing, with a confidence \
             of 95 %; take whichever is simplest to you.",
            names(&close)
        ));
    }
    if !wide.is_empty() {
        text.push(format!(
            "That it is better than {} is likely and not sure, as their runs differ much from each \
             other; more --seeds would tell.",
            names(&wide)
        ));
    }
    text
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// What it does, and what in the figures makes that matter.
fn why(traits: &Traits, facts: &Facts) -> String {
    let looks = |at: Looks| traits.looks_at.contains(&at);
    let unequal = facts.fastest / facts.slowest > UNEQUAL_SPEEDS;
    let (varied, bursty) = (facts.sizes.scv > UNEQUAL_SIZES, facts.peak_load > BURSTY * facts.load);
    let mut reasons = Vec::new();
    if varied && (looks(Sizes) || looks(Queues)) {
        reasons.push(format!(
            "sizes vary much (squared coefficient of variation {:.1})",
            facts.sizes.scv
        ));
    }
    if bursty && looks(Queues) {
        reasons.push(format!(
            "tasks come in bursts (up to {:.0} % of what the workers can do)",
            facts.peak_load * 100.0
        ));
    }
    if unequal && looks(Speeds) {
        let ratio = facts.fastest / facts.slowest;
        reasons.push(format!("the fastest worker is {ratio:.1} times as fast as the slowest"));
    }
    if facts.unheard >= 1.0 && looks(AtFew) {
        reasons.push(format!(
            "dispatchers hear late of each other ({:.0} tasks come between two news), and those \
             that follow old news to the best worker herd there",
            facts.unheard
        ));
    }
    if facts.faults && (looks(Queues) || looks(Speeds)) {
        reasons.push("something happens to workers, and it sees what comes of that".into());
    }
    if facts.capabilities && looks(Capabilities) {
        reasons.push("tasks ask for capabilities".into());
    }
    if facts.keys && looks(Keys) {
        reasons.push("tasks have keys".into());
    }
    if reasons.is_empty() && !looks(Queues) && !looks(Speeds) && facts.load < LOW_LOAD {
        reasons.push("at this load queues are mostly empty, so that looking gains little".into());
    }
    if reasons.is_empty() && looks(Queues) && facts.load >= LOW_LOAD {
        reasons.push(format!(
            "at {:.0} % load queues differ by chance, and it evens them out",
            facts.load * 100.0
        ));
    }
    let reasons = listed(reasons.iter().map(String::as_str));
    if reasons.is_empty() {
        return format!("It {}; nothing in this load's figures calls for more.", traits.does);
    }
    format!("It {}, which matters here: {reasons}.", traits.does)
}

fn of_load(facts: &Facts) -> Option<String> {
    if facts.load > 1.0 {
        return Some(format!(
            "More is asked than the workers can do (load {:.0} %): queues grow to the end, and \
             latencies tell how long the run was as much as how good a strategy is.",
            facts.load * 100.0
        ));
    }
    (facts.load < LOW_LOAD && facts.peak_load < 1.0).then(|| {
        format!(
            "The load is low ({:.0} %): what is won here is little; --load shows what a higher one \
             would bring.",
            facts.load * 100.0
        )
    })
}

/// The loads at which another strategy is better, by the curves where there are any.
fn at_other_loads(advice: &Advice, best: &Standing) -> Option<String> {
    let latency = |curve: &Curve, index: usize| match advice.objective {
        Objective::P99 => Some(curve.points.get(index)?.p99.as_secs_f64()),
        Objective::Mean => Some(curve.points.get(index)?.mean.as_secs_f64()),
        Objective::Throughput => None,
    };
    let own = advice.curves.iter().find(|curve| curve.strategy == best.strategy)?;
    let better = |index: usize| {
        let own_latency = latency(own, index)?;
        let others = advice.curves.iter().filter_map(|curve| Some((curve, latency(curve, index)?)));
        let (least, latency) = others.min_by(|one, other| one.1.total_cmp(&other.1))?;
        (latency < WORTH_NAMING * own_latency).then(|| {
            let load = own.points[index].load * 100.0;
            let less = (1.0 - latency / own_latency) * 100.0;
            format!("at {load:.0} % {} ({less:.0} % less)", least.strategy)
        })
    };
    let better: Vec<_> = (0..own.points.len()).filter_map(better).collect();
    let better = listed(better.iter().map(String::as_str));
    (!better.is_empty()).then(|| format!("At other loads another came out better: {better}."))
}

#[cfg(test)]
mod tests {
    use raddle::sim::{CurvePoint, Estimate, Spread};
    use raddle::strategies::StrategyName;
    use std::time::Duration;

    use super::*;

    fn facts() -> Facts {
        Facts {
            load: 0.7,
            peak_load: 0.7,
            sizes: Spread { mean: 1e-3, scv: 1.0 },
            gaps_scv: 1.0,
            slowest: 1.0,
            fastest: 1.0,
            unheard: 0.0,
            faults: false,
            capabilities: false,
            keys: false,
        }
    }

    fn standing(strategy: &str, ms: f64, behind: f64, ties: bool) -> Standing {
        let estimate = |ms: f64| Estimate { mean: ms * 1e6, half_width: Some(0.5e6) };
        Standing {
            strategy: strategy.into(),
            figure: estimate(ms),
            behind: estimate(behind),
            lost: 0.0,
            ties,
            runs: Vec::new(),
        }
    }

    fn advised(objective: Objective, facts: Facts, ranking: Vec<Standing>) -> Advice {
        Advice { objective, facts, ranking, curves: Vec::new() }
    }

    fn ranking() -> Vec<Standing> {
        vec![
            standing("least_loaded", 8.0, 0.0, true),
            standing("latency_based", 8.2, 0.2, true),
            standing("random", 16.0, 8.0, false),
        ]
    }

    #[test]
    fn every_strategy_has_its_words() {
        for name in StrategyName::ALL {
            assert!(TRAITS.iter().any(|traits| traits.name == name.as_str()), "{name}");
        }
    }

    #[test]
    fn the_best_is_named_with_its_margin_and_those_that_tie() {
        let text = advice(&advised(Objective::P99, facts(), ranking()), false);
        let expected = "Take least_loaded: its 99th percentile of latency of 8.000 ± 0.500 ms is \
                        the best of 3, 2.0 times less than that of random, the next that can be \
                        told from it.";
        assert_eq!(text[0], expected);
        assert!(text[1].starts_with("It ties with latency_based: "), "{}", text[1]);
        assert!(text[2].ends_with("at 70 % load queues differ by chance, and it evens them out."));
        assert!(text[3].starts_with("It would not be the one where several dispatchers"));
        assert_eq!(text.len(), 4, "{text:?}");
    }

    #[test]
    fn the_reasons_are_those_in_the_figures() {
        let sizes = Spread { mean: 1e-3, scv: 6.25 };
        let facts = Facts { sizes, peak_load: 2.5, fastest: 4.0, ..facts() };
        let mut all = ranking();
        all.insert(0, standing("least_work", 5.0, 0.0, true));
        let text = advice(&advised(Objective::Mean, facts, all), true).join("\n");
        for reason in [
            "sizes vary much (squared coefficient of variation 6.2)",
            "tasks come in bursts (up to 250 % of what the workers can do)",
            "the fastest worker is 4.0 times as fast as the slowest",
            "least_work was told the exact size of every task beforehand",
            "It would not be the one where sizes are not known beforehand",
        ] {
            assert!(text.contains(reason), "{reason} in {text}");
        }
    }

    #[test]
    fn a_tie_by_wide_runs_is_no_draw() {
        let mut wide = ranking();
        wide[1].behind = Estimate { mean: 6e6, half_width: Some(7e6) };
        let text = advice(&advised(Objective::P99, facts(), wide), false);
        let expected = "That it is better than latency_based is likely and not sure";
        assert!(text[1].starts_with(expected), "{}", text[1]);
    }

    #[test]
    fn late_news_and_faults_are_reasons() {
        let facts = Facts { unheard: 20.0, faults: true, ..facts() };
        let of = |name| {
            let all = vec![standing(name, 5.0, 0.0, true), standing("x", 9.0, 4.0, false)];
            advice(&advised(Objective::P99, facts, all), false).join("\n")
        };
        assert!(of("round_robin").contains("(20 tasks come between two news)"));
        assert!(!of("round_robin").contains("something happens to workers"));
        assert!(of("least_loaded").contains("something happens to workers"));
        assert!(!of("least_loaded").contains("20 tasks"));
    }

    #[test]
    fn a_load_that_tells_little_is_said_to() {
        let over = Facts { load: 1.5, peak_load: 1.5, ..facts() };
        let text = advice(&advised(Objective::P99, over, ranking()), false).join("\n");
        assert!(text.contains("More is asked than the workers can do (load 150 %)"), "{text}");
        let low = Facts { load: 0.1, peak_load: 0.1, ..facts() };
        let text = advice(&advised(Objective::P99, low, ranking()), false).join("\n");
        assert!(text.contains("The load is low (10 %)"), "{text}");
    }

    #[test]
    fn another_that_is_better_at_another_load_is_named() {
        let curve = |strategy: &str, p99: [u64; 2]| Curve {
            strategy: strategy.into(),
            points: [0.5, 0.9]
                .into_iter()
                .zip(p99.map(Duration::from_millis))
                .map(|(load, p99)| CurvePoint { load, mean: p99, p99 })
                .collect(),
        };
        let mut advised = advised(Objective::P99, facts(), ranking());
        advised.curves = vec![curve("least_loaded", [5, 100]), curve("random", [5, 80])];
        let text = advice(&advised, false).join("\n");
        assert!(
            text.contains("At other loads another came out better: at 90 % random (20 % less).")
        );
        advised.curves[1].points[1].p99 = Duration::from_millis(99);
        assert!(!advice(&advised, false).join("\n").contains("At other loads"));
    }

    #[test]
    fn throughput_is_more_and_what_is_left_undone_is_told() {
        let standing = |name, per_s: f64, lost| Standing {
            figure: Estimate { mean: per_s, half_width: Some(1.0) },
            lost,
            ..standing(name, 0.0, 0.0, false)
        };
        let two = vec![standing("least_loaded", 1_000.0, 0.0), standing("random", 800.0, 0.0)];
        let text = advice(&advised(Objective::Throughput, facts(), two), false);
        let expected = "throughput of 1000.0 ± 1.0 tasks/s is the best of 2, 25.0 % more than that";
        assert!(text[0].contains(expected), "{}", text[0]);
        let two = vec![standing("least_loaded", 1_000.0, 0.0), standing("random", 800.0, 0.2)];
        let text = advice(&advised(Objective::P99, facts(), two), false);
        assert!(text[0].ends_with("random, leaves 20.0 % of the tasks undone."), "{}", text[0]);
    }

    #[test]
    fn nothing_to_rank_is_nothing_to_say() {
        assert!(advice(&advised(Objective::P99, facts(), Vec::new()), true).is_empty());
    }
}
