//! The tasks that wait for a simulated worker, in the order in which they will run.

use std::collections::{BTreeMap, HashMap, VecDeque};

use raddle_core::internal::{Boosts, SizeClass};
use raddle_core::{Capability, KeyAge};

use crate::Order;

/// A task in a worker's mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    /// Clock time of its arrival.
    pub(crate) submitted_at: u64,
    /// Nanoseconds at speed 1.
    pub(crate) service: u64,
    /// Nanoseconds, as the dispatcher announced; 0 if unknown.
    pub(crate) expected_duration: u64,
    pub(crate) capability: Option<Capability>,
    /// A task with a key must not be stolen.
    pub(crate) key: Option<u64>,
    /// By what its dispatcher knows of its size.
    pub(crate) class: Option<SizeClass>,
    /// The age of the key when the worker was selected, if that is known.
    pub(crate) key_age: Option<KeyAge>,
    pub(crate) fails: bool,
    /// Number among the measured tasks, in order of arrival; `None` during warm-up.
    pub(crate) measured: Option<usize>,
}

/// The mailbox of a worker.
pub(crate) enum Queue {
    Fifo(VecDeque<Queued>),
    Boosted(Box<Boosted>),
}

pub(crate) struct Boosted {
    boosts: Boosts,
    waiting: Waiting,
    /// By key, for each key with tasks here: what they have in common, and their number.
    keys: HashMap<u64, (Common, u32)>,
}

enum Waiting {
    /// By size class, and last the tasks of unknown size; each first come, first served.
    Classes([VecDeque<Queued>; SizeClass::WITH_UNKNOWN]),
    /// By start, then by number.
    Exact(BTreeMap<(i64, u64), Queued>),
}

/// What keeps the tasks of a key in order.
#[derive(Clone, Copy)]
struct Common {
    class: Option<SizeClass>,
    /// The time of arrival minus boost of the last one: no later task may have an earlier one.
    start: i64,
}

impl Queue {
    pub(crate) fn new(order: Order, now: u64) -> Self {
        let waiting = match order {
            Order::Fifo => return Self::Fifo(VecDeque::new()),
            Order::Boost => Waiting::Classes(std::array::from_fn(|_| VecDeque::new())),
            Order::BoostExact => Waiting::Exact(BTreeMap::new()),
        };
        Self::Boosted(Box::new(Boosted { boosts: Boosts::new(now), waiting, keys: HashMap::new() }))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fifo(tasks) => tasks.len(),
            Self::Boosted(queue) => match &queue.waiting {
                Waiting::Classes(classes) => classes.iter().map(VecDeque::len).sum(),
                Waiting::Exact(tasks) => tasks.len(),
            },
        }
    }

    /// Adds the task with this number in order of arrival.
    pub(crate) fn push(&mut self, task: Queued, number: u64) {
        match self {
            Self::Fifo(tasks) => tasks.push_back(task),
            Self::Boosted(queue) => queue.push(task, number),
        }
    }

    /// Takes the next task.
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        match self {
            Self::Fifo(tasks) => tasks.pop_front(),
            Self::Boosted(queue) => queue.pop(),
        }
    }

    /// Returns whether there is a task without a key.
    pub(crate) fn has_free(&self) -> bool {
        match self {
            Self::Fifo(tasks) => tasks.iter().any(is_free),
            Self::Boosted(queue) => match &queue.waiting {
                Waiting::Classes(classes) => classes.iter().flatten().any(is_free),
                Waiting::Exact(tasks) => tasks.values().any(is_free),
            },
        }
    }

    /// Takes the first task without a key, of the shortest class that has one.
    pub(crate) fn take_free(&mut self) -> Option<Queued> {
        let first = |tasks: &mut VecDeque<Queued>| tasks.remove(tasks.iter().position(is_free)?);
        match self {
            Self::Fifo(tasks) => first(tasks),
            Self::Boosted(queue) => match &mut queue.waiting {
                Waiting::Classes(classes) => classes.iter_mut().find_map(first),
                Waiting::Exact(tasks) => {
                    let key = *tasks.iter().find(|(_, task)| is_free(task))?.0;
                    tasks.remove(&key)
                }
            },
        }
    }

    /// Notes that a task has ended, after `service` nanoseconds unless it did not run.
    pub(crate) fn ended(&mut self, task: &Queued, service: Option<u64>) {
        let Self::Boosted(queue) = self else { return };
        if let Some(service) = service {
            queue.boosts.record(task.class, service);
        }
        if let Some(key) = task.key
            && let Some((_, count)) = queue.keys.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                queue.keys.remove(&key);
            }
        }
    }

    /// Computes the boosts if that is due, and returns the mean service time then.
    pub(crate) fn refresh(&mut self, now: u64) -> Option<u64> {
        let Self::Boosted(queue) = self else { return None };
        queue.boosts.refresh(now).then(|| queue.boosts.mean())
    }
}

fn is_free(task: &Queued) -> bool {
    task.key.is_none()
}

impl Boosted {
    fn push(&mut self, mut task: Queued, number: u64) {
        let start = task.submitted_at as i64 - self.boosts.of_size(task.service) as i64;
        let mut common = Common { class: task.class, start };
        if let Some(key) = task.key {
            let (earlier, count) = self.keys.entry(key).or_insert((common, 0));
            earlier.start = earlier.start.max(start);
            *count += 1;
            common = *earlier;
        }
        task.class = common.class;
        match &mut self.waiting {
            Waiting::Classes(classes) => classes[SizeClass::index_of(task.class)].push_back(task),
            Waiting::Exact(tasks) => _ = tasks.insert((common.start, number), task),
        }
    }

    fn pop(&mut self) -> Option<Queued> {
        match &mut self.waiting {
            Waiting::Classes(classes) => {
                let start =
                    |task: &Queued| task.submitted_at as i64 - self.boosts.of(task.class) as i64;
                let waiting = classes.iter_mut().filter(|class| !class.is_empty());
                waiting.min_by_key(|class| class.front().map(start))?.pop_front()
            }
            Waiting::Exact(tasks) => tasks.pop_first().map(|(_, task)| task),
        }
    }
}
