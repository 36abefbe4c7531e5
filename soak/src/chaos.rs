//! Changes of a pool under load.

use std::thread;
use std::time::Duration;

use fastrand::Rng;
use raddle::{Event, Events, MembershipError, SpawnError, WorkerSpec};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::findings::Wrong;
use crate::message::Pool;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// Subscriptions that are dropped at a time.
const DROPPED: u64 = 100;

/// Changes the pool at random until `stop` is set.
pub fn change(records: &Records, number: u64, pool: &Pool, stop: &AtomicBool) {
    let mut rng = Rng::with_seed(records.plan.seed ^ (number + 100) << 40);
    let mut idle: Vec<Events<Event>> = Vec::new();
    let mut added = 0;
    while !stop.load(Relaxed) {
        thread::sleep(Duration::from_micros(rng.u64(500..10_000)));
        let strategy = records.plan.draw_strategy(&mut rng).build();
        let done = match rng.u32(..12) {
            0..3 => {
                pool.set_strategy(strategy).expect("defaults are within their bounds");
                records.tally.count(Occurrence::StrategySwapped);
                continue;
            }
            3 => {
                pool.set_shadow(strategy).expect("defaults are within their bounds");
                records.tally.count(Occurrence::ShadowSet);
                continue;
            }
            4 => {
                let _ = pool.shadow_report();
                pool.clear_shadow();
                continue;
            }
            5 => {
                // Subscriptions that are never read.
                idle.insert(0, pool.subscribe());
                idle.truncate(4);
                records.tally.count(Occurrence::Subscribed);
                // And many that are dropped at once, with what they have not read.
                drop((0..DROPPED).map(|_| pool.subscribe()).collect::<Vec<_>>());
                records.tally.add(Occurrence::SubscriptionDropped, DROPPED);
                continue;
            }
            6..9 => {
                let none = records.saboteur.strikes_once(Sabotage::Change);
                (Occurrence::Resized, pool.resize(if none { 0 } else { rng.usize(2..=12) }))
            }
            9 => {
                added += 1;
                let mut spec = WorkerSpec::new(format!("a{number}-{added}"));
                if rng.bool() {
                    spec = spec.capability(crate::plan::SPECIAL).and_general();
                }
                (Occurrence::WorkerAdded, pool.add_worker(spec).map(drop))
            }
            _ => {
                let workers = pool.stats().balancer.workers;
                let Some(worker) = workers.get(rng.usize(..workers.len().max(1))) else { continue };
                (Occurrence::WorkerRetired, pool.retire_worker(worker.id))
            }
        };
        match done {
            (occurrence, Ok(())) => records.tally.count(occurrence),
            (occurrence, Err(error)) => {
                if !may_fail(records, occurrence, &error) {
                    let describe = || format!("{}: {error}", occurrence.name());
                    records.findings.report(Wrong::ImpossibleChange, describe);
                }
            }
        }
    }
}

/// Returns whether this change of the workers may end with this error.
pub fn may_fail(records: &Records, occurrence: Occurrence, error: &MembershipError) -> bool {
    match error {
        MembershipError::Closed => records.closing.load(Relaxed) || records.plan.closes,
        MembershipError::UnknownWorker(_) | MembershipError::LastWorker(_) => {
            occurrence == Occurrence::WorkerRetired
        }
        MembershipError::Spawn(SpawnError::Actor { source, .. }) => {
            source.to_string().starts_with("planted: ")
        }
        _ => false,
    }
}

/// Reads the statistics until `stop` is set.
pub fn watch(records: &Records, pool: &Pool, stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        thread::sleep(Duration::from_millis(2));
        let stats = pool.stats();
        let lost = stats.lost_threads;
        records.peak_lost.fetch_max(lost as u64, Relaxed);
        records.tally.count(Occurrence::StatsRead);
        let max = if records.saboteur.is(Sabotage::Bound) { 0 } else { records.plan.max_lost };
        if lost > max {
            let describe = || format!("{lost} are lost, {max} are allowed");
            records.findings.report(Wrong::TooManyLost, describe);
        }
    }
}
