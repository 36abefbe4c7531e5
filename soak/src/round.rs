use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use raddle::{Account, SpawnError, TimerHandle};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::actor::{Faulty, Pool};
use crate::callbacks;
use crate::chaos;
use crate::check::{self, Count};
use crate::ending::{self, grace};
use crate::fate::{Fate, Way};
use crate::findings::Wrong;
use crate::message::Message;
use crate::planted;
use crate::producer::{Leftovers, Producer, draw_kind};
use crate::records::{PRODUCERS, Records};
use crate::sabotage::{Occupying, Sabotage};
use crate::stuck::Stuck;
use crate::tally::Occurrence;
use crate::threads;

/// The result of a round.
pub struct Round {
    pub account: Account,
    pub count: Count,
    /// Whether leftover threads could be looked for.
    pub checked_threads: bool,
}

/// Threads that change the pool.
const CHANGERS: u64 = 2;

/// Runs one pool by the plan of `records`, shuts it down and checks everything.
///
/// # Errors
/// If the pool or a thread cannot be spawned.
pub fn run(records: &Arc<Records>, stuck: &Stuck) -> Result<Round, Box<dyn std::error::Error>> {
    let plan = &records.plan;
    let stage = |what: &str| stuck.stage(format!("round {}, {what}; {plan}", plan.round + 1));
    stage("spawning");
    let pool = spawn(records)?;
    stuck.pools().register(&pool)?;
    let over = Arc::new(AtomicBool::new(false));
    let listener = spawn_named("soak-listener", {
        let (records, events, over) = (Arc::clone(records), pool.subscribe(), Arc::clone(&over));
        move || chaos::listen(&records, events, &over)
    })?;
    if records.saboteur.is(Sabotage::Occupy) {
        pool.set_strategy(Occupying::default())?;
    }

    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = Vec::new();
    for number in 0..PRODUCERS {
        let producer = Producer::new(records, number, &pool);
        let stop = Arc::clone(&stop);
        let body = move || producer.run(&stop);
        producers.push(spawn_named(&format!("soak-producer-{number}"), body)?);
    }
    let mut others = Vec::new();
    for number in 0..=CHANGERS {
        let (records, pool, stop) = (Arc::clone(records), pool.clone(), Arc::clone(&stop));
        others.push(spawn_named(&format!("soak-chaos-{number}"), move || match number {
            CHANGERS => chaos::watch(&records, &pool, &stop),
            _ => chaos::change(&records, number, &pool, &stop),
        })?);
    }
    let periodic = set_periodic(records, &pool)?;
    stage("running");
    thread::sleep(plan.length);

    // The pool ends after the producers, or while they are still running.
    let mut leftovers = Vec::new();
    let mut end_producers = || {
        stop.store(true, Relaxed);
        leftovers.extend(producers.drain(..).filter_map(|thread| join(records, thread)));
        others.drain(..).for_each(|thread| {
            join(records, thread);
        });
        periodic.cancel();
    };
    let settle = |leftovers: Vec<Leftovers>| {
        for Leftovers { asked, timers } in leftovers {
            timers.iter().for_each(|timer| timer.cancel(records));
            asked.into_iter().for_each(|asked| asked.settle());
        }
    };
    if plan.under_fire {
        records.tally.count(Occurrence::ClosedUnderFire);
        if plan.holds {
            stage("filling the mailboxes");
            ending::hold(records);
        }
        stage("shutting down");
        ending::begin(records, &pool);
        // The shutdown alone must release callers and askers: some handlers still hang.
        stage("ending the producers of a closed pool");
        end_producers();
        stage("waiting for the end of the pool");
        records.hangs.release();
        ending::finish(records, &pool);
        // Some tasks were sent just before the end.
        settle(leftovers);
    } else {
        stage("ending the producers");
        end_producers();
        ending::check_clones(records);
        stage("shutting down");
        ending::begin(records, &pool);
        settle(leftovers);
        stage("waiting for the end of the pool");
        records.hangs.release();
        ending::finish(records, &pool);
    }
    stage("reading the pool's account");
    records.reentry.end();
    let (account, hedges) = read_account(records, &pool);
    stage("dropping the pool");
    drop_last(records, pool);
    over.store(true, Relaxed);
    join(records, listener);
    stage("looking for leftover threads");
    let checked_threads = wait_for_threads(records);
    stage("checking every task");
    for panic in planted::unplanned() {
        records.findings.report(Wrong::UnplannedPanic, || panic);
    }
    check_actors(records);
    let count = check::all(records, &account, hedges);
    Ok(Round { account, count, checked_threads })
}

fn spawn(records: &Arc<Records>) -> Result<Pool, SpawnError> {
    let (refuses, sheds, makes) = (Arc::clone(records), Arc::clone(records), Arc::clone(records));
    let pool = records
        .plan
        .builder()
        .on_rejected(move |message, reason| callbacks::on_rejected(&refuses, message, reason))
        .on_shed(move |message, reason| callbacks::on_shed(&sheds, message, reason))
        .spawn(move |_| Faulty::new(&makes))?;
    let (weak, its) = (pool.downgrade(), Arc::downgrade(records));
    records.reentry.begin(move || {
        if let (Some(records), Some(pool)) = (its.upgrade(), weak.upgrade()) {
            callbacks::use_pool(&records, &pool);
        }
    });
    records.started.store(true, Relaxed);
    Ok(pool)
}

fn spawn_named<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Joins a thread of the harness; returns `None` if it panicked, which is reported.
fn join<T>(records: &Records, thread: JoinHandle<T>) -> Option<T> {
    let name = thread.thread().name().unwrap_or("?").to_owned();
    let end = thread.join();
    if end.is_err() {
        records.findings.report(Wrong::EscapedPanic, || format!("thread {name} panicked"));
    }
    end.ok()
}

/// Sets a timer that submits a task every two milliseconds; creating the message sometimes panics.
fn set_periodic(
    records: &Arc<Records>,
    pool: &Pool,
) -> Result<TimerHandle<Message>, Box<dyn std::error::Error>> {
    let rng = Mutex::new(Rng::with_seed(records.plan.seed ^ 1 << 60));
    let records = Arc::clone(records);
    let timer = pool.tell_every(Duration::from_millis(2), move || {
        let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = draw_kind(&mut rng, &records);
        if rng.u8(..100) == 0 {
            drop(rng);
            planted::blow_up("creating a message");
        }
        let fate = Fate::new(kind, Way::Periodic, PRODUCERS).under(records.plan.overflow);
        let message = Message::new(&records, fate, None);
        if rng.u8(..50) == 0 {
            message.arm();
        }
        message
    });
    timer.map_err(|error| error.to_string().into())
}

/// Returns the account of a pool that has come to rest, and the number of clones it submitted.
fn read_account(records: &Records, pool: &Pool) -> (Account, u64) {
    let stats = pool.stats();
    for worker in stats.balancer.workers.iter().filter(|worker| worker.in_flight > 0) {
        let describe = || format!("worker {} has {} tasks", worker.name, worker.in_flight);
        records.findings.report(Wrong::InFlight, describe);
    }
    for worker in stats.balancer.workers.iter().filter(|worker| worker.work_in_flight != 0) {
        let describe = || format!("worker {} has {} ns", worker.name, worker.work_in_flight);
        records.findings.report(Wrong::WorkAhead, describe);
    }
    (stats.account, stats.hedges)
}

/// Drops the last handle.
fn drop_last(records: &Records, pool: Pool) {
    if catch_unwind(AssertUnwindSafe(|| drop(pool))).is_err() {
        records.findings.report(Wrong::EscapedPanic, || "while dropping the pool".to_owned());
    }
}

/// Waits until the pool has no threads left. Returns `false` if the system does not list threads.
fn wait_for_threads(records: &Records) -> bool {
    let name = records.plan.pool();
    if records.saboteur.is(Sabotage::Thread) {
        let (started, has_started) = std::sync::mpsc::channel();
        let left = spawn_named(&format!("{name}-left"), move || {
            let _ = started.send(());
            thread::sleep(Duration::from_secs(3600));
        });
        drop(left);
        // A thread sets its name when it starts.
        let _ = has_started.recv();
    }
    let grace = grace(records);
    let since = Instant::now();
    loop {
        let Some(left) = threads::of_pool(&name) else { return false };
        if left.is_empty() {
            return true;
        }
        if since.elapsed() > grace {
            records.findings.report(Wrong::ThreadLeft, || left.join(", "));
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn check_actors(records: &Records) {
    let (made, dropped) = (&records.actors_made, &records.actors_dropped);
    let (made, dropped) = (made.load(Relaxed), dropped.load(Relaxed));
    if made != dropped {
        let describe = || format!("{made} were created, {dropped} dropped");
        records.findings.report(Wrong::ActorLeft, describe);
    }
}
