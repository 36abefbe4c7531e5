//! CoDel: sheds tasks by how long they have waited, and only while the queue stays long.
//!
//! The rule is that of RFC 8289, sections 5.3 to 5.6, with tasks for packets. The RFC's loop, which
//! drops until a packet may pass, is unrolled here: [`Controller::on_take`] decides about one task,
//! and [`Phase`] is where the loop would continue. The tests compare it with a transcription of the
//! RFC's pseudocode.

use std::time::Duration;

use raddle_core::nanos;
use thiserror::Error;

/// When to shed tasks because their queue stays too long: CoDel ([RFC 8289]).
///
/// Tasks are shed when they are taken, not when they are sent: once every task of an `interval` has
/// waited for at least `target`, one is shed, and then further ones `interval / sqrt(count)` apart,
/// faster and faster, until one has waited for less. A burst that is worked off within an interval
/// loses nothing, and the last task of a queue is never shed.
///
/// `target` is the acceptable standing wait, `interval` the time that a burst may take; the RFC
/// recommends a round-trip time for the interval, and 5 to 10 % of it for the target (section 4).
///
/// [RFC 8289]: https://www.rfc-editor.org/rfc/rfc8289
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CoDel {
    target: Duration,
    interval: Duration,
}

/// A parameter of [`CoDel`] that is out of bounds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoDelError {
    /// The target is 0.
    #[error("CoDel's target is 0; more than 0 is allowed")]
    Target,
    /// The interval is shorter than the target.
    #[error("CoDel's interval is {interval:?}; at least the target, {target:?}, is allowed")]
    Interval {
        /// The interval.
        interval: Duration,
        /// The target.
        target: Duration,
    },
}

impl Default for CoDel {
    /// A target of 5 ms and an interval of 100 ms, as in the RFC.
    fn default() -> Self {
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100) }
    }
}

impl CoDel {
    /// Creates a rule with a target of more than 0 and an interval of at least the target, as
    /// [`PoolBuilder::spawn`](crate::PoolBuilder::spawn) checks.
    pub fn new(target: Duration, interval: Duration) -> Self {
        Self { target, interval }
    }

    pub(crate) fn validate(&self) -> Result<(), CoDelError> {
        let Self { target, interval } = *self;
        if target.is_zero() {
            return Err(CoDelError::Target);
        }
        if interval < target {
            return Err(CoDelError::Interval { interval, target });
        }
        Ok(())
    }

    /// Returns the acceptable standing wait.
    pub fn target(&self) -> Duration {
        self.target
    }

    /// Returns for how long every task must have waited for the target before one is shed.
    pub fn interval(&self) -> Duration {
        self.interval
    }
}

/// The state of one queue under [`CoDel`]. Times are nanoseconds of one clock.
#[derive(Clone, Debug)]
pub struct Controller {
    target: u64,
    interval: u64,
    /// When a task may be shed, if none has waited for less than the target by then.
    first_above: Option<u64>,
    drop_next: u64,
    /// Tasks shed since shedding began, plus those taken over from the last time.
    count: u64,
    /// `count` when shedding last began.
    last_count: u64,
    phase: Phase,
}

/// Where in the RFC's `dequeue` the next task is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not in the drop state.
    Calm,
    /// The first task of a drop state was shed: the next one passes, whatever its wait.
    Entered,
    /// In the drop state; the last task passed.
    Shedding,
    /// In the drop state, within its loop: the last task was shed.
    Shed,
}

impl Controller {
    /// Creates the state of an empty queue.
    pub fn new(config: CoDel) -> Self {
        Self {
            target: nanos(config.target),
            interval: nanos(config.interval),
            first_above: None,
            drop_next: 0,
            count: 0,
            last_count: 0,
            phase: Phase::Calm,
        }
    }

    /// Returns whether to shed the task that was just taken, after `sojourn` in the queue; `is_last`
    /// if it left the queue empty. Must be called for each task, in order.
    ///
    /// Wait-free, allocates nothing; computes a square root when a task is shed.
    pub fn on_take(&mut self, sojourn: u64, now: u64, is_last: bool) -> bool {
        let may_shed = self.stays_above(sojourn, now, is_last);
        match self.phase {
            Phase::Calm => {
                if may_shed {
                    self.enter(now);
                }
                may_shed
            }
            Phase::Entered => {
                self.phase = Phase::Shedding;
                false
            }
            Phase::Shedding | Phase::Shed if !may_shed => {
                self.phase = Phase::Calm;
                false
            }
            Phase::Shedding => self.shed_if_due(now),
            Phase::Shed => {
                self.drop_next = self.next_after(self.drop_next);
                self.shed_if_due(now)
            }
        }
    }

    /// The RFC's `dodequeue`: whether every task of an interval has waited for the target. Its second
    /// condition, a backlog of at most one packet, is an empty queue here.
    fn stays_above(&mut self, sojourn: u64, now: u64, is_last: bool) -> bool {
        if sojourn < self.target || is_last {
            self.first_above = None;
            return false;
        }
        let interval = self.interval;
        now >= *self.first_above.get_or_insert_with(|| now.saturating_add(interval))
    }

    /// Begins to shed, at the last rate if that was recent: it was about the right one.
    fn enter(&mut self, now: u64) {
        let delta = self.count - self.last_count;
        // `drop_next` may lie in the future: the last time has just ended then.
        let since = now.saturating_sub(self.drop_next);
        let recent = since < self.interval.saturating_mul(16);
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = self.next_after(now);
        self.phase = Phase::Entered;
    }

    fn shed_if_due(&mut self, now: u64) -> bool {
        let due = now >= self.drop_next;
        if due {
            self.count += 1;
        }
        self.phase = if due { Phase::Shed } else { Phase::Shedding };
        due
    }

    /// The control law (RFC 8289, section 5.6).
    fn next_after(&self, time: u64) -> u64 {
        time.saturating_add((self.interval as f64 / (self.count as f64).sqrt()) as u64)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    /// The fate of a task: its number, whether it was shed, and when.
    type Fate = (usize, bool, i64);

    /// The pseudocode of RFC 8289, sections 5.4 to 5.6, by its own names, over a queue of task
    /// numbers and arrival times. `MAXPACKET` is 0: a queue is short when it is empty.
    struct Rfc {
        queue: VecDeque<(usize, i64)>,
        target: i64,
        interval: i64,
        first_above_time: i64,
        drop_next: i64,
        count: u32,
        lastcount: u32,
        dropping: bool,
        dropped: Vec<Fate>,
    }

    struct DodequeueResult {
        p: Option<(usize, i64)>,
        ok_to_drop: bool,
    }

    impl Rfc {
        fn control_law(&self, t: i64, count: u32) -> i64 {
            t + (self.interval as f64 / f64::from(count).sqrt()) as i64
        }

        fn drop(&mut self, p: Option<(usize, i64)>, now: i64) {
            self.dropped.push((p.unwrap().0, true, now));
        }

        fn dodequeue(&mut self, now: i64) -> DodequeueResult {
            let mut r = DodequeueResult { p: self.queue.pop_front(), ok_to_drop: false };
            let Some((_, tstamp)) = r.p else {
                self.first_above_time = 0;
                return r;
            };
            let sojourn_time = now - tstamp;
            if sojourn_time < self.target || self.queue.is_empty() {
                self.first_above_time = 0;
            } else if self.first_above_time == 0 {
                self.first_above_time = now + self.interval;
            } else if now >= self.first_above_time {
                r.ok_to_drop = true;
            }
            r
        }

        fn dequeue(&mut self, now: i64) -> Option<(usize, i64)> {
            let mut r = self.dodequeue(now);
            if self.dropping {
                if !r.ok_to_drop {
                    self.dropping = false;
                }
                while now >= self.drop_next && self.dropping {
                    self.drop(r.p, now);
                    self.count += 1;
                    r = self.dodequeue(now);
                    if !r.ok_to_drop {
                        self.dropping = false;
                    } else {
                        self.drop_next = self.control_law(self.drop_next, self.count);
                    }
                }
            } else if r.ok_to_drop {
                self.drop(r.p, now);
                r = self.dodequeue(now);
                self.dropping = true;
                let delta = self.count - self.lastcount;
                self.count = 1;
                if delta > 1 && now - self.drop_next < 16 * self.interval {
                    self.count = delta;
                }
                self.drop_next = self.control_law(now, self.count);
                self.lastcount = self.count;
            }
            r.p
        }
    }

    /// A queue before one server, which takes a task when it has ended the last.
    trait Server {
        fn arrive(&mut self, task: usize, at: i64);
        fn is_empty(&self) -> bool;
        /// The task to serve, after those that are shed.
        fn take(&mut self, now: i64) -> Option<usize>;
        fn fates(self) -> Vec<Fate>;
    }

    impl Server for Rfc {
        fn arrive(&mut self, task: usize, at: i64) {
            self.queue.push_back((task, at));
        }
        fn is_empty(&self) -> bool {
            self.queue.is_empty()
        }
        fn take(&mut self, now: i64) -> Option<usize> {
            let (task, _) = self.dequeue(now)?;
            self.dropped.push((task, false, now));
            Some(task)
        }
        fn fates(self) -> Vec<Fate> {
            self.dropped
        }
    }

    struct Ours {
        queue: VecDeque<(usize, i64)>,
        controller: Controller,
        fates: Vec<Fate>,
    }

    impl Server for Ours {
        fn arrive(&mut self, task: usize, at: i64) {
            self.queue.push_back((task, at));
        }
        fn is_empty(&self) -> bool {
            self.queue.is_empty()
        }
        fn take(&mut self, now: i64) -> Option<usize> {
            loop {
                let (task, arrived) = self.queue.pop_front()?;
                let is_last = self.queue.is_empty();
                let shed = self.controller.on_take((now - arrived) as u64, now as u64, is_last);
                self.fates.push((task, shed, now));
                if !shed {
                    return Some(task);
                }
                assert!(!is_last, "the last task of the queue was shed");
            }
        }
        fn fates(self) -> Vec<Fate> {
            self.fates
        }
    }

    fn rfc(config: CoDel) -> Rfc {
        let [target, interval] = [config.target, config.interval].map(|time| nanos(time) as i64);
        Rfc {
            queue: VecDeque::new(),
            target,
            interval,
            first_above_time: 0,
            drop_next: 0,
            count: 0,
            lastcount: 0,
            dropping: false,
            dropped: Vec::new(),
        }
    }

    fn ours(config: CoDel) -> Ours {
        Ours { queue: VecDeque::new(), controller: Controller::new(config), fates: Vec::new() }
    }

    /// Runs tasks of `(time since the last arrival, service time)` through a server, from 1 on.
    fn serve(mut server: impl Server, tasks: &[(u64, u64)]) -> Vec<Fate> {
        let mut arrivals = tasks
            .iter()
            .scan(1, |at, (gap, _)| {
                *at += *gap as i64;
                Some(*at)
            })
            .enumerate()
            .peekable();
        let mut now = 1;
        loop {
            while let Some((task, at)) = arrivals.next_if(|(_, at)| *at <= now) {
                server.arrive(task, at);
            }
            if let Some(task) = server.take(now) {
                now += tasks[task].1 as i64;
            } else if let Some((_, at)) = arrivals.peek() {
                now = *at;
            } else {
                assert!(server.is_empty());
                return server.fates();
            }
        }
    }

    fn shed_at(fates: &[Fate]) -> Vec<u64> {
        fates.iter().filter(|fate| fate.1).map(|fate| fate.2 as u64).collect()
    }

    fn config(target: u64, interval: u64) -> CoDel {
        CoDel::new(Duration::from_nanos(target), Duration::from_nanos(interval))
    }

    /// Sequences of tasks, some of which arrive faster than they are served.
    fn traces() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let stretch = (1u64..40, 1u64..40, 1usize..150).prop_flat_map(|(gap, service, tasks)| {
            prop::collection::vec((0..gap, 0..service), tasks)
        });
        prop::collection::vec(stretch, 1..12).prop_map(|stretches| stretches.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 1000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn tasks_are_shed_exactly_as_in_the_pseudocode_of_the_rfc(
            tasks in traces(),
            target in 1u64..60,
            more in 0u64..200,
        ) {
            let config = config(target, target + more);
            prop_assert_eq!(serve(ours(config), &tasks), serve(rfc(config), &tasks));
        }

        #[test]
        fn extreme_times_do_not_panic(
            takes in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..200),
            target in 1u64..,
        ) {
            let mut controller = Controller::new(config(target, u64::MAX));
            for (sojourn, now, is_last) in takes {
                controller.on_take(sojourn, now, is_last);
            }
        }
    }

    #[test]
    fn under_twice_the_load_the_shedding_rate_rises_by_the_control_law() {
        let tasks = vec![(MS, 2 * MS); 8_000];
        let fates = serve(ours(CoDel::default()), &tasks);
        assert_eq!(fates, serve(rfc(CoDel::default()), &tasks));
        let shed = shed_at(&fates);
        // Until the arrivals stop; then the queue is worked off.
        let (mut due, mut checked) = (shed[0], 0);
        for (count, &at) in (1u32..).zip(&shed).take_while(|(_, at)| **at < 8_000 * MS) {
            // One at a time, at the first take after it is due.
            assert!((due..due + 2 * MS).contains(&at), "shed {count} at {at}, due at {due}");
            due += (100.0 * MS as f64 / f64::from(count).sqrt()) as u64;
            checked += 1;
        }
        // The sum of interval / sqrt(k) over n tasks is about 2 x interval x sqrt(n).
        assert!(checked > 1_000, "shed {checked} tasks in 8 s");
    }

    #[test]
    fn a_burst_that_drains_within_the_interval_is_not_shed() {
        // In 98 ms.
        let burst = vec![(0, 2 * MS); 49];
        assert!(shed_at(&serve(ours(CoDel::default()), &burst)).is_empty());
        let longer = vec![(0, 2 * MS); 60];
        assert!(!shed_at(&serve(ours(CoDel::default()), &longer)).is_empty());
    }

    /// An overload of 3 s, one task that has not waited, and after a pause overload again: the
    /// number shed in the first, and the time between the first two of the second.
    fn two_overloads(pause: u64) -> (usize, u64) {
        let mut controller = Controller::new(CoDel::default());
        let mut shed = |sojourn: u64, from: u64, to: u64| -> Vec<u64> {
            let times = (from..to).map(|ms| ms * MS);
            times.filter(|now| controller.on_take(sojourn, *now, false)).collect()
        };
        let first = shed(9 * MS, 1_000, 4_000);
        assert_eq!(shed(0, 4_000, 4_001), [0; 0]);
        let second = shed(9 * MS, 4_001 + pause, 5_000 + pause);
        (first.len(), second[1] - second[0])
    }

    #[test]
    fn a_recent_shedding_rate_is_resumed() {
        let (shed, apart) = two_overloads(0);
        let law = 100.0 / ((shed - 1) as f64).sqrt();
        assert_eq!(apart, law.ceil() as u64 * MS, "after {shed}");
        assert!(apart < 10 * MS);
    }

    #[test]
    fn an_old_shedding_rate_is_not_resumed() {
        // 16 intervals are 1.6 s.
        assert_eq!(two_overloads(1_600).1, 100 * MS);
    }

    #[test]
    fn errors_name_the_value_and_the_bound() {
        let (none, some, more) = (Duration::ZERO, Duration::from_nanos(1), Duration::from_nanos(2));
        assert_eq!(CoDel::new(none, some).validate(), Err(CoDelError::Target));
        let error = CoDel::new(more, some).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "CoDel's interval is 1ns; at least the target, 2ns, is allowed"
        );
        let config = CoDel::new(some, some);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!((config.target(), config.interval()), (some, some));
        let default = CoDel::default();
        assert_eq!(default.validate(), Ok(()));
    }
}
