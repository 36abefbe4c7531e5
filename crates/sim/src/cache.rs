use std::collections::{BTreeMap, HashMap};

/// The keys that a worker keeps, the least recently used one evicted.
#[derive(Debug)]
pub(crate) struct KeyCache {
    room: usize,
    /// When each key was last used, and the key of each use.
    used: HashMap<u64, u64>,
    keys: BTreeMap<u64, u64>,
    uses: u64,
}

impl KeyCache {
    pub(crate) fn of(room: usize) -> Self {
        Self { room, used: HashMap::new(), keys: BTreeMap::new(), uses: 0 }
    }

    /// Uses a key; returns whether it was there.
    pub(crate) fn touch(&mut self, key: u64) -> bool {
        self.uses += 1;
        self.keys.insert(self.uses, key);
        let before = self.used.insert(key, self.uses);
        if let Some(before) = before {
            self.keys.remove(&before);
        } else if self.used.len() > self.room
            && let Some((_, oldest)) = self.keys.pop_first()
        {
            self.used.remove(&oldest);
        }
        before.is_some()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::of(self.room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_key_is_evicted() {
        let mut cache = KeyCache::of(2);
        let touched = [1, 2, 1, 3, 1, 2, 3].map(|key| cache.touch(key));
        assert_eq!(touched, [false, false, true, false, true, false, false]);
        cache.clear();
        assert_eq!([3, 3].map(|key| cache.touch(key)), [false, true]);
    }
}
