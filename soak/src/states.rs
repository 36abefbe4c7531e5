//! The state that actors keep for keys: it is in one place at a time, and none is lost silently.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raddle::MovedKeys;

use crate::life::Life;
use crate::plan::is_special;

/// Where the state of each key is.
#[derive(Debug)]
pub struct States(Box<[Mutex<Place>]>);

/// Where the state of a key is.
#[derive(Debug, Default)]
struct Place {
    /// Number of states that there were.
    made: u64,
    /// The present state, and the actor that has it, unless it is handed over right now.
    present: Option<(u64, Option<Arc<Life>>)>,
    /// States that the next task of the key did not find, each with the actor that had it and the one
    /// that missed it, as far as there are any.
    missed: Vec<[Option<Arc<Life>>; 2]>,
    /// Events by which the key moved without its state.
    announced: usize,
}

impl States {
    pub fn new(keys: usize) -> Self {
        Self((0..keys).map(|_| Mutex::default()).collect())
    }

    fn place(&self, key: u32) -> MutexGuard<'_, Place> {
        self.0[key as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that an actor begins a task of the key, and `found` this state. Returns the state that it
    /// has from now on.
    pub fn begin(&self, key: u32, found: Option<u64>, life: &Arc<Life>) -> u64 {
        let mut place = self.place(key);
        match &place.present {
            Some((present, _)) if found == Some(*present) => return *present,
            Some((_, holder)) => {
                let missed = [holder.clone(), Some(Arc::clone(life))];
                place.missed.push(missed);
            }
            None => {}
        }
        let number = found.unwrap_or_else(|| {
            place.made += 1;
            place.made
        });
        place.present = Some((number, Some(Arc::clone(life))));
        number
    }

    /// Records that an actor has taken a state over, or (`None`) given it away.
    pub fn moved(&self, key: u32, number: u64, to: Option<&Arc<Life>>) {
        if let Some((present, holder)) = &mut self.place(key).present
            && *present == number
        {
            *holder = to.cloned();
        }
    }

    /// Records that a state was dropped, `by` its actor or else by the pool.
    pub fn dropped(&self, key: u32, number: u64, by_actor: bool) {
        let mut place = self.place(key);
        if place.present.take_if(|(present, _)| *present == number).is_some() && !by_actor {
            place.missed.push([None, None]);
        }
    }

    /// Records an event by which keys moved without their state.
    pub fn announce(&self, keys: &MovedKeys) {
        for key in 0..self.0.len() as u32 {
            if keys.capability().is_some() == is_special(key) && keys.contains(&key) {
                self.place(key).announced += 1;
            }
        }
    }

    /// Returns the keys whose state was lost more often than announced, and how often.
    pub fn silently_lost(&self) -> impl Iterator<Item = (u32, usize, usize)> {
        (0..self.0.len() as u32).filter_map(|key| {
            let place = self.place(key);
            let is_silent = |lives: &&[Option<Arc<Life>>; 2]| {
                !lives.iter().flatten().any(|life| life.was_revoked())
            };
            let silent = place.missed.iter().filter(is_silent).count();
            (silent > place.announced).then_some((key, silent, place.announced))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(states: &States) -> Vec<u32> {
        states.silently_lost().map(|(key, ..)| key).collect()
    }

    #[test]
    fn state_is_handed_over_or_ends_with_its_actor_or_was_lost() {
        let states = States::new(4);
        let (one, other, revoked) = (Arc::default(), Arc::default(), Arc::<Life>::default());
        revoked.revoke();
        // Handed over.
        assert_eq!(states.begin(0, None, &one), 1);
        states.moved(0, 1, None);
        states.moved(0, 1, Some(&other));
        assert_eq!(states.begin(0, Some(1), &other), 1);
        // Restarted.
        states.dropped(0, 1, true);
        assert_eq!(states.begin(0, None, &other), 2);
        // Of a thread that was given up.
        states.begin(1, None, &revoked);
        states.begin(1, None, &one);
        assert_eq!(lost(&states), [0; 0]);
        // Left behind.
        states.begin(2, None, &one);
        assert_eq!(states.begin(2, None, &other), 2);
        // Dropped on its way.
        states.begin(3, None, &one);
        states.moved(3, 1, None);
        states.dropped(3, 1, false);
        assert_eq!(states.begin(3, None, &other), 2);
        assert_eq!(lost(&states), [2, 3]);
    }
}
