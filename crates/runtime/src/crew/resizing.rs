//! Adds and retires workers.

use std::sync::Arc;

use raddle_core::{Health, Member, Roster, Worker, WorkerId, WorkerSpec};
use raddle_sync::channel;
use raddle_sync::lock::MutexGuard;

use super::Crew;
use super::membership::{Assignment, Membership};
use crate::error::{MembershipError, SpawnError};
use crate::event::EventKind;

impl Crew {
    /// Spawns a thread for each of these new workers and waits until their actors have started.
    pub(super) fn start(
        self: &Arc<Self>,
        members: &[Member],
    ) -> Result<Vec<Assignment>, SpawnError> {
        let (started, starts) = channel::unbounded();
        let mut assignments = Vec::with_capacity(members.len());
        for Member { worker, .. } in members {
            let Some(recorder) = worker.recorder() else {
                unreachable!("the worker is new, so its recorder is free")
            };
            let assignment = self.spawn_thread(worker, recorder, Some(started.clone()));
            assignments.push(
                assignment.map_err(|source| SpawnError::Thread {
                    name: worker.name().to_owned(),
                    source,
                })?,
            );
        }
        drop(started);
        members.iter().try_for_each(|_| starts.recv().unwrap_or(Ok(())))?;
        Ok(assignments)
    }

    /// Adds workers, which are given tasks once all of them have started.
    pub(crate) fn add_workers(
        self: &Arc<Self>,
        specs: &[WorkerSpec],
    ) -> Result<Vec<WorkerId>, MembershipError> {
        // Not the lock of membership, which the watchdog needs: a start may take long.
        self.grow(self.growing.lock(), specs)
    }

    fn grow(
        self: &Arc<Self>,
        growing: MutexGuard<'_, ()>,
        specs: &[WorkerSpec],
    ) -> Result<Vec<WorkerId>, MembershipError> {
        let grown = self.open_roster()?.with_workers(specs).map_err(SpawnError::from)?;
        let added = &grown.members()[grown.members().len() - specs.len()..];
        check_names(added)?;
        self.router.open(added);
        let joined = self.start(added).map_err(MembershipError::from).and_then(|assignments| {
            let mut membership = self.membership.lock();
            if !self.router.join(&grown) {
                return Err(MembershipError::Closed);
            }
            membership.assignments.extend(assignments);
            Ok(())
        });
        joined.inspect_err(|_| self.router.abandon())?;
        drop(growing);
        for member in added {
            self.announcer.of_worker(&member.worker, EventKind::Added);
        }
        self.housekeeper.notify();
        Ok(added.iter().map(|member| member.worker.id()).collect())
    }

    /// Lets a worker take no more tasks, and leave when it has run those it has.
    pub(crate) fn retire_worker(&self, id: WorkerId) -> Result<(), MembershipError> {
        let membership = self.membership.lock();
        let roster = self.open_roster()?;
        let active: Vec<_> = active_workers(&roster).collect();
        let Some(worker) = active.iter().find(|worker| worker.id() == id) else {
            return Err(MembershipError::UnknownWorker(id));
        };
        if active.len() == 1 {
            return Err(MembershipError::LastWorker(id));
        }
        self.retire(membership, &[worker]);
        Ok(())
    }

    /// Retires active workers; closes those that own no key.
    fn retire(&self, mut membership: MutexGuard<'_, Membership>, workers: &[&Arc<Worker>]) {
        for worker in workers {
            self.router.set_health(worker.id(), Health::Draining);
            membership.retiring.push(worker.id());
        }
        drop(membership);
        for worker in workers {
            self.announcer.of_worker(worker, EventKind::Draining);
        }
        self.close_retiring();
        self.housekeeper.notify();
    }

    /// The roster of a pool that is not closed.
    fn open_roster(&self) -> Result<Arc<Roster>, MembershipError> {
        let is_open = !self.router.is_closed();
        is_open.then(|| self.router.roster()).ok_or(MembershipError::Closed)
    }

    /// Closes the retiring workers that own no key any more. Returns whether some keys have yet to
    /// move.
    pub(super) fn close_retiring(&self) -> bool {
        self.router.close_unowned(&mut self.membership.lock().retiring)
    }

    /// Changes the number of workers that take tasks.
    pub(crate) fn resize(self: &Arc<Self>, count: usize) -> Result<(), MembershipError> {
        if count == 0 {
            return Err(MembershipError::NoWorkers);
        }
        // First, so that workers which another call is adding are counted.
        let growing = self.growing.lock();
        let mut membership = self.membership.lock();
        let roster = self.open_roster()?;
        let active: Vec<_> = active_workers(&roster).collect();
        let is_taken =
            |name: &str| roster.members().iter().any(|member| member.worker.name() == name);
        let mut specs = Vec::new();
        while active.len() + specs.len() < count {
            let spec = membership.template.numbered(membership.numbered);
            membership.numbered += 1;
            if !is_taken(spec.name()) {
                specs.push(spec);
            }
        }
        if !specs.is_empty() {
            drop(membership);
            return self.grow(growing, &specs).map(drop);
        }
        // Retiring announces events, which subscribers of the log see: nothing is held then.
        drop(growing);
        // The newest are retired first.
        self.retire(membership, active.get(count..).unwrap_or_default());
        Ok(())
    }
}

fn active_workers(roster: &Roster) -> impl Iterator<Item = &Arc<Worker>> {
    let active = |member: &&Member| member.health != Health::Draining;
    roster.members().iter().filter(active).map(|member| &member.worker)
}

/// Checks that threads can have the names of new workers.
pub(crate) fn check_names(members: &[Member]) -> Result<(), SpawnError> {
    let mut names = members.iter().map(|member| member.worker.name());
    match names.find(|name| name.contains('\0')) {
        Some(name) => Err(SpawnError::Name { name: name.to_owned() }),
        None => Ok(()),
    }
}
