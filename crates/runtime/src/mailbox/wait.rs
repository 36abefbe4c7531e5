use raddle_core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How a worker without tasks waits for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitStrategy {
    /// Spins for ever: the shortest wait, and a core for each worker.
    Spin,
    /// Spins, then gives the core to other threads between looks. A core for each worker too,
    /// unless others want it.
    SpinThenYield,
    /// Spins so many times at the most, then sleeps. Adaptive: a worker that had to sleep spins
    /// less the next time, one that found a task while spinning more.
    SpinThenPark {
        /// Looks before it sleeps, at the most; about 40 ns each.
        spins: u32,
    },
    /// Sleeps at once. A dispatcher that wakes a worker pays a system call.
    Park,
}

impl Default for WaitStrategy {
    fn default() -> Self {
        Self::SpinThenPark { spins: 100 }
    }
}

impl WaitStrategy {
    /// Whether a worker without tasks keeps a core busy.
    pub fn keeps_core(self) -> bool {
        matches!(self, Self::Spin | Self::SpinThenYield)
    }
}

/// Looks after which [`WaitStrategy::SpinThenYield`] yields.
const SPINS_BEFORE_YIELD: u32 = 100;

/// What to do before the next look.
pub(super) enum Step {
    Spin,
    Yield,
    Park,
}

/// The wait strategy of one worker, and how it has gone.
#[derive(Debug)]
pub(super) struct Waiter {
    strategy: WaitStrategy,
    /// Looks in vain since the last task.
    looks: u32,
    /// Spins that the next wait begins with.
    spins: u32,
}

impl Waiter {
    pub(super) fn new(strategy: WaitStrategy) -> Self {
        let spins = match strategy {
            WaitStrategy::SpinThenPark { spins } => spins,
            _ => 0,
        };
        Self { strategy, looks: 0, spins }
    }

    #[inline]
    pub(super) fn step(&mut self) -> Step {
        self.looks = self.looks.saturating_add(1);
        match self.strategy {
            WaitStrategy::Spin => Step::Spin,
            WaitStrategy::SpinThenYield if self.looks <= SPINS_BEFORE_YIELD => Step::Spin,
            WaitStrategy::SpinThenYield => Step::Yield,
            WaitStrategy::SpinThenPark { spins } => {
                if self.looks <= self.spins {
                    return Step::Spin;
                }
                if self.looks == self.spins + 1 {
                    // In vain. Never nothing: one look in a while finds out that times changed.
                    self.spins = (self.spins / 2).max((spins / 16).min(spins));
                }
                Step::Park
            }
            WaitStrategy::Park => Step::Park,
        }
    }

    pub(super) fn looks(&self) -> u32 {
        self.looks
    }

    /// The worker was woken: there is something, here or at a sibling.
    pub(super) fn woken(&mut self) {
        self.looks = 0;
    }

    /// A task was found.
    #[inline]
    pub(super) fn found(&mut self) {
        if self.looks == 0 {
            return;
        }
        if let WaitStrategy::SpinThenPark { spins } = self.strategy
            && self.looks <= self.spins
        {
            self.spins = (self.spins * 2).min(spins);
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

    fn spins(waiter: &mut Waiter) -> u32 {
        let mut spins = 0;
        while let Step::Spin = waiter.step() {
            spins += 1;
        }
        waiter.found();
        spins
    }

    #[test]
    fn spinning_adapts_within_its_bounds() {
        let mut waiter = Waiter::new(WaitStrategy::SpinThenPark { spins: 64 });
        let in_vain: Vec<_> = (0..6).map(|_| spins(&mut waiter)).collect();
        assert_eq!(in_vain, [64, 32, 16, 8, 4, 4]);
        for _ in 0..10 {
            assert!(matches!(waiter.step(), Step::Spin));
            waiter.found();
        }
        assert_eq!(spins(&mut waiter), 64);
    }

    #[test]
    fn parking_at_once_never_spins_and_spinning_never_parks() {
        assert_eq!(spins(&mut Waiter::new(WaitStrategy::Park)), 0);
        assert_eq!(spins(&mut Waiter::new(WaitStrategy::SpinThenPark { spins: 0 })), 0);
        let mut waiter = Waiter::new(WaitStrategy::Spin);
        assert!((0..1_000).all(|_| matches!(waiter.step(), Step::Spin)));
        let mut waiter = Waiter::new(WaitStrategy::SpinThenYield);
        assert!((0..1_000).all(|_| !matches!(waiter.step(), Step::Park)));
    }
}
