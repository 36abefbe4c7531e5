use std::cell::RefCell;
use std::rc::Rc;

use super::exchange::{Driver, Exchange, drive_read, drive_shared, drive_write};
use crate::async_handler::{AsyncHandler, ReadWrite, SharedHandler};
use crate::context::Scope;
use crate::panics;

/// How handlers that run side by side share their actor.
pub(crate) trait Sharing<A, M, R>: 'static {
    /// The actor, as each driver has it.
    type Actor: Clone;

    /// Whether some messages run alone.
    const SOME_ALONE: bool;

    fn share(actor: A) -> Self::Actor;
    /// Takes the actor back, once no driver has it.
    fn take_back(actor: Self::Actor) -> Option<A>;
    /// Whether this message runs alone.
    fn runs_alone(msg: &M) -> bool;
    /// Creates the driver of a slot, or of the one whose tasks run `alone`.
    fn driver(
        actor: Self::Actor,
        scope: Rc<Scope>,
        exchange: Rc<Exchange<M, R>>,
        alone: bool,
    ) -> Driver;
}

/// All messages by `&self`.
pub(crate) struct Shared;

impl<A: SharedHandler<M>, M: Send + 'static> Sharing<A, M, A::Reply> for Shared {
    type Actor = Rc<A>;

    const SOME_ALONE: bool = false;

    fn share(actor: A) -> Rc<A> {
        Rc::new(actor)
    }

    fn take_back(actor: Rc<A>) -> Option<A> {
        Rc::into_inner(actor)
    }

    fn runs_alone(_: &M) -> bool {
        false
    }

    fn driver(
        actor: Rc<A>,
        scope: Rc<Scope>,
        exchange: Rc<Exchange<M, A::Reply>>,
        _: bool,
    ) -> Driver {
        Box::pin(drive_shared(actor, scope, exchange))
    }
}

/// Reads by `&self`, and writes alone, by `&mut self`.
pub(crate) struct ReadsAndWrites;

impl<A, M, R> Sharing<A, M, R> for ReadsAndWrites
where
    A: SharedHandler<M, Reply = R> + AsyncHandler<M, Reply = R>,
    M: ReadWrite + Send + 'static,
    R: crate::actor::Reply,
{
    type Actor = Rc<RefCell<A>>;

    const SOME_ALONE: bool = true;

    fn share(actor: A) -> Self::Actor {
        Rc::new(RefCell::new(actor))
    }

    fn take_back(actor: Self::Actor) -> Option<A> {
        Rc::into_inner(actor).map(RefCell::into_inner)
    }

    fn runs_alone(msg: &M) -> bool {
        // A message of which it is not known is a write.
        !panics::catch(|| msg.is_read()).unwrap_or(false)
    }

    fn driver(
        actor: Self::Actor,
        scope: Rc<Scope>,
        exchange: Rc<Exchange<M, R>>,
        alone: bool,
    ) -> Driver {
        match alone {
            true => Box::pin(drive_write(actor, scope, exchange)),
            false => Box::pin(drive_read(actor, scope, exchange)),
        }
    }
}
