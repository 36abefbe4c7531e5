//! One child: its pool, its former pools, and what they left.

use std::any::Any;
use std::sync::Arc;

use super::Until;
use super::report::{ChildReport, Messages};
use crate::account::Account;
use crate::mailbox::Notify;
use crate::pool::Pool;

/// A pool of any type; its types are recovered by downcasting.
pub(super) trait Supervised: Any + Send + Sync {
    /// Whether it takes no more tasks.
    fn is_closed(&self) -> bool;

    /// Notifies `supervisor` when it takes no more tasks.
    fn on_close(&self, supervisor: Notify);

    /// Shuts it down, and waits for its threads until the limit.
    fn shut_down(&self, until: Until);

    /// The workers whose threads have not ended, and the number of threads that were given up as
    /// hung and have not returned. A thread that has ended has ended its tasks.
    fn threads(&self) -> (Vec<String>, usize);

    fn account(&self) -> Account;

    fn take_unfinished(&self) -> Messages;
}

impl<M: Send + 'static, R: Send + 'static> Supervised for Pool<M, R> {
    fn is_closed(&self) -> bool {
        Pool::is_closed(self)
    }

    fn on_close(&self, supervisor: Notify) {
        Pool::on_close(self, supervisor);
    }

    fn shut_down(&self, until: Until) {
        // What is still running is in the report.
        let _ = self.shutdown(until.drain());
    }

    fn threads(&self) -> (Vec<String>, usize) {
        Pool::threads(self)
    }

    fn account(&self) -> Account {
        Pool::account(self)
    }

    fn take_unfinished(&self) -> Messages {
        let messages = Pool::take_unfinished(self).into_iter();
        messages.map(|message| Box::new(message) as Box<dyn Any + Send>).collect()
    }
}

/// A child of a supervisor.
#[derive(Default)]
pub(super) struct Child {
    /// The current pool; `None` while it restarts.
    pub(super) pool: Option<Arc<dyn Supervised>>,
    /// Whether that pool should take tasks.
    pub(super) serving: bool,
    /// The number of pools so far.
    pub(super) pools: u32,
    /// Pools that were replaced while a task was still running.
    past: Vec<Arc<dyn Supervised>>,
    /// What became of the tasks of the pools that have ended.
    account: Account,
    unfinished: Messages,
}

impl Child {
    /// The number of its restarts.
    pub(super) fn restarts(&self) -> u32 {
        self.pools.saturating_sub(1)
    }

    /// Moves the pool, which was shut down, to the past ones. Returns those that have ended: dropping
    /// them runs the user's code and must happen outside the lock.
    #[must_use]
    pub(super) fn replace(&mut self) -> Vec<Arc<dyn Supervised>> {
        self.past.extend(self.pool.take());
        let over: Vec<_> =
            self.past.extract_if(.., |pool| pool.threads() == (Vec::new(), 0)).collect();
        for pool in &over {
            add(&mut self.account, &pool.account());
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
    pub(super) fn report(&mut self, name: String) -> ChildReport {
        let (mut account, mut running, mut lost_threads) = (self.account, Vec::new(), 0);
        for pool in self.past.iter().chain(&self.pool) {
            // Before its account and its messages: a thread that has ended has added to both.
            let threads = pool.threads();
            running.extend(threads.0);
            lost_threads += threads.1;
            add(&mut account, &pool.account());
        }
        ChildReport {
            name,
            restarts: self.restarts(),
            account,
            ended: running.is_empty() && lost_threads == 0,
            running,
            lost_threads,
            unfinished: std::mem::take(self.unfinished()),
        }
    }
}

fn add(sum: &mut Account, account: &Account) {
    sum.counts += account.counts;
    sum.rejected += account.rejected;
    sum.shed += account.shed;
}
