//! Closed forms for queueing systems, in units of the mean service time.

use std::f64::consts::LN_10;

/// The loads at which everything is checked.
pub const LOADS: [f64; 5] = [0.5, 0.7, 0.8, 0.9, 0.95];

/// A distribution of service times.
#[derive(Clone, Copy, Debug)]
pub enum Law {
    Exponential,
    Constant,
    /// One of two lengths.
    Bimodal {
        short: f64,
        long: f64,
        long_share: f64,
    },
    /// Pareto, bounded below and above.
    Pareto {
        least: f64,
        longest: f64,
        shape: f64,
    },
}

impl Law {
    /// Creates a bounded Pareto distribution of mean 1.
    pub fn pareto(shape: f64, longest: f64) -> Self {
        let of = |least| Self::Pareto { least, longest, shape };
        let (mut low, mut high) = (1e-9, 1.0);
        for _ in 0..100 {
            let middle = (low + high) / 2.0;
            if of(middle).moment(1.0) < 1.0 { low = middle } else { high = middle }
        }
        of(low)
    }

    /// Returns the k-th moment.
    pub fn moment(self, k: f64) -> f64 {
        match self {
            Self::Exponential => [1.0, 1.0, 2.0][k as usize],
            Self::Constant => 1.0,
            Self::Bimodal { short, long, long_share } => {
                short.powf(k) * (1.0 - long_share) + long.powf(k) * long_share
            }
            // The integral of x^k over the density shape least^shape x^(-shape-1) / (1 - ratio).
            Self::Pareto { least, longest, shape } => {
                let density = shape * least.powf(shape) / (1.0 - (least / longest).powf(shape));
                density * (longest.powf(k - shape) - least.powf(k - shape)) / (k - shape)
            }
        }
    }

    /// Returns the probability of being longer than `x`.
    pub fn longer(self, x: f64) -> f64 {
        match self {
            _ if x < 0.0 => 1.0,
            Self::Exponential => (-x).exp(),
            Self::Constant => f64::from(x < 1.0),
            Self::Bimodal { short, long, long_share } => match x {
                x if x < short => 1.0,
                x if x < long => long_share,
                _ => 0.0,
            },
            Self::Pareto { least, longest, shape } => {
                let above = |x: f64| (least / x).powf(shape);
                let bounded = |x| (above(x) - above(longest)) / (1.0 - above(longest));
                if x < least { 1.0 } else { bounded(x.min(longest)) }
            }
        }
    }
}

impl Law {
    /// Returns the probability that the residual service at a random moment is at most `x`: the
    /// integral of [`longer`](Self::longer), as the mean is 1.
    fn residual(self, x: f64) -> f64 {
        let x = x.max(0.0);
        match self {
            Self::Exponential => 1.0 - (-x).exp(),
            Self::Constant => x.min(1.0),
            Self::Bimodal { short, long, long_share } => {
                (1.0 - long_share) * x.min(short) + long_share * x.min(long)
            }
            Self::Pareto { least, .. } if x < least => x,
            Self::Pareto { least, longest, shape } => {
                let (x, ratio) = (x.min(longest), (least / longest).powf(shape));
                let power = |x: f64| x.powf(1.0 - shape);
                let above = least.powf(shape) * (power(least) - power(x)) / (shape - 1.0);
                least + (above - ratio * (x - least)) / (1.0 - ratio)
            }
        }
    }
}

/// Returns the mean sojourn of M/M/1.
pub fn mm1(rho: f64) -> f64 {
    1.0 / (1.0 - rho)
}

/// Returns the 99th percentile of an exponential distribution, such as the sojourn of M/M/1 and of
/// G/M/1.
pub fn p99_of_exponential(mean: f64) -> f64 {
    2.0 * LN_10 * mean
}

/// Returns the mean sojourn of M/G/1: Pollaczek and Khinchine, 1930 and 1932.
pub fn mg1(law: Law, rho: f64) -> f64 {
    1.0 + rho * law.moment(2.0) / (2.0 * (1.0 - rho))
}

/// Returns the step of a grid, and the distribution of the wait of M/G/1 on it.
///
/// The wait is a sum of geometrically many residual services (Beneš, 1957), which Panjer's
/// recursion (1981) computes on a grid. The grid is ten mean sojourns long.
fn mg1_wait(law: Law, rho: f64) -> (f64, Vec<f64>) {
    let step = mg1(law, rho) / 400.0;
    let edge = |cell: usize| law.residual((cell as f64 + 0.5) * step);
    // Rounds each residual service to the nearest point.
    let residual: Vec<f64> =
        (0..4_000).map(|cell| edge(cell) - if cell == 0 { 0.0 } else { edge(cell - 1) }).collect();
    let at_zero = 1.0 - rho * residual[0];
    let mut wait = vec![(1.0 - rho) / at_zero];
    for cell in 1..residual.len() {
        let sum: f64 = (1..=cell).map(|part| residual[part] * wait[cell - part]).sum();
        wait.push(rho / at_zero * sum);
    }
    (step, wait)
}

/// Returns the 99th percentile of the sojourn of M/G/1, a wait plus a service.
pub fn mg1_p99(law: Law, rho: f64) -> f64 {
    let (step, wait) = mg1_wait(law, rho);
    percentile(|time| {
        let ended = |cell: usize| wait[cell] * (1.0 - law.longer(time - cell as f64 * step));
        1.0 - (0..wait.len()).map(ended).sum::<f64>()
    })
}

/// Returns the probability that a task of M/M/n waits: Erlang C.
pub fn erlang_c(servers: u32, rho: f64) -> f64 {
    let offered = f64::from(servers) * rho;
    // The inverse of Erlang B, by its recursion.
    let inverse =
        (1..=servers).fold(1.0, |inverse, server| 1.0 + inverse * f64::from(server) / offered);
    1.0 / (1.0 + (1.0 - rho) * (inverse - 1.0))
}

/// Returns the mean sojourn of M/M/n.
pub fn mmn(servers: u32, rho: f64) -> f64 {
    1.0 + erlang_c(servers, rho) / (f64::from(servers) * (1.0 - rho))
}

/// Returns the 99th percentile of the sojourn of M/M/n: a service, preceded by an exponential time
/// for the tasks that wait.
pub fn mmn_p99(servers: u32, rho: f64) -> f64 {
    let waits = erlang_c(servers, rho);
    let rate = f64::from(servers) * (1.0 - rho);
    percentile(|time| {
        let both = if (rate - 1.0).abs() < 1e-9 {
            (1.0 + time) * (-time).exp()
        } else {
            (rate * (-time).exp() - (-rate * time).exp()) / (rate - 1.0)
        };
        (1.0 - waits) * (-time).exp() + waits * both
    })
}

/// Returns the mean sojourn of E_n/M/1, which is that of round robin over n exponential workers.
pub fn round_robin(workers: u32, rho: f64) -> f64 {
    let n = f64::from(workers);
    let mut sigma = rho;
    for _ in 0..10_000 {
        sigma = (n * rho / (n * rho + 1.0 - sigma)).powf(n);
    }
    1.0 / (1.0 - sigma)
}

/// Returns the share of workers with at least `k` tasks under the power of two choices, with
/// infinitely many workers: Vvedenskaya, Dobrushin and Karpelevich, 1996.
fn at_least(k: u32, rho: f64) -> f64 {
    rho.powf(2f64.powi(k as i32) - 1.0)
}

/// Returns the mean sojourn of the power of two choices with infinitely many workers.
pub fn power_of_two(rho: f64) -> f64 {
    (0..64).map(|k| at_least(k, rho).powi(2)).sum()
}

/// Returns the 99th percentile of the sojourn of the power of two choices with infinitely many
/// workers: a task that joins k others takes k + 1 exponential times.
pub fn power_of_two_p99(rho: f64) -> f64 {
    percentile(|time| {
        let mut poisson = (-time).exp();
        let mut sum = 0.0;
        for k in 0..64 {
            sum += at_least(k, rho).powi(2) * poisson;
            poisson *= time / f64::from(k + 1);
        }
        sum
    })
}

/// Returns the time that is exceeded with a probability of one in a hundred.
fn percentile(longer: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while longer(high) > 0.01 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if longer(middle) > 0.01 { low = middle } else { high = middle }
    }
    low
}

/// Compares with published figures, to their last digit.
#[test]
fn the_closed_forms_match_published_figures() {
    type Row = (&'static str, fn(f64) -> f64, [f64; 5]);
    let rows: [Row; 6] = [
        ("M/M/4", |rho| mmn(4, rho), [1.0870, 1.3572, 1.7455, 2.9694, 5.4571]),
        ("M/M/16", |rho| mmn(16, rho), [1.0011, 1.0270, 1.0953, 1.3696, 1.9752]),
        ("M/M/16 p99", |rho| mmn_p99(16, rho), [4.607, 4.639, 4.735, 5.270, 7.217]),
        ("E16/M/1", |rho| round_robin(16, rho), [1.2983, 1.9658, 2.8361, 5.4796, 10.787]),
        ("power of two", power_of_two, [1.2657, 1.6145, 1.9474, 2.6141, 3.3831]),
        ("power of two p99", power_of_two_p99, [5.575, 6.561, 7.374, 8.791, 10.218]),
    ];
    for (name, form, figures) in rows {
        for (rho, figure) in LOADS.into_iter().zip(figures) {
            let digit = if figure > 10.0 || name.ends_with("p99") { 1e-3 } else { 1e-4 };
            let found = form(rho);
            assert!((found - figure).abs() < 0.6 * digit, "{name} at {rho}: {found}, not {figure}");
        }
    }
}

#[test]
fn the_general_forms_match_the_special_ones() {
    for rho in LOADS {
        assert!((mg1(Law::Exponential, rho) / mm1(rho) - 1.0).abs() < 1e-12);
        assert!((mmn(1, rho) / mm1(rho) - 1.0).abs() < 1e-12);
        assert!((round_robin(1, rho) / mm1(rho) - 1.0).abs() < 1e-9);
        let p99 = p99_of_exponential(mm1(rho));
        assert!((mmn_p99(1, rho) / p99 - 1.0).abs() < 1e-9);
        assert!((mg1_p99(Law::Exponential, rho) / p99 - 1.0).abs() < 2e-3, "{rho}");
    }
    let pareto = Law::pareto(3.5, 30.0);
    let bimodal = Law::Bimodal { short: 0.5, long: 5.5, long_share: 0.1 };
    for law in [Law::Exponential, Law::Constant, bimodal, pareto] {
        assert!((law.residual(1e3) - 1.0).abs() < 1e-6, "{law:?}");
        for rho in LOADS {
            let (step, wait) = mg1_wait(law, rho);
            let (all, mean) = (0..).zip(&wait).fold((0.0, 1.0), |(all, mean), (cell, share)| {
                (all + share, mean + f64::from(cell) * step * share)
            });
            assert!((all - 1.0).abs() < 1e-3, "{law:?} at {rho}: {all}");
            assert!((mean / mg1(law, rho) - 1.0).abs() < 2e-3, "{law:?} at {rho}: {mean}");
        }
    }
    // From the exponential tail of M/D/1's wait: Tijms, Stochastic Models, 1994.
    assert!((mg1_p99(Law::Constant, 0.95) - 45.94).abs() < 0.05);
    let by_integral = |k: f64| -> f64 {
        let points = (0..300_000).map(|point| (f64::from(point) + 0.5) * 1e-4);
        points.map(|x| k * x.powf(k - 1.0) * pareto.longer(x) * 1e-4).sum()
    };
    for k in [1.0, 2.0] {
        assert!((by_integral(k) / pareto.moment(k) - 1.0).abs() < 1e-4, "moment {k}");
    }
}
