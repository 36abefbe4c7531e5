use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An event of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A worker's task ends; void if the worker is in another turn by then.
    End {
        worker: u32,
        turn: u32,
    },
    FaultBegins(u32),
    FaultEnds(u32),
    /// Dispatchers learn what the others and the workers did.
    Sync,
    /// The strategy refreshes what it computes in advance.
    Refresh,
    /// Queue lengths are sampled.
    Sample,
}

/// Events ordered by time, and by insertion within the same moment.
#[derive(Default)]
pub(crate) struct Calendar {
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    added: u64,
}

impl Calendar {
    pub(crate) fn add(&mut self, at: u64, event: Event) {
        self.events.push(Reverse((at, self.added, event)));
        self.added += 1;
    }

    /// Returns the time of the next event.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((at, ..))| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.events.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_ordered_by_time_then_by_insertion() {
        let mut calendar = Calendar::default();
        for (at, event) in [(5, Event::Sync), (3, Event::Sample), (5, Event::Refresh)] {
            calendar.add(at, event);
        }
        assert_eq!(calendar.next_at(), Some(3));
        let order: Vec<_> = std::iter::from_fn(|| calendar.pop()).collect();
        assert_eq!(order, [(3, Event::Sample), (5, Event::Sync), (5, Event::Refresh)]);
    }
}
