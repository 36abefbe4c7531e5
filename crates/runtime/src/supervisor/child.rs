//! One child: its pool, its former pools, and what they left.

use std::any::{Any, type_name};
use std::sync::Arc;

use super::report::{ChildReport, Messages};
use super::{ChildError, Until};
use crate::account::Account;
use crate::mailbox::Notify;
use crate::pool::Pool;

/// A pool of any type; its types are recovered by downcasting.
pub(super) trait Supervised: Any + Send + Sync {
    /// Whether it takes no more tasks.
    fn is_closed(&self) -> bool;

    /// Notifies `supervisor` when it takes no more tasks.
    fn on_close(&self, supervisor: Notify);

    /// Shuts it down. Returns whether every thread has ended within the limit.
    fn shut_down(&self, until: Until) -> bool;

    fn take_unfinished(&self) -> Messages;

    fn standing(&self) -> Standing;
}

/// What became of a pool's tasks, and the workers whose threads have not ended.
pub(super) struct Standing {
    pub(super) account: Account,
    running: Vec<String>,
    lost_threads: usize,
}

impl Standing {
    /// Whether a closed pool has ended.
    fn is_over(&self) -> bool {
        self.running.is_empty() && self.lost_threads == 0
    }
}

impl<M: Send + 'static, R: Send + 'static> Supervised for Pool<M, R> {
    fn is_closed(&self) -> bool {
        Pool::is_closed(self)
    }

    fn on_close(&self, supervisor: Notify) {
        Pool::on_close(self, supervisor);
    }

    fn shut_down(&self, until: Until) -> bool {
        self.shutdown(until.drain()).is_ok()
    }

    fn take_unfinished(&self) -> Messages {
        let messages = Pool::take_unfinished(self).into_iter();
        messages.map(|message| Box::new(message) as Box<dyn Any + Send>).collect()
    }

    fn standing(&self) -> Standing {
        // The threads before the account: a thread that has ended has ended its tasks.
        let (running, lost_threads) = self.threads();
        Standing { account: self.account(), running, lost_threads }
    }
}

/// A child of a supervisor.
pub(super) struct Child {
    pub(super) name: String,
    /// The current pool; `None` while it restarts.
    pub(super) pool: Option<Arc<dyn Supervised>>,
    /// Whether that pool should take tasks.
    pub(super) serving: bool,
    /// Whether a shutdown has seen all of its threads end.
    pub(super) ended: bool,
    pub(super) restarts: u32,
    /// Pools that were replaced while a task was still running.
    past: Vec<Arc<dyn Supervised>>,
    /// What became of the tasks of the pools that have ended.
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

    /// Installs a pool that takes tasks.
    pub(super) fn serve(&mut self, pool: Arc<dyn Supervised>) {
        self.pool = Some(pool);
        self.serving = true;
        self.ended = false;
    }

    /// Moves the pool, which was shut down, to the past ones. Returns those that have ended: dropping
    /// them runs the user's code and must happen outside the lock.
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

    /// The messages of tasks that its pools have cancelled.
    pub(super) fn unfinished(&mut self) -> &mut Messages {
        for pool in self.past.iter().chain(&self.pool) {
            self.unfinished.extend(pool.take_unfinished());
        }
        &mut self.unfinished
    }

    /// Reports on the child once it is shut down. Takes its unfinished messages.
    pub(super) fn report(&mut self) -> ChildReport {
        let (mut account, mut running, mut lost_threads) = (self.account, Vec::new(), 0);
        let mut ended = self.pool.is_none() || self.ended;
        for pool in self.past.iter().chain(&self.pool) {
            // Before its messages: a thread that has ended has added all of them.
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

/// The pool with its types.
pub(super) fn typed<M: Send + 'static, R: Send + 'static>(
    name: &str,
    pool: &dyn Supervised,
) -> Result<Pool<M, R>, ChildError> {
    let pool: &dyn Any = pool;
    let requested = type_name::<Pool<M, R>>();
    pool.downcast_ref::<Pool<M, R>>()
        .cloned()
        .ok_or_else(|| ChildError::OtherPool { child: name.to_owned(), requested })
}

fn add(sum: &mut Account, account: &Account) {
    sum.counts += account.counts;
    sum.rejected += account.rejected;
    sum.shed += account.shed;
}
