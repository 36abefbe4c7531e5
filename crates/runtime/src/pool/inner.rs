use std::any::Any;
use std::sync::Arc;

use oneshot::Receiver;
use raddle_core::{TaskProfile, WorkerSpec};

use super::hedging::Hedges;
use super::housekeeper::Housekeeper;
use super::options::Picker;
use super::queued::{Queued, Route};
use super::submit::version_on_worker;
use crate::ask::{Ask, Waits};
use crate::crew::{Crew, Hosts};
use crate::deadline::NEVER;
use crate::deadlock::{Target, Workforce};
use crate::desk::Desk;
use crate::envelope::Envelope;
use crate::error::SpawnError;
use crate::panics::Contained;
use crate::reply::{ReplySender, SharedReply, Stored};
use crate::router::{Control, Placed, Router, Routing, Sent};
use crate::settings::Settings;
use crate::span::Caller;
#[cfg(feature = "test")]
use crate::test::note_pool;
#[cfg(not(feature = "test"))]
use crate::untested::note_pool;

pub(super) struct PoolInner<M, R> {
    pub(super) router: Arc<Router<Envelope<M, R>>>,
    pub(super) staff: Staff,
}

impl<M: Send + 'static, R: Send + 'static> PoolInner<M, R> {
    /// Sends a message without options, and returns its reply to come.
    #[inline(always)]
    pub(super) fn ask_plain(&self, routing: &Routing<Envelope<M, R>>, msg: M) -> Ask<M, R> {
        if let Some(caller) = Caller::of_this_thread() {
            return self.ask_traced(routing, msg, caller);
        }
        let (sender, receiver) = oneshot::channel();
        match self.router.send_plain(routing, msg, Some(ReplySender::Own(sender))) {
            Ok(Sent::Placed(placed)) => {
                self.admitted(receiver, None, version_on_worker(routing), placed, false)
            }
            Ok(sent) => self.waiting_plain(receiver, version_on_worker(routing), sent),
            Err(error) => Ask::refused(error),
        }
    }

    /// [`ask_plain`](Self::ask_plain) within a span. Out of line, so that others pay for nothing.
    #[cold]
    fn ask_traced(&self, routing: &Routing<Envelope<M, R>>, msg: M, caller: Caller) -> Ask<M, R> {
        let (sender, receiver) = oneshot::channel();
        let Router { clock, policy, .. } = &*self.router;
        let profile = TaskProfile::default().submitted_at(clock.now());
        let reply = Some(ReplySender::Own(sender));
        let envelope = Envelope::new(msg, reply, &profile, NEVER).traced(caller);
        let version = version_on_worker(routing);
        match self.router.dispatch_out_of_line(routing, None, &profile, envelope, policy, true) {
            Ok(Sent::Placed(placed)) => self.admitted(receiver, None, version, placed, false),
            Ok(sent) => self.waiting_plain(receiver, version, sent),
            Err(error) => Ask::refused(self.router.return_message(error)),
        }
    }

    #[cold]
    fn waiting_plain(
        &self,
        receiver: Receiver<Stored<R>>,
        version: Option<u64>,
        sent: Sent<Envelope<M, R>>,
    ) -> Ask<M, R> {
        let (clock, policy) = (&self.router.clock, self.router.policy);
        let profile = TaskProfile::default().submitted_at(clock.now());
        let route = Route { profile, picker: Picker::Pool, policy, deadline: NEVER };
        self.waiting(receiver, None, version, sent, route)
    }

    /// The ask of a task that was placed by a routing whose roster has this `version`. `None` if the
    /// asker is no worker.
    #[inline(always)]
    pub(super) fn admitted(
        &self,
        receiver: Receiver<Stored<R>>,
        shared: Option<Arc<SharedReply<R>>>,
        version: Option<u64>,
        placed: Placed,
        stays: bool,
    ) -> Ask<M, R> {
        let ask = Ask::admitted(receiver, shared);
        match version {
            None => ask,
            Some(version) => ask.by_handler(self.target(version, placed, stays)),
        }
    }

    /// The ask of a task that waits for room.
    #[cold]
    pub(super) fn waiting(
        &self,
        receiver: Receiver<Stored<R>>,
        shared: Option<Arc<SharedReply<R>>>,
        version: Option<u64>,
        sent: Sent<Envelope<M, R>>,
        route: Route,
    ) -> Ask<M, R> {
        // It may still be sent to any worker.
        let target = version.map(|version| self.target(version, Placed::Shed, false));
        Ask::waiting(receiver, shared, self.queue(sent, route), target)
    }

    /// Lets a task wait that was not placed.
    #[cold]
    pub(super) fn queue(&self, sent: Sent<Envelope<M, R>>, route: Route) -> Box<dyn Waits<M>> {
        let (router, desk) = (Arc::clone(&self.router), Arc::clone(&self.staff.desk));
        Box::new(Queued::new(router, desk, route, sent))
    }

    /// Where a task is that was placed; it can never move if it `stays`.
    #[cold]
    fn target(&self, version: u64, placed: Placed, stays: bool) -> Target {
        let Self { router, staff: Staff { crew, .. } } = self;
        let routing = router.routing().load();
        let stays = stays || !(routing.stealing || crew.settings.watchdog.is_some());
        let at = match placed {
            _ if !stays => None,
            // By a later roster, the position may be another worker's.
            Placed::Position(position) => (routing.roster.version() == version)
                .then(|| routing.roster.members()[position].worker.id()),
            Placed::Worker(worker) => Some(worker),
            Placed::Shed => None,
        };
        Target { pool: Arc::clone(crew) as Arc<dyn Workforce>, at }
    }
}

/// A pool's threads and what they run. Dropping it closes the pool; the threads end when they have run what
/// was admitted.
pub(super) struct Staff {
    pub(super) crew: Arc<Crew>,
    pub(super) desk: Arc<Desk>,
    pub(super) hedges: Arc<Hedges>,
    /// The router, which this drops last: it holds callbacks and strategies of the user's, which may
    /// panic then.
    _router: Contained<Arc<dyn Any + Send + Sync>>,
}

impl Staff {
    /// Starts the workers of the roster and the housekeeper.
    pub(super) fn start(
        name: &str,
        settings: Arc<Settings>,
        control: Arc<Control>,
        router: Arc<dyn Any + Send + Sync>,
        hosts: Box<dyn Hosts>,
        desk: Arc<Desk>,
        template: WorkerSpec,
    ) -> Result<Self, SpawnError> {
        let hedges = Arc::new(Hedges::new(settings.hedge_budget));
        let crew =
            Crew::new(name, settings, Arc::clone(&control), hosts, Arc::clone(&desk), template)?;
        let staff = Self { crew: Arc::new(crew), desk, hedges, _router: Contained::new(router) };
        let started = staff.crew.start_first().and_then(|()| {
            let housekeeper = Housekeeper {
                desk: Arc::clone(&staff.desk),
                crew: Arc::clone(&staff.crew),
                control,
                hedges: Arc::clone(&staff.hedges),
            };
            staff.crew.spawn_housekeeper(move || housekeeper.run())
        });
        if let Err(error) = started {
            staff.crew.close();
            // Without a limit, all of them end.
            let _ = staff.crew.end(None);
            return Err(error);
        }
        note_pool(&staff.crew);
        Ok(staff)
    }
}

impl Drop for Staff {
    fn drop(&mut self) {
        self.crew.close();
    }
}
