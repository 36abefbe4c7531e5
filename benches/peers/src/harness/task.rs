use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

/// A task: a number, which its worker's duty knows how to take. A spinner's are
/// rounds of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task(pub u64);

/// How long tasks keep a worker busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Not at all.
    Empty,
    /// So many microseconds.
    Micros(u64),
    /// Nine of ten 1 us, one 50 us.
    Bimodal,
}

/// Tasks in an order that is the same for all contenders, again and again.
#[derive(Debug)]
pub struct Plan(Box<[Task]>);

impl Work {
    /// The tasks, given how many rounds of arithmetic a microsecond takes.
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

impl FromStr for Work {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "empty" => Ok(Self::Empty),
            "bimodal" => Ok(Self::Bimodal),
            _ => name.strip_suffix("us").and_then(|us| us.parse().ok()).map(Self::Micros).ok_or(()),
        }
    }
}

impl Plan {
    /// `count` tasks.
    pub fn tasks(&self, count: u64) -> impl Iterator<Item = Task> + '_ {
        self.0.iter().copied().cycle().take(count as usize)
    }
}

/// Keeps the core busy, each round waiting for the one before.
pub fn spin(rounds: u64) {
    let mut number = rounds;
    for _ in 0..rounds {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Rounds that a microsecond takes, by the fastest of many tries.
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
    fn a_bimodal_plan_has_about_a_tenth_of_long_tasks() {
        let plan = Work::Bimodal.plan(100.0);
        let long = plan.tasks(4_096).filter(|task| task.0 == 5_000).count();
        assert!((300..520).contains(&long), "{long}");
        assert!(plan.tasks(4_096).all(|task| task.0 == 5_000 || task.0 == 100));
    }

    #[test]
    fn work_is_known_by_its_name() {
        assert_eq!("10us".parse(), Ok(Work::Micros(10)));
        assert_eq!("empty".parse(), Ok(Work::Empty));
        assert_eq!("us".parse::<Work>(), Err(()));
    }
}
