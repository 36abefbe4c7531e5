//! How the state of keys moves to the actor of another worker.

use std::sync::Arc;

use raddle::{Context, KeyedState, MovedKeys};

use crate::actor::Faulty;
use crate::kept::Kept;
use crate::plan::is_special;
use crate::planted;
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// Returns how state is handed over, by hooks of which some fail.
pub fn keyed_state<const HANDS_OVER: bool>() -> KeyedState<Faulty<HANDS_OVER>> {
    KeyedState::hooks(lose, gain)
}

fn lose<const HANDS_OVER: bool>(
    actor: &mut Faulty<HANDS_OVER>,
    keys: &MovedKeys,
    _: &mut Context<'_, Faulty<HANDS_OVER>>,
) -> Option<Vec<Kept>> {
    if actor.chance(20) {
        actor.count(Occurrence::StateWithheld);
        return None;
    }
    fail(actor);
    let records = Arc::clone(&actor.records);
    if records.saboteur.is(Sabotage::State) {
        return Some(Vec::new());
    }
    let is_moved =
        |key: &u32| is_special(*key) == keys.capability().is_some() && keys.contains(key);
    let moved = actor.states.get_mut().extract_if(|key, _| is_moved(key));
    let moved: Vec<_> = moved.map(|(_, kept)| kept).collect();
    moved.iter().for_each(|kept| records.states.moved(kept.key, kept.number, None));
    records.tally.add(Occurrence::StateLost, moved.len() as u64);
    Some(moved)
}

fn gain<const HANDS_OVER: bool>(
    actor: &mut Faulty<HANDS_OVER>,
    _: &MovedKeys,
    moved: Option<Vec<Kept>>,
    _: &mut Context<'_, Faulty<HANDS_OVER>>,
) {
    fail(actor);
    for kept in moved.into_iter().flatten() {
        actor.records.states.moved(kept.key, kept.number, Some(&actor.life));
        actor.count(Occurrence::StateGained);
        if let Some(mut older) = actor.states.get_mut().insert(kept.key, kept) {
            older.end_with_actor();
        }
    }
}

/// Panics or hangs in some hooks.
fn fail<const HANDS_OVER: bool>(actor: &Faulty<HANDS_OVER>) {
    match actor.draw(|rng| rng.u8(..100)) {
        0..5 => {
            actor.count(Occurrence::HandOverPanicked);
            planted::blow_up("handing state over");
        }
        5 => {
            actor.count(Occurrence::HandOverHung);
            actor.records.hangs.hang(Some(actor.records.plan.hang()));
        }
        _ => {}
    }
}
