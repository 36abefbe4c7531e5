use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use raddle::Registry;

use crate::message::{Message, Reply};

/// Ends a run that has got stuck, and prints its state.
#[derive(Clone, Default)]
pub struct Stuck {
    /// Does not keep pools alive.
    pools: Arc<Registry>,
    stage: Arc<Mutex<String>>,
}

/// The exit code of a stuck run.
const STUCK: i32 = 3;

impl Stuck {
    /// Ends the process after `patience`, unless it has ended by then.
    pub fn watch(seed: u64, patience: Duration) -> Self {
        let stuck = Self::default();
        let watched = stuck.clone();
        let watch = move || {
            thread::sleep(patience);
            eprintln!("stuck: the run of seed {seed} has not ended within {patience:?}");
            watched.print();
            process::exit(STUCK);
        };
        // Never joined: it ends with the process.
        drop(thread::spawn(watch));
        stuck
    }

    /// Returns the registry of the pools to print.
    pub fn pools(&self) -> &Registry {
        &self.pools
    }

    /// Sets the current stage of the run.
    pub fn stage(&self, stage: String) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn print(&self) {
        eprintln!("at: {}", self.stage.lock().unwrap_or_else(PoisonError::into_inner));
        for name in self.pools.names() {
            let Ok(pool) = self.pools.get::<Message, Reply>(&name) else { continue };
            let stats = pool.stats();
            eprintln!("pool {name}: {:?}, lost threads {}", stats.account, stats.lost_threads);
            for worker in stats.balancer.workers {
                eprintln!(
                    "  worker {} (generation {}, {:?}): {} in flight",
                    worker.name, worker.generation, worker.health, worker.in_flight
                );
            }
            // Dropping the last handle would wait for the pool's end.
            std::mem::forget(pool);
            for thread in crate::threads::of_pool(&name).unwrap_or_default() {
                eprintln!("  thread {thread}");
            }
        }
    }
}
