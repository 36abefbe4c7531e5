//! What distorts a run on real threads: tasks that are submitted late, and workers that take longer
//! than a task's service time.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use raddle_charts::format;

use super::table::{milliseconds, percent};
use super::{Report, StrategyReport};
use crate::args::Service;

/// A distortion above this share of what it distorts is worth a warning.
const DISTORTED: f64 = 0.05;

/// Returns the warning that more workers spin than there are cores.
pub fn crowded(service: Service, workers: usize) -> Option<String> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (service == Service::Spin && workers > cores).then(|| {
        format!(
            "{workers} workers spin on {cores} core{}: they wait for each other, and latencies \
             measure that. Use --service sleep, at most {cores} --workers, or `raddle simulate`",
            if cores == 1 { "" } else { "s" }
        )
    })
}

/// Returns the lag of the generator and the overrun of the workers in words, of the strategies with
/// the most.
pub fn measured(report: &Report) -> String {
    let most = |figure: fn(&StrategyReport) -> f64| {
        report.strategies.iter().map(figure).fold(f64::NAN, f64::max)
    };
    let lag = most(|one| one.lag_us.p99);
    let mut text = format!(
        "{} {} ms a task, {} of its service time",
        overrun(report.workload.service),
        milliseconds(most(|one| one.overrun_us.mean)),
        percent(most(|one| one.overrun_share)),
    );
    if lag.is_finite() {
        text = format!("lag of the generator up to {} ms (p99); {text}", milliseconds(lag));
    }
    if report.workload.speedup != 1.0 {
        text += "; all times are the trace's own, not sped up";
    }
    text
}

fn overrun(service: Service) -> &'static str {
    match service {
        Service::Sleep => "oversleep",
        Service::Spin => "overrun",
    }
}

/// How fast a workload runs.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What times are divided by.
    pub speedup: f64,
    /// About how long a strategy takes without speedup.
    pub length: Duration,
}

/// Returns a warning for each distortion, with what to change. `pace` is `None` if the command
/// cannot change it.
pub fn distortions(
    strategies: &[StrategyReport],
    service: Service,
    pace: Option<Pace>,
) -> Vec<String> {
    let worst = |share: fn(&StrategyReport) -> f64| {
        let all = strategies.iter().map(|one| (one.strategy.as_str(), share(one)));
        let worst = all.max_by(|one, other| one.1.total_cmp(&other.1));
        // Without measurements the share is NaN.
        worst.filter(|(_, share)| *share > DISTORTED && share.is_finite())
    };
    let mut warnings = Vec::new();
    if let Some((strategy, share)) = worst(|one| one.overrun_share) {
        let took = format!(
            "a task of {strategy} took {} longer than its service time, and latencies, \
             utilisation and throughput measure that",
            percent(share)
        );
        warnings.push(match service {
            Service::Sleep => {
                format!("workers overslept: {took}. Use {}", slower(share, pace))
            }
            Service::Spin => format!(
                "workers were interrupted while they spun: {took}. Use --service sleep, fewer \
                 --workers, or `raddle simulate`"
            ),
        });
    }
    if let Some((strategy, share)) = worst(|one| one.lag_us.mean / one.latency_us.mean) {
        warnings.push(format!(
            "tasks were submitted late: the lag makes up {} of the mean latency of {strategy}. Use \
             {}",
            percent(share),
            slower(share, pace)
        ));
    }
    warnings
}

/// Says how to reduce a distortion of this share.
fn slower(share: f64, pace: Option<Pace>) -> String {
    let enough = pace.map(|pace| (two_digits(pace.speedup * DISTORTED / share), pace.length));
    match enough {
        Some((enough, length)) if enough >= 0.001 => format!(
            "--speedup {enough} or less (about {} or more per strategy; --limit makes it shorter), \
             or `raddle simulate`",
            format::time(length.as_secs_f64() / enough)
        ),
        _ => "an idle machine, or `raddle simulate`".into(),
    }
}

/// Rounds down to two significant digits, so that a number is easy to type.
fn two_digits(number: f64) -> f64 {
    let digits = 1 - number.log10().floor() as i32;
    // Division by a power of ten is exact where multiplication by its inverse is not.
    let scale = 10_f64.powi(digits.abs());
    if digits >= 0 { (number * scale).floor() / scale } else { (number / scale).floor() * scale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    #[test]
    fn numbers_are_rounded_down_to_two_digits() {
        let rounded = [12.39, 0.001_29, 98_765.0, 1.0, 0.25].map(two_digits);
        assert_eq!(rounded, [12.0, 0.0012, 98_000.0, 1.0, 0.25]);
    }

    #[test]
    fn a_warning_names_the_worst_strategy_and_what_to_change() {
        let mut strategies = example().strategies;
        let none: [String; 0] = [];
        let pace = |speedup| Some(Pace { speedup, length: Duration::from_secs(30) });
        assert_eq!(distortions(&strategies, Service::Sleep, pace(4.0)), none);
        strategies[1].overrun_share = 0.5;
        strategies[0].lag_us.mean = 150.0;
        let warnings = distortions(&strategies, Service::Sleep, pace(4.0));
        assert!(warnings[0].contains("a task of random took 50.0 % longer"), "{warnings:?}");
        assert!(warnings[0].contains("--speedup 0.4 or less (about 75.0 s"), "{warnings:?}");
        assert!(warnings[1].contains("10.0 % of the mean latency of least_loaded"), "{warnings:?}");
        assert!(warnings[1].contains("--speedup 2 or less (about 15.0 s"), "{warnings:?}");
        let warnings = distortions(&strategies, Service::Spin, None);
        assert!(warnings[0].contains("Use --service sleep"), "{warnings:?}");
        assert!(warnings[1].contains("an idle machine"), "{warnings:?}");
        strategies[1].overrun_share = 1e9;
        assert!(distortions(&strategies, Service::Sleep, pace(1.0))[0].contains("idle machine"));
        assert_eq!(distortions(&[], Service::Sleep, None), none);
    }

    #[test]
    fn lag_and_oversleep_are_those_of_the_worst_strategy() {
        let mut report = example();
        report.strategies[1].lag_us.p99 = 5_000.0;
        report.workload.speedup = 10.0;
        let expected = "lag of the generator up to 5.000 ms (p99); oversleep 0.030 ms a task, 2.0 % \
                        of its service time; all times are the trace's own, not sped up";
        assert_eq!(measured(&report), expected);
        report.strategies.iter_mut().for_each(|one| one.lag_us.p99 = f64::NAN);
        assert!(measured(&report).starts_with("oversleep"));
    }
}
