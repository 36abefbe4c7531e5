//! Whether and when an actor is made anew: policy, limit and backoff.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::nanos;
use thiserror::Error;

/// After what an actor is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// After everything, also when it asked to stop.
    #[default]
    Permanent,
    /// After a panic and after a failed start; not when it asked to stop.
    Transient,
    /// After nothing.
    Never,
}

/// How many restarts there may be in any stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RestartLimit {
    /// So many, at most [`MAX_RESTARTS`](Self::MAX_RESTARTS); with 0 the first is one too many.
    pub restarts: u32,
    /// In each stretch of this length, more than 0.
    pub within: Duration,
}

impl RestartLimit {
    /// The greatest limit: the time of each restart within it is kept.
    pub const MAX_RESTARTS: u32 = 65_536;
}

/// How long to wait before a restart.
///
/// The first in a row comes at once, the second after `initial`, and each further one after twice
/// the time of the one before, up to `max`: `initial * 2^(k-2)` for the k-th. A row ends when the
/// actor has brought a task to its end without a panic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Before the second restart in a row; at most `max`.
    pub initial: Duration,
    /// Never longer.
    pub max: Duration,
    /// The share of each delay that is left to chance, 0 to 1: it is uniform between
    /// `delay * (1 - jitter)` and `delay`, so that what failed together does not come back together.
    pub jitter: f64,
}

impl Default for Backoff {
    /// 1 ms to 1 s, half of it by chance.
    fn default() -> Self {
        Self { initial: Duration::from_millis(1), max: Duration::from_secs(1), jitter: 0.5 }
    }
}

/// How a pool's actors are made anew: always, without a limit, and with the default [`Backoff`],
/// unless said otherwise.
///
/// ```
/// use std::time::Duration;
/// use raddle_runtime::{RestartLimit, RestartPolicy, Restarts};
///
/// let restarts = Restarts::default()
///     .policy(RestartPolicy::Transient)
///     .limit(RestartLimit { restarts: 5, within: Duration::from_secs(10) });
/// assert!(restarts.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Restarts {
    policy: RestartPolicy,
    limit: Option<RestartLimit>,
    backoff: Backoff,
}

/// A parameter of [`Restarts`] that is out of its bounds.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum RestartsError {
    /// More restarts than are kept count of.
    #[error("restart limit is {0}, allowed are 0 to {max}", max = RestartLimit::MAX_RESTARTS)]
    Limit(u32),
    /// A stretch of no length has no restarts in it.
    #[error("restarts are limited within 0, allowed is a time of more than 0")]
    Within,
    /// The first delay is longer than the longest.
    #[error("initial backoff is {initial:?}, allowed is at most the greatest, {max:?}")]
    Backoff {
        /// The first delay that was asked for.
        initial: Duration,
        /// The longest.
        max: Duration,
    },
    /// The jitter is no share.
    #[error("backoff jitter is {0}, allowed are 0 to 1")]
    Jitter(f64),
}

impl Restarts {
    /// Sets after what an actor is made anew; after everything by default.
    #[must_use]
    pub fn policy(mut self, policy: RestartPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how many restarts there may be; without a limit by default.
    #[must_use]
    pub fn limit(mut self, limit: RestartLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets how long to wait before a restart.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// Names the bound that is not kept.
    pub fn validate(&self) -> Result<(), RestartsError> {
        if let Some(RestartLimit { restarts, within }) = self.limit {
            if restarts > RestartLimit::MAX_RESTARTS {
                return Err(RestartsError::Limit(restarts));
            }
            if within.is_zero() {
                return Err(RestartsError::Within);
            }
        }
        let Backoff { initial, max, jitter } = self.backoff;
        if initial > max {
            return Err(RestartsError::Backoff { initial, max });
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(RestartsError::Jitter(jitter));
        }
        Ok(())
    }
}

/// Why an actor needs to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A handler panicked.
    Panicked,
    /// It could not be made.
    FailedStart,
    /// It asked to stop.
    Stopped,
}

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is made anew.
    Restart {
        /// In so many nanoseconds.
        after: u64,
    },
    /// It is not, for good.
    Retire(RetireReason),
}

/// Why a worker is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetireReason {
    /// It was asked for.
    Asked,
    /// Its actor could not be made anew when it was to end anyway.
    ClosedWithoutActor,
    /// It has been restarted too often.
    LimitReached {
        /// So often.
        restarts: u32,
        /// Within this time.
        within: Duration,
    },
    /// Its policy has no restart after what happened.
    PolicyForbids(RestartPolicy),
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Never => "never",
        })
    }
}

impl fmt::Display for RetireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("as asked for"),
            Self::ClosedWithoutActor => {
                f.write_str("its actor could not be made anew when it was to end")
            }
            Self::LimitReached { restarts, within } => {
                write!(f, "the limit of {restarts} restarts within {within:?} is reached")
            }
            Self::PolicyForbids(policy) => {
                write!(f, "the restart policy, {policy}, has no restart after this")
            }
        }
    }
}

impl RestartPolicy {
    fn allows(self, cause: Cause) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => cause != Cause::Stopped,
            Self::Never => false,
        }
    }
}

/// One actor's restarts so far. Times are nanoseconds of one clock.
#[derive(Clone, Debug)]
pub struct RestartHistory {
    restarts: Restarts,
    /// When the last restarts were to happen, as many as the limit has; the oldest first.
    recent: VecDeque<u64>,
    /// Restarts since a task was brought to its end.
    row: u32,
    random: Rng,
}

impl RestartHistory {
    /// No restarts yet, by a description that is valid. Allocates all that it ever needs.
    pub fn new(restarts: Restarts, seed: u64) -> Self {
        debug_assert_eq!(restarts.validate(), Ok(()));
        let kept = restarts.limit.map_or(0, |limit| limit.restarts as usize);
        let recent = VecDeque::with_capacity(kept);
        Self { restarts, recent, row: 0, random: Rng::with_seed(seed) }
    }

    /// Ends a row: the actor has brought a task to its end without a panic. One store.
    #[inline]
    pub fn succeeded(&mut self) {
        self.row = 0;
    }

    /// Decides about an actor that ended at `now`. A restart is counted as of the time at which it
    /// is to happen. O(1), allocates nothing.
    pub fn next(&mut self, cause: Cause, now: u64) -> Decision {
        let policy = self.restarts.policy;
        if !policy.allows(cause) {
            return Decision::Retire(RetireReason::PolicyForbids(policy));
        }
        if let Some(reason) = self.limit_reached(now) {
            return Decision::Retire(reason);
        }
        self.row = self.row.saturating_add(1);
        let after = self.delay();
        if let Some(limit) = self.restarts.limit {
            if self.recent.len() == limit.restarts as usize {
                self.recent.pop_front();
            }
            self.recent.push_back(now.saturating_add(after));
        }
        Decision::Restart { after }
    }

    fn limit_reached(&self, now: u64) -> Option<RetireReason> {
        let RestartLimit { restarts, within } = self.restarts.limit?;
        let full = self.recent.len() == restarts as usize;
        // Without an oldest one the limit is 0.
        let recent = |oldest: &u64| now < oldest.saturating_add(nanos(within));
        (full && self.recent.front().is_none_or(recent))
            .then_some(RetireReason::LimitReached { restarts, within })
    }

    fn delay(&mut self) -> u64 {
        let Backoff { initial, max, jitter } = self.restarts.backoff;
        let Some(doublings) = self.row.checked_sub(2) else { return 0 };
        let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let delay = nanos(initial).saturating_mul(factor).min(nanos(max));
        // By a float, which may be rounded up beyond a delay of centuries.
        let chance = (delay as f64 * jitter) as u64;
        self.random.u64(delay.saturating_sub(chance)..=delay)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALWAYS: Decision = Decision::Restart { after: 0 };

    fn ns(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    fn backoff(initial: u64, max: u64, jitter: f64) -> Restarts {
        Restarts::default().backoff(Backoff { initial: ns(initial), max: ns(max), jitter })
    }

    fn history(restarts: Restarts) -> RestartHistory {
        RestartHistory::new(restarts, 7)
    }

    fn after(decision: Decision) -> u64 {
        match decision {
            Decision::Restart { after } => after,
            Decision::Retire(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn each_policy_allows_what_it_says() {
        use Cause::{FailedStart, Panicked, Stopped};
        for (policy, allowed) in [
            (RestartPolicy::Permanent, &[Panicked, FailedStart, Stopped][..]),
            (RestartPolicy::Transient, &[Panicked, FailedStart][..]),
            (RestartPolicy::Never, &[][..]),
        ] {
            for cause in [Panicked, FailedStart, Stopped] {
                let decision = history(Restarts::default().policy(policy)).next(cause, 1);
                let refused = Decision::Retire(RetireReason::PolicyForbids(policy));
                assert_eq!(decision, if allowed.contains(&cause) { ALWAYS } else { refused });
            }
        }
    }

    #[test]
    fn delays_double_from_the_second_restart_in_a_row_until_a_task_succeeds() {
        let mut history = history(backoff(10, 65, 0.0));
        let mut delays = |restarts: usize| -> Vec<u64> {
            (0..restarts).map(|_| after(history.next(Cause::Panicked, 1))).collect()
        };
        assert_eq!(delays(7), [0, 10, 20, 40, 65, 65, 65]);
        history.succeeded();
        let mut delays = |restarts: usize| -> Vec<u64> {
            (0..restarts).map(|_| after(history.next(Cause::FailedStart, 1))).collect()
        };
        assert_eq!(delays(3), [0, 10, 20]);
    }

    #[test]
    fn jitter_takes_its_share_of_each_delay_and_no_more() {
        let mut history = history(backoff(1_000, 1_000, 0.25));
        assert_eq!(history.next(Cause::Panicked, 1), ALWAYS);
        let delays: Vec<_> = (0..2_000).map(|_| after(history.next(Cause::Panicked, 1))).collect();
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!((750..760).contains(least) && (990..=1_000).contains(most), "{least} to {most}");
    }

    #[test]
    fn the_limit_counts_restarts_that_are_not_long_ago() {
        let limit = RestartLimit { restarts: 2, within: ns(100) };
        let mut history = history(backoff(0, 0, 0.0).limit(limit));
        let reached = Decision::Retire(RetireReason::LimitReached { restarts: 2, within: ns(100) });
        assert_eq!(history.next(Cause::Panicked, 10), ALWAYS);
        assert_eq!(history.next(Cause::Stopped, 50), ALWAYS);
        assert_eq!(history.next(Cause::Panicked, 109), reached);
        assert_eq!(history.next(Cause::Panicked, 110), ALWAYS);
        assert_eq!(history.next(Cause::Panicked, 149), reached);
        history.succeeded();
        assert_eq!(history.next(Cause::Panicked, 149), reached, "the limit knows no rows");
        assert_eq!(history.next(Cause::Panicked, 150), ALWAYS);
    }

    #[test]
    fn a_limit_of_none_retires_at_the_first() {
        let limit = RestartLimit { restarts: 0, within: ns(1) };
        let decision = history(Restarts::default().limit(limit)).next(Cause::Panicked, 1);
        let Decision::Retire(reason) = decision else { panic!("{decision:?}") };
        assert_eq!(reason.to_string(), "the limit of 0 restarts within 1ns is reached");
    }

    #[test]
    fn each_bound_is_checked_and_named() {
        assert_eq!(Restarts::default().validate(), Ok(()));
        let limited = |restarts, within| {
            Restarts::default().limit(RestartLimit { restarts, within: ns(within) }).validate()
        };
        assert_eq!(limited(0, 1), Ok(()));
        assert_eq!(limited(1, 0), Err(RestartsError::Within));
        let error = limited(65_537, 1).unwrap_err();
        assert_eq!(error.to_string(), "restart limit is 65537, allowed are 0 to 65536");
        let error = backoff(2, 1, 0.0).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "initial backoff is 2ns, allowed is at most the greatest, 1ns"
        );
        for jitter in [-0.1, 1.1, f64::NAN] {
            let error = backoff(1, 1, jitter).validate().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("backoff jitter is {jitter}, allowed are 0 to 1")
            );
        }
        for jitter in [0.0, 1.0] {
            assert_eq!(backoff(1, 1, jitter).validate(), Ok(()));
        }
    }

    /// An actor's life: how long it lived after each restart, and whether it did a task.
    fn lives(longest: u64) -> impl Strategy<Value = Vec<(u64, bool)>> {
        prop::collection::vec((0..longest, prop::bool::weighted(0.2)), 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_window_has_more_restarts_than_the_limit(
            lives in lives(50),
            restarts in 0u32..8,
            within in 1u64..200,
            initial in 0u64..30,
            jitter in 0.0..=1.0,
            seed: u64,
        ) {
            let limit = RestartLimit { restarts, within: ns(within) };
            let mut history = RestartHistory::new(backoff(initial, 100, jitter).limit(limit), seed);
            let capacity = history.recent.capacity();
            let (mut now, mut times) = (1, Vec::new());
            for (life, succeeds) in lives {
                now += life;
                if succeeds {
                    history.succeeded();
                }
                match history.next(Cause::Panicked, now) {
                    Decision::Restart { after } => {
                        now += after;
                        times.push(now);
                    }
                    Decision::Retire(reason) => {
                        // And none is refused that the limit allows.
                        let reached = RetireReason::LimitReached { restarts, within: ns(within) };
                        prop_assert_eq!(reason, reached);
                        let recent = times.iter().filter(|at| **at + within > now).count();
                        prop_assert_eq!(recent, restarts as usize);
                    }
                }
            }
            for first in &times {
                let window = *first..*first + within;
                let inside = times.iter().filter(|at| window.contains(at)).count();
                prop_assert!(inside <= restarts as usize, "{inside} from {first} on");
            }
            prop_assert_eq!(history.recent.capacity(), capacity);
        }

        #[test]
        fn each_delay_is_within_its_bounds_however_long_the_row(
            row: u32,
            initial: u64,
            more: u64,
            jitter in 0.0..=1.0,
            seed: u64,
            now: u64,
        ) {
            let max = initial.saturating_add(more);
            let limit = RestartLimit { restarts: 2, within: Duration::MAX };
            let mut history = RestartHistory::new(backoff(initial, max, jitter).limit(limit), seed);
            history.row = row;
            let delay = after(history.next(Cause::Panicked, now));
            let full = match row.saturating_add(1) {
                0 | 1 => 0.0,
                k => (initial as f64 * f64::from(k - 2).exp2()).min(max as f64),
            };
            let (least, slack) = (full * (1.0 - jitter), 1.0 + full * 1e-12);
            prop_assert!(delay <= max);
            prop_assert!((least - slack..=full + slack).contains(&(delay as f64)), "{delay}");
        }
    }
}
