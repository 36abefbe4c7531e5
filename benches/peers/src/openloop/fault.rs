use std::time::Duration;

/// The fault of a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// None.
    None,
    /// It is slower by this factor.
    Slow(u32),
    /// It pauses at regular intervals.
    Hiccups {
        /// The time from one pause to the next.
        interval: Duration,
        /// The length of a pause.
        pause: Duration,
    },
}

impl Fault {
    /// Returns when a task ends that begins at this time since the start and takes `service` in a
    /// healthy worker.
    pub fn end(self, begin: Duration, service: Duration) -> Duration {
        match self {
            Self::None => begin + service,
            Self::Slow(times) => begin + service * times,
            Self::Hiccups { interval, pause } => {
                let mut end = begin + service;
                // The first pause is one interval after the start.
                let first = u32::max(1, (begin.as_nanos() / interval.as_nanos()) as u32);
                let mut pauses_at = interval * first;
                while pauses_at < end {
                    let resumes_at = pauses_at + pause;
                    // A task that begins during the pause is delayed only by the rest of it.
                    if resumes_at > begin {
                        end += resumes_at - pauses_at.max(begin);
                    }
                    pauses_at += interval;
                }
                end
            }
        }
    }

    /// Returns its speed relative to a healthy worker.
    pub fn pace(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Slow(times) => 1.0 / f64::from(times),
            Self::Hiccups { interval, pause } => 1.0 - pause.as_secs_f64() / interval.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_slow_worker_takes_longer() {
        assert_eq!(Fault::None.end(ms(7), ms(2)), ms(9));
        assert_eq!(Fault::Slow(5).end(ms(7), ms(2)), ms(17));
        assert_eq!(Fault::Slow(5).pace(), 0.2);
    }

    #[test]
    fn a_hiccup_delays_the_tasks_that_it_meets() {
        let hiccups = Fault::Hiccups { interval: ms(500), pause: ms(20) };
        for (begin, end) in [
            (0, 2),
            (10, 12),
            (497, 499),
            (498, 500),
            (499, 521),
            (500, 522),
            (510, 522),
            (519, 522),
            (520, 522),
            (999, 1_021),
            (1_010, 1_022),
        ] {
            assert_eq!(hiccups.end(ms(begin), ms(2)), ms(end), "begun at {begin}");
        }
        assert_eq!(hiccups.pace(), 0.96);
    }
}
