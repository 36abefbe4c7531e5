use raddle_sync::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

/// How many reasons a worker has to look at more than its normal lane. A worker without any takes its
/// next task after one load of this word.
///
/// Whoever has a reason [raises](Self::raise) it once, and [lowers](Self::lower) it when the reason is
/// gone: while tasks are deferred or owed, while callers wait for room, once tasks are cancelled, for each
/// other lane that was ever used, in a boosted mailbox.
#[derive(Debug, Default)]
pub(crate) struct Attention(AtomicUsize);

impl Attention {
    /// Returns whether there is any reason. A worker that misses one is notified, or looks again before
    /// it parks.
    #[inline(always)]
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    /// As [`is_raised`](Self::is_raised), for a worker that has taken a task: it sees each caller that found
    /// its lane full before that.
    #[inline(always)]
    pub(crate) fn is_raised_after_taking(&self) -> bool {
        // SeqCst pairs with that of `raise`, as explained at `Lines::waiting`.
        // No model needs this SeqCst: loom's channel is a lock.
        self.0.load(SeqCst) != 0
    }

    /// Adds a reason.
    pub(crate) fn raise(&self) {
        // SeqCst for callers that wait; what else a reason is about is found under a lock or in a channel.
        // No model needs this SeqCst: loom's channel is a lock.
        self.0.fetch_add(1, SeqCst);
    }

    /// Removes a reason.
    pub(crate) fn lower(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
