use std::time::Duration;

use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How a worker without tasks waits for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitStrategy {
    /// Spins for ever: the shortest wait, and a core for each worker.
    Spin,
    /// Gives the core to other threads between looks. A core for each worker too, unless others want
    /// it.
    Yield,
    /// The same for so many looks at the most, then sleeps. Adaptive: a worker that had to sleep looks
    /// less often the next time, one that found a task before looks more often again.
    YieldThenPark {
        /// Looks before it sleeps, at the most: a quarter to half a microsecond each, where no other
        /// thread wants the core.
        looks: u32,
    },
    /// Sleeps at once. A dispatcher that wakes a worker pays a system call.
    Park,
}

impl Default for WaitStrategy {
    /// [`YieldThenPark`](Self::YieldThenPark) for 100 to 180 microseconds: longer than what it takes to
    /// put a thread to sleep and to wake it again, so that a worker which has a task every 50
    /// microseconds never sleeps.
    fn default() -> Self {
        Self::YieldThenPark { looks: 400 }
    }
}

impl WaitStrategy {
    /// Whether a worker without tasks keeps a core busy.
    pub fn keeps_core(self) -> bool {
        matches!(self, Self::Spin | Self::Yield)
    }
}

// A look takes from the dispatchers the very cache lines that they need to give the next task, and who
// looks again at once finds one task at a time. And where threads are more than cores, who spins keeps
// others from their tasks: a pool of four on two cores took 119 ns a task with yields alone, 145 with four
// looks between pauses before the first of them, 180 with eight.

/// Pauses between two looks of who spins, of about 28 ns each.
const PAUSES: u32 = 8;
/// Of who spins, one look in so many is at everything and not only for tasks; of others, one in so many
/// is at siblings too.
const LOOK_AROUND: u32 = 16;
/// Looks in vain after which a worker says that it has nothing to do: what others need to know of one
/// that waits for less than half a microsecond is not worth the cache lines.
const RESTS_AFTER: u32 = 1;

/// Who slept for less than this would have found a task by looking for as long: it looks as often as it
/// may from then on.
const SHORT_SLEEP: Duration = Duration::from_micros(100);

/// What to do before the next look.
pub(super) enum Step {
    /// So many pauses, and nothing else.
    Spin(u32),
    /// Look around.
    Look,
    /// Look around, and let others have the core.
    Yield,
    Park,
}

/// The wait strategy of one worker, and how it has gone.
#[derive(Debug)]
pub(super) struct Waiter {
    strategy: WaitStrategy,
    /// Looks in vain since the last task.
    looks: u32,
    /// Looks after which it sleeps the next time.
    patience: u32,
    /// Whether it was said since the last task that there is nothing to do.
    rested: bool,
    /// Whether it was woken since its last look.
    woken: bool,
}

impl Waiter {
    pub(super) fn new(strategy: WaitStrategy) -> Self {
        let patience = match strategy {
            WaitStrategy::YieldThenPark { looks } => looks,
            WaitStrategy::Spin | WaitStrategy::Yield => u32::MAX,
            WaitStrategy::Park => 0,
        };
        Self { strategy, looks: 0, patience, rested: false, woken: false }
    }

    #[inline]
    pub(super) fn step(&mut self) -> Step {
        self.woken = false;
        self.looks = self.looks.saturating_add(1);
        if self.looks > self.patience {
            if self.looks == self.patience.saturating_add(1) {
                self.lose_patience();
            }
            return Step::Park;
        }
        match self.strategy {
            WaitStrategy::Spin if self.looks.is_multiple_of(LOOK_AROUND) => Step::Look,
            WaitStrategy::Spin => Step::Spin(PAUSES),
            _ => Step::Yield,
        }
    }

    /// It waited in vain. Never for no time at all: one wait in a while finds out that times changed.
    fn lose_patience(&mut self) {
        if let WaitStrategy::YieldThenPark { looks } = self.strategy {
            self.patience = (self.patience / 2).max((looks / 16).min(looks));
        }
    }

    /// Whether the worker is to say now that it has nothing to do: once after each task, and before it
    /// does anything but spin.
    #[inline]
    pub(super) fn is_to_rest(&mut self) -> bool {
        let due = !self.rested && (self.looks >= RESTS_AFTER || self.looks >= self.patience);
        self.rested |= due;
        due
    }

    /// That was said.
    #[inline]
    pub(super) fn rested(&mut self) {
        self.rested = true;
    }

    /// Whether it is time for a look at everything: now and then, before it sleeps and when it was woken.
    pub(super) fn looks_around(&self) -> bool {
        let now_and_then = self.looks != 0 && self.looks.is_multiple_of(LOOK_AROUND);
        now_and_then || self.looks == self.patience || self.woken
    }

    /// Whether such a look is not the first one already.
    pub(super) fn is_eager(&self) -> bool {
        self.looks != LOOK_AROUND
    }

    /// The worker was woken: there is something, here or at a sibling, that is worth a look around.
    /// After so short a sleep it had better not slept.
    pub(super) fn woken(&mut self, slept: Duration) {
        if let WaitStrategy::YieldThenPark { looks } = self.strategy
            && slept < SHORT_SLEEP
        {
            self.patience = looks;
        }
        self.looks = 0;
        self.woken = true;
    }

    /// A task was found.
    #[inline]
    pub(super) fn found(&mut self) {
        if self.looks != 0 {
            self.found_after_looks();
        }
        self.rested = false;
    }

    fn found_after_looks(&mut self) {
        if let WaitStrategy::YieldThenPark { looks } = self.strategy
            && self.looks <= self.patience
        {
            self.patience = (self.patience * 2).min(looks);
        }
        self.looks = 0;
    }
}

/// How many workers of a pool sleep: a hint, for who has work that one of them could take.
#[derive(Debug, Default)]
pub struct Sleepers(AtomicUsize);

impl Sleepers {
    /// Whether any does.
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

    /// Looks until it parks.
    fn looks(waiter: &mut Waiter) -> u32 {
        let mut looks = 0;
        while !matches!(waiter.step(), Step::Park) {
            looks += 1;
        }
        waiter.found();
        looks
    }

    #[test]
    fn patience_adapts_within_its_bounds() {
        let mut waiter = Waiter::new(WaitStrategy::YieldThenPark { looks: 64 });
        let in_vain: Vec<_> = (0..6).map(|_| looks(&mut waiter)).collect();
        assert_eq!(in_vain, [64, 32, 16, 8, 4, 4]);
        for _ in 0..10 {
            assert!(matches!(waiter.step(), Step::Yield));
            waiter.found();
        }
        assert_eq!(looks(&mut waiter), 64);
        let in_vain: Vec<_> = (0..3).map(|_| looks(&mut waiter)).collect();
        waiter.woken(SHORT_SLEEP);
        let after_a_long_sleep = looks(&mut waiter);
        waiter.woken(SHORT_SLEEP / 2);
        assert_eq!((in_vain, after_a_long_sleep), (vec![32, 16, 8], 4));
        assert_eq!(looks(&mut waiter), 64, "after a short one");
    }

    #[test]
    fn parking_at_once_never_spins_and_spinning_never_parks() {
        assert_eq!(looks(&mut Waiter::new(WaitStrategy::Park)), 0);
        assert_eq!(looks(&mut Waiter::new(WaitStrategy::YieldThenPark { looks: 0 })), 0);
        for forever in [WaitStrategy::Spin, WaitStrategy::Yield] {
            let mut waiter = Waiter::new(forever);
            assert!((0..1_000).all(|_| !matches!(waiter.step(), Step::Park)));
        }
    }

    #[test]
    fn who_spins_looks_around_now_and_then_and_who_yields_at_each_look() {
        let mut waiter = Waiter::new(WaitStrategy::Yield);
        assert!((0..100).all(|_| matches!(waiter.step(), Step::Yield)));
        let mut waiter = Waiter::new(WaitStrategy::Spin);
        let looks = (0..1_600).filter(|_| matches!(waiter.step(), Step::Look)).count();
        assert_eq!(looks, 100, "it must see that it is closed");
    }

    #[test]
    fn it_looks_at_others_before_it_sleeps_and_when_woken() {
        for looks in [0, 3, 40] {
            let mut waiter = Waiter::new(WaitStrategy::YieldThenPark { looks });
            let around = (0..=looks)
                .filter(|_| {
                    let around = waiter.looks_around();
                    let _ = waiter.step();
                    around
                })
                .count();
            assert_eq!(around as u32, 1 + looks / LOOK_AROUND, "of {looks}");
            waiter.woken(SHORT_SLEEP);
            assert!(waiter.looks_around() && waiter.is_eager());
        }
    }

    #[test]
    fn it_rests_once_a_task_and_before_it_sleeps() {
        let mut waiter = Waiter::new(WaitStrategy::default());
        assert!(!waiter.is_to_rest(), "not before it has looked in vain for a while");
        (0..RESTS_AFTER).for_each(|_| _ = waiter.step());
        assert!(waiter.is_to_rest() && !waiter.is_to_rest());
        waiter.found();
        (0..RESTS_AFTER).for_each(|_| _ = waiter.step());
        assert!(waiter.is_to_rest());
        waiter.found();
        waiter.rested();
        (0..RESTS_AFTER).for_each(|_| _ = waiter.step());
        assert!(!waiter.is_to_rest(), "that was said before it answered");
        assert!(Waiter::new(WaitStrategy::Park).is_to_rest());
    }
}
