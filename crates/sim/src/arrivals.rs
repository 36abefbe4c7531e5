use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::nanos;

use crate::SimError;
use crate::error::positive;
use crate::random::exponential;

/// When tasks come.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Independent of each other, so many a second in the mean.
    Poisson {
        /// Tasks a second.
        rate: f64,
    },
    /// At even distances.
    Steady {
        /// Tasks a second.
        rate: f64,
    },
    /// A Poisson process that switches between two rates after exponential times (a Markov
    /// modulated one).
    Bursty {
        /// Tasks a second, in the mean over both.
        rate: f64,
        /// The rate within a burst, as a multiple of the mean; at least 1.
        burst: f64,
        /// Mean length of a burst.
        burst_length: Duration,
        /// Mean time from the end of a burst to the next.
        quiet_length: Duration,
    },
    /// At these times, from the start of the run; in order.
    Trace(Arc<[Duration]>),
}

impl Arrivals {
    pub(crate) fn check(&self) -> Result<(), SimError> {
        match self {
            Self::Poisson { rate } | Self::Steady { rate } => positive("arrivals' rate", *rate),
            Self::Bursty { rate, burst, burst_length, quiet_length } => {
                positive("arrivals' rate", *rate)?;
                positive("burst length in seconds", burst_length.as_secs_f64())?;
                positive("quiet length in seconds", quiet_length.as_secs_f64())?;
                let most = 1.0 / busy_share(*burst_length, *quiet_length);
                SimError::unless(*burst >= 1.0 && *burst <= most, "burst", burst, || {
                    format!("1 to {most:.3}: above that the quiet times would need a rate below 0")
                })
            }
            Self::Trace(times) => {
                SimError::unless(!times.is_empty(), "trace", "empty", || {
                    "at least one task".into()
                })?;
                let wrong = times.windows(2).find(|pair| pair[1] < pair[0]);
                SimError::unless(wrong.is_none(), "trace", format!("{wrong:?}"), || {
                    "arrivals in order of time".into()
                })
            }
        }
    }
}

/// The share of time that is within bursts.
fn busy_share(burst: Duration, quiet: Duration) -> f64 {
    burst.as_secs_f64() / (burst.as_secs_f64() + quiet.as_secs_f64())
}

/// Draws arrivals, one after the other.
pub(crate) struct ArrivalTimes {
    law: Law,
    rng: Rng,
    /// Of the last arrival, in nanoseconds from the start; a fraction is kept, so that rates are
    /// exact.
    now: f64,
}

enum Law {
    Poisson { gap: f64 },
    Steady { gap: f64 },
    Bursty { gaps: [f64; 2], lengths: [f64; 2], state: usize, until: f64 },
    Trace { times: Arc<[Duration]>, next: usize },
}

const NANOS: f64 = 1e9;

impl ArrivalTimes {
    pub(crate) fn new(arrivals: &Arrivals, mut rng: Rng) -> Self {
        let law = match arrivals {
            Arrivals::Poisson { rate } => Law::Poisson { gap: NANOS / rate },
            Arrivals::Steady { rate } => Law::Steady { gap: NANOS / rate },
            Arrivals::Bursty { rate, burst, burst_length, quiet_length } => {
                let share = busy_share(*burst_length, *quiet_length);
                let quiet_rate = (rate * (1.0 - share * burst) / (1.0 - share)).max(0.0);
                let lengths = [quiet_length, burst_length].map(|length| length.as_nanos() as f64);
                // In a burst with the share of time that bursts have, so that the start is like
                // any other moment.
                let state = usize::from(rng.f64() < share);
                let until = exponential(&mut rng, lengths[state]);
                Law::Bursty {
                    gaps: [NANOS / quiet_rate, NANOS / (rate * burst)],
                    lengths,
                    state,
                    until,
                }
            }
            Arrivals::Trace(times) => Law::Trace { times: Arc::clone(times), next: 0 },
        };
        Self { law, rng, now: 0.0 }
    }
}

impl Iterator for ArrivalTimes {
    type Item = u64;

    /// The next arrival, in nanoseconds from the start.
    fn next(&mut self) -> Option<u64> {
        match &mut self.law {
            Law::Poisson { gap } => self.now += exponential(&mut self.rng, *gap),
            Law::Steady { gap } => self.now += *gap,
            Law::Bursty { gaps, lengths, state, until } => loop {
                // Without memory: what is left of a gap when the rate changes is drawn anew.
                let at = self.now + exponential(&mut self.rng, gaps[*state]);
                if at <= *until {
                    self.now = at;
                    break;
                }
                self.now = *until;
                *state = 1 - *state;
                *until += exponential(&mut self.rng, lengths[*state]);
            },
            Law::Trace { times, next } => {
                let at = times.get(*next)?;
                *next += 1;
                return Some(nanos(*at));
            }
        }
        Some(self.now as u64)
    }
}
