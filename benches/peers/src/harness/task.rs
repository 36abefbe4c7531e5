use std::hint::black_box;
use std::time::Instant;

/// A task: a number that its worker's duty interprets. For a spinner it is rounds of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task(pub u64);

/// How long tasks keep a worker busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// No time.
    Empty,
    /// This many microseconds.
    Micros(u64),
    /// 1 us for nine of ten tasks, 50 us for the tenth.
    Bimodal,
}

/// An endless sequence of tasks, the same for all contenders.
#[derive(Debug)]
pub struct Plan(Box<[Task]>);

impl Work {
    /// Returns the tasks, for a machine that does this many rounds of arithmetic per microsecond.
    pub fn plan(self, rounds_per_us: f64) -> Plan {
        let task = |micros: u64| Task((micros as f64 * rounds_per_us).round() as u64);
        Plan(match self {
            Self::Empty => Box::new([Task(0)]),
            Self::Micros(micros) => Box::new([task(micros)]),
            Self::Bimodal => {
                let mut random = fastrand::Rng::with_seed(7);
                (0..4_096).map(|_| task(if random.u32(0..10) == 0 { 50 } else { 1 })).collect()
            }
        })
    }
}

impl Plan {
    /// Returns the first `count` tasks.
    pub fn tasks(&self, count: u64) -> impl Iterator<Item = Task> + '_ {
        self.0.iter().copied().cycle().take(count as usize)
    }
}

/// Keeps the core busy with arithmetic, each round depending on the one before.
pub fn spin(rounds: u64) {
    let mut number = rounds;
    for _ in 0..rounds {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Measures the rounds of arithmetic per microsecond, by the fastest of many tries.
pub fn calibrate() -> f64 {
    const ROUNDS: u64 = 50_000;
    let tries = (0..40).map(|_| {
        let begin = Instant::now();
        spin(ROUNDS);
        begin.elapsed().as_secs_f64() * 1e6
    });
    ROUNDS as f64 / tries.fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_a_tenth_of_the_tasks_of_a_bimodal_plan_are_long() {
        let plan = Work::Bimodal.plan(100.0);
        let long = plan.tasks(4_096).filter(|task| task.0 == 5_000).count();
        assert!((300..520).contains(&long), "{long}");
        assert!(plan.tasks(4_096).all(|task| task.0 == 5_000 || task.0 == 100));
    }
}
