use std::time::Duration;

use raddle_core::sync::channel::{Receiver, RecvTimeoutError};

use super::shared::Shared;
use crate::{Actor, panics};

/// How often strategies work out anew what they keep off the selection path.
const REFRESH: Duration = Duration::from_secs(1);

/// The pool's own thread: what must be done from time to time and on no task's way. Ends at the
/// first word from `stop`.
pub(super) fn run<A: Actor>(shared: &Shared<A>, stop: &Receiver<()>) {
    while stop.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
        let routing = shared.routing.load();
        panics::contain(|| routing.strategy.refresh(&routing.roster));
    }
}
