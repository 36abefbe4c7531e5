//! The state that an actor keeps for keys, and how it moves with them.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;
use crate::keys::{KeyState, MovedKeys};
use crate::panics::Contained;

/// How the state that an actor keeps for keys moves to the actor of another worker together with the keys.
/// Returned by [`Actor::keyed_state`](crate::Actor::keyed_state).
///
/// Keys move when workers are added, retired or cannot be restarted. The pool then
///
/// 1. lets the old worker run the tasks of these keys that it has,
/// 2. takes their state from its actor, on the old worker's thread,
/// 3. gives it to the new worker's actor, on the new worker's thread,
/// 4. lets the new worker run the tasks of these keys that were sent meanwhile.
///
/// So the order of each key is kept, and no task finds the state missing. Keys move by partition, which have
/// many keys each, and several partitions together.
///
/// Keys move without their state, which is an [event](crate::EventKind::KeysMoved), if their old worker has
/// no actor that could give it away: the actor has panicked and its worker is not restarted, its thread was
/// given up as hung, or it has not come to it [in time](Self::within), because it runs another task. In a
/// pool that is shut down, state for which no task waits stays where it is.
///
/// An actor that is restarted or replaced has lost its state, unless it
/// [survives](crate::Actor::survives_panic): that is announced as a restart.
///
/// ```
/// use std::collections::HashMap;
/// # use raddle_core::WorkerSpec;
/// use raddle_runtime::{Actor, Context, Handler, KeyedState, Pool};
///
/// #[derive(Default)]
/// struct Counters(HashMap<&'static str, u64>);
///
/// impl Actor for Counters {
///     fn keyed_state() -> Option<KeyedState<Self>> {
///         Some(KeyedState::map(|counters: &mut Self| &mut counters.0))
///     }
/// }
///
/// impl Handler<&'static str> for Counters {
///     type Reply = u64;
///
///     fn handle(&mut self, name: &'static str, _: &mut Context<'_, Self>) -> u64 {
///         let count = self.0.entry(name).or_default();
///         *count += 1;
///         *count
///     }
/// }
///
/// let pool = Pool::builder("count").workers(1, WorkerSpec::general()).spawn(|_| Counters::default())?;
/// let count = |name| pool.task(name).key(name).ask().wait();
/// for name in ["a", "b", "c", "d"] {
///     assert_eq!(count(name)?, 1);
/// }
/// pool.resize(4)?;
/// for name in ["a", "b", "c", "d"] {
///     assert_eq!(count(name)?, 2); // on whichever worker
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyedState<A> {
    lose: Box<Lose<A>>,
    gain: Box<Gain<A>>,
    within: Duration,
}

type Lose<A> =
    dyn Fn(&mut A, &MovedKeys, &mut Context<'_, A>) -> Option<Box<dyn Any + Send>> + Send + Sync;
type Gain<A> =
    dyn Fn(&mut A, &MovedKeys, Option<Box<dyn Any + Send>>, &mut Context<'_, A>) + Send + Sync;

/// For how long keys wait for their state by default.
const WITHIN: Duration = Duration::from_secs(10);

impl<A: 'static> KeyedState<A> {
    /// The state is a map by the keys of the tasks: what is passed to
    /// [`TaskBuilder::key`](crate::TaskBuilder::key) hashes like the map's key. Moving keys takes time in
    /// proportion to the size of the map.
    pub fn map<K, V, S>(
        map: impl Fn(&mut A) -> &mut HashMap<K, V, S> + Send + Sync + 'static,
    ) -> Self
    where
        K: Hash + Eq + Send + 'static,
        V: Send + 'static,
        S: BuildHasher,
    {
        let map = Arc::new(map);
        let gains = Arc::clone(&map);
        Self::hooks(
            move |actor: &mut A, keys: &MovedKeys, _: &mut Context<'_, A>| {
                let map = map(actor);
                let moved: Vec<(K, V)> = map.extract_if(|key, _| keys.contains(key)).collect();
                // That is time in proportion to the capacity, too, and worth it after half have left.
                if map.len() < map.capacity() / 4 {
                    map.shrink_to_fit();
                }
                Some(moved)
            },
            move |actor: &mut A,
                  _: &MovedKeys,
                  moved: Option<Vec<(K, V)>>,
                  _: &mut Context<'_, A>| {
                gains(actor).extend(moved.into_iter().flatten());
            },
        )
    }

    /// The state is whatever `on_lost` takes from the actor that loses keys, and `on_gained` gives to the
    /// one that gains them.
    ///
    /// - `on_lost` is called after the actor's last task of the keys. If it returns `None`, there is nothing
    ///   to hand over, which is announced as [`KeysMoved`](crate::EventKind::KeysMoved).
    /// - `on_gained` is called before the actor's first task of the keys. It gets `None` if `on_lost`
    ///   returned that, or could not be called; that is the place to load the state from elsewhere. It is not
    ///   called for the keys that a pool's first workers begin with.
    ///
    /// Each gets only keys of tasks with one [capability](MovedKeys::capability). Both run between two tasks
    /// of their worker and count as hooks for the watchdog. If one panics, the state is lost, which is
    /// announced; the actor stays.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use raddle_core::WorkerSpec;
    /// # use raddle_runtime::{Actor, Context, Handler, KeyedState, Pool};
    /// struct Sessions(BTreeMap<u64, String>);
    ///
    /// impl Actor for Sessions {
    ///     fn keyed_state() -> Option<KeyedState<Self>> {
    ///         Some(KeyedState::hooks(
    ///             |sessions: &mut Self, keys, _| {
    ///                 Some(sessions.0.extract_if(.., |id, _| keys.contains(id)).collect::<Vec<_>>())
    ///             },
    ///             |sessions: &mut Self, _keys, moved, _| sessions.0.extend(moved.into_iter().flatten()),
    ///         ))
    ///     }
    /// }
    /// ```
    pub fn hooks<S: Send + 'static>(
        on_lost: impl Fn(&mut A, &MovedKeys, &mut Context<'_, A>) -> Option<S> + Send + Sync + 'static,
        on_gained: impl Fn(&mut A, &MovedKeys, Option<S>, &mut Context<'_, A>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            lose: Box::new(move |actor, keys, cx| {
                let state = on_lost(actor, keys, cx)?;
                Some(Box::new(state))
            }),
            gain: Box::new(move |actor, keys, state, cx| {
                let state = state.and_then(|state| state.downcast::<S>().ok());
                on_gained(actor, keys, state.map(|state| *state), cx);
            }),
            within: WITHIN,
        }
    }

    /// Sets how long keys that move wait for an old worker that has no task of theirs left, but runs
    /// another one: 10 s by default. Then they move without their state. A watchdog that gives the old
    /// worker's thread up ends the wait before.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { within: limit, ..self }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.within
    }

    pub(crate) fn lose(
        &self,
        actor: &mut A,
        keys: &MovedKeys,
        cx: &mut Context<'_, A>,
    ) -> Option<KeyState> {
        (self.lose)(actor, keys, cx).map(Contained::new)
    }

    pub(crate) fn gain(
        &self,
        actor: &mut A,
        keys: &MovedKeys,
        state: Option<KeyState>,
        cx: &mut Context<'_, A>,
    ) {
        (self.gain)(actor, keys, state.map(Contained::into_inner), cx);
    }
}

impl<A> fmt::Debug for KeyedState<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedState").field("within", &self.within).finish_non_exhaustive()
    }
}
