//! The advice in words: which strategy to use, how certain that is, why, and when not.

use raddle::sim::{
    Advice, Conclusion, Curve, Facts, LOSS_TOLERANCE, Objective, Standing, TASKS_BEYOND,
};

use super::traits::Uses::{Capabilities, Durations, Few, Keys, Queues, Speeds};
use super::traits::{self, Traits, Uses};
use crate::choice::BOOSTED;
use crate::report::table::decimals;

/// Durations with a greater squared coefficient of variation count as varying.
const VARYING_DURATIONS: f64 = 1.5;
/// Workers with a greater ratio of the highest to the lowest speed count as unequal.
const UNEQUAL_SPEEDS: f64 = 1.2;
/// Arrivals with a greater ratio of peak to mean load count as bursty.
const BURSTY: f64 = 1.5;
/// At a lower load queues are mostly empty.
const LOW_LOAD: f64 = 0.4;
/// A tie within this fraction of the best figure is as good as the best.
const CLOSE: f64 = 0.05;
/// At other loads, a strategy is named if its latency is below this fraction of the best's.
const WORTH_NAMING: f64 = 0.95;

/// Returns the conclusions, the most important first.
pub fn advice(advice: &Advice, durations_known: bool) -> Vec<String> {
    let Some((best, others)) = advice.ranking.split_first() else {
        return Vec::new();
    };
    let facts = &advice.facts;
    if let Some(reason) = no_recommendation(advice, best) {
        let mut sentences = vec![format!("No recommendation: {reason}.")];
        sentences.extend(lower_percentile(advice));
        sentences.extend(extreme_load(facts));
        return sentences;
    }
    let mut sentences = vec![winner(advice.objective, best, others)];
    sentences.extend(lower_percentile(advice));
    sentences.extend(ties(best, others, advice.block_tasks.is_some()));
    let boosted = best.strategy.strip_suffix(BOOSTED);
    if boosted.is_some() {
        sentences.push(
            "Give the pool boosted mailboxes (`mailbox_order`): short tasks overtake long ones, by the \
             duration that they state or by what was learned of their capability."
                .into(),
        );
    }
    if let Some(traits) = traits::of(boosted.unwrap_or(&best.strategy)) {
        sentences.push(why(traits, facts));
        sentences.push(format!("Avoid it {}.", traits.avoid));
    }
    sentences.extend(extreme_load(facts));
    sentences.extend(at_other_loads(advice, best));
    let reads_durations = |standing: &&Standing| {
        standing.strategy == "least_work" || standing.strategy.ends_with(BOOSTED)
    };
    let informed: Vec<_> = advice.ranking.iter().filter(reads_durations).collect();
    if durations_known && !informed.is_empty() {
        let boosted = informed.iter().any(|standing| standing.strategy != "least_work");
        let who = if boosted { "least_work, and each boosted mailbox," } else { "least_work" };
        sentences.push(format!(
            "{who} was given the exact duration of every task in advance, which is its best case \
             (of a language model's tokens, for example, those of the context are known, and those \
             that it will generate are not)."
        ));
    }
    if facts.keys
        && !facts.cache
        && advice.ranking.iter().any(|standing| standing.strategy == "bounded_hash")
    {
        sentences.push(
            "The simulation does not include the benefit of a warm cache for tasks of the same key.".into(),
        );
    }
    sentences
}

/// Returns why the data support no recommendation, if they do not.
fn no_recommendation(advice: &Advice, best: &Standing) -> Option<String> {
    let objective = name(advice.objective);
    let recorded = advice.block_tasks.is_some();
    match advice.conclusion {
        Conclusion::Best => None,
        Conclusion::TooFewTasks => Some(format!(
            "{} tasks are too few for the {objective}, which needs at least {}{}",
            advice.tasks,
            advice.objective.tasks_needed(),
            match advice.objective {
                Objective::Percentile(..=90) => format!(", so that {TASKS_BEYOND} are beyond it"),
                Objective::Percentile(_) => format!(
                    ", so that {TASKS_BEYOND} are beyond it, and for the 90th percentile, which \
                     needs at least {}",
                    Objective::Percentile(90).tasks_needed()
                ),
                _ => String::new(),
            }
        )),
        Conclusion::Alone => {
            Some(format!("{} runs alone, with nothing to compare it with", best.strategy))
        }
        Conclusion::KeepsUp => Some(format!(
            "this load does not exercise {objective}: {} completes the tasks as fast as they \
             arrive, so they set the figure, not the strategy; --load 1.2 would exercise it",
            best.strategy
        )),
        Conclusion::Alike => Some(format!(
            "this load does not exercise the {objective}: that of every strategy is within 1 % of \
             the best; --load shows a higher load"
        )),
        _ => Some(format!(
            "no strategy differs significantly from the one with the best {objective} at 95 % \
             confidence; {} would decide",
            if recorded { "a longer trace" } else { "more --seeds" }
        )),
    }
}

/// Says which percentile ranks if there are too few tasks for the one that was asked for.
fn lower_percentile(advice: &Advice) -> Option<String> {
    let Objective::Percentile(asked) = advice.asked else { return None };
    (advice.asked != advice.objective).then(|| {
        format!(
            "Ranked by {} instead of {}: of {} tasks, only {} are beyond {} (expected at least \
             {TASKS_BEYOND}).",
            advice.objective,
            advice.asked,
            advice.tasks,
            advice.tasks * u64::from(100_u8.saturating_sub(asked)) / 100,
            advice.asked,
        )
    })
}

fn winner(objective: Objective, best: &Standing, others: &[Standing]) -> String {
    let mut text = format!(
        "Use {}: its {} of {} is the best of {} strategies",
        best.strategy,
        name(objective),
        write(objective, best),
        others.len() + 1
    );
    if let Some(next) = others.iter().find(|standing| !standing.ties) {
        let (own, next_figure) = (best.figure.mean, next.figure.mean);
        if next.lost - best.lost > LOSS_TOLERANCE {
            text += &format!(
                "; the best of those that differ significantly, {}, leaves {:.1} % of the tasks undone",
                next.strategy,
                next.lost * 100.0
            );
        } else if own > 0.0 && next_figure > 0.0 {
            let more = match objective {
                Objective::Throughput => own / next_figure - 1.0,
                _ => next_figure / own - 1.0,
            };
            text += &format!(
                ", {} than that of {}, the best of those that differ significantly",
                difference(objective, more),
                next.strategy
            );
        }
    }
    text + "."
}

/// Writes a difference: `12 % less`, `3.4 times less`.
fn difference(objective: Objective, more: f64) -> String {
    let word = if objective == Objective::Throughput { "more" } else { "less" };
    match objective {
        // As a percentage of the other's figure, which is how readers take it.
        Objective::Throughput if more < 1.0 => format!("{:.1} % {word}", more * 100.0),
        _ if more < 1.0 => format!("{:.1} % {word}", more / (1.0 + more) * 100.0),
        _ => format!("{:.1} times {word}", 1.0 + more),
    }
}

fn name(objective: Objective) -> String {
    match objective {
        Objective::Percentile(percent) => {
            let ordinal = match (percent / 10, percent % 10) {
                (1, _) => "th",
                (_, 1) => "st",
                (_, 2) => "nd",
                (_, 3) => "rd",
                _ => "th",
            };
            format!("{percent}{ordinal} percentile of latency")
        }
        Objective::Mean => "mean latency".into(),
        Objective::Throughput => "throughput".into(),
    }
}

fn write(objective: Objective, standing: &Standing) -> String {
    let (mean, half) = (standing.figure.mean, standing.figure.half_width.unwrap_or(0.0));
    let (unit, scale) = match mean {
        _ if objective == Objective::Throughput => ("tasks/s", 1.0),
        ..1e3 => ("ns", 1.0),
        ..1e6 => ("us", 1e3),
        ..1e9 => ("ms", 1e6),
        _ => ("s", 1e9),
    };
    // The mean with four digits, and its interval with the same precision.
    let mean = mean / scale;
    let digits = decimals(mean);
    format!("{mean:.digits$} ± {:.digits$} {unit}", half / scale)
}

/// Names the ties: strategies as good as the best, and those whose runs vary too much to decide.
fn ties(best: &Standing, others: &[Standing], recorded: bool) -> Vec<String> {
    let is_close = |one: &&Standing| one.behind.mean <= CLOSE * best.figure.mean;
    let (close, wide): (Vec<_>, Vec<_>) =
        others.iter().filter(|standing| standing.ties).partition(is_close);
    let names = |all: &[&Standing]| listed(all.iter().map(|standing| standing.strategy.as_str()));
    let mut text = Vec::new();
    if !close.is_empty() {
        text.push(format!(
            "It ties with {}: on the same tasks the difference is not significant at 95 % \
             confidence; use the simplest.",
            names(&close)
        ));
    }
    if !wide.is_empty() {
        text.push(format!(
            "It is probably better than {}, but runs vary too much to be certain; {} would decide.",
            names(&wide),
            if recorded { "a longer trace" } else { "more --seeds" }
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

/// Explains what the strategy does, and which properties of the load make that matter.
fn why(traits: &Traits, facts: &Facts) -> String {
    let uses = |what: Uses| traits.uses.contains(&what);
    let unequal = facts.fastest / facts.slowest > UNEQUAL_SPEEDS;
    let (varied, bursty) =
        (facts.service.scv > VARYING_DURATIONS, facts.peak_load > BURSTY * facts.load);
    let mut reasons = Vec::new();
    if varied && (uses(Durations) || uses(Queues)) {
        reasons.push(format!(
            "durations vary a lot (squared coefficient of variation {:.1})",
            facts.service.scv
        ));
    }
    if bursty && uses(Queues) {
        reasons.push(format!(
            "tasks come in bursts (up to {:.0} % of the workers' capacity)",
            facts.peak_load * 100.0
        ));
    }
    if unequal && uses(Speeds) {
        let ratio = facts.fastest / facts.slowest;
        reasons.push(format!("the fastest worker is {ratio:.1} times as fast as the slowest"));
    }
    if facts.arrivals_per_sync >= 1.0 && uses(Few) {
        reasons.push(format!(
            "dispatchers learn late what the others do ({:.0} tasks arrive between two updates), \
             and those that rely on outdated queue lengths overload the worker that looked best",
            facts.arrivals_per_sync
        ));
    }
    if facts.faults && (uses(Queues) || uses(Speeds)) {
        reasons.push("workers have faults, and it notices their effects".into());
    }
    if facts.capabilities && uses(Capabilities) {
        reasons.push("tasks require capabilities".into());
    }
    if facts.keys && uses(Keys) {
        reasons.push("tasks have keys".into());
    }
    if reasons.is_empty() && !uses(Queues) && !uses(Speeds) && facts.load < LOW_LOAD {
        reasons.push("at this load queues are mostly empty, so comparing them gains little".into());
    }
    if reasons.is_empty() && uses(Queues) && facts.load >= LOW_LOAD {
        reasons.push(format!(
            "at {:.0} % load queues differ by chance, and it evens them out",
            facts.load * 100.0
        ));
    }
    let reasons = listed(reasons.iter().map(String::as_str));
    if reasons.is_empty() {
        return format!("It {}; this load needs nothing more.", traits.does);
    }
    format!("It {}, which matters here: {reasons}.", traits.does)
}

fn extreme_load(facts: &Facts) -> Option<String> {
    if facts.load > 1.0 {
        return Some(format!(
            "The workers are overloaded (load {:.0} %): queues grow until the end, and latencies \
             depend as much on the length of the run as on the strategy.",
            facts.load * 100.0
        ));
    }
    (facts.load < LOW_LOAD && facts.peak_load < 1.0).then(|| {
        format!(
            "The load is low ({:.0} %), so there is little to gain; --load shows a higher one.",
            facts.load * 100.0
        )
    })
}

/// Names the loads at which another strategy is better, if there are curves.
fn at_other_loads(advice: &Advice, best: &Standing) -> Option<String> {
    let latency = |curve: &Curve, index: usize| match advice.objective {
        Objective::P99 => Some(curve.points.get(index)?.p99.as_secs_f64()),
        Objective::Mean => Some(curve.points.get(index)?.mean.as_secs_f64()),
        _ => None,
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
    (!better.is_empty()).then(|| {
        format!(
            "At other loads another strategy was better: {better}. That is from two runs each, without \
             intervals; advice with --load would tell whether it is significant."
        )
    })
}

#[cfg(test)]
mod tests {
    use raddle::sim::{CurvePoint, Estimate, Spread};
    use std::time::Duration;

    use super::*;

    fn facts() -> Facts {
        Facts {
            load: 0.7,
            peak_load: 0.7,
            service: Spread { mean: Duration::from_millis(1), scv: 1.0 },
            interarrival_scv: 1.0,
            slowest: 1.0,
            fastest: 1.0,
            arrivals_per_sync: 0.0,
            faults: false,
            capabilities: false,
            keys: false,
            cache: false,
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
        Advice {
            asked: objective,
            objective,
            conclusion: Conclusion::Best,
            tasks: 100_000,
            block_tasks: None,
            facts,
            ranking,
            curves: Vec::new(),
        }
    }

    fn ranking() -> Vec<Standing> {
        vec![
            standing("least_loaded", 8.0, 0.0, true),
            standing("latency_based", 8.2, 0.2, true),
            standing("random", 16.0, 8.0, false),
        ]
    }

    #[test]
    fn the_best_is_named_with_its_margin_and_its_ties() {
        let text = advice(&advised(Objective::P99, facts(), ranking()), false);
        let expected = "Use least_loaded: its 99th percentile of latency of 8.000 ± 0.500 ms is \
                        the best of 3 strategies, 2.0 times less than that of random, the best \
                        of those that differ significantly.";
        assert_eq!(text[0], expected);
        assert!(text[1].starts_with("It ties with latency_based: "), "{}", text[1]);
        assert!(text[2].ends_with("at 70 % load queues differ by chance, and it evens them out."));
        assert!(text[3].starts_with("Avoid it if several dispatchers"));
        assert_eq!(text.len(), 4, "{text:?}");
    }

    #[test]
    fn the_reasons_are_properties_of_the_load() {
        let durations = Spread { mean: Duration::from_millis(1), scv: 6.25 };
        let facts = Facts { service: durations, peak_load: 2.5, fastest: 4.0, ..facts() };
        let of = |name| {
            let mut all = ranking();
            all.insert(0, standing(name, 5.0, 0.0, true));
            advice(&advised(Objective::Mean, facts, all), true).join("\n")
        };
        let text = of("least_work");
        let speeds = "the fastest worker is 4.0 times as fast as the slowest";
        assert!(of("expected_delay").contains(speeds));
        assert!(!text.contains(speeds), "it does not know speeds: {text}");
        for reason in [
            "durations vary a lot (squared coefficient of variation 6.2)",
            "tasks come in bursts (up to 250 % of the workers' capacity)",
            "least_work was given the exact duration of every task in advance",
            "Avoid it if durations are not known in advance",
        ] {
            assert!(text.contains(reason), "{reason} in {text}");
        }
    }

    #[test]
    fn a_tie_because_of_varying_runs_is_uncertain() {
        let mut wide = ranking();
        wide[1].behind = Estimate { mean: 6e6, half_width: Some(7e6) };
        let text = advice(&advised(Objective::P99, facts(), wide), false);
        let expected = "It is probably better than latency_based, but runs vary too much";
        assert!(text[1].starts_with(expected), "{}", text[1]);
    }

    #[test]
    fn without_a_recommendation_the_first_sentence_says_why() {
        let mut advised = advised(Objective::P99, facts(), ranking());
        let mut first = |conclusion, objective| {
            (advised.conclusion, advised.objective, advised.tasks) = (conclusion, objective, 500);
            advice(&advised, true).remove(0)
        };
        assert_eq!(
            first(Conclusion::TooFewTasks, Objective::P99),
            "No recommendation: 500 tasks are too few for the 99th percentile of latency, which \
             needs at least 10000, so that 100 are beyond it, and for the 90th percentile, which \
             needs at least 1000."
        );
        assert_eq!(
            first(Conclusion::TooFewTasks, Objective::Mean),
            "No recommendation: 500 tasks are too few for the mean latency, which needs at least \
             1000."
        );
        assert!(first(Conclusion::Alike, Objective::Mean).contains("within 1 % of the best"));
        assert!(
            first(Conclusion::Undecided, Objective::Mean).ends_with("more --seeds would decide.")
        );
        advised.block_tasks = Some(7);
        advised.conclusion = Conclusion::Undecided;
        assert!(advice(&advised, true)[0].ends_with("a longer trace would decide."));
    }

    #[test]
    fn percentiles_are_written_as_ordinals() {
        let written = [91, 92, 93, 97, 11, 13].map(|p| name(Objective::Percentile(p)));
        let ordinals = ["91st", "92nd", "93rd", "97th", "11th", "13th"];
        assert_eq!(written, ordinals.map(|ordinal| format!("{ordinal} percentile of latency")));
    }

    #[test]
    fn outdated_knowledge_and_faults_are_reasons() {
        let facts = Facts { arrivals_per_sync: 20.0, faults: true, ..facts() };
        let of = |name| {
            let all = vec![standing(name, 5.0, 0.0, true), standing("x", 9.0, 4.0, false)];
            advice(&advised(Objective::P99, facts, all), false).join("\n")
        };
        assert!(of("round_robin").contains("(20 tasks arrive between two updates)"));
        assert!(!of("round_robin").contains("workers have faults"));
        assert!(of("least_loaded").contains("workers have faults"));
        assert!(!of("least_loaded").contains("20 tasks"));
    }

    #[test]
    fn overload_and_a_low_load_are_mentioned() {
        let over = Facts { load: 1.5, peak_load: 1.5, ..facts() };
        let text = advice(&advised(Objective::P99, over, ranking()), false).join("\n");
        assert!(text.contains("The workers are overloaded (load 150 %)"), "{text}");
        let low = Facts { load: 0.1, peak_load: 0.1, ..facts() };
        let text = advice(&advised(Objective::P99, low, ranking()), false).join("\n");
        assert!(text.contains("The load is low (10 %)"), "{text}");
    }

    #[test]
    fn a_strategy_that_is_better_at_another_load_is_named() {
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
            text.contains(
                "At other loads another strategy was better: at 90 % random (20 % less)."
            )
        );
        advised.curves[1].points[1].p99 = Duration::from_millis(99);
        assert!(!advice(&advised, false).join("\n").contains("At other loads"));
    }

    #[test]
    fn more_throughput_is_better_and_lost_tasks_are_mentioned() {
        let standing = |name, per_s: f64, lost| Standing {
            figure: Estimate { mean: per_s, half_width: Some(1.0) },
            lost,
            ..standing(name, 0.0, 0.0, false)
        };
        let two = vec![standing("least_loaded", 1_000.0, 0.0), standing("random", 800.0, 0.0)];
        let text = advice(&advised(Objective::Throughput, facts(), two), false);
        let expected = "throughput of 1000 ± 1 tasks/s is the best of 2 strategies, 25.0 % more";
        assert!(text[0].contains(expected), "{}", text[0]);
        let slow = vec![standing("least_loaded", 2.604, 0.0), standing("random", 2.396, 0.0)];
        let text = advice(&advised(Objective::Throughput, facts(), slow), false);
        assert!(text[0].contains("throughput of 2.604 ± 1.000 tasks/s"), "{}", text[0]);
        let two = vec![standing("least_loaded", 1_000.0, 0.0), standing("random", 800.0, 0.2)];
        let text = advice(&advised(Objective::P99, facts(), two), false);
        assert!(text[0].ends_with("random, leaves 20.0 % of the tasks undone."), "{}", text[0]);
    }

    #[test]
    fn without_a_ranking_there_is_no_advice() {
        assert!(advice(&advised(Objective::P99, facts(), Vec::new()), true).is_empty());
    }
}
