use std::sync::Arc;
use std::task::Wake;

use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

use super::notify::Notify;

/// Wakes a worker one of whose async handlers waits: that handler's waker.
///
/// # Protocol
/// A wake sets the bit of the handler's slot, and notifies the worker if it was not set. The worker takes
/// the bits before it polls their handlers, and waits for a notification only after it has found none. So
/// a wake that comes after the worker has taken the last one is followed by a poll.
///
/// A waker may outlive its handler. A late wake costs the slot's next handler a poll in vain.
#[derive(Debug)]
pub struct Alarm {
    alarms: Arc<Alarms>,
    slot: usize,
}

/// The alarms of a worker.
#[derive(Debug)]
pub struct Alarms {
    notify: Notify,
    /// A bit for each slot.
    woken: Box<[AtomicU64]>,
}

const BITS: usize = u64::BITS as usize;

impl Alarms {
    /// Creates the alarms of a worker with this many slots, which waits for `notify`.
    pub fn new(notify: Notify, slots: usize) -> Arc<Self> {
        let words = slots.div_ceil(BITS);
        Arc::new(Self { notify, woken: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    /// Returns the alarm of a slot.
    pub fn of(self: &Arc<Self>, slot: usize) -> Arc<Alarm> {
        Arc::new(Alarm { alarms: Arc::clone(self), slot })
    }

    /// Takes the wakes so far: calls `poll` with each slot that must be polled again.
    pub fn take(&self, mut poll: impl FnMut(usize)) {
        for (index, word) in self.woken.iter().enumerate() {
            // Acquire pairs with the Release of `set`: the poll sees what came before the wake. A
            // read-modify-write, so that a wake is either taken here or notifies.
            let mut bits = word.swap(0, Acquire);
            while bits != 0 {
                poll(index * BITS + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}

impl Alarm {
    /// Creates the alarm of a worker with one slot, which waits for `notify`.
    pub fn new(notify: Notify) -> Self {
        Self { alarms: Alarms::new(notify, 1), slot: 0 }
    }

    /// Takes the wakes so far of a worker with one slot: whether the handler must be polled again.
    pub fn take(&self) -> bool {
        let mut woken = false;
        self.alarms.take(|_| woken = true);
        woken
    }

    /// Makes the worker check the handler.
    pub fn ring(&self) {
        let (word, bit) = (self.slot / BITS, 1 << (self.slot % BITS));
        // Release pairs with the Acquire of `take`.
        if self.alarms.woken[word].fetch_or(bit, Release) & bit == 0 {
            self.alarms.notify.notify();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
