//! What is to happen, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A worker ends its task, unless it has another by now than the one of this turn.
    End {
        worker: u32,
        turn: u32,
    },
    FaultBegins(u32),
    FaultEnds(u32),
    /// Dispatchers hear of what the others and the workers did.
    News,
    /// The strategy works out anew what it keeps.
    Refresh,
    /// Queue lengths are noted.
    Sample,
}

/// Events by time; those of one moment in the order in which they were added.
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

    /// When the next event is.
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
    fn events_come_by_time_and_then_as_they_were_added() {
        let mut calendar = Calendar::default();
        for (at, event) in [(5, Event::News), (3, Event::Sample), (5, Event::Refresh)] {
            calendar.add(at, event);
        }
        assert_eq!(calendar.next_at(), Some(3));
        let order: Vec<_> = std::iter::from_fn(|| calendar.pop()).collect();
        assert_eq!(order, [(3, Event::Sample), (5, Event::News), (5, Event::Refresh)]);
    }
}
