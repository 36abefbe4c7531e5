use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::nanos;

use crate::SimError;
use crate::error::{not_empty, positive};
use crate::random::exponential;

/// When tasks arrive.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Arrivals {
    /// Independent arrivals at a constant mean rate.
    Poisson {
        /// Tasks per second.
        rate: f64,
    },
    /// Arrivals at equal intervals.
    Steady {
        /// Tasks per second.
        rate: f64,
    },
    /// A Poisson process that switches between two rates after exponentially distributed times
    /// (Markov-modulated).
    Bursty {
        /// Tasks per second, as a mean over bursts and quiet times.
        rate: f64,
        /// The rate within a burst, as a multiple of the mean; at least 1.
        burst: f64,
        /// Mean length of a burst.
        burst_length: Duration,
        /// Mean length of the quiet time between two bursts.
        quiet_length: Duration,
    },
    /// Arrivals at these times since the start of the run, in ascending order.
    Trace(Arc<[Duration]>),
}

impl Arrivals {
    /// Returns the same arrivals at `factor` times the rate; bursts keep their lengths.
    ///
    /// Never fails: arrivals that a meaningless factor makes impossible are refused by
    /// [`Scenario::validate`](crate::Scenario::validate) or by the run.
    #[must_use]
    pub fn faster(&self, factor: f64) -> Self {
        match self {
            Self::Poisson { rate } => Self::Poisson { rate: rate * factor },
            Self::Steady { rate } => Self::Steady { rate: rate * factor },
            Self::Bursty { rate, burst, burst_length, quiet_length } => Self::Bursty {
                rate: rate * factor,
                burst: *burst,
                burst_length: *burst_length,
                quiet_length: *quiet_length,
            },
            Self::Trace(times) => Self::Trace(
                times
                    .iter()
                    .map(|time| {
                        let scaled = Duration::try_from_secs_f64(time.as_secs_f64() / factor);
                        scaled.unwrap_or(Duration::MAX)
                    })
                    .collect(),
            ),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), SimError> {
        match self {
            Self::Poisson { rate } | Self::Steady { rate } => positive("arrivals' rate", *rate),
            Self::Bursty { rate, burst, burst_length, quiet_length } => {
                positive("arrivals' rate", *rate)?;
                positive("burst length in seconds", burst_length.as_secs_f64())?;
                positive("quiet length in seconds", quiet_length.as_secs_f64())?;
                let most = 1.0 / burst_share(*burst_length, *quiet_length);
                SimError::unless(*burst >= 1.0 && *burst <= most, "burst", burst, || {
                    format!(
                        "1 to {most:.3}: above that, the rate of the quiet times would be negative"
                    )
                })
            }
            Self::Trace(times) => {
                not_empty(times)?;
                let wrong = times.windows(2).find(|pair| pair[1] < pair[0]);
                SimError::unless(wrong.is_none(), "trace", format!("{wrong:?}"), || {
                    "times in ascending order".into()
                })
            }
        }
    }
}

/// Returns the share of time spent in bursts.
fn burst_share(burst: Duration, quiet: Duration) -> f64 {
    burst.as_secs_f64() / (burst.as_secs_f64() + quiet.as_secs_f64())
}

/// Draws arrival times, one after another.
pub(crate) struct ArrivalTimes {
    process: Process,
    rng: Rng,
    /// Time of the last arrival, in nanoseconds since the start. Keeps the fraction, so that rates
    /// are exact.
    now: f64,
}

enum Process {
    Poisson { gap: f64 },
    Steady { gap: f64 },
    Bursty { gaps: [f64; 2], lengths: [f64; 2], state: usize, until: f64 },
    Trace { times: Arc<[Duration]>, next: usize },
}

const NANOS: f64 = 1e9;

impl ArrivalTimes {
    pub(crate) fn new(arrivals: &Arrivals, mut rng: Rng) -> Self {
        let process = match arrivals {
            Arrivals::Poisson { rate } => Process::Poisson { gap: NANOS / rate },
            Arrivals::Steady { rate } => Process::Steady { gap: NANOS / rate },
            Arrivals::Bursty { rate, burst, burst_length, quiet_length } => {
                let share = burst_share(*burst_length, *quiet_length);
                let quiet_rate = (rate * (1.0 - share * burst) / (1.0 - share)).max(0.0);
                let lengths = [quiet_length, burst_length].map(|length| length.as_nanos() as f64);
                // Starts in a burst with the probability of being in one at any other moment.
                let state = usize::from(rng.f64() < share);
                let until = exponential(&mut rng, lengths[state]);
                Process::Bursty {
                    gaps: [NANOS / quiet_rate, NANOS / (rate * burst)],
                    lengths,
                    state,
                    until,
                }
            }
            Arrivals::Trace(times) => Process::Trace { times: Arc::clone(times), next: 0 },
        };
        Self { process, rng, now: 0.0 }
    }
}

impl Iterator for ArrivalTimes {
    type Item = u64;

    /// Returns the next arrival, in nanoseconds since the start.
    fn next(&mut self) -> Option<u64> {
        match &mut self.process {
            Process::Poisson { gap } => self.now += exponential(&mut self.rng, *gap),
            Process::Steady { gap } => self.now += *gap,
            Process::Bursty { gaps, lengths, state, until } => loop {
                // Memoryless: when the rate changes, the rest of the gap is drawn again.
                let at = self.now + exponential(&mut self.rng, gaps[*state]);
                if at <= *until {
                    self.now = at;
                    break;
                }
                self.now = *until;
                *state = 1 - *state;
                *until += exponential(&mut self.rng, lengths[*state]);
            },
            Process::Trace { times, next } => {
                let at = times.get(*next)?;
                *next += 1;
                return Some(nanos(*at));
            }
        }
        Some(self.now as u64)
    }
}
