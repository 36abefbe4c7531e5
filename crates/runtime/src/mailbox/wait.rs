use std::time::Duration;

use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How a worker without tasks waits for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Spins forever: the shortest wait, and one core per worker.
    Spin,
    /// Yields the core between polls, forever: also one core per worker, unless other threads want
    /// it.
    Yield,
    /// Yields between polls, then parks. Adaptive: a worker that had to park polls less often the
    /// next time; one that found a task while polling, more often.
    YieldThenPark {
        /// The most polls before parking: a quarter to half a microsecond each, if no other thread
        /// wants the core.
        polls: u32,
    },
    /// Parks at once. A caller that wakes a worker pays a system call.
    Park,
}

impl Default for WaitStrategy {
    /// [`YieldThenPark`](Self::YieldThenPark) for 100 to 180 microseconds: longer than parking and
    /// waking a thread takes, so that a worker with a task every 50 microseconds never parks.
    fn default() -> Self {
        Self::YieldThenPark { polls: 400 }
    }
}

impl WaitStrategy {
    /// Returns whether a worker without tasks keeps a core busy.
    pub fn keeps_core(self) -> bool {
        matches!(self, Self::Spin | Self::Yield)
    }
}

// Why waiting workers yield and do not spin: each poll takes from the dispatchers the cache lines
// that they need to send the next task, and if there are more threads than cores, a spinning worker
// keeps another one from its task. A pool of four on two cores took 119 ns per task with yields
// alone, 145 with four polls with pauses in between before the first yield, 180 with eight.

/// Spin hints between two polls of a spinning worker, about 28 ns each.
pub(super) const PAUSES: u32 = 8;
/// Once in this many polls, a spinning worker also checks whether it is closed, and every waiting
/// worker checks its siblings' mailboxes.
const CHECK_ALL: u32 = 16;
/// Polls without a task after which a worker is published as idle. Publishing moves cache lines,
/// which is not worth it for a wait of less than half a microsecond.
const IDLE_AFTER: u32 = 1;
/// After a shorter sleep than this, the full number of polls is restored: polling would have found
/// the task.
const SHORT_SLEEP: Duration = Duration::from_micros(100);

/// How to wait before the next poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Spin,
    Yield,
    Park,
}

/// The wait strategy of one worker, and how its waits have gone.
#[derive(Debug)]
pub(super) struct Waiter {
    spins: bool,
    /// Polls without a task, since the last task or wake-up.
    polls: u32,
    /// Polls before it parks the next time: at most `max_limit`, which is 0 if it parks at once and
    /// `u32::MAX` if it never does.
    limit: u32,
    max_limit: u32,
    /// Whether the worker was published as idle since its last task.
    idle: bool,
    /// Whether it was woken since its last poll.
    woken: bool,
}

impl Waiter {
    pub(super) fn new(strategy: WaitStrategy) -> Self {
        let max_limit = match strategy {
            WaitStrategy::YieldThenPark { polls } => polls,
            WaitStrategy::Spin | WaitStrategy::Yield => u32::MAX,
            WaitStrategy::Park => 0,
        };
        let spins = strategy == WaitStrategy::Spin;
        Self { spins, polls: 0, limit: max_limit, max_limit, idle: false, woken: false }
    }

    #[inline]
    pub(super) fn step(&mut self) -> Step {
        self.woken = false;
        self.polls = self.polls.saturating_add(1);
        if self.polls > self.limit {
            if self.polls == self.limit.saturating_add(1) {
                // Half as often the next time, but still a few times, to notice when tasks come faster.
                self.limit = (self.limit / 2).max(self.max_limit / 16);
            }
            return Step::Park;
        }
        if self.spins { Step::Spin } else { Step::Yield }
    }

    /// Whether the worker must be published as idle now: once after each task, and before it does
    /// anything but spin.
    #[inline]
    pub(super) fn becomes_idle(&mut self) -> bool {
        let due = !self.idle && (self.polls >= IDLE_AFTER || self.polls >= self.limit);
        self.idle |= due;
        due
    }

    /// The worker was published as idle.
    #[inline]
    pub(super) fn set_idle(&mut self) {
        self.idle = true;
    }

    /// Whether a spinning worker checks everything before this poll, and not only its mailbox.
    #[inline]
    pub(super) fn checks_all(&self) -> bool {
        self.polls.is_multiple_of(CHECK_ALL)
    }

    /// Whether to check the siblings' mailboxes: now and then, before parking and when woken.
    pub(super) fn checks_siblings(&self) -> bool {
        (self.polls != 0 && self.checks_all()) || self.polls == self.limit || self.woken
    }

    /// Whether any task of a sibling is worth stealing. Not so at the first check after the
    /// worker's last task, as the worker has hardly waited by then.
    pub(super) fn is_eager(&self) -> bool {
        self.polls != CHECK_ALL
    }

    /// The worker was woken after having been parked for `slept`.
    pub(super) fn woken(&mut self, slept: Duration) {
        if slept < SHORT_SLEEP {
            self.limit = self.max_limit;
        }
        self.polls = 0;
        self.woken = true;
    }

    /// A task was found.
    #[inline]
    pub(super) fn found(&mut self) {
        if self.polls != 0 {
            self.found_by_polling();
        }
        self.idle = false;
    }

    fn found_by_polling(&mut self) {
        if self.polls <= self.limit {
            self.limit = self.limit.saturating_mul(2).min(self.max_limit);
        }
        self.polls = 0;
    }
}

/// How many workers of a pool are parked: a hint for callers with a task that one of them could
/// steal.
#[derive(Debug, Default)]
pub struct ParkedWorkers(AtomicUsize);

impl ParkedWorkers {
    /// Returns whether any worker is parked.
    #[inline]
    pub fn any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }

    pub(super) fn enter(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Polls until it parks.
    fn polls(waiter: &mut Waiter) -> u32 {
        let mut polls = 0;
        while waiter.step() != Step::Park {
            polls += 1;
        }
        waiter.found();
        polls
    }

    #[test]
    fn the_number_of_polls_adapts_within_its_bounds() {
        let mut waiter = Waiter::new(WaitStrategy::YieldThenPark { polls: 64 });
        let in_vain: Vec<_> = (0..6).map(|_| polls(&mut waiter)).collect();
        assert_eq!(in_vain, [64, 32, 16, 8, 4, 4]);
        for _ in 0..10 {
            assert_eq!(waiter.step(), Step::Yield);
            waiter.found();
        }
        assert_eq!(polls(&mut waiter), 64);
        let in_vain: Vec<_> = (0..3).map(|_| polls(&mut waiter)).collect();
        waiter.woken(SHORT_SLEEP);
        let after_a_long_sleep = polls(&mut waiter);
        waiter.woken(SHORT_SLEEP / 2);
        assert_eq!((in_vain, after_a_long_sleep), (vec![32, 16, 8], 4));
        assert_eq!(polls(&mut waiter), 64, "after a short one");
    }

    #[test]
    fn parking_at_once_never_spins_and_spinning_never_parks() {
        assert_eq!(polls(&mut Waiter::new(WaitStrategy::Park)), 0);
        assert_eq!(polls(&mut Waiter::new(WaitStrategy::YieldThenPark { polls: 0 })), 0);
        for forever in [WaitStrategy::Spin, WaitStrategy::Yield] {
            let mut waiter = Waiter::new(forever);
            assert!((0..1_000).all(|_| waiter.step() != Step::Park));
        }
    }

    #[test]
    fn a_spinning_worker_checks_everything_now_and_then() {
        let mut waiter = Waiter::new(WaitStrategy::Spin);
        let checks = (0..1_600)
            .filter(|_| {
                assert_eq!(waiter.step(), Step::Spin);
                waiter.checks_all()
            })
            .count();
        assert_eq!(checks, 100, "it must notice that it is closed");
    }

    #[test]
    fn siblings_are_checked_before_parking_and_after_waking() {
        for polls in [0, 3, 40] {
            let mut waiter = Waiter::new(WaitStrategy::YieldThenPark { polls });
            let checks = (0..=polls)
                .filter(|_| {
                    let checks = waiter.checks_siblings();
                    let _ = waiter.step();
                    checks
                })
                .count();
            assert_eq!(checks as u32, 1 + polls / CHECK_ALL, "of {polls}");
            waiter.woken(SHORT_SLEEP);
            assert!(waiter.checks_siblings() && waiter.is_eager());
        }
    }

    #[test]
    fn a_worker_becomes_idle_once_per_task_and_before_it_parks() {
        let mut waiter = Waiter::new(WaitStrategy::default());
        assert!(!waiter.becomes_idle(), "not before it has polled in vain");
        (0..IDLE_AFTER).for_each(|_| _ = waiter.step());
        assert!(waiter.becomes_idle() && !waiter.becomes_idle());
        waiter.found();
        (0..IDLE_AFTER).for_each(|_| _ = waiter.step());
        assert!(waiter.becomes_idle());
        waiter.found();
        waiter.set_idle();
        (0..IDLE_AFTER).for_each(|_| _ = waiter.step());
        assert!(!waiter.becomes_idle(), "it was published before the reply");
        assert!(Waiter::new(WaitStrategy::Park).becomes_idle());
    }
}
