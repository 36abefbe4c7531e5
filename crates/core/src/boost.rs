use crate::{Baseline, TaskProfile};

/// The order in which a worker runs the tasks that wait in its mailbox.
///
/// Whatever the order, the tasks of one key run in the order in which they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum MailboxOrder {
    /// First come, first served.
    #[default]
    Fifo,
    /// Short tasks overtake long ones that were sent not too long before: each [size class](SizeClass)
    /// has a *boost*, and the task with the earliest time of arrival minus boost is next.
    ///
    /// This is gamma-Boost (Yu and Scully, "Strongly Tail-Optimal Scheduling in the Light-Tailed
    /// M/G/1", SIGMETRICS 2024): it lowers the mean and the 99th percentile without giving up the
    /// far tail, as "shortest first" does.
    Boost,
}

impl MailboxOrder {
    /// Every order.
    pub const ALL: [Self; 2] = [Self::Fifo, Self::Boost];

    /// Returns the name, as in configurations and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Boost => "boost",
        }
    }
}

/// How long a task is expected to take, compared with the mean of its pool: up to a quarter of it,
/// up to the mean, up to four times the mean, or longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SizeClass(u8);

impl SizeClass {
    /// The number of classes.
    pub const COUNT: usize = 4;

    /// Returns the class of a task with this expected duration in a pool with this mean service
    /// time, both in nanoseconds; `None` if one of them is 0, that is, unknown.
    #[inline]
    pub fn of(expected: u64, mean: u64) -> Option<Self> {
        let longer = [mean / 4, mean, mean.saturating_mul(4)].map(|bound| expected > bound);
        let class = longer.into_iter().map(u8::from).sum();
        (expected != 0 && mean != 0).then_some(Self(class))
    }

    /// Returns the class with this index, from the shortest tasks to the longest; `None` from
    /// [`COUNT`](Self::COUNT) on.
    pub const fn from_index(index: usize) -> Option<Self> {
        if index < Self::COUNT { Some(Self(index as u8)) } else { None }
    }

    /// Returns the index of the class.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The number of classes and one more, for tasks of unknown size.
    pub const WITH_UNKNOWN: usize = Self::COUNT + 1;

    /// Returns the index of a class, below [`WITH_UNKNOWN`](Self::WITH_UNKNOWN); the last one for
    /// `None`.
    #[inline]
    pub fn index_of(class: Option<Self>) -> usize {
        class.map_or(Self::COUNT, Self::index)
    }

    /// Returns the class of a task: by the duration that it states, or else by what the pool has
    /// learned of its capability. `mean` is the pool's mean service time in nanoseconds, or 0 to use
    /// the mean that `learned` has. Returns `None` if nothing is known.
    pub fn of_task(task: &TaskProfile, learned: &Baseline, mean: u64) -> Option<Self> {
        let expected = match task.expected_duration {
            0 => learned.mean_for(task.capability)? as u64,
            stated => stated,
        };
        let mean = match mean {
            0 => learned.mean()? as u64,
            mean => mean,
        };
        Self::of(expected, mean)
    }
}

/// The boosts of the tasks of one worker, learned from what it has served.
///
/// With a service time `S`, an arrival rate `lambda` and the decay rate `g` of the queue's tail,
/// which solves `g = lambda (E[e^(g S)] - 1)`, the boost of a class is `ln(m / (m - 1)) / g`, where
/// `m = E[e^(g S)]` over the tasks of the class. A task of unknown size belongs to a class of its
/// own.
///
/// Belongs to the worker's thread.
#[derive(Clone, Debug)]
pub struct Boosts {
    services: Box<[Services; CLASSES]>,
    /// How long it took for the counted tasks to arrive, in nanoseconds.
    span: f64,
    refreshed_at: u64,
    /// Per nanosecond; 0 if unknown.
    decay: f64,
    mean: u64,
    boosts: [u64; CLASSES],
}

const CLASSES: usize = SizeClass::WITH_UNKNOWN;
/// Time between two computations.
const INTERVAL: u64 = 1_000_000_000;
/// When more tasks than this are counted, each counts half from then on.
const WINDOW: f64 = (1 << 14) as f64;
/// Once this many tasks are counted, a time without tasks that is longer than it took all of them to
/// arrive is a pause, and says nothing about the rate.
const ENOUGH: f64 = 1_024.0;
/// The load at which the decay rate is computed if the worker's own is higher: at a load of 1 there
/// is none.
const MAX_LOAD: f64 = 0.95;
/// No boost exceeds this many times the mean of the tail, which one wait in a thousand exceeds under
/// FIFO: a task that has waited for longer is overtaken by none that comes now.
const MAX_BOOST: f64 = 6.9;
/// The largest exponent that is computed: a decay rate for which the longest task has more is that
/// of an idle worker.
const MAX_EXPONENT: f64 = 64.0;

/// A distribution of service times: two buckets per power of two, each with its mean.
#[derive(Clone, Copy, Debug)]
struct Services([Bucket; 128]);

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    tasks: f64,
    nanos: f64,
}

impl Bucket {
    fn mean(self) -> f64 {
        self.nanos / self.tasks
    }
}

impl Services {
    fn record(&mut self, service: u64) {
        let octave = service.max(2).ilog2();
        let upper_half = service >> (octave - 1) & 1;
        let bucket = &mut self.0[(2 * octave) as usize | upper_half as usize];
        bucket.tasks += 1.0;
        bucket.nanos += service as f64;
    }

    fn used(&self) -> impl Iterator<Item = Bucket> {
        self.0.iter().copied().filter(|bucket| bucket.tasks > 0.0)
    }
}

impl Boosts {
    /// What the boosts of a worker take in memory.
    pub const BYTES: usize = size_of::<[Services; CLASSES]>();

    /// Creates boosts that are all 0, at the clock's `now`.
    pub fn new(now: u64) -> Self {
        Self {
            services: Box::new([Services([Bucket::default(); 128]); CLASSES]),
            span: 0.0,
            refreshed_at: now,
            decay: 0.0,
            mean: 0,
            boosts: [0; CLASSES],
        }
    }

    /// Records that the worker was occupied for `service` nanoseconds by a task.
    #[inline]
    pub fn record(&mut self, class: Option<SizeClass>, service: u64) {
        self.services[SizeClass::index_of(class)].record(service);
    }

    /// Returns the boost of a class, in nanoseconds.
    #[inline]
    pub fn of(&self, class: Option<SizeClass>) -> u64 {
        self.boosts[SizeClass::index_of(class)]
    }

    /// Returns the boost of a task that takes exactly `service` nanoseconds: `m` is `e^(g service)`.
    pub fn of_size(&self, service: u64) -> u64 {
        boost((self.decay * service as f64).exp_m1(), self.decay)
    }

    /// Returns the mean service time in nanoseconds as of the last computation, which
    /// [`SizeClass::of`] compares with; 0 before the first.
    pub fn mean(&self) -> u64 {
        self.mean
    }

    /// Computes the boosts again, if the last time was at least a second ago at the clock's `now`.
    /// Returns whether it did. Takes some microseconds then, and allocates nothing.
    #[inline]
    pub fn refresh(&mut self, now: u64) -> bool {
        let due = now.saturating_sub(self.refreshed_at) >= INTERVAL;
        if due {
            self.compute(now);
        }
        due
    }

    #[cold]
    fn compute(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.refreshed_at) as f64;
        self.refreshed_at = now;
        let all = || self.services.iter().flat_map(Services::used);
        let tasks: f64 = all().map(|bucket| bucket.tasks).sum();
        if tasks == 0.0 {
            return;
        }
        if tasks < ENOUGH || elapsed < self.span {
            self.span += elapsed;
        }
        let mean = all().map(|bucket| bucket.nanos).sum::<f64>() / tasks;
        self.mean = (mean.ceil() as u64).max(1);
        self.decay = decay_rate(all, tasks, tasks / self.span.max(1.0));
        let decay = self.decay;
        self.boosts = std::array::from_fn(|class| {
            let (mut tasks, mut excess) = (0.0, 0.0);
            for bucket in self.services[class].used() {
                tasks += bucket.tasks;
                excess += bucket.tasks * (decay * bucket.mean()).exp_m1();
            }
            if tasks > 0.0 { boost(excess / tasks, decay) } else { 0 }
        });
        if tasks > WINDOW {
            self.span /= 2.0;
            for bucket in self.services.iter_mut().flat_map(|services| &mut services.0) {
                (bucket.tasks, bucket.nanos) = (bucket.tasks / 2.0, bucket.nanos / 2.0);
            }
        }
    }
}

/// The boost for `m - 1 = excess`.
fn boost(excess: f64, decay: f64) -> u64 {
    if decay > 0.0 { ((1.0 / excess).ln_1p().min(MAX_BOOST) / decay) as u64 } else { 0 }
}

/// Returns the positive root of `lambda (E[e^(g S)] - 1) - g`, per nanosecond; 0 if all services are
/// 0.
///
/// The function is convex, 0 at 0 and negative up to the root. By `e^x - 1 >= x + x^2 / 2` it is
/// not negative at `2 (1 - rho) / (lambda E[S^2])`, so Newton's method descends to the root from
/// there.
fn decay_rate<I: Iterator<Item = Bucket>>(all: impl Fn() -> I, tasks: f64, rate: f64) -> f64 {
    let moment = |power| all().map(|bucket| bucket.tasks * bucket.mean().powi(power)).sum::<f64>();
    let (first, second) = (moment(1) / tasks, moment(2) / tasks);
    let longest = all().map(Bucket::mean).fold(0.0, f64::max);
    if longest == 0.0 {
        return 0.0;
    }
    let rate = rate.min(MAX_LOAD / first);
    let start = 2.0 * (1.0 - rate * first) / (rate * second);
    let mut root = start.min(MAX_EXPONENT / longest);
    for _ in 0..2 * MAX_EXPONENT as u32 {
        let (mut value, mut slope) = (-root, -1.0);
        for bucket in all() {
            let share = rate * bucket.tasks / tasks;
            value += share * (root * bucket.mean()).exp_m1();
            slope += share * bucket.mean() * (root * bucket.mean()).exp();
        }
        // Negative at the start only if the root is beyond `MAX_EXPONENT`.
        if value <= 0.0 || value / slope < 1e-6 * root {
            break;
        }
        root -= value / slope;
    }
    root
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Boosts after a second of these tasks: class, service, number.
    fn learned(tasks: &[(usize, u64, u32)]) -> Boosts {
        let mut boosts = Boosts::new(7);
        for (class, service, number) in tasks {
            (0..*number).for_each(|_| boosts.record(SizeClass::from_index(*class), *service));
        }
        assert!(!boosts.refresh(7 + INTERVAL - 1) && boosts.refresh(7 + INTERVAL));
        boosts
    }

    fn of(boosts: &Boosts) -> [u64; CLASSES] {
        std::array::from_fn(|class| boosts.of(SizeClass::from_index(class)))
    }

    #[test]
    fn a_size_is_compared_with_the_mean() {
        let class = |expected| SizeClass::of(expected, 400).map(SizeClass::index);
        let cases = [(1, 0), (100, 0), (101, 1), (400, 1), (401, 2), (1_600, 2), (1_601, 3)];
        for (expected, index) in cases {
            assert_eq!(class(expected), Some(index), "{expected}");
        }
        assert_eq!((class(u64::MAX), class(0), SizeClass::of(5, 0)), (Some(3), None, None));
        assert_eq!(SizeClass::of(u64::MAX, u64::MAX).map(SizeClass::index), Some(1));
        assert_eq!(SizeClass::from_index(SizeClass::COUNT), None);
    }

    #[test]
    fn the_decay_rate_solves_its_equation_and_the_boosts_follow_from_it() {
        // A load of 0.62: 380 tasks of 1 ms and 6 of 40 ms in a second.
        let boosts = learned(&[(1, MS, 380), (3, 40 * MS, 6)]);
        let g = boosts.decay * 1e6;
        let tail = 0.380 * g.exp_m1() + 0.006 * (40.0 * g).exp_m1();
        assert!((tail / g - 1.0).abs() < 1e-4, "{tail} {g}");
        let exact = |size: f64| ((g * size).exp() / (g * size).exp_m1()).ln() / g * 1e6;
        let [_, short, _, long, unknown] = of(&boosts);
        assert!((short as f64 / exact(1.0) - 1.0).abs() < 1e-6 && short > 50 * MS, "{short}");
        assert!((long as f64 / exact(40.0) - 1.0).abs() < 1e-6 && long < 20 * MS, "{long}");
        assert_eq!((unknown, boosts.of_size(MS), boosts.of_size(40 * MS)), (0, short, long));
        assert_eq!(boosts.mean(), (380 + 240) * MS / 386 + 1);
    }

    #[test]
    fn no_boost_exceeds_its_cap_and_an_overload_counts_as_the_highest_load() {
        let overloaded = learned(&[(0, 1, 100), (3, 40 * MS, 1_000)]);
        let cap = (MAX_BOOST / overloaded.decay) as u64;
        assert_eq!(of(&overloaded)[0], cap);
        // A constant service at load 0.95: a decay rate of about 2 (1 - 0.95) / 0.95 a service.
        assert!((0.09..0.11).contains(&(overloaded.decay * 40e6)), "{}", overloaded.decay * 40e6);
    }

    #[test]
    fn nothing_is_boosted_before_anything_is_known() {
        let mut boosts = Boosts::new(0);
        assert!(boosts.refresh(INTERVAL));
        assert_eq!((of(&boosts), boosts.of_size(5), boosts.mean()), ([0; CLASSES], 0, 0));
        for service in [0, u64::MAX] {
            let boosts = learned(&[(2, service, 3)]);
            assert!(boosts.decay.is_finite() && boosts.decay >= 0.0);
        }
    }

    #[test]
    fn an_idle_worker_boosts_by_little_and_a_pause_changes_nothing() {
        let idle = learned(&[(1, MS, 1), (3, 4 * MS, 1)]);
        assert!(of(&idle).into_iter().all(|boost| boost < MS), "{idle:?}");
        let mut boosts = learned(&[(1, MS / 4, 2_000), (3, 40 * MS, 3)]);
        let before = of(&boosts);
        assert!(boosts.refresh(3_600 * INTERVAL));
        assert_eq!(of(&boosts), before);
    }

    #[test]
    fn what_was_learned_fades() {
        let mut boosts = learned(&[(3, MS, 100_000)]);
        for second in 2..60 {
            (0..1_000).for_each(|_| boosts.record(SizeClass::from_index(1), MS / 2));
            boosts.refresh(7 + second * INTERVAL);
        }
        assert!((boosts.mean() as f64 / MS as f64 - 0.5).abs() < 0.02, "{}", boosts.mean());
    }
}
