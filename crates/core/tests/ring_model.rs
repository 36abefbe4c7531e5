//! Checks the latency ring against a queue of the last latencies.
#![cfg(not(loom))]

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use raddle_core::LatencyRing;

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(u64),
    PushExclusive(u64),
    Quantile(f64),
}

/// A window, mostly so small that the steps fill it several times.
fn window() -> impl Strategy<Value = usize> {
    prop_oneof![9 => 1usize..12, 3 => 12usize..70, 1 => Just(65_536)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Zero, a few values so that some are equal, typical ones, and above every ceiling.
    let latency = prop_oneof![Just(0), 0u64..4, 0u64..1 << 40, Just(u64::MAX)];
    let step = prop_oneof![
        3 => latency.clone().prop_map(Step::Push),
        3 => latency.prop_map(Step::PushExclusive),
        1 => (-0.2..1.2f64).prop_map(Step::Quantile),
        1 => prop::sample::select(&[0.0, 0.25, 0.5, 1.0][..]).prop_map(Step::Quantile),
    ];
    prop::collection::vec(step, 1..150)
}

/// The operations of a ring, so that a ring with a planted bug can be tested too.
trait Ring {
    fn push(&mut self, latency: u64);
    fn push_exclusive(&mut self, latency: u64);
    fn mean(&self) -> Option<u64>;
    fn sum_and_count(&self) -> (u64, u64);
    fn quantile(&self, q: f64) -> Option<u64>;
}

impl Ring for LatencyRing {
    fn push(&mut self, latency: u64) {
        LatencyRing::push(self, latency);
    }
    fn push_exclusive(&mut self, latency: u64) {
        LatencyRing::push_exclusive(self, latency);
    }
    fn mean(&self) -> Option<u64> {
        LatencyRing::mean(self)
    }
    fn sum_and_count(&self) -> (u64, u64) {
        LatencyRing::sum_and_count(self)
    }
    fn quantile(&self, q: f64) -> Option<u64> {
        LatencyRing::quantile(self, q)
    }
}

/// The last latencies, oldest first.
struct Model {
    window: usize,
    ceiling: u64,
    last: VecDeque<u64>,
}

impl Model {
    fn push(&mut self, latency: u64) {
        self.last.push_back(latency.min(self.ceiling));
        if self.last.len() > self.window {
            self.last.pop_front();
        }
    }

    fn sum(&self) -> u128 {
        self.last.iter().map(|latency| u128::from(*latency)).sum()
    }

    fn mean(&self) -> Option<u128> {
        self.sum().checked_div(self.last.len() as u128)
    }

    /// The smallest latency that a share `q` of them does not exceed, by definition.
    fn quantile(&self, q: f64) -> Option<u64> {
        let share = q.clamp(0.0, 1.0) * self.last.len() as f64;
        let enough = |latency: &&u64| {
            self.last.iter().filter(|other| other <= latency).count() as f64 >= share
        };
        self.last.iter().filter(enough).min().copied()
    }
}

fn follow(mut ring: impl Ring, mut model: Model, steps: &[Step]) -> Result<(), TestCaseError> {
    for step in steps {
        match *step {
            Step::Push(latency) => {
                ring.push(latency);
                model.push(latency);
            }
            Step::PushExclusive(latency) => {
                ring.push_exclusive(latency);
                model.push(latency);
            }
            Step::Quantile(q) => prop_assert_eq!(ring.quantile(q), model.quantile(q), "quantile"),
        }
        let (sum, count) = ring.sum_and_count();
        prop_assert_eq!((u128::from(sum), count), (model.sum(), model.last.len() as u64), "sum");
        prop_assert_eq!(ring.mean().map(u128::from), model.mean(), "mean");
    }
    Ok(())
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}

/// Creates a ring and its model, and checks the bounds of the ring.
fn pair(window: usize) -> Result<(LatencyRing, Model), TestCaseError> {
    let ring = LatencyRing::new(window).unwrap();
    prop_assert_eq!(ring.window(), window);
    let ceiling = ring.ceiling();
    // As high as possible: the sum of a ring of ceilings fits into the bits beside the count.
    let room = u128::from(u64::MAX >> (usize::BITS - window.leading_zeros()));
    prop_assert!(u128::from(ceiling) * window as u128 <= room, "the ceiling is too high");
    prop_assert!((u128::from(ceiling) + 1) * window as u128 > room, "the ceiling is too low");
    Ok((ring, Model { window, ceiling, last: VecDeque::new() }))
}

#[test]
fn the_ring_equals_the_queue_of_the_last_latencies() {
    let followed = runner().run(&(window(), steps()), |(window, steps)| {
        let (ring, model) = pair(window)?;
        follow(ring, model, &steps)
    });
    followed.unwrap_or_else(|error| panic!("{error}"));
}

/// A bug planted on top of a correct ring.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Planted {
    /// The two ways to push have separate cursors.
    SeparateCursors,
    /// Half of the latencies are below the median, not at most half of them above it.
    QuantileAbove,
    /// A latency of 0 counts as an empty entry.
    ZeroIsNone,
}

struct Twin {
    ring: LatencyRing,
    exclusive: LatencyRing,
    planted: Planted,
}

impl Twin {
    /// The sum over both rings.
    fn both(&self) -> (u64, u64) {
        let (one, other) = (self.ring.sum_and_count(), self.exclusive.sum_and_count());
        (one.0 + other.0, one.1 + other.1)
    }
}

impl Ring for Twin {
    fn push(&mut self, latency: u64) {
        if self.planted != Planted::ZeroIsNone || latency != 0 {
            self.ring.push(latency);
        }
    }
    fn push_exclusive(&mut self, latency: u64) {
        match self.planted {
            Planted::SeparateCursors => self.exclusive.push_exclusive(latency),
            _ => self.push(latency),
        }
    }
    fn mean(&self) -> Option<u64> {
        let (sum, count) = self.both();
        sum.checked_div(count)
    }
    fn sum_and_count(&self) -> (u64, u64) {
        self.both()
    }
    fn quantile(&self, q: f64) -> Option<u64> {
        let above = if self.planted == Planted::QuantileAbove { 0.1 } else { 0.0 };
        self.ring.quantile(q + above)
    }
}

#[test]
fn planted_bugs_are_found() {
    let found = [
        (Planted::SeparateCursors, "sum"),
        (Planted::QuantileAbove, "quantile"),
        (Planted::ZeroIsNone, "sum"),
    ];
    for (planted, reason) in found {
        let followed = runner().run(&(1usize..12, steps()), |(window, steps)| {
            let (ring, model) = pair(window)?;
            let (exclusive, _) = pair(window)?;
            // The model has quantiles for a single ring only.
            let steps: Vec<_> = match planted {
                Planted::SeparateCursors => {
                    steps.into_iter().filter(|step| !matches!(step, Step::Quantile(_))).collect()
                }
                _ => steps,
            };
            follow(Twin { ring, exclusive, planted }, model, &steps)
        });
        let Err(TestError::Fail(why, steps)) = followed else {
            panic!("{planted:?}: {followed:?}")
        };
        assert!(why.message().contains(reason), "{planted:?}: {why}");
        println!("{planted:?} is found with {steps:?}");
    }
}
