//! Spans of handlers, if the feature `tracing` is on. A task that is sent within a span carries that; its
//! handler then runs in a span of its own that *follows from* the caller's. This is a link: the handler's
//! span has no parent, so a chain of tasks does not become an ever deeper tree.
//!
//! Subscribers are the user's code: a panic of theirs is ignored, as for events.

#[cfg(feature = "tracing")]
mod recorded {
    use tracing::Span;
    use tracing::dispatcher::{self, DefaultGuard};
    use tracing::level_filters::LevelFilter;

    use crate::log;
    use crate::panics::Contained;

    /// The span in which a task was sent.
    pub(crate) struct Caller(Contained<Span>);

    /// The span of a handler that runs. Not left by a guard, which would do so while a panic of the handler
    /// unwinds: if the subscriber panicked too, the process would abort.
    pub(crate) struct Entered {
        span: Contained<Span>,
        /// `None` while the handler waits.
        subscriber: Option<DefaultGuard>,
    }

    impl Caller {
        /// The calling thread's span, if its subscriber records it. A load and a comparison, if there is
        /// no subscriber.
        #[inline(always)]
        pub(crate) fn of_this_thread() -> Option<Self> {
            if LevelFilter::current() == LevelFilter::OFF { None } else { Self::current() }
        }

        #[cold]
        #[inline(never)]
        fn current() -> Option<Self> {
            let mut caller = None;
            log::contained(|| {
                let span = Span::current();
                if !span.is_disabled() {
                    caller = Some(Self(Contained::new(span)));
                }
            });
            caller
        }

        /// Enters a span that follows from this one, for the handler of a worker, which is `pool/worker`.
        #[cold]
        pub(crate) fn enter(self, worker: &str) -> Option<Box<Entered>> {
            let mut entered = None;
            log::contained(|| {
                // It may be the subscriber of the caller's thread alone.
                let dispatch = self.0.with_subscriber(|(_, dispatch)| dispatch.clone());
                let Some(dispatch) = dispatch else { return };
                let subscriber = dispatcher::set_default(&dispatch);
                let span = tracing::info_span!(parent: None, "task", worker);
                let span = Contained::new(span);
                span.follows_from(&*self.0);
                let _ = span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
                entered = Some(Box::new(Entered { span, subscriber: Some(subscriber) }));
            });
            entered
        }
    }

    impl Entered {
        /// Leaves the span, which ends.
        #[cold]
        pub(crate) fn leave(mut self) {
            self.pause();
        }

        /// Leaves the span for as long as the handler waits.
        #[cold]
        pub(crate) fn pause(&mut self) {
            if let Some(subscriber) = self.subscriber.take() {
                let span = &self.span;
                log::contained(|| _ = span.with_subscriber(|(id, dispatch)| dispatch.exit(id)));
                log::contained(|| drop(subscriber));
            }
        }

        /// Enters the span again.
        #[cold]
        pub(crate) fn resume(&mut self) {
            let Self { span, subscriber } = self;
            if subscriber.is_none() {
                log::contained(|| {
                    let entered = span.with_subscriber(|(id, dispatch)| {
                        let subscriber = dispatcher::set_default(dispatch);
                        dispatch.enter(id);
                        subscriber
                    });
                    *subscriber = entered;
                });
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod recorded {
    /// There is none.
    pub(crate) enum Caller {}

    /// There is none.
    pub(crate) enum Entered {}

    impl Caller {
        #[inline(always)]
        pub(crate) fn of_this_thread() -> Option<Self> {
            None
        }

        pub(crate) fn enter(self, _: &str) -> Option<Box<Entered>> {
            match self {}
        }
    }

    impl Entered {
        pub(crate) fn leave(self) {
            match self {}
        }

        pub(crate) fn pause(&mut self) {
            match *self {}
        }

        pub(crate) fn resume(&mut self) {
            match *self {}
        }
    }
}

pub(crate) use recorded::{Caller, Entered};
