//! One child: the pool that it has, those that it had, and what they left.

use std::any::{Any, type_name};
use std::sync::Arc;

use raddle_sync::channel::Sender;

use super::report::{ChildReport, Messages};
use super::{ChildError, Until};
use crate::{Account, Actor, Pool};

/// A pool of whatever actors: their type is found again by downcasting.
pub(super) trait Supervised: Any + Send + Sync {
    /// Whether it takes tasks no more.
    fn is_closed(&self) -> bool;

    /// Gives a token to `closed` when it takes tasks no more.
    fn on_close(&self, closed: Sender<()>);

    /// Whether every thread has ended within the limit.
    fn shut_down(&self, until: Until) -> bool;

    fn take_unfinished(&self) -> Messages;

    fn standing(&self) -> Standing;
}

/// What became of a pool's tasks, and whose threads have not ended.
pub(super) struct Standing {
    pub(super) account: Account,
    running: Vec<String>,
    lost_threads: usize,
}

impl Standing {
    /// Whether a closed pool has nothing to do any more.
    fn is_over(&self) -> bool {
        self.running.is_empty() && self.lost_threads == 0
    }
}

impl<A: Actor> Supervised for Pool<A> {
    fn is_closed(&self) -> bool {
        Pool::is_closed(self)
    }

    fn on_close(&self, closed: Sender<()>) {
        Pool::on_close(self, closed);
    }

    fn shut_down(&self, until: Until) -> bool {
        self.shutdown(until.drain()).is_ok()
    }

    fn take_unfinished(&self) -> Messages {
        let messages = Pool::take_unfinished(self).into_iter();
        messages.map(|message| Box::new(message) as Box<dyn Any + Send>).collect()
    }

    fn standing(&self) -> Standing {
        // The threads before the account: those that have ended have ended their tasks.
        let (running, lost_threads) = self.threads();
        Standing { account: self.account(), running, lost_threads }
    }
}

/// A child of a supervisor.
pub(super) struct Child {
    pub(super) name: String,
    /// Its last pool; none while it is started anew.
    pub(super) pool: Option<Arc<dyn Supervised>>,
    /// Whether that is to take tasks.
    pub(super) serving: bool,
    /// Whether a shutdown has seen all its threads end.
    pub(super) ended: bool,
    pub(super) restarts: u32,
    /// Pools that were replaced while a task was still being run.
    past: Vec<Arc<dyn Supervised>>,
    /// What became of the tasks of the pools that are gone.
    account: Account,
    unfinished: Messages,
}

impl Child {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            pool: None,
            serving: false,
            ended: false,
            restarts: 0,
            past: Vec::new(),
            account: Account::default(),
            unfinished: Vec::new(),
        }
    }

    /// Gives it a pool that is to take tasks.
    pub(super) fn serve(&mut self, pool: Arc<dyn Supervised>) {
        self.pool = Some(pool);
        self.serving = true;
        self.ended = false;
    }

    /// Makes the pool that was shut down one of the past. Returns those that are over: to be
    /// dropped outside of the lock, as they drop what is the user's.
    #[must_use]
    pub(super) fn replace(&mut self) -> Vec<Arc<dyn Supervised>> {
        self.past.extend(self.pool.take());
        let over: Vec<_> = self.past.extract_if(.., |pool| pool.standing().is_over()).collect();
        for pool in &over {
            add(&mut self.account, &pool.standing().account);
            self.unfinished.extend(pool.take_unfinished());
        }
        over
    }

    /// The messages that its pools could not finish.
    pub(super) fn unfinished(&mut self) -> &mut Messages {
        for pool in self.past.iter().chain(&self.pool) {
            self.unfinished.extend(pool.take_unfinished());
        }
        &mut self.unfinished
    }

    /// What there is to say of it once it is shut down. Takes its unfinished messages.
    pub(super) fn report(&mut self) -> ChildReport {
        let (mut account, mut running, mut lost_threads) = (self.account, Vec::new(), 0);
        let mut ended = self.pool.is_none() || self.ended;
        for pool in self.past.iter().chain(&self.pool) {
            // Before its messages: a thread that has ended has left all of them.
            let standing = pool.standing();
            ended &= standing.is_over();
            add(&mut account, &standing.account);
            running.extend(standing.running);
            lost_threads += standing.lost_threads;
        }
        ChildReport {
            name: self.name.clone(),
            restarts: self.restarts,
            account,
            running,
            lost_threads,
            ended,
            unfinished: std::mem::take(self.unfinished()),
        }
    }
}

/// The pool, by the type of its actors.
pub(super) fn typed<A: Actor>(name: &str, pool: &dyn Supervised) -> Result<Pool<A>, ChildError> {
    let pool: &dyn Any = pool;
    pool.downcast_ref::<Pool<A>>()
        .cloned()
        .ok_or_else(|| ChildError::OtherActor { child: name.to_owned(), asked: type_name::<A>() })
}

fn add(sum: &mut Account, account: &Account) {
    sum.counts += account.counts;
    sum.rejected += account.rejected;
    sum.shed += account.shed;
}
