use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use crate::actor::Reply;
use crate::async_context::{Asked, AsyncContext, AsyncTask};
use crate::async_handler::{AsyncHandler, SharedHandler};
use crate::context::{After, Scope};
use crate::reply::{Asker, ReplySender};
#[cfg(feature = "test")]
use crate::test::{after_handler, before_handler};
#[cfg(not(feature = "test"))]
use crate::untested::{after_handler, before_handler};

/// What a host and its [driver](drive) pass to each other: a task, and its result.
pub(crate) struct Exchange<M, R> {
    msg: Cell<Option<M>>,
    deadline: Cell<u64>,
    /// The running task's asker.
    pub(super) asker: RefCell<Option<ReplySender<R>>>,
    asked: Asked,
    /// The handler's reply, and whether it is a failure.
    reply: Cell<Option<(R, bool)>>,
}

impl<M, R> Exchange<M, R> {
    pub(super) fn new() -> Self {
        Self {
            msg: Cell::new(None),
            deadline: Cell::new(0),
            asker: RefCell::new(None),
            asked: Asked::default(),
            reply: Cell::new(None),
        }
    }

    /// Passes a task to the driver.
    #[inline]
    pub(super) fn put(&self, msg: M, deadline: u64, asker: Option<ReplySender<R>>) {
        self.msg.set(Some(msg));
        self.deadline.set(deadline);
        if let Some(asker) = asker {
            *self.asker.borrow_mut() = Some(asker);
        }
    }

    /// Takes the handler's reply and whether it is a failure, if it has ended.
    #[inline]
    pub(super) fn take_reply(&self) -> Option<(R, bool)> {
        self.reply.take()
    }

    /// Takes what the handler has asked for, if anything.
    #[inline]
    pub(super) fn take_asked(&self) -> Option<After> {
        self.asked.take()
    }
}

/// What drivers do.
impl<M, R: Reply> Exchange<M, R> {
    /// Waits for the next message.
    #[inline]
    fn next(&self) -> impl Future<Output = M> {
        poll_fn(|_| self.msg.take().map_or(Poll::Pending, Poll::Ready))
    }

    #[inline]
    fn context<'t, A>(&'t self, scope: &'t Scope) -> AsyncContext<'t, A> {
        AsyncContext::new(scope, self, self.deadline.get(), &self.asked)
    }

    #[inline]
    fn finish(&self, reply: R) {
        let failed = reply.is_failure();
        self.reply.set(Some((reply, failed)));
    }
}

impl<M, R> AsyncTask for Exchange<M, R> {
    fn has_withdrawn(&self) -> bool {
        self.asker.borrow().as_ref().is_some_and(Asker::has_withdrawn)
    }
}

/// Handles messages, one after the other. Not a function: the future of a closure that it calls would
/// cost each task some instructions.
macro_rules! serve {
    ($exchange:ident, $scope:ident, |$msg:ident, $cx:ident| $reply:expr) => {
        loop {
            let $msg = $exchange.next().await;
            let mut cx = $exchange.context(&$scope);
            let $cx = &mut cx;
            let loses_reply = before_handler(&$scope.worker);
            let reply = $reply.await;
            after_handler(loses_reply);
            $exchange.finish(reply);
        }
    };
}

/// The handlers of one slot's tasks, as one future.
pub(super) type Driver = Pin<Box<dyn Future<Output = Infallible>>>;

/// Runs the handlers of an actor's tasks, one after the other, as parts of one future. Dropping it drops
/// the running handler, and not the actor.
#[allow(clippy::await_holding_refcell_ref, reason = "nothing else borrows it meanwhile")]
pub(super) async fn drive<A: AsyncHandler<M>, M: Send + 'static>(
    actor: Rc<RefCell<A>>,
    scope: Rc<Scope>,
    exchange: Rc<Exchange<M, A::Reply>>,
) -> Infallible {
    let actor = &mut *actor.borrow_mut();
    serve!(exchange, scope, |msg, cx| actor.handle(msg, cx))
}

/// As [`drive`], of an actor that other drivers use as well.
pub(super) async fn drive_shared<A: SharedHandler<M>, M: Send + 'static>(
    actor: Rc<A>,
    scope: Rc<Scope>,
    exchange: Rc<Exchange<M, A::Reply>>,
) -> Infallible {
    serve!(exchange, scope, |msg, cx| actor.handle(msg, cx))
}

/// As [`drive_shared`], of an actor that [`drive_write`] changes between the tasks of all readers.
#[allow(clippy::await_holding_refcell_ref, reason = "no write runs beside a read")]
pub(super) async fn drive_read<A: SharedHandler<M>, M: Send + 'static>(
    actor: Rc<RefCell<A>>,
    scope: Rc<Scope>,
    exchange: Rc<Exchange<M, A::Reply>>,
) -> Infallible {
    serve!(exchange, scope, |msg, cx| actor.borrow().handle(msg, cx))
}

/// As [`drive`], of an actor that others read meanwhile, but not during a task.
#[allow(clippy::await_holding_refcell_ref, reason = "nothing runs beside a write")]
pub(super) async fn drive_write<A: AsyncHandler<M>, M: Send + 'static>(
    actor: Rc<RefCell<A>>,
    scope: Rc<Scope>,
    exchange: Rc<Exchange<M, A::Reply>>,
) -> Infallible {
    serve!(exchange, scope, |msg, cx| actor.borrow_mut().handle(msg, cx))
}
