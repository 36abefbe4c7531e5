//! Adds and retires workers.

use std::collections::HashSet;
use std::sync::Arc;

use raddle_core::{Health, Member, Worker, WorkerId, WorkerSpec};
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
        if self.router.is_closed() {
            return Err(MembershipError::Closed);
        }
        let grown = self.router.roster().with_workers(specs).map_err(SpawnError::from)?;
        let added = &grown.members()[grown.members().len() - specs.len()..];
        check_names(added)?;
        self.router.open(added);
        let refused = match self.start(added) {
            Ok(assignments) => {
                let mut membership = self.membership.lock();
                if self.router.join(&grown) {
                    membership.assignments.extend(assignments);
                    None
                } else {
                    Some(MembershipError::Closed)
                }
            }
            Err(error) => Some(error.into()),
        };
        if let Some(error) = refused {
            self.router.abandon();
            return Err(error);
        }
        drop(growing);
        for member in added {
            self.announcer.of_worker(&member.worker, EventKind::Added);
        }
        self.housekeeper.notify();
        Ok(added.iter().map(|member| member.worker.id()).collect())
    }

    /// Lets a worker take no more tasks, and leave when it has run those it has.
    pub(crate) fn retire_worker(&self, id: WorkerId) -> Result<(), MembershipError> {
        let retired = self.retire(&mut self.membership.lock(), id)?;
        self.drain([retired]);
        Ok(())
    }

    fn retire(
        &self,
        membership: &mut Membership,
        id: WorkerId,
    ) -> Result<Arc<Worker>, MembershipError> {
        if self.router.is_closed() {
            return Err(MembershipError::Closed);
        }
        let roster = self.router.roster();
        let mut active = roster.members().iter().filter(|member| is_active(member));
        let Some(member) = active.clone().find(|member| member.worker.id() == id) else {
            return Err(MembershipError::UnknownWorker(id));
        };
        if active.nth(1).is_none() {
            return Err(MembershipError::LastWorker(id));
        }
        self.router.set_health(id, Health::Draining);
        membership.retiring.push(id);
        Ok(Arc::clone(&member.worker))
    }

    /// Announces the retired workers and closes those that own no key.
    fn drain(&self, retired: impl IntoIterator<Item = Arc<Worker>>) {
        for worker in retired {
            self.announcer.of_worker(&worker, EventKind::Draining);
        }
        self.close_retiring();
        self.housekeeper.notify();
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
        if self.router.is_closed() {
            return Err(MembershipError::Closed);
        }
        let roster = self.router.roster();
        let active: Vec<_> = roster.members().iter().filter(|member| is_active(member)).collect();
        // The newest are retired first.
        let mut retired = Vec::new();
        let result = active.iter().skip(count).try_for_each(|member| {
            retired.push(self.retire(&mut membership, member.worker.id())?);
            Ok(())
        });
        let names: HashSet<_> =
            roster.members().iter().map(|member| member.worker.name()).collect();
        let mut specs = Vec::new();
        while active.len() + specs.len() < count {
            let spec = membership.template.numbered(membership.numbered);
            membership.numbered += 1;
            if !names.contains(spec.name()) {
                specs.push(spec);
            }
        }
        drop(membership);
        self.drain(retired);
        result.and_then(|()| {
            if specs.is_empty() { Ok(()) } else { self.grow(growing, &specs).map(drop) }
        })
    }
}

fn is_active(member: &Member) -> bool {
    member.health != Health::Draining
}

/// Checks that threads can have the names of new workers.
pub(crate) fn check_names(members: &[Member]) -> Result<(), SpawnError> {
    let mut names = members.iter().map(|member| member.worker.name());
    match names.find(|name| name.contains('\0')) {
        Some(name) => Err(SpawnError::Name { name: name.to_owned() }),
        None => Ok(()),
    }
}
