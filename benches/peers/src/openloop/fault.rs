use std::time::Duration;

/// What is wrong with a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It takes so many times as long.
    Slow(u32),
    /// It stands still for a while, every so often.
    Hiccups {
        /// From one halt to the next.
        every: Duration,
        /// For how long.
        halt: Duration,
    },
}

impl Fault {
    /// When a task ends that begins at this time from the start and takes so long in a worker
    /// with whom all is well.
    pub fn end(self, begin: Duration, service: Duration) -> Duration {
        match self {
            Self::None => begin + service,
            Self::Slow(times) => begin + service * times,
            Self::Hiccups { every, halt } => {
                let mut end = begin + service;
                // The first halt is one interval after the start.
                let mut halts_at =
                    every * u32::max(1, (begin.as_nanos() / every.as_nanos()) as u32);
                loop {
                    let over = halts_at + halt;
                    if halts_at >= end {
                        return end;
                    }
                    // Begun within the halt, it waits for its end; else it is held up by all of it.
                    if over > begin {
                        end += over - halts_at.max(begin);
                    }
                    halts_at += every;
                }
            }
        }
    }

    /// What part of a healthy worker's tasks it does.
    pub fn pace(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Slow(times) => 1.0 / f64::from(times),
            Self::Hiccups { every, halt } => 1.0 - halt.as_secs_f64() / every.as_secs_f64(),
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
    fn a_hiccup_holds_up_what_it_meets() {
        let hiccups = Fault::Hiccups { every: ms(500), halt: ms(20) };
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
