use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use raddle::prelude::Registry;

use crate::actor::Faulty;

/// Ends a run that does not end, and tells what is known of it.
#[derive(Clone, Default)]
pub struct Stuck {
    /// Keeps no pool alive.
    pools: Arc<Registry>,
    stage: Arc<Mutex<String>>,
}

/// The process's exit code then.
const STUCK: i32 = 3;

impl Stuck {
    /// Ends the process after `patience`.
    pub fn watch(seed: u64, patience: Duration) -> Self {
        let stuck = Self::default();
        let watched = stuck.clone();
        let watch = move || {
            thread::sleep(patience);
            eprintln!("stuck: the run of seed {seed} has not ended within {patience:?}");
            watched.tell();
            process::exit(STUCK);
        };
        // It is never waited for: the process's end is its end.
        drop(thread::spawn(watch));
        stuck
    }

    /// The pools that are told of.
    pub fn pools(&self) -> &Registry {
        &self.pools
    }

    /// What is being done.
    pub fn stage(&self, stage: String) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn tell(&self) {
        eprintln!("at: {}", self.stage.lock().unwrap_or_else(PoisonError::into_inner));
        for name in self.pools.names() {
            let Ok(pool) = self.pools.get::<Faulty>(&name) else { continue };
            let stats = pool.stats();
            eprintln!("pool {name}: {:?}, lost threads {}", stats.account, stats.lost_threads);
            for worker in stats.balancer.workers {
                eprintln!(
                    "  worker {} (generation {}, {:?}): {} in flight",
                    worker.name, worker.generation, worker.health, worker.in_flight
                );
            }
            // Dropping it might be the end of it, and wait for that.
            std::mem::forget(pool);
            for thread in crate::threads::of_pool(&name).unwrap_or_default() {
                eprintln!("  thread {thread}");
            }
        }
    }
}
