/// Decides which fiber goes on.
pub trait Schedule {
    /// Returns which of `count` fibers is tried first; the others follow in turn, until one can go on.
    fn first(&mut self, count: usize) -> usize;

    /// Returns whether the root lets a fiber go on, where a fiber would be [switched](super::switch).
    fn interrupts(&mut self) -> bool {
        false
    }

    /// A fiber has gone on.
    fn ran(&mut self, step: &Step<'_>);
}

/// What a fiber did between two pauses.
#[derive(Debug)]
pub struct Step<'f> {
    /// Its index among the fibers.
    pub index: usize,
    /// Its name.
    pub name: &'f str,
    /// The clock's time.
    pub now: u64,
    /// Whether it only polled for something.
    pub polls: bool,
}

/// Each fiber in its turn.
#[derive(Debug, Default)]
pub struct InTurn {
    next: usize,
}

impl Schedule for InTurn {
    fn first(&mut self, count: usize) -> usize {
        self.next % count
    }

    fn ran(&mut self, step: &Step<'_>) {
        self.next = step.index + 1;
    }
}
