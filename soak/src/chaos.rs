//! What is done to a pool while it is given tasks.

use std::thread;
use std::time::Duration;

use fastrand::Rng;
use raddle::prelude::*;
use raddle::runtime::{EventKind, Events, MembershipError};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::actor::Faulty;
use crate::findings::Wrong;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::tally::Deed;

/// Changes the pool at random until it is told to stop.
pub fn change(records: &Records, number: u64, pool: &Pool<Faulty>, stop: &AtomicBool) {
    let mut rng = Rng::with_seed(records.plan.seed ^ (number + 100) << 40);
    let mut idle: Vec<Events> = Vec::new();
    let mut added = 0;
    while !stop.load(Relaxed) {
        thread::sleep(Duration::from_micros(rng.u64(500..10_000)));
        let strategy = StrategyName::ALL[rng.usize(..StrategyName::ALL.len())].build();
        let done = match rng.u32(..12) {
            0..3 => {
                pool.set_strategy(strategy);
                records.tally.count(Deed::StrategySwapped);
                continue;
            }
            3 => {
                pool.set_shadow(strategy);
                records.tally.count(Deed::ShadowSet);
                continue;
            }
            4 => {
                let _ = pool.shadow_report();
                pool.clear_shadow();
                continue;
            }
            5 => {
                // Never read; the oldest is dropped.
                idle.insert(0, pool.subscribe());
                idle.truncate(4);
                records.tally.count(Deed::Subscribed);
                continue;
            }
            6..9 => {
                let none = records.saboteur.strikes_once(Sabotage::Change);
                (Deed::Resized, pool.resize(if none { 0 } else { rng.usize(2..=12) }))
            }
            9 => {
                added += 1;
                let mut spec = WorkerSpec::new(format!("a{number}-{added}"));
                if rng.bool() {
                    spec = spec.capability(crate::plan::SPECIAL).and_general();
                }
                (Deed::WorkerAdded, pool.add_worker(spec).map(drop))
            }
            _ => {
                let workers = pool.stats().balancer.workers;
                let Some(worker) = workers.get(rng.usize(..workers.len().max(1))) else { continue };
                (Deed::WorkerRetired, pool.retire_worker(worker.id))
            }
        };
        match done {
            (deed, Ok(())) => records.tally.count(deed),
            (deed, Err(error)) => {
                if !may_fail(records, deed, &error) {
                    let tell = || format!("{}: {error}", deed.name());
                    records.findings.report(Wrong::ImpossibleChange, tell);
                }
            }
        }
    }
}

fn may_fail(records: &Records, deed: Deed, error: &MembershipError) -> bool {
    match error {
        MembershipError::Closed => records.closing.load(Relaxed) || records.plan.closes,
        MembershipError::UnknownWorker(_) | MembershipError::LastWorker(_) => {
            deed == Deed::WorkerRetired
        }
        MembershipError::Spawn(SpawnError::Actor { message, .. }) => {
            message.starts_with("planted: ")
        }
        _ => false,
    }
}

/// Reads the statistics until it is told to stop.
pub fn watch(records: &Records, pool: &Pool<Faulty>, stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        thread::sleep(Duration::from_millis(2));
        let stats = pool.stats();
        let lost = stats.lost_threads;
        records.most_lost.fetch_max(lost as u64, Relaxed);
        records.tally.count(Deed::StatsRead);
        let most = if records.saboteur.is(Sabotage::Bound) { 0 } else { records.plan.max_lost };
        if lost > most {
            let tell = || format!("{lost} are lost, allowed are {most}");
            records.findings.report(Wrong::TooManyLost, tell);
        }
    }
}

/// Counts the events until the pool is gone, or all is over.
pub fn listen(records: &Records, mut events: Events, over: &AtomicBool) {
    loop {
        let Some(event) = events.recv_timeout(Duration::from_millis(10)) else {
            if over.load(Relaxed) {
                return;
            }
            continue;
        };
        records.tally.count(match event.kind {
            EventKind::Added => Deed::EventAdded,
            EventKind::Panicked { .. } => Deed::EventPanicked,
            EventKind::StartFailed { .. } => Deed::EventStartFailed,
            EventKind::Restarted { .. } => Deed::EventRestarted,
            EventKind::Quarantined => Deed::EventQuarantined,
            EventKind::Replaced { .. } => Deed::EventReplaced,
            EventKind::Recovered => Deed::EventRecovered,
            EventKind::Returned => Deed::EventReturned,
            EventKind::Ejected { .. } => Deed::EventEjected,
            EventKind::Readmitted => Deed::EventReadmitted,
            EventKind::Draining => Deed::EventDraining,
            EventKind::Retired { .. } => Deed::EventRetired,
            EventKind::Failed => Deed::EventFailed,
            EventKind::StrategyChanged { .. } => Deed::EventStrategy,
            _ => continue,
        });
    }
}
