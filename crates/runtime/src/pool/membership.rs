//! Changes of who the workers are and how well they are, one at a time.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

use raddle_core::{Health, Member, Recorder, Roster, Worker, WorkerId, WorkerSpec};
use raddle_strategies::{Prepared, Shadow, ShadowReport, Strategy, StrategyError};
use raddle_sync::channel;
use raddle_sync::thread::ThreadId;

use super::reviews::Reviews;
use super::routing::Routing;
use super::shared::Shared;
use crate::envelope::Envelope;
use crate::event::EventKind;
use crate::lease::Lease;
use crate::mailbox::{self, Mailbox};
use crate::worker::{Beginning, WorkerThread};
use crate::{Actor, MembershipError, SpawnError, panics};

/// What is known of a pool's workers and no dispatch needs.
pub(crate) struct Membership {
    /// The threads that are the workers at the moment.
    pub(super) tenures: Vec<Tenure>,
    /// No worker is added any more.
    pub(super) closed: bool,
    /// What [`resize`](crate::Pool::resize) adds.
    pub(super) template: WorkerSpec,
    /// Numbers given to workers that `resize` added.
    pub(super) numbered: usize,
    /// Workers that are to be closed as soon as no key mentions them.
    pub(super) retiring: Vec<WorkerId>,
    /// Whether keys are still to be given to their owners.
    pub(super) moving: bool,
    /// Who sets failing workers aside, where that is asked for.
    pub(super) reviews: Option<Reviews>,
}

/// A thread being a worker.
pub(super) struct Tenure {
    pub(super) worker: Arc<Worker>,
    pub(super) lease: Arc<Lease>,
    pub(super) thread: ThreadId,
    pub(super) quarantined: bool,
    /// The right to be the worker, while no thread is.
    pub(super) vacancy: Option<Recorder>,
}

impl Membership {
    pub(super) fn new(template: WorkerSpec, reviews: Option<Reviews>) -> Self {
        Self {
            tenures: Vec::new(),
            closed: false,
            template,
            numbered: 0,
            retiring: Vec::new(),
            moving: false,
            reviews,
        }
    }
}

impl<A: Actor> Shared<A> {
    /// Publishes another roster with its mailboxes, and gives the keys to their owners by it.
    pub(super) fn publish(
        &self,
        membership: &mut Membership,
        roster: Roster,
        mailboxes: Arc<[Mailbox<Envelope<A>>]>,
    ) {
        let mut routing =
            Routing { roster: Arc::new(roster), mailboxes, ..self.routing.load().clone() };
        panics::contain(|| routing.strategy = routing.strategy.refreshed(&routing.roster));
        let routing = Arc::new(routing);
        let known = self.routing.load().roster.members().len();
        self.routing.store(Arc::clone(&routing));
        // After the roster, so that who finds a key's new owner finds the owner.
        self.give_keys(membership, &routing, known);
    }

    /// Gives the keys to their owners, where a strategy routes them as far as is needed: the workers
    /// from position `joined` on have come.
    fn give_keys(&self, membership: &mut Membership, routing: &Routing<A>, joined: usize) {
        membership.moving = match routing.strategy.routes_keys() {
            true => !self.keys.reassign_few(&routing.roster, joined),
            false => !self.keys.reassign(&routing.roster),
        };
    }

    /// The same, though nobody has come.
    pub(super) fn give_keys_again(&self, membership: &mut Membership) {
        let routing = self.routing.load();
        self.give_keys(membership, &routing, routing.roster.members().len());
    }

    /// Publishes a worker's health; nothing when it is no member any more.
    pub(super) fn publish_health(&self, membership: &mut Membership, id: WorkerId, health: Health) {
        let routing = self.routing.load();
        if let Ok(roster) = routing.roster.with_health(id, health) {
            let mailboxes = Arc::clone(&routing.mailboxes);
            self.publish(membership, roster, mailboxes);
        }
    }

    /// Replaces the strategy.
    pub(super) fn set_strategy(&self, strategy: Arc<dyn Strategy>) -> Result<(), StrategyError> {
        strategy.validate()?;
        let mut membership = self.membership();
        self.store_strategy(strategy, None);
        self.give_keys_again(&mut membership);
        Ok(())
    }

    /// Prepares the strategy again by the latest statistics.
    pub(super) fn refresh_strategy(&self) {
        let mut next = self.routing.load().clone();
        panics::contain(|| next.strategy = next.strategy.refreshed(&next.roster));
        if !next.strategy.is_specific() {
            return;
        }
        let _membership = self.membership();
        let routing = self.routing.load();
        // Whoever has published another roster or strategy meanwhile has prepared it.
        if Arc::ptr_eq(&routing.roster, &next.roster)
            && Arc::ptr_eq(routing.strategy.strategy(), next.strategy.strategy())
        {
            self.routing.store(Arc::new(next));
        }
    }

    /// Lets another strategy be scored beside the present one.
    pub(super) fn set_shadow(&self, shadow: Option<Arc<dyn Strategy>>) {
        let membership = self.membership();
        let routing = self.routing.load();
        let live = match &routing.shadow {
            Some(shadow) => Arc::clone(shadow.live()),
            None => Arc::clone(routing.strategy.strategy()),
        };
        match shadow {
            None => self.store_strategy(live, None),
            Some(shadow) => {
                let shadow = Arc::new(Shadow::new(live, shadow));
                self.store_strategy(Arc::clone(&shadow) as Arc<dyn Strategy>, Some(shadow));
            }
        }
        drop(membership);
    }

    pub(super) fn shadow_report(&self) -> Option<ShadowReport> {
        self.routing.load().shadow.as_ref().map(|shadow| shadow.report())
    }

    /// To be called under the lock of membership.
    fn store_strategy(&self, strategy: Arc<dyn Strategy>, shadow: Option<Arc<Shadow>>) {
        let routing = self.routing.load();
        let strategy = Prepared::new(strategy, &routing.roster);
        let stealing = self.settings.stealing.unwrap_or_else(|| strategy.lets_steal());
        let name = strategy.name();
        let next = Routing {
            roster: Arc::clone(&routing.roster),
            mailboxes: Arc::clone(&routing.mailboxes),
            strategy,
            shadow,
            stealing,
        };
        self.routing.store(Arc::new(next));
        self.tell(EventKind::StrategyChanged { strategy: name });
    }

    /// Spawns a thread for a worker; `beginning` is told when its actor is made.
    pub(super) fn spawn_thread(
        self: &Arc<Self>,
        mailbox: &Mailbox<Envelope<A>>,
        recorder: Recorder,
        beginning: Beginning,
    ) -> std::io::Result<Tenure> {
        let worker = Arc::clone(mailbox.worker());
        let lease = Arc::new(Lease::new());
        let name = format!("raddle-{}-{}", self.name, worker.name());
        let added = matches!(beginning, Beginning::First(_)).then(|| worker.name());
        let thread =
            WorkerThread::new(Arc::clone(self), mailbox, recorder, Arc::clone(&lease), beginning);
        let thread = self.threads.spawn(name, added, move || thread.run())?;
        Ok(Tenure { worker, lease, thread, quarantined: false, vacancy: None })
    }

    /// Spawns a thread for each of these new workers and waits until their actors are made.
    pub(super) fn start(
        self: &Arc<Self>,
        mailboxes: &[Mailbox<Envelope<A>>],
    ) -> Result<Vec<Tenure>, SpawnError> {
        let (report, reports) = channel::unbounded();
        let mut tenures = Vec::with_capacity(mailboxes.len());
        for mailbox in mailboxes {
            let worker = mailbox.worker();
            let Some(recorder) = worker.recorder() else {
                unreachable!("the worker was made for this thread, so its recorder is free")
            };
            let beginning = Beginning::First(report.clone());
            let tenure = self.spawn_thread(mailbox, recorder, beginning).map_err(|source| {
                SpawnError::Thread { worker: worker.name().to_owned(), source }
            })?;
            tenures.push(tenure);
        }
        drop(report);
        mailboxes.iter().try_for_each(|_| reports.recv().unwrap_or(Ok(())))?;
        Ok(tenures)
    }

    /// Adds workers: they are given tasks once all have started.
    pub(super) fn add_workers(
        self: &Arc<Self>,
        specs: &[WorkerSpec],
    ) -> Result<Vec<WorkerId>, MembershipError> {
        // Not the lock of membership, which the watchdog needs: an actor may take long to start.
        self.grow(self.growing(), specs)
    }

    fn grow(
        self: &Arc<Self>,
        growing: MutexGuard<'_, ()>,
        specs: &[WorkerSpec],
    ) -> Result<Vec<WorkerId>, MembershipError> {
        if self.membership().closed {
            return Err(MembershipError::Closed);
        }
        let grown = self.routing.load().roster.with_workers(specs).map_err(SpawnError::from)?;
        let added = &grown.members()[grown.members().len() - specs.len()..];
        check_names(added)?;
        let room = self.settings.capacity;
        let mailboxes: Vec<_> =
            added.iter().map(|member| mailbox::bounded(Arc::clone(&member.worker), room)).collect();
        let started = self.start(&mailboxes);
        let mut membership = self.membership();
        let refused = match started {
            Ok(tenures) if !membership.closed => {
                membership.tenures.extend(tenures);
                None
            }
            Ok(_) => Some(MembershipError::Closed),
            Err(error) => Some(error.into()),
        };
        if let Some(error) = refused {
            // Those that started have nothing in flight and end at once.
            mailboxes.iter().for_each(Mailbox::close);
            return Err(error);
        }
        let routing = self.routing.load();
        let all = routing.mailboxes.iter().cloned().chain(mailboxes).collect();
        self.publish(&mut membership, routing.roster.with_new_members_of(&grown), all);
        drop((membership, growing));
        for member in added {
            self.tell_of(&member.worker, EventKind::Added);
        }
        self.desk.look();
        Ok(added.iter().map(|member| member.worker.id()).collect())
    }

    /// Lets a worker take no more tasks and end when it has run those it has.
    pub(super) fn retire_worker(&self, id: WorkerId) -> Result<(), MembershipError> {
        let mut membership = self.membership();
        self.retire(&mut membership, id)
    }

    fn retire(&self, membership: &mut Membership, id: WorkerId) -> Result<(), MembershipError> {
        if membership.closed {
            return Err(MembershipError::Closed);
        }
        let routing = self.routing.load();
        let members = routing.roster.members();
        let taking = |member: &&Member| member.health != Health::Draining;
        let Some(member) = members.iter().filter(taking).find(|member| member.worker.id() == id)
        else {
            return Err(MembershipError::UnknownWorker(id));
        };
        if members.iter().filter(taking).count() == 1 {
            return Err(MembershipError::LastWorker(id));
        }
        self.publish_health(membership, id, Health::Draining);
        membership.retiring.push(id);
        self.tell_of(&member.worker, EventKind::Draining);
        self.close_retiring(membership);
        self.desk.look();
        Ok(())
    }

    /// Closes the retiring workers that own no key any more. To be called from time to time.
    pub(super) fn close_retiring(&self, membership: &mut Membership) {
        let routing = self.routing.load();
        if membership.moving {
            self.give_keys_again(membership);
        }
        if !membership.retiring.is_empty() {
            // Who saw an older roster may have given it a key since.
            self.keys.reassign_few(&routing.roster, routing.roster.members().len());
        }
        membership.retiring.retain(|id| {
            let Some(position) = routing.position_of(id.short_id()) else { return false };
            let stays = self.keys.mention(id.short_id());
            if !stays {
                routing.mailboxes[position].close();
            }
            stays
        });
    }

    /// Makes the pool have so many workers that take tasks.
    pub(super) fn resize(self: &Arc<Self>, count: usize) -> Result<(), MembershipError> {
        if count == 0 {
            return Err(MembershipError::NoWorkers);
        }
        // First of all, so that those are counted that another call is adding.
        let growing = self.growing();
        let mut membership = self.membership();
        if membership.closed {
            return Err(MembershipError::Closed);
        }
        let routing = self.routing.load();
        let members = routing.roster.members().iter();
        let taking: Vec<_> =
            members.clone().filter(|member| member.health != Health::Draining).collect();
        // The youngest go first.
        for member in taking.iter().skip(count) {
            self.retire(&mut membership, member.worker.id())?;
        }
        let names: HashSet<_> = members.map(|member| member.worker.name()).collect();
        let mut specs = Vec::new();
        while taking.len() + specs.len() < count {
            let spec = membership.template.numbered(membership.numbered);
            membership.numbered += 1;
            if !names.contains(spec.name()) {
                specs.push(spec);
            }
        }
        drop(membership);
        if specs.is_empty() { Ok(()) } else { self.grow(growing, &specs).map(drop) }
    }

    /// Takes a worker out at once, as its actor is not made anew: it gets no more tasks and no
    /// keys. What it has is to be moved or ended by its thread.
    pub(crate) fn expel(&self, mailbox: &Mailbox<Envelope<A>>) {
        let id = mailbox.worker().id();
        let mut membership = self.membership();
        membership.retiring.retain(|retiring| *retiring != id);
        // The pool's end has closed it, and takes its keys nowhere.
        if !membership.closed {
            self.publish_health(&mut membership, id, Health::Draining);
        }
        mailbox.close();
    }

    /// A worker's thread is at its end with nothing in flight: the worker is gone, unless the pool
    /// is. `false` then.
    pub(crate) fn depart(&self, worker: &Arc<Worker>) -> bool {
        let mut membership = self.membership();
        membership.tenures.retain(|tenure| !Arc::ptr_eq(&tenure.worker, worker));
        if membership.closed {
            return false;
        }
        let routing = self.routing.load();
        // Not by its id: where it was never added, that is given again.
        let is_it = |member: &Member| Arc::ptr_eq(&member.worker, worker);
        let Some(position) = routing.roster.members().iter().position(is_it) else { return false };
        let Ok(roster) = routing.roster.without_worker(worker.id()) else { return false };
        let others = routing.mailboxes.iter().enumerate().filter(|(at, _)| *at != position);
        let mailboxes = others.map(|(_, mailbox)| mailbox.clone()).collect();
        self.publish(&mut membership, roster, mailboxes);
        self.ledger.inherit(&worker.stats().counts().settled());
        true
    }

    /// Refuses every task, and every change of membership, from now on; whether it did not before.
    pub(super) fn close(&self) -> bool {
        let mut membership = self.membership();
        let was_closed = std::mem::replace(&mut membership.closed, true);
        membership.retiring.clear();
        for mailbox in self.routing.load().mailboxes.iter() {
            mailbox.close();
        }
        drop(membership);
        self.desk.look();
        self.closing.tell(&());
        !was_closed
    }

    /// Closes the pool, as a worker was retired by its restarts.
    pub(crate) fn fail(&self) {
        if self.close() {
            self.tell(EventKind::Failed);
        }
    }
}

/// Checks that the names of new workers can be those of threads.
pub(super) fn check_names(members: &[Member]) -> Result<(), SpawnError> {
    let mut names = members.iter().map(|member| member.worker.name());
    match names.find(|name| name.contains('\0')) {
        Some(name) => Err(SpawnError::Name { name: name.to_owned() }),
        None => Ok(()),
    }
}
