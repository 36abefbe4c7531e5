//! Whether and when an actor is restarted: policy, limit and backoff.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::nanos;
use thiserror::Error;

/// When an actor is restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Always, even if it stopped itself.
    #[default]
    Permanent,
    /// After a panic, a failed start, or a dropped handler; not when it stopped itself.
    Transient,
    /// Never.
    Never,
}

/// Limits the restarts of an actor within any period of a given length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RestartLimit {
    /// The most restarts, up to [`MAX_RESTARTS`](Self::MAX_RESTARTS); 0 allows none.
    pub restarts: u32,
    /// The length of the period, more than 0.
    pub within: Duration,
}

impl RestartLimit {
    /// The highest limit; the time of each restart within it is stored.
    pub const MAX_RESTARTS: u32 = 65_536;
}

/// How long to wait before a restart.
///
/// The first restart in a row comes at once, the second after `initial`, and each further one after
/// twice the delay of the one before, up to `max`: `initial * 2^(k-2)` for the k-th. A row ends when
/// the actor has run a task without a panic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The delay before the second restart in a row; at most `max`.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// The random share of each delay, 0 to 1: a delay is uniform between `delay * (1 - jitter)` and
    /// `delay`, so that actors which failed together do not restart together.
    pub jitter: f64,
}

impl Default for Backoff {
    /// 1 ms to 1 s, with a jitter of one half.
    fn default() -> Self {
        Self { initial: Duration::from_millis(1), max: Duration::from_secs(1), jitter: 0.5 }
    }
}

/// How a pool's actors are restarted. By default: always, without a limit, and with the default
/// [`Backoff`].
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

/// A parameter of [`Restarts`] that is out of bounds.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum RestartsError {
    /// The limit is too high.
    #[error("restart limit is {0}; 0 to {max} are allowed", max = RestartLimit::MAX_RESTARTS)]
    Limit(u32),
    /// The limit's period is empty.
    #[error("the period of the restart limit is 0; more than 0 is allowed")]
    Within,
    /// A limit on restarts that the policy forbids.
    #[error("a restart limit has no meaning with the policy `never`; remove one of them")]
    LimitOfNever,
    /// The first delay is longer than the longest.
    #[error("initial backoff is {initial:?}; at most the longest, {max:?}, is allowed")]
    Backoff {
        /// The first delay.
        initial: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// The jitter is not a share.
    #[error("backoff jitter is {0}; 0 to 1 is allowed")]
    Jitter(f64),
}

impl Restarts {
    /// Sets when an actor is restarted; always by default.
    #[must_use]
    pub fn policy(mut self, policy: RestartPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Limits the restarts; without a limit by default.
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

    /// Checks every parameter, as [`PoolBuilder::spawn`](crate::PoolBuilder::spawn) does.
    ///
    /// # Errors
    /// The first parameter that is out of bounds.
    pub fn validate(&self) -> Result<(), RestartsError> {
        if let Some(RestartLimit { restarts, within }) = self.limit {
            if restarts > RestartLimit::MAX_RESTARTS {
                return Err(RestartsError::Limit(restarts));
            }
            if within.is_zero() {
                return Err(RestartsError::Within);
            }
            if self.policy == RestartPolicy::Never {
                return Err(RestartsError::LimitOfNever);
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

/// Why an actor needs a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its handler panicked.
    Panicked,
    /// It could not start.
    FailedStart,
    /// It stopped itself.
    Stopped,
    /// Its async handler hung.
    Hung,
    /// Its async handler was dropped because the task had expired or was cancelled.
    Dropped,
}

/// Why a worker left its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetireReason {
    /// The program requested it.
    Requested,
    /// Its actor could not be restarted, and it had to leave anyway.
    ClosedWithoutActor,
    /// It was restarted too often.
    LimitReached {
        /// The limit.
        restarts: u32,
        /// The limit's period.
        within: Duration,
    },
    /// Its policy does not restart it after what happened.
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
            Self::Requested => f.write_str("requested"),
            Self::ClosedWithoutActor => {
                f.write_str("its actor could not be restarted, and it had to leave anyway")
            }
            Self::LimitReached { restarts, within } => {
                write!(f, "the limit of {restarts} restarts within {within:?} is reached")
            }
            Self::PolicyForbids(policy) => {
                write!(f, "the restart policy, {policy}, forbids a restart")
            }
        }
    }
}

/// The restarts of one actor so far. Times are nanoseconds of one clock.
#[derive(Clone, Debug)]
pub struct RestartHistory {
    restarts: Restarts,
    /// When the last restarts were due, as many as the limit allows; the oldest first.
    recent: VecDeque<u64>,
    /// Restarts since a task ran without a panic.
    row: u32,
    random: Rng,
}

impl RestartHistory {
    /// Creates an empty history for valid `restarts`. Allocates all that it ever needs.
    pub fn new(restarts: Restarts, seed: u64) -> Self {
        debug_assert_eq!(restarts.validate(), Ok(()));
        let kept = restarts.limit.map_or(0, |limit| limit.restarts as usize);
        let recent = VecDeque::with_capacity(kept);
        Self { restarts, recent, row: 0, random: Rng::with_seed(seed) }
    }

    /// Ends the row of restarts: the actor has run a task without a panic. One store.
    #[inline]
    pub fn succeeded(&mut self) {
        self.row = 0;
    }

    /// Decides about an actor that ended at `now`: returns after how many nanoseconds to restart it. A
    /// restart counts from when it is due. O(1), allocates nothing.
    ///
    /// # Errors
    /// Why it must be retired instead.
    pub fn next(&mut self, cause: Cause, now: u64) -> Result<u64, RetireReason> {
        let Restarts { policy, limit, .. } = self.restarts;
        let is_allowed = match policy {
            RestartPolicy::Permanent => true,
            RestartPolicy::Transient => cause != Cause::Stopped,
            RestartPolicy::Never => false,
        };
        if !is_allowed {
            return Err(RetireReason::PolicyForbids(policy));
        }
        if cause == Cause::Dropped {
            // Callers decide how often that happens, so no limit is meant for it.
            return Ok(0);
        }
        if let Some(RestartLimit { restarts, within }) = limit
            && self.recent.len() == restarts as usize
        {
            // There is no oldest one only if the limit is 0.
            let is_recent = |oldest: &u64| now < oldest.saturating_add(nanos(within));
            if self.recent.front().is_none_or(is_recent) {
                return Err(RetireReason::LimitReached { restarts, within });
            }
            self.recent.pop_front();
        }
        self.row = self.row.saturating_add(1);
        let after = self.delay();
        if limit.is_some() {
            self.recent.push_back(now.saturating_add(after));
        }
        Ok(after)
    }

    fn delay(&mut self) -> u64 {
        let Backoff { initial, max, jitter } = self.restarts.backoff;
        let Some(doublings) = self.row.checked_sub(2) else { return 0 };
        let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let delay = nanos(initial).saturating_mul(factor).min(nanos(max));
        // The float may be rounded up beyond a delay of centuries.
        let chance = (delay as f64 * jitter) as u64;
        self.random.u64(delay.saturating_sub(chance)..=delay)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT_ONCE: Result<u64, RetireReason> = Ok(0);

    fn ns(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    fn backoff(initial: u64, max: u64, jitter: f64) -> Restarts {
        Restarts::default().backoff(Backoff { initial: ns(initial), max: ns(max), jitter })
    }

    fn history(restarts: Restarts) -> RestartHistory {
        RestartHistory::new(restarts, 7)
    }

    #[test]
    fn each_policy_restarts_when_it_should() {
        use Cause::{FailedStart, Panicked, Stopped};
        for (policy, allowed) in [
            (RestartPolicy::Permanent, &[Panicked, FailedStart, Stopped][..]),
            (RestartPolicy::Transient, &[Panicked, FailedStart][..]),
            (RestartPolicy::Never, &[][..]),
        ] {
            for cause in [Panicked, FailedStart, Stopped] {
                let decision = history(Restarts::default().policy(policy)).next(cause, 1);
                let refused = Err(RetireReason::PolicyForbids(policy));
                assert_eq!(decision, if allowed.contains(&cause) { AT_ONCE } else { refused });
            }
        }
    }

    #[test]
    fn delays_double_from_the_second_restart_in_a_row_until_a_task_succeeds() {
        let mut history = history(backoff(10, 65, 0.0));
        let mut delays = |restarts: usize| -> Vec<u64> {
            (0..restarts).map(|_| history.next(Cause::Panicked, 1).unwrap()).collect()
        };
        assert_eq!(delays(7), [0, 10, 20, 40, 65, 65, 65]);
        history.succeeded();
        let mut delays = |restarts: usize| -> Vec<u64> {
            (0..restarts).map(|_| history.next(Cause::FailedStart, 1).unwrap()).collect()
        };
        assert_eq!(delays(3), [0, 10, 20]);
    }

    #[test]
    fn jitter_takes_its_share_of_each_delay_and_no_more() {
        let mut history = history(backoff(1_000, 1_000, 0.25));
        assert_eq!(history.next(Cause::Panicked, 1), AT_ONCE);
        let delays: Vec<_> =
            (0..2_000).map(|_| history.next(Cause::Panicked, 1).unwrap()).collect();
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!((750..760).contains(least) && (990..=1_000).contains(most), "{least} to {most}");
    }

    #[test]
    fn the_limit_counts_recent_restarts() {
        let limit = RestartLimit { restarts: 2, within: ns(100) };
        let mut history = history(backoff(0, 0, 0.0).limit(limit));
        let reached = Err(RetireReason::LimitReached { restarts: 2, within: ns(100) });
        assert_eq!(history.next(Cause::Panicked, 10), AT_ONCE);
        assert_eq!(history.next(Cause::Stopped, 50), AT_ONCE);
        assert_eq!(history.next(Cause::Panicked, 109), reached);
        assert_eq!(history.next(Cause::Panicked, 110), AT_ONCE);
        assert_eq!(history.next(Cause::Panicked, 149), reached);
        history.succeeded();
        assert_eq!(history.next(Cause::Panicked, 149), reached, "a row does not affect the limit");
        assert_eq!(history.next(Cause::Panicked, 150), AT_ONCE);
    }

    #[test]
    fn a_limit_of_zero_retires_at_the_first_end() {
        let limit = RestartLimit { restarts: 0, within: ns(1) };
        let decision = history(Restarts::default().limit(limit)).next(Cause::Panicked, 1);
        assert_eq!(
            decision.unwrap_err().to_string(),
            "the limit of 0 restarts within 1ns is reached"
        );
    }

    #[test]
    fn errors_name_the_value_and_the_bound() {
        assert_eq!(Restarts::default().validate(), Ok(()));
        let limited = |restarts, within| {
            Restarts::default().limit(RestartLimit { restarts, within: ns(within) }).validate()
        };
        assert_eq!(limited(0, 1), Ok(()));
        assert_eq!(limited(1, 0), Err(RestartsError::Within));
        let error = limited(65_537, 1).unwrap_err();
        assert_eq!(error.to_string(), "restart limit is 65537; 0 to 65536 are allowed");
        let error = backoff(2, 1, 0.0).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "initial backoff is 2ns; at most the longest, 1ns, is allowed"
        );
        for jitter in [-0.1, 1.1, f64::NAN] {
            let error = backoff(1, 1, jitter).validate().unwrap_err();
            assert_eq!(error.to_string(), format!("backoff jitter is {jitter}; 0 to 1 is allowed"));
        }
        for jitter in [0.0, 1.0] {
            assert_eq!(backoff(1, 1, jitter).validate(), Ok(()));
        }
    }

    /// An actor's lives: how long it lived after each restart, and whether it ran a task.
    fn lives(longest: u64) -> impl Strategy<Value = Vec<(u64, bool)>> {
        prop::collection::vec((0..longest, prop::bool::weighted(0.2)), 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_period_has_more_restarts_than_the_limit(
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
                    Ok(after) => {
                        now += after;
                        times.push(now);
                    }
                    Err(reason) => {
                        // None is refused that the limit allows.
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
        fn each_delay_is_within_its_bounds_after_any_number_of_restarts(
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
            let delay = history.next(Cause::Panicked, now).unwrap();
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
