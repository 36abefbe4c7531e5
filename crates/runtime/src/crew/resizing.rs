//! Adds and retires workers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Health, Member, Roster, RosterError, WorkerId, WorkerSpec};
use raddle_sync::channel::{self, Receiver, RecvTimeoutError};
use raddle_sync::thread;

use super::Crew;
use super::membership::Assignment;
use crate::blocking;
use crate::error::{MembershipError, SpawnError};
use crate::event::EventKind;

/// How often a caller that waits for an actor's start checks whether the pool is closed.
const CLOSED_CHECK: Duration = Duration::from_millis(5);

/// Threads that start, and whether the actor of each has.
type Starting = (Vec<Assignment>, Starts);
type Starts = Receiver<Result<(), SpawnError>>;

impl Crew {
    /// Spawns a thread for each of these new workers. The receiver gets whether each actor has
    /// started.
    pub(super) fn start(self: &Arc<Self>, members: &[Member]) -> Result<Starting, SpawnError> {
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
        Ok((assignments, starts))
    }

    /// Waits until a thread's first actor has started, or the pool is closed.
    fn await_start(&self, starts: &Starts) -> Result<(), MembershipError> {
        loop {
            match starts.recv_timeout(CLOSED_CHECK) {
                Ok(started) => return Ok(started?),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) if self.is_closed() => {
                    return Err(MembershipError::Closed);
                }
                Err(RecvTimeoutError::Timeout) => thread::yield_now(),
            }
        }
    }

    /// Adds the workers that `specs` returns for the roster, which are given tasks once all of them
    /// have started.
    pub(crate) fn add_workers(
        self: &Arc<Self>,
        mut specs: impl FnMut(&Roster) -> Vec<WorkerSpec>,
    ) -> Result<Vec<WorkerId>, MembershipError> {
        let added = self.router.grow(|roster| {
            let specs = specs(roster);
            check_names(specs.iter().map(WorkerSpec::name))?;
            Ok(specs)
        })?;
        // With nothing held: an actor may change the pool when it starts.
        let started = self.start(&added).map_err(MembershipError::from);
        let started = started.and_then(|(assignments, starts)| {
            blocking::waiting(|| added.iter().try_for_each(|_| self.await_start(&starts)))?;
            self.membership.lock().assignments.extend(assignments);
            let is_added = |id| added.iter().any(|member| member.worker.id() == id);
            let mut active = Vec::new();
            let is_open = self.router.change_health(|roster| {
                // Some may have been retired since.
                let starting = roster.members().iter().filter(|it| it.health == Health::Starting);
                let starting = starting.map(|member| member.worker.id());
                active = starting.filter(|id| is_added(*id)).collect();
                active.iter().map(|id| (*id, Health::Active)).collect()
            });
            let roster = self.router.roster();
            self.membership.lock().assignments.retain(|assignment| {
                let id = assignment.worker.id();
                !is_added(id) || roster.worker(id).is_some()
            });
            is_open.then_some(active).ok_or(MembershipError::Closed)
        });
        let active = started.inspect_err(|_| self.router.discard(&added))?;
        for Member { worker, .. } in added.iter().filter(|it| active.contains(&it.worker.id())) {
            self.announcer.of_worker(worker, EventKind::Added);
        }
        self.desk.notify().notify();
        Ok(added.iter().map(|member| member.worker.id()).collect())
    }

    /// Lets a worker take no more tasks, and leave when it has run those it has.
    pub(crate) fn retire_worker(&self, id: WorkerId) -> Result<(), MembershipError> {
        let mut result = Ok(());
        self.retire(|roster| {
            let (mut leaving, staying): (Vec<_>, Vec<_>) =
                staying(roster).into_iter().partition(|member| member.worker.id() == id);
            let Some(member) = leaving.first() else {
                result = Err(MembershipError::UnknownWorker(id));
                return leaving;
            };
            result = Ok(());
            let may_leave = |other: &&Member| match serves(member) {
                true => serves(other),
                false => other.health.takes_tasks(),
            };
            if !staying.iter().any(may_leave) {
                result = Err(MembershipError::LastWorker(id));
                leaving.clear();
            }
            leaving
        })?;
        result
    }

    /// Retires the workers that `which` returns for the roster; closes those that own no key.
    fn retire(
        &self,
        mut which: impl FnMut(&Roster) -> Vec<&Member>,
    ) -> Result<(), MembershipError> {
        let mut retired = Vec::new();
        let is_open = self.router.change_health(|roster| {
            retired = which(roster).into_iter().map(|it| Arc::clone(&it.worker)).collect();
            retired.iter().map(|worker| (worker.id(), Health::Draining)).collect()
        });
        if !is_open {
            return Err(MembershipError::Closed);
        }
        self.membership.lock().retiring.extend(retired.iter().map(|worker| worker.id()));
        for worker in &retired {
            self.announcer.of_worker(worker, EventKind::Draining);
        }
        self.close_retiring();
        self.desk.notify().notify();
        Ok(())
    }

    /// Closes the retiring workers that own no key any more. Returns whether some keys have yet to
    /// move.
    pub(super) fn close_retiring(&self) -> bool {
        let (again, wakers) = self.router.close_unowned(&mut self.membership.lock().retiring);
        wakers.wake();
        again
    }

    /// Changes the number of workers that take tasks.
    pub(crate) fn resize(self: &Arc<Self>, count: usize) -> Result<(), MembershipError> {
        if count == 0 {
            return Err(MembershipError::NoWorkers);
        }
        if count > Roster::MAX_WORKERS {
            return Err(SpawnError::from(RosterError::TooManyWorkers(count)).into());
        }
        let mut missing = 0;
        self.retire(|roster| {
            let mut staying = staying(roster);
            missing = count.saturating_sub(staying.len());
            staying.split_off(count.min(staying.len()))
        })?;
        if missing > 0 {
            self.add_workers(|roster| self.numbered(roster, count))?;
        }
        Ok(())
    }

    /// The workers that are missing to `count`, each like the first one that the pool was built with. They
    /// get the lowest free numbers: keys belong to names, and a worker that replaces one of the same
    /// name has its keys.
    fn numbered(&self, roster: &Roster, count: usize) -> Vec<WorkerSpec> {
        let template = self.membership.lock().template.clone();
        let missing = count.saturating_sub(staying(roster).len());
        let taken: HashSet<_> =
            roster.members().iter().map(|member| member.worker.name()).collect();
        let specs = (0..).map(|number| template.numbered(number));
        specs.filter(|spec| !taken.contains(spec.name())).take(missing).collect()
    }
}

/// The members that do not drain: those that serve first, those that have not started last, and the
/// oldest of each kind first. The last ones are the first to be retired.
fn staying(roster: &Roster) -> Vec<&Member> {
    let members = roster.members().iter();
    let mut staying: Vec<_> = members.filter(|it| it.health != Health::Draining).collect();
    staying.sort_by_key(|member| (!serves(member), !member.health.takes_tasks()));
    staying
}

/// Whether a member is not set aside: it does not hang, fail or restart.
fn serves(member: &Member) -> bool {
    member.health == Health::Active
}

/// Checks that threads can have the names of new workers.
pub(crate) fn check_names<'n>(mut names: impl Iterator<Item = &'n str>) -> Result<(), SpawnError> {
    match names.find(|name| name.contains('\0')) {
        Some(name) => Err(SpawnError::Name { name: name.to_owned() }),
        None => Ok(()),
    }
}
