use super::WorkerStats;
use super::board::Pulse;

/// Decides when selections learn of the ends that a recorder records: at once, or several together.
///
/// What selections read is on cache lines that they take from the worker each time it has written
/// them. docs/worker-statistics.md says why readers of both words miss no end.
#[derive(Debug)]
pub(super) struct Publisher {
    /// For how many nanoseconds an end may remain unpublished.
    pub(super) delay: u64,
    /// The clock's time at the last published end; 0 when the next one is due at once.
    pub(super) published_at: u64,
    /// The number of ends published so far.
    published: u64,
    /// The number of ends recorded, but not published, since then.
    pending: u64,
    /// The column of the history that has changed since it was published.
    stale_history: Option<u8>,
}

impl Publisher {
    /// Creates a publisher without a delay that also publishes what an earlier recorder, whose
    /// thread was given up, left pending.
    pub(super) fn new(stats: &WorkerStats) -> Self {
        let published = stats.pulse().endings.count();
        let pending = stats.counters.all_endings.count().saturating_sub(published);
        Self { delay: 0, published_at: 0, published, pending, stale_history: None }
    }

    /// Whether selections must learn of an event at `now`; always when the time is unknown.
    #[inline]
    pub(super) fn is_due(&self, now: u64) -> bool {
        // Also when the clock went back.
        now.wrapping_sub(self.published_at) >= self.delay || now == 0
    }

    /// Counts an end at the clock's `now`, and publishes all pending ends with it.
    #[inline]
    pub(super) fn end(&mut self, stats: &WorkerStats, pulse: &Pulse, now: u64) {
        self.published = pulse.endings.end_exclusive(self.pending + 1);
        (self.pending, self.published_at) = (0, now);
        self.publish_stale_history(stats);
    }

    /// Counts an end that changed the history in `column`, and leaves it pending.
    #[inline]
    pub(super) fn defer(&mut self, stats: &WorkerStats, column: u8) {
        self.pending += 1;
        stats.counters.all_endings.set(self.published + self.pending);
        if self.stale_history != Some(column) {
            self.publish_stale_history(stats);
            self.stale_history = Some(column);
        }
    }

    /// Lets selections take a task that has started for ended, with all pending ends.
    pub(super) fn set_aside(&mut self, stats: &WorkerStats) {
        self.published = stats.set_aside(std::mem::take(&mut self.pending));
        self.publish_stale_history(stats);
    }

    /// Publishes all pending ends.
    #[inline]
    pub(super) fn flush(&mut self, stats: &WorkerStats) {
        if self.pending != 0 {
            self.published = stats.publish(self.pending);
            self.pending = 0;
            self.publish_stale_history(stats);
        }
    }

    #[inline]
    fn publish_stale_history(&mut self, stats: &WorkerStats) {
        if let Some(column) = self.stale_history {
            self.stale_history = None;
            publish_history(stats, column);
        }
    }
}

/// Not inlined: the registers that it needs would cost each end nine instructions.
#[inline(never)]
fn publish_history(stats: &WorkerStats, column: u8) {
    stats.publish_history(usize::from(column));
}
