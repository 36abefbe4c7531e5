use std::sync::OnceLock;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::fate::Fate;

/// The fate of every task of a round, by its number. Any thread writes, without a lock.
///
/// All is `Relaxed`: a word is whole in itself, marks are read-modify-writes, so that of two one
/// sees the other, and it is read when every thread that wrote has ended.
#[derive(Debug)]
pub struct Fates {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
    next: AtomicU64,
}

const CHUNK: usize = 1 << 16;
/// Enough for a round of a minute at four million tasks a second.
const CHUNKS: usize = 4096;

impl Fates {
    pub fn new() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(), next: AtomicU64::new(0) }
    }

    /// Enters a task and numbers it.
    ///
    /// # Panics
    /// When there are too many.
    pub fn enter(&self, fate: Fate) -> u64 {
        let id = self.next.fetch_add(1, Relaxed);
        self.word(id).store(fate.0, Relaxed);
        id
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub fn get(&self, id: u64) -> Fate {
        Fate(self.word(id).load(Relaxed))
    }

    /// Sets bits; whether none of them was set before.
    pub fn mark(&self, id: u64, bits: u64) -> bool {
        self.word(id).fetch_or(bits, Relaxed) & bits == 0
    }

    /// Notes which worker runs a task: the last one counts.
    pub fn run_at(&self, id: u64, seat: u16) {
        let word = self.word(id);
        let changed = |word: u64| Some(word & !Fate::SEAT_MASK | Fate::seat_bits(seat));
        let _ = word.fetch_update(Relaxed, Relaxed, changed);
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Fate)> {
        (0..self.len()).map(|id| (id, self.get(id)))
    }

    fn word(&self, id: u64) -> &AtomicU64 {
        let chunk = self.chunks[id as usize / CHUNK]
            .get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        &chunk[id as usize % CHUNK]
    }
}
