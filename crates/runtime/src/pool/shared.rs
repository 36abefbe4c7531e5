use std::sync::{Arc, MutexGuard, PoisonError};

use raddle_core::{Clock, Worker};
use raddle_sync::Snapshot;
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::hedging::Hedges;
use super::housekeeper::Desk;
use super::membership::Membership;
use super::routing::Routing;
use super::settings::{Factory, Settings, ShedReason};
use super::threads::Threads;
use crate::account::Ledger;
use crate::envelope::Envelope;
use crate::event::{Event, EventKind};
use crate::keys::{KeyTables, Slot};
use crate::mailbox::Sleepers;
use crate::panics::Contained;
use crate::subscription::Subscribers;
use crate::{Account, Actor, AskError, SendError, panics};

/// What a pool's handles, workers and housekeeper share.
pub(crate) struct Shared<A: Actor> {
    pub(crate) name: Box<str>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings<A>,
    pub(crate) make: Box<Factory<A>>,
    pub(crate) routing: Snapshot<Routing<A>>,
    pub(crate) keys: KeyTables,
    pub(crate) ledger: Ledger,
    pub(crate) sleepers: Arc<Sleepers>,
    pub(crate) threads: Threads,
    pub(crate) subscribers: Subscribers<Event>,
    /// Given a token when the pool takes no more tasks.
    pub(super) closing: Subscribers<()>,
    pub(crate) hedges: Hedges,
    /// What the housekeeper is to do.
    pub(crate) desk: Desk<A>,
    /// Set when what is queued is to be cancelled. The workers read it before each task.
    pub(crate) cancelling: AtomicBool,
    /// The messages of what was cancelled so.
    #[allow(clippy::disallowed_types, reason = "locked by tasks that are cancelled at the end")]
    pub(crate) unfinished: std::sync::Mutex<Vec<Contained<A::Msg>>>,
    #[allow(clippy::disallowed_types, reason = "locked by changes of membership, not by tasks")]
    membership: std::sync::Mutex<Membership>,
    /// Locked while workers are added.
    #[allow(clippy::disallowed_types, reason = "locked by changes of membership, not by tasks")]
    growing: std::sync::Mutex<()>,
}

impl<A: Actor> Shared<A> {
    pub(super) fn new(
        name: &str,
        settings: Settings<A>,
        make: Box<Factory<A>>,
        routing: Routing<A>,
        membership: Membership,
    ) -> Self {
        Self {
            name: name.into(),
            clock: routing.roster.clock().clone(),
            hedges: Hedges::new(settings.hedge_budget),
            settings,
            make,
            routing: Snapshot::new(Arc::new(routing)),
            keys: KeyTables::new(),
            ledger: Ledger::default(),
            sleepers: Arc::default(),
            threads: Threads::default(),
            subscribers: Subscribers::default(),
            closing: Subscribers::default(),
            desk: Desk::new(),
            cancelling: AtomicBool::new(false),
            unfinished: Vec::new().into(),
            membership: membership.into(),
            growing: ().into(),
        }
    }

    /// Counts a refused task on its way back to the caller.
    #[cold]
    pub(super) fn rejected(&self, error: SendError<Envelope<A>>) -> SendError<A::Msg> {
        self.refused(error.map(|envelope| envelope.msg))
    }

    /// The same of a task that did not become one.
    #[cold]
    pub(super) fn refused(&self, error: SendError<A::Msg>) -> SendError<A::Msg> {
        self.ledger.reject();
        if let Some(told) = &self.settings.on_rejected {
            panics::contain(|| told(&error));
        }
        error
    }

    /// Ends a task that was dropped for overload and is no longer any worker's.
    #[cold]
    pub(crate) fn shed(&self, envelope: Envelope<A>, reason: ShedReason) {
        let Envelope { msg, reply, .. } = envelope;
        self.ledger.shed();
        panics::contain(|| {
            if let Some(reply) = reply {
                drop(reply.send(Err(AskError::Shed)));
            }
        });
        panics::contain(|| match &self.settings.on_shed {
            Some(given) => given(msg, reason),
            None => drop(msg),
        });
    }

    /// Keeps the message of a task that a shutdown cancelled.
    #[cold]
    pub(crate) fn keep_unfinished(&self, msg: A::Msg) {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).push(Contained::new(msg));
    }

    /// A task of a key's slot that was bound to `seat` has ended, or was not sent.
    pub(crate) fn release_key(&self, slot: Slot, seat: u16) {
        let Some(next) = self.keys.release(slot, seat) else { return };
        let routing = self.routing.load();
        if let Some(position) = routing.position_of(next) {
            routing.mailboxes[position].wake();
        }
    }

    pub(super) fn account(&self) -> Account {
        self.ledger.account(&self.routing.load().roster)
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling.load(Relaxed)
    }

    /// Tells subscribers and the log of something that happened to a worker.
    pub(crate) fn tell_of(&self, worker: &Worker, kind: EventKind) {
        tracing::info!(pool = &*self.name, worker = worker.name(), "{kind}");
        let name = worker.name().to_owned();
        self.subscribers.tell(&Event { worker: Some(worker.id()), name, kind });
    }

    /// The same of the pool.
    pub(crate) fn tell(&self, kind: EventKind) {
        tracing::info!(pool = &*self.name, "{kind}");
        self.subscribers.tell(&Event { worker: None, name: self.name.to_string(), kind });
    }

    #[allow(clippy::disallowed_types, reason = "locked by changes of membership, not by tasks")]
    pub(super) fn membership(&self) -> MutexGuard<'_, Membership> {
        // What panics while it is held has not changed it yet.
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(clippy::disallowed_types, reason = "locked by changes of membership, not by tasks")]
    pub(super) fn growing(&self) -> MutexGuard<'_, ()> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
