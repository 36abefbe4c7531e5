use std::time::Duration;

use hdrhistogram::Histogram;
use quanta::Clock;

use crate::figures::Figures;

/// Asks one after the other from a plain thread, and how long each took.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// Between an answer and the next ask.
    pub pause: Duration,
    /// For about how long.
    pub seconds: f64,
}

/// Asks that nobody measures.
const WARM_UP: u64 = 300;

impl Asking {
    /// Asks by `ask`, which gets a number and has to come back with it.
    ///
    /// # Panics
    /// When another number comes back.
    pub fn measure(&self, mut ask: impl FnMut(u64) -> u64) -> Figures {
        let clock = Clock::new();
        let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)
            .expect("nanoseconds up to a minute, to three digits, are allowed");
        let end = Duration::from_secs_f64(self.seconds);
        let mut number = 0;
        let mut begin = clock.now();
        loop {
            let asked = clock.raw();
            let answer = ask(number);
            let answered = clock.raw();
            assert_eq!(answer, number, "the answer is the asker's");
            number += 1;
            if number == WARM_UP {
                begin = clock.now();
            } else if number > WARM_UP {
                latency.saturating_record(clock.delta_as_nanos(asked, answered));
                if begin.elapsed() >= end {
                    return Figures::percentiles(&latency);
                }
            }
            if !self.pause.is_zero() {
                let answered = clock.now();
                // Busy with something else, as an asker is.
                while answered.elapsed() < self.pause {
                    std::hint::spin_loop();
                }
            }
        }
    }
}
