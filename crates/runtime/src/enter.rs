use crate::panics::{self, Contained};

/// Something that the threads of a pool's workers enter: the context of another runtime, such as
/// tokio's, whose timers and sockets then work in handlers and hooks. See
/// [`PoolBuilder::enter`](crate::PoolBuilder::enter).
///
/// Implemented for closures, and with the feature `tokio` for `tokio::runtime::Handle`.
pub trait Enter: Send + Sync + 'static {
    /// Enters, calls `run`, which returns when the worker's thread ends, and leaves again. If it does not
    /// call `run`, or panics before, the worker runs without.
    fn enter(&self, run: &mut dyn FnMut());
}

impl<F: Fn(&mut dyn FnMut()) + Send + Sync + 'static> Enter for F {
    fn enter(&self, run: &mut dyn FnMut()) {
        self(run);
    }
}

#[cfg(feature = "tokio")]
impl Enter for tokio::runtime::Handle {
    fn enter(&self, run: &mut dyn FnMut()) {
        let _entered = self.enter();
        run();
    }
}

impl<E: Enter> Enter for Contained<E> {
    fn enter(&self, run: &mut dyn FnMut()) {
        (**self).enter(run);
    }
}

/// Runs the whole of a worker's thread, inside of `context` if there is one.
pub(crate) fn run_inside(context: Option<&dyn Enter>, run: impl FnOnce()) {
    let mut run = Some(run);
    let mut run_once = || {
        if let Some(run) = run.take() {
            run();
        }
    };
    if let Some(context) = context {
        panics::contain(|| context.enter(&mut run_once));
    }
    run_once();
}
