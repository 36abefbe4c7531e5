use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use raddle::strategies::{Ejection, StrategyName};
use raddle::{
    Backoff, CoDel, Drain, MailboxOrder, OnRetired, Overflow, Pool, PoolBuilder, RestartLimit,
    Restarts, WaitStrategy, Watchdog, WorkerSpec,
};

use crate::judge::Allowed;
use crate::mode::{Keeping, MODES, Mode};

/// The pool of one round and how the round ends, drawn from the seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub round: u64,
    pub seed: u64,
    pub length: Duration,
    pub mode: Mode,
    pub keeping: Keeping,
    workers: usize,
    capacity: usize,
    order: MailboxOrder,
    pub overflow: Overflow,
    reroute: bool,
    strategy: StrategyName,
    stealing: Option<bool>,
    codel: bool,
    /// Whether workers that fail slightly more than others are ejected for a moment.
    ejects: bool,
    wait: WaitStrategy,
    quantum: Duration,
    /// Time after which a handler counts as hung.
    pub limit: Duration,
    /// Number of threads that may be lost at the same time.
    pub max_lost: usize,
    /// Allowed restarts of a worker per second; `None` for no limit.
    restarts: Option<u32>,
    /// Whether restarts of actors fail. A worker that ends then does not run its remaining tasks.
    pub failing_restarts: bool,
    /// Whether the pool closes itself when a worker exceeds that limit.
    pub closes: bool,
    /// The time limit of the shutdown; none of it means at once.
    pub drain: Option<Duration>,
    /// Whether it is shut down while producers still run.
    pub under_fire: bool,
    /// Whether all workers hang then, and all producers wait for room.
    pub holds: bool,
    /// Whether it is a handler that shuts it down.
    pub by_handler: bool,
}

/// The capability that only some workers have.
pub const SPECIAL: &str = "special";

/// Returns `true` if the tasks of this key ask for [`SPECIAL`].
pub fn is_special(key: u32) -> bool {
    key.is_multiple_of(4)
}

impl Plan {
    /// Draws the plan of a round, counted from 0. Options with few values take them in turn from a
    /// starting point given by the seed, so that six rounds cover all of them.
    pub fn draw(seed: u64, round: u64, length: Duration) -> Self {
        let own_seed = seed.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut rng = Rng::with_seed(own_seed);
        let turn = seed % 36 + round;
        // The end does not follow the policies: each seed combines them differently.
        let first = round < 6;
        let ending = if first { seed / 36 % 36 + round } else { rng.u64(..36) };
        let under_fire = (ending / 3).is_multiple_of(2);
        let rarely = !first && rng.u8(..3) == 0;
        let block_for = Overflow::BlockFor(Duration::from_millis(1));
        let overflows = [
            Overflow::Block,
            Overflow::Reject,
            Overflow::DropOldest,
            block_for,
            Overflow::DropNewest,
            Overflow::Reject,
        ];
        let overflow = overflows[(turn % 6) as usize];
        // Rarely in the first rounds: a pool that reroutes rarely runs out of room.
        let reroute = turn % 6 == 5 || round >= 6 && rng.u8(..4) == 0;
        let wait = match rng.u8(..8) {
            0 => WaitStrategy::Spin,
            1 => WaitStrategy::Yield,
            2 | 3 => WaitStrategy::Park,
            _ => WaitStrategy::default(),
        };
        let restarts = turn.is_multiple_of(3).then(|| rng.u32(100..400));
        // Nor do the modes.
        let first_mode = Rng::with_seed(seed).usize(..MODES.len());
        let (mode, keeping) = MODES[(first_mode + round as usize) % MODES.len()];
        let strategies = strategies(keeping);
        Self {
            round,
            seed: own_seed,
            length,
            mode,
            keeping,
            workers: rng.usize(3..=6),
            capacity: [8, 32, 128][rng.usize(..3)],
            order: if turn % 5 < 3 { MailboxOrder::Boost } else { MailboxOrder::Fifo },
            overflow,
            reroute,
            strategy: strategies[turn as usize % strategies.len()],
            stealing: [None, Some(true), Some(false)][(turn % 3) as usize],
            codel: (turn / 2).is_multiple_of(2),
            ejects: (turn / 4).is_multiple_of(2),
            wait,
            quantum: Duration::from_micros([20, 200, 1_000][(turn / 2 % 3) as usize]),
            limit: Duration::from_millis(rng.u64(20..=50)),
            max_lost: [0, 1, 2, 16][rng.usize(..4)],
            restarts,
            failing_restarts: (turn / 3).is_multiple_of(2),
            closes: restarts.is_some() && rng.u8(..3) == 0,
            drain: match ending % 3 {
                0 => None,
                1 => Some(Duration::from_millis(rng.u64(1..50))),
                _ => Some(Duration::ZERO),
            },
            under_fire,
            holds: under_fire && !rarely,
            by_handler: if first { ending.is_multiple_of(2) && !under_fire } else { rarely },
        }
    }

    /// Returns the pool's name.
    pub fn pool(&self) -> String {
        format!("s{}", self.round)
    }

    /// Returns the name of the pool to which some tasks are forwarded.
    pub fn back(&self) -> String {
        format!("b{}", self.round)
    }

    /// Draws a strategy that the pool may have.
    pub fn draw_strategy(&self, rng: &mut Rng) -> StrategyName {
        let allowed = strategies(self.keeping);
        allowed[rng.usize(..allowed.len())]
    }

    /// Returns how long a handler hangs: well beyond the limit.
    pub fn hang(&self) -> Duration {
        3 * self.limit
    }

    /// Returns how long a handler hangs while mailboxes fill; `None` until the end of the round. A
    /// pool that must run every task, or shut itself down, needs its handlers.
    pub fn hold(&self) -> Option<Duration> {
        (self.drain.is_none() || self.by_handler).then(|| self.hang())
    }

    /// Returns what the pool may do to tasks.
    pub fn allowed(&self) -> Allowed {
        let retires = self.restarts.is_some() || self.failing_restarts;
        Allowed { retires, cancels: self.drain.is_some(), ..Allowed::default() }
    }

    /// Returns `true` if a worker may be retired permanently while the pool is open.
    pub fn limits_restarts(&self) -> bool {
        self.restarts.is_some()
    }

    /// Returns how to shut the pool down.
    pub fn drain(&self) -> Drain {
        self.drain.map_or(Drain::all(), Drain::within)
    }

    fn restarts(&self) -> Restarts {
        Restarts::default().backoff(Backoff {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(20),
            jitter: 0.5,
        })
    }

    /// Starts building the pool to which some tasks are forwarded. Nothing is changed there, and every
    /// task is run or was cancelled by what forwarded it.
    pub fn back_builder<M: Send + 'static, R: Send + 'static>(&self) -> PoolBuilder<M, R> {
        Pool::builder(self.back())
            .workers(2, WorkerSpec::new("b"))
            .mailbox(16, Overflow::Block)
            .restarts(self.restarts())
            .watchdog(Watchdog::after(self.limit))
    }

    /// Starts building the pool.
    pub fn builder<M: Send + 'static, R: Send + 'static>(&self) -> PoolBuilder<M, R> {
        let mut restarts = self.restarts();
        if let Some(limit) = self.restarts {
            let within = Duration::from_secs(1);
            restarts = restarts.limit(RestartLimit { restarts: limit, within });
        }
        let special = WorkerSpec::new("x").capability(SPECIAL).weight(2);
        let mut builder = Pool::builder(self.pool())
            .workers(self.workers, WorkerSpec::new("w"))
            .worker(special.and_general())
            .strategy(self.strategy.build())
            .mailbox(self.capacity, self.overflow)
            .mailbox_order(self.order)
            .reroute(self.reroute)
            .wait(self.wait)
            .quantum(self.quantum)
            .restarts(restarts)
            .on_retired(if self.closes { OnRetired::Close } else { OnRetired::Degrade })
            .watchdog(Watchdog::after(self.limit).max_lost(self.max_lost))
            .hedge_budget(0.5);
        if let Some(stealing) = self.stealing {
            builder = builder.stealing(stealing);
        }
        if self.codel {
            let (target, interval) = (Duration::from_micros(200), Duration::from_millis(2));
            builder = builder.codel(CoDel::new(target, interval));
        }
        if self.ejects {
            let (base, max) = (Duration::from_millis(5), Duration::from_millis(50));
            let ejection = Ejection::default().interval(Duration::from_millis(10));
            builder =
                builder.ejection(ejection.failure_share(0.1).base_duration(base).max_duration(max));
        }
        builder
    }
}

/// Returns the strategies of a pool whose actors keep state in this way. Those that route keys move them
/// as they like.
fn strategies(keeping: Keeping) -> Vec<StrategyName> {
    let routes_keys =
        |name: &StrategyName| matches!(name, StrategyName::BoundedHash | StrategyName::WarmFirst);
    let all = StrategyName::ALL.iter().copied();
    all.filter(|name| keeping == Keeping::Cached || !routes_keys(name)).collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}, {} + 1 workers, {} mailbox {}, {:?}{}, {}, stealing {:?}, codel {}, ejection {}, {:?}, quantum {:?}, hung after {:?}, \
             lost at most {}, restarts per second {:?}{}, {}{}{}{}{}",
            self.mode,
            self.keeping,
            self.workers,
            self.order.as_str(),
            self.capacity,
            self.overflow,
            if self.reroute { " after rerouting" } else { "" },
            self.strategy,
            self.stealing,
            self.codel,
            self.ejects,
            self.wait,
            self.quantum,
            self.limit,
            self.max_lost,
            self.restarts,
            if self.closes { " then closed" } else { "" },
            if self.failing_restarts { "failing restarts, " } else { "" },
            match self.drain {
                None => "drained".to_owned(),
                Some(limit) => format!("drained within {limit:?}"),
            },
            if self.by_handler { " by a handler" } else { "" },
            if self.under_fire { " while producers run" } else { "" },
            if self.holds { " and wait for room" } else { "" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_plan_and_six_rounds_cover_every_policy() {
        let plans = |seed| (0..6).map(move |round| Plan::draw(seed, round, Duration::ZERO));
        let texts = |seed| plans(seed).map(|plan| plan.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(7), texts(7));
        assert_ne!(texts(7), texts(8));
        for seed in [0, 1, 99, u64::MAX - 2] {
            for fire in [false, true] {
                let ends = |drain: fn(Option<Duration>) -> bool| {
                    plans(seed).any(|plan| drain(plan.drain) && plan.under_fire == fire)
                };
                assert!(ends(|drain| drain.is_none()));
                assert!(ends(|drain| drain == Some(Duration::ZERO)));
                assert!(ends(|drain| drain.is_some_and(|limit| limit > Duration::ZERO)));
            }
            assert!(plans(seed).any(|plan| plan.holds && plan.hold().is_none()));
            assert!(plans(seed).any(|plan| plan.by_handler));
            assert!(plans(seed).any(|plan| plan.codel) && plans(seed).any(|plan| !plan.codel));
            assert!(plans(seed).any(|plan| plan.restarts.is_some()));
            assert!(plans(seed).any(|plan| plan.failing_restarts));
            assert!(plans(seed).any(|plan| !plan.allowed().retires));
            assert!(plans(seed).any(|plan| plan.reroute));
            for (mode, keeping) in MODES {
                assert!(plans(seed).any(|plan| plan.mode == mode && plan.keeping == keeping));
            }
            for order in MailboxOrder::ALL {
                assert!(plans(seed).any(|plan| plan.order == order), "{order:?}");
            }
            for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest] {
                assert!(plans(seed).any(|plan| plan.overflow == overflow), "{overflow:?}");
            }
        }
    }
}
