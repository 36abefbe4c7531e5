//! The workload of `raddle compare`: bursts, mixed service times, two capabilities.

use std::time::Duration;

use super::{CapabilityNames, Request, Workload};

/// The number of requests, unless `--limit` is less.
const REQUESTS: usize = 4_000;

/// From the first arrival to the last.
const SPAN: Duration = Duration::from_millis(4_100);

/// The work of all requests: half of what the default workers can do within the span.
const WORK: Duration = Duration::from_millis(16_850);

/// The ratio of the arrival rate in a burst to that between bursts.
const BURST_FACTOR: f64 = 6.0;

/// Generates the workload of a seed.
pub fn embedded(seed: u64, limit: usize) -> Workload {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut capabilities = CapabilityNames::default();
    let (code, chat) = (capabilities.number("code"), capabilities.number("chat"));
    let mut phases = Phases { burst: false, left: 0.0 };
    let mut arrival = 0.0;
    let mut raw = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        arrival += phases.gap(&mut random);
        let is_code = random.f64() < 0.6;
        let (small, large, large_share) = if is_code { (2.0, 10.0, 0.1) } else { (2.5, 8.0, 0.1) };
        let mean = if random.f64() < large_share { large } else { small };
        // Bounded on both sides, so that no single task dominates a run.
        let service = (0.25 * mean + 0.75 * exponential(&mut random, mean)).min(4.0 * mean);
        raw.push((arrival, service, if is_code { code } else { chat }));
    }
    let first = raw[0].0;
    let time_scale = SPAN.as_secs_f64() / (arrival - first);
    let work_scale = WORK.as_secs_f64() / raw.iter().map(|(_, service, _)| service).sum::<f64>();
    let request = |(arrival, service, capability): (f64, f64, _)| Request {
        arrival: Duration::from_secs_f64((arrival - first) * time_scale),
        service: Duration::from_secs_f64(service * work_scale),
        capability,
        key: None,
    };
    Workload {
        source: "embedded".into(),
        has_tokens: false,
        capabilities,
        requests: raw.into_iter().map(request).take(limit).collect(),
    }
}

/// Alternating bursts and quiet times of exponential length, with Poisson arrivals in each.
struct Phases {
    burst: bool,
    left: f64,
}

impl Phases {
    fn gap(&mut self, random: &mut fastrand::Rng) -> f64 {
        let mut waited = 0.0;
        loop {
            let mean_gap = if self.burst { 1.0 / BURST_FACTOR } else { 1.0 };
            let gap = exponential(random, mean_gap);
            if gap <= self.left {
                self.left -= gap;
                return waited + gap;
            }
            // No arrival in the rest of this phase.
            waited += self.left;
            self.burst = !self.burst;
            self.left = exponential(random, if self.burst { 10.0 } else { 60.0 });
        }
    }
}

fn exponential(random: &mut fastrand::Rng, mean: f64) -> f64 {
    -mean * (1.0 - random.f64()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_workload() {
        let (one, again, other) =
            (embedded(7, REQUESTS), embedded(7, REQUESTS), embedded(8, REQUESTS));
        assert_eq!(one.requests, again.requests);
        assert_ne!(one.requests, other.requests);
    }

    #[test]
    fn every_seed_has_the_documented_span_and_work() {
        for seed in 0..20 {
            println!("seed {seed}");
            let workload = embedded(seed, usize::MAX);
            assert_eq!(workload.requests.len(), REQUESTS);
            assert!(workload.requests.is_sorted_by_key(|request| request.arrival));
            assert!(workload.span().abs_diff(SPAN) < Duration::from_micros(1));
            assert!((workload.work_s() - WORK.as_secs_f64()).abs() < 1e-3);
            assert_eq!(workload.capabilities.iter().collect::<Vec<_>>(), ["code", "chat"]);
            assert!(workload.requests.iter().all(|request| request.capability.is_some()));
            let longest = workload.requests.iter().map(|request| request.service).max();
            assert!(longest < Some(Duration::from_millis(100)), "{longest:?}");
        }
    }

    #[test]
    fn arrivals_are_bursty() {
        let seed = 3;
        println!("seed {seed}");
        let arrivals: Vec<f64> = embedded(seed, usize::MAX)
            .requests
            .iter()
            .map(|request| request.arrival.as_secs_f64())
            .collect();
        let gaps: Vec<f64> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!(variance / mean.powi(2) > 1.3, "squared variation {}", variance / mean.powi(2));
    }
}
