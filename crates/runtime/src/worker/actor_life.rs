//! How the actor of any host starts and ends.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use raddle_core::Worker;

use super::life::LastHook;
use super::station::Station;
use crate::actor::{Actor, StartError};
use crate::context::{Context, Scope};
use crate::deadline::NEVER;
use crate::keyed_state::KeyedState;
use crate::keys::{KeyState, MovedKeys};
use crate::panics;

/// Creates a worker's actor, on the worker's thread.
pub(crate) type Factory<A> = dyn Fn(&Worker) -> Result<A, StartError> + Send + Sync;

/// What the contexts of this station's thread have in common; its worker belongs to `own_pool`.
pub(super) fn scope_of<M, R>(
    station: &Station<M, R>,
    own_pool: Arc<dyn Any + Send + Sync>,
) -> Scope {
    Scope {
        worker: Arc::clone(&station.thread.worker),
        cancelling: Arc::clone(&station.router.control.cancelling),
        lease: Arc::clone(&station.thread.lease),
        own_pool,
        alone_at: Cell::new(0),
    }
}

/// Creates an actor, unless one was kept, and calls its first hook. Returns it, and whether it stopped
/// itself.
pub(super) fn start_actor<A: Actor>(
    kept: Option<A>,
    make: &Factory<A>,
    scope: &Scope,
    is_restart: bool,
) -> Result<(A, bool), StartError> {
    let mut cx = Context::new(scope, NEVER, None, None);
    let started = panics::catch(|| {
        let mut actor = match kept {
            Some(actor) => actor,
            None => make(&scope.worker)?,
        };
        let hook = if is_restart { A::on_restart } else { A::on_start };
        match hook(&mut actor, &mut cx) {
            Ok(()) => Ok(actor),
            Err(error) => {
                // Here, so that its panic does not replace the error.
                panics::contain(|| drop(actor));
                Err(error)
            }
        }
    });
    Ok((started??, cx.is_stopping()))
}

/// Calls an actor's last hook and drops it. Returns it if it survives its panic.
pub(super) fn end_actor<A: Actor>(mut actor: A, scope: &Scope, hook: LastHook<'_>) -> Option<A> {
    let mut cx = Context::new(scope, NEVER, None, None);
    let mut survives = false;
    match hook {
        LastHook::Stop => panics::contain(|| actor.on_stop(&mut cx)),
        LastHook::Panic(message) => {
            panics::contain(|| actor.on_panic(message, &mut cx));
            panics::contain(|| survives = actor.survives_panic(message, &mut cx));
        }
        LastHook::None => {}
    }
    if survives {
        return Some(actor);
    }
    panics::contain(|| drop(actor));
    None
}

/// Takes the state of these keys from an actor; `None` if there is none.
pub(super) fn lose_keys<A: Actor>(
    actor: Option<&mut A>,
    keyed_state: Option<&KeyedState<A>>,
    scope: &Scope,
    keys: &MovedKeys,
) -> Option<KeyState> {
    let (actor, keyed_state) = (actor?, keyed_state?);
    let mut cx = Context::new(scope, NEVER, None, None);
    panics::catch(|| keyed_state.lose(actor, keys, &mut cx)).ok().flatten()
}

/// Gives an actor the state of these keys. Returns whether it has taken it.
pub(super) fn gain_keys<A: Actor>(
    actor: Option<&mut A>,
    keyed_state: Option<&KeyedState<A>>,
    scope: &Scope,
    keys: &MovedKeys,
    state: Option<KeyState>,
) -> bool {
    let (Some(actor), Some(keyed_state)) = (actor, keyed_state) else { return state.is_none() };
    let had_state = state.is_some();
    let mut cx = Context::new(scope, NEVER, None, None);
    let taken = panics::catch(|| keyed_state.gain(actor, keys, state, &mut cx));
    taken.is_ok() || !had_state
}
