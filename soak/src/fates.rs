use std::sync::OnceLock;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::fate::Fate;

/// The fates of all tasks of a round, by number. Any thread writes, without a lock.
///
/// Everything is `Relaxed`: each word is complete in itself, of two marking read-modify-writes one
/// sees the other, and the final reads follow the end of every writing thread.
#[derive(Debug)]
pub struct Fates {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
    next: AtomicU64,
}

const CHUNK: usize = 1 << 22;
/// Enough for a round of a minute at four million tasks per second.
const CHUNKS: usize = 64;

impl Fates {
    pub fn new() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(), next: AtomicU64::new(0) }
    }

    /// Adds a task and returns its number.
    ///
    /// # Panics
    /// If there are too many tasks.
    pub fn enter(&self, fate: Fate) -> u64 {
        let id = self.next.fetch_add(1, Relaxed);
        self.word(id).store(fate.0, Relaxed);
        id
    }

    /// Returns the number of tasks.
    pub fn len(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub fn get(&self, id: u64) -> Fate {
        Fate(self.word(id).load(Relaxed))
    }

    /// Sets bits. Returns `true` if none of them was set before.
    pub fn mark(&self, id: u64, bits: u64) -> bool {
        self.word(id).fetch_or(bits, Relaxed) & bits == 0
    }

    /// Records the worker that runs a task, in place of an earlier one.
    pub fn run_at(&self, id: u64, short_id: u16) {
        let word = self.word(id);
        let changed = |word: u64| Some(word & !Fate::WORKER_MASK | Fate::worker_bits(short_id));
        let _ = word.fetch_update(Relaxed, Relaxed, changed);
    }

    /// Returns all fates, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Fate)> {
        (0..self.len()).map(|id| (id, self.get(id)))
    }

    fn word(&self, id: u64) -> &AtomicU64 {
        let chunk = self.chunks[id as usize / CHUNK]
            .get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        &chunk[id as usize % CHUNK]
    }
}
