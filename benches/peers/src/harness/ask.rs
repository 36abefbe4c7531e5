use std::time::Duration;

use hdrhistogram::Histogram;
use quanta::Clock;

use crate::figures::Figures;

/// Measures the latency of successive asks from a plain thread.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// The time between an answer and the next ask.
    pub pause: Duration,
    /// The approximate duration of the measurement.
    pub seconds: f64,
}

/// The first asks, which are not measured.
const WARM_UP: u64 = 300;

impl Asking {
    /// Measures `ask`, which must return its argument.
    ///
    /// # Panics
    /// If it returns another number.
    pub fn measure(&self, mut ask: impl FnMut(u64) -> u64) -> Figures {
        let clock = Clock::new();
        let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)
            .expect("the bounds of the histogram are valid");
        let end = Duration::from_secs_f64(self.seconds);
        let mut number = 0;
        let mut begin = clock.now();
        loop {
            let asked = clock.raw();
            let answer = ask(number);
            let answered = clock.raw();
            assert_eq!(answer, number, "the answer must be the number asked for");
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
                // Busy, like an asker with other work.
                while answered.elapsed() < self.pause {
                    std::hint::spin_loop();
                }
            }
        }
    }
}
