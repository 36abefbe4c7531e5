//! The block bootstrap of a recorded load: other traces that could have been recorded instead.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::error::LATEST;
use crate::{Arrivals, Capabilities, Keys, Load, Service};

/// Draws a trace of `tasks` tasks from the recorded parts of `load`, in blocks of `block`
/// successive tasks; the parts that are random stay as they are.
///
/// A task keeps the time since the task before it, its service time, capability and key. The blocks
/// begin anywhere with equal chance, and a block that reaches the end of the trace continues at its
/// beginning: the circular block bootstrap of D. N. Politis and J. P. Romano, "A circular
/// block-resampling procedure for stationary data", in *Exploring the Limits of Bootstrap* (1992).
pub(crate) fn resample(load: &Load, tasks: usize, block: usize, rng: &mut Rng) -> Load {
    let mut picked = Vec::with_capacity(tasks);
    while picked.len() < tasks {
        let first = rng.usize(..tasks);
        let length = block.clamp(1, tasks - picked.len());
        picked.extend((first..first + length).map(|task| task % tasks));
    }
    fn of<T: Copy>(values: &[T], picked: &[usize]) -> Arc<[T]> {
        picked.iter().map(|task| values[task % values.len()]).collect()
    }
    Load {
        arrivals: match &load.arrivals {
            Arrivals::Trace(times) => Arrivals::Trace(arrivals(times, &picked)),
            random => random.clone(),
        },
        service: match &load.service {
            Service::Trace(times) => Service::Trace(of(times, &picked)),
            random => random.clone(),
        },
        capabilities: match &load.capabilities {
            Capabilities::Trace(names) => Capabilities::Trace(of(names, &picked)),
            random => random.clone(),
        },
        keys: match &load.keys {
            Keys::Trace(keys) => Keys::Trace(of(keys, &picked)),
            random => random.clone(),
        },
    }
}

/// Returns arrivals with the gaps before the picked tasks. The first task of a trace has none, so
/// it gets the mean.
fn arrivals(times: &[Duration], picked: &[usize]) -> Arc<[Duration]> {
    let last = picked.len() - 1;
    let mean = (times[last] - times[0]) / u32::try_from(last).unwrap_or(u32::MAX).max(1);
    let gap = |task: usize| if task == 0 { mean } else { times[task] - times[task - 1] };
    let mut at = times[0];
    let later = picked.iter().skip(1).map(|task| {
        at = at.saturating_add(gap(*task)).min(LATEST);
        at
    });
    [times[0]].into_iter().chain(later).collect()
}

/// Returns the length of the blocks in which to resample `series`, in values: long enough to keep
/// the dependence within it.
///
/// D. N. Politis and H. White, "Automatic block-length selection for the dependent bootstrap",
/// *Econometric Reviews* 23 (2004), for the circular bootstrap, with the correction of A. Patton,
/// D. N. Politis and H. White, *Econometric Reviews* 28 (2009), and their upper bound of three
/// times the square root of the number of values.
pub(crate) fn block_length(series: &[f64]) -> usize {
    let count = series.len() as f64;
    let mean = series.iter().sum::<f64>() / count;
    let centred: Vec<f64> = series.iter().map(|value| value - mean).collect();
    let covariance = |lag: usize| {
        let pairs = centred.iter().zip(centred.get(lag..).unwrap_or_default());
        pairs.map(|(one, other)| one * other).sum::<f64>() / count
    };
    let variance = covariance(0);
    if series.len() < 2 || variance <= 0.0 {
        return 1;
    }
    // Lags from which on this many correlations in a row could be 0 count as uncorrelated.
    let in_a_row = (count.log10().sqrt().ceil() as usize).max(5);
    let most_lags = count.sqrt().ceil() as usize + in_a_row;
    let significant = 2.0 * (count.log10() / count).sqrt() * variance;
    let mut covariances = vec![variance];
    let mut last_correlated = 0;
    for lag in 1..=most_lags {
        covariances.push(covariance(lag));
        if covariances[lag].abs() >= significant {
            last_correlated = lag;
        } else if lag - last_correlated >= in_a_row {
            break;
        }
    }
    let bandwidth = (2 * last_correlated.max(1)).min(most_lags);
    // The flat-top window: whole up to half of the bandwidth, then down to 0.
    let (mut density, mut slope) = (variance, 0.0);
    for lag in 1..=bandwidth {
        let weight = (2.0 * (1.0 - lag as f64 / bandwidth as f64)).min(1.0);
        let known = covariances.get(lag).copied().unwrap_or_else(|| covariance(lag));
        density += 2.0 * weight * known;
        slope += 2.0 * weight * lag as f64 * known;
    }
    let most = (3.0 * count.sqrt()).min(count / 3.0).ceil().max(1.0);
    let best = (2.0 * slope.powi(2) / (4.0 / 3.0 * density.powi(2))).cbrt() * count.cbrt();
    // A density of 0 gives no length: the longest is the safe one.
    if best.is_finite() { best.ceil().clamp(1.0, most) as usize } else { most as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::exponential;

    /// Successive values correlate by `correlation`.
    fn autoregressive(count: usize, correlation: f64) -> Vec<f64> {
        let (mut rng, mut value) = (Rng::with_seed(3), 0.0);
        let next = |_| {
            value = correlation * value + exponential(&mut rng, 1.0);
            value
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn blocks_are_as_long_as_the_dependence_and_bounded() {
        assert!(block_length(&autoregressive(10_000, 0.0)) <= 5);
        // For an autoregressive series, G = 2 r / (1 - r)² (1 - r²)⁻¹ s² and g(0) = s² / (1 - r)²,
        // which makes the length (6 r² / (1 - r²)² n)^(1/3).
        for correlation in [0.5_f64, 0.9] {
            let square = correlation.powi(2);
            let exact = (6.0 * square / (1.0 - square).powi(2) * 10_000.0).cbrt();
            let length = block_length(&autoregressive(10_000, correlation)) as f64;
            assert!((0.6..1.7).contains(&(length / exact)), "{length} for {exact}");
        }
        let trend: Vec<f64> = (0..10_000).map(f64::from).collect();
        assert!((250..=300).contains(&block_length(&trend)), "{}", block_length(&trend));
        assert_eq!([&[][..], &[1.0], &[2.0, 2.0]].map(block_length), [1, 1, 1]);
        assert_eq!(block_length(&[1.0, 5.0]), 1);
    }

    #[test]
    fn a_resampled_trace_consists_of_blocks_of_the_trace() {
        let ms = |ms: u64| Duration::from_millis(ms);
        // Every gap and every service time is unique.
        let times: Vec<Duration> = (0..100_u64).map(|n| ms(n * n)).collect();
        let services: Vec<Duration> = (0..100).map(ms).collect();
        let load =
            Load::new(Arrivals::Trace(times.clone().into()), Service::Trace(services.into()));
        let again = resample(&load, 100, 10, &mut Rng::with_seed(1));
        let (Arrivals::Trace(at), Service::Trace(services)) = (&again.arrivals, &again.service)
        else {
            panic!("{again:?}");
        };
        assert_eq!((at.len(), services.len()), (100, 100));
        for task in 1..100 {
            let original = services[task].as_millis() as usize;
            let gap = if original == 0 { ms(99) } else { times[original] - times[original - 1] };
            assert_eq!(at[task] - at[task - 1], gap);
            let before = services[task - 1].as_millis() as usize;
            assert!(task % 10 == 0 || original == (before + 1) % 100, "{services:?}");
        }
        assert_ne!(again, resample(&load, 100, 10, &mut Rng::with_seed(2)));
        let single = resample(&load, 1, 10, &mut Rng::with_seed(1));
        assert_eq!(single.arrivals, Arrivals::Trace([ms(0)].into()));
    }
}
