//! What each strategy does, and when not to use it.

/// A strategy in words.
pub struct Traits {
    /// The name.
    pub name: &'static str,
    /// What it does, after "it".
    pub does: &'static str,
    /// When not to use it, after "avoid it".
    pub avoid: &'static str,
    /// What it takes into account.
    pub uses: &'static [Uses],
}

/// What a strategy takes into account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// Queue lengths.
    Queues,
    /// The speeds of workers.
    Speeds,
    /// The expected durations of tasks.
    Durations,
    /// Capabilities.
    Capabilities,
    /// Keys.
    Keys,
    /// Only a few workers at a time, in turn or at random, so that dispatchers do not all choose
    /// the same one.
    Few,
}

use Uses::{Capabilities, Durations, Few, Keys, Queues, Speeds};

/// Returns the traits of a strategy.
pub fn of(strategy: &str) -> Option<&'static Traits> {
    TRAITS.iter().find(|traits| traits.name == strategy)
}

const TRAITS: [Traits; 14] = [
    Traits {
        name: "round_robin",
        does: "gives every worker the same number of tasks, without looking at them",
        avoid: "if durations vary, or a worker is slower than others or hangs: it does not notice",
        uses: &[Few],
    },
    Traits {
        name: "least_loaded",
        does: "gives each task to the worker with the fewest tasks",
        avoid: "if several dispatchers have outdated knowledge of each other (they all choose the \
                same worker), or speeds differ so much that a short queue is not a short wait",
        uses: &[Queues],
    },
    Traits {
        name: "random",
        does: "picks a worker at random",
        avoid: "at any load at which queues form",
        uses: &[Few],
    },
    Traits {
        name: "capability_best",
        does: "prefers workers that have done this kind of task well",
        avoid: "if workers are equal: it then reacts to differences that do not exist",
        uses: &[Capabilities, Speeds],
    },
    Traits {
        name: "latency_based",
        does: "weighs each worker's queue by its measured speed",
        avoid: "if workers are equal and durations vary (it takes a worker that had long tasks for a \
                slow one), or dispatchers have outdated knowledge of each other",
        uses: &[Queues, Speeds],
    },
    Traits {
        name: "weighted_round_robin",
        does: "distributes tasks in proportion to measured speed, or to fixed weights in code",
        avoid: "if tasks come in bursts or durations vary, because it ignores queues",
        uses: &[Speeds, Few],
    },
    Traits {
        name: "join_idle",
        does: "picks an idle worker if there is one, else the shorter of two queues",
        avoid: "if some workers are permanently faster than others, or if a few tasks are far longer \
                than the rest and idle workers do not steal",
        uses: &[Queues, Few],
    },
    Traits {
        name: "power_of_two",
        does: "picks the shorter of two queues drawn at random",
        avoid: "if a single dispatcher knows all queues, because comparing all of them is better",
        uses: &[Queues, Few],
    },
    Traits {
        name: "peak_ewma",
        does: "picks the better of two workers by recent latency and queue",
        avoid: "if workers are equal and durations vary, because it mistakes a long task for a slow \
                worker",
        uses: &[Queues, Speeds, Few],
    },
    Traits {
        name: "hot_cold",
        does: "avoids the workers with the longest queues, and picks the fastest of the others",
        avoid: "if there are few workers, because its sample is then nearly all of them",
        uses: &[Queues, Speeds, Few],
    },
    Traits {
        name: "expected_delay",
        does: "weighs each worker's queue by its measured speed (the rule of latency_based)",
        avoid: "if workers are equal and durations vary (it takes a worker that had long tasks for a \
                slow one), or dispatchers have outdated knowledge of each other",
        uses: &[Queues, Speeds],
    },
    Traits {
        name: "least_work",
        does: "gives each task to the worker with the least work left, by expected durations",
        avoid: "if durations are not known in advance, or only roughly",
        uses: &[Queues, Durations],
    },
    Traits {
        name: "bounded_hash",
        does: "sends all tasks of a key to one worker while that worker has room",
        avoid: "if a task gains nothing from running where the last task of its key ran",
        uses: &[Keys, Queues],
    },
    Traits {
        name: "warm_first",
        does: "gives each task to the worker with the least work left, where a key that a worker has \
               not run lately counts as work",
        avoid: "if workers keep many more than 512 keys each, or tasks have no keys",
        uses: &[Keys, Queues],
    },
];

#[cfg(test)]
mod tests {
    use raddle::strategies::StrategyName;

    use super::*;

    #[test]
    fn every_strategy_has_traits() {
        for name in StrategyName::ALL {
            assert!(of(name.as_str()).is_some(), "{name}");
        }
    }
}
