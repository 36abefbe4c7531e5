use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use raddle::{Account, TimerHandle};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::chaos;
use crate::check::Count;
use crate::ending::{self, grace};
use crate::events;
use crate::fate::{Fate, Way};
use crate::findings::Wrong;
use crate::judge::Allowed;
use crate::kind::Kind;
use crate::message::{Message, Pool};
use crate::mode::Keeping;
use crate::outcomes::Outcomes;
use crate::planted;
use crate::producer::{Leftovers, Producer};
use crate::records::{PRODUCERS, Records};
use crate::sabotage::{Occupying, Sabotage};
use crate::spawn;
use crate::stuck::Stuck;
use crate::tally::Occurrence;
use crate::threads;

/// The result of a round.
pub struct Round {
    pub account: Account,
    /// Tasks that were run, by the pool and the one to which it forwards.
    pub ran: u64,
    /// Whether leftover threads could be looked for.
    pub checked_threads: bool,
}

/// Tasks that a round must send, and how much longer it may take for that.
const ENOUGH: u64 = 2_000;
const LATE: Duration = Duration::from_secs(10);
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
    let back = spawn::back(records)?;
    let pool = spawn::front(records, &back)?;
    stuck.pools().register(&pool)?;
    stuck.pools().register(&back)?;
    let later = spawn_named("soak-later", {
        let records = Arc::clone(records);
        move || records.later.run()
    })?;
    let over = Arc::new(AtomicBool::new(false));
    let listener = spawn_named("soak-listener", {
        let (records, all, over) = (Arc::clone(records), pool.subscribe(), Arc::clone(&over));
        move || events::listen(&records, all, &over)
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
    // On a busy machine, the producers may have hardly begun.
    let since = Instant::now();
    while records.fates.len() < ENOUGH && since.elapsed() < LATE {
        thread::sleep(Duration::from_millis(10));
    }

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
    stage("waiting for what comes later");
    records.later.end();
    join(records, later);
    stage("waiting for the end of the other pool");
    ending::finish(records, &back);
    stage("reading the pools' accounts");
    records.reentry.end();
    let (account, hedges) = read_account(records, &pool);
    let (back_account, _) = read_account(records, &back);
    stage("dropping the pools");
    drop_last(records, pool);
    drop_last(records, back);
    over.store(true, Relaxed);
    join(records, listener);
    stage("looking for leftover threads");
    let checked_threads = wait_for_threads(records);
    stage("checking every task");
    for panic in planted::unplanned() {
        records.findings.report(Wrong::UnplannedPanic, || panic);
    }
    check_actors(records);
    check_states(records);
    records.suspicions.report(&records.findings);
    let [count, forwarded] = check_tasks(records);
    count.check(&records.findings, &account, hedges);
    forwarded.check(&records.findings, &back_account, 0);
    records.tally.add(Occurrence::HandedBack, count.handed_back);
    Ok(Round { account, ran: count.ran + forwarded.ran, checked_threads })
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
        let kind = Kind::draw(&mut rng, &records.saboteur);
        let later = kind.draw_later(&mut rng);
        if rng.u8(..100) == 0 {
            drop(rng);
            planted::blow_up("creating a message");
        }
        let fate = Fate::new(kind, Way::Periodic, PRODUCERS).under(records.plan.overflow);
        let message = Message::new(&records, fate.later(later), None);
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
    let back = records.plan.back();
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
        let of_both = [&name, &back].map(|pool| threads::of_pool(pool));
        let Some(left) = of_both.into_iter().collect::<Option<Vec<_>>>() else { return false };
        let left = left.concat();
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

/// Checks each task. Returns the counts of the round's pool, and of the one to which it forwards.
fn check_tasks(records: &Records) -> [Count; 2] {
    let mut like = HashMap::<u64, Outcomes>::new();
    for (id, other) in records.passed_on.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let [fate, other] = [id, other].map(|id| records.fates.get(id));
        let outcomes = fate.outcomes_like(other, Allowed::default());
        // Each copy of a hedged task may have been passed on.
        let all = like.entry(id).or_default();
        *all = *all | outcomes;
    }
    let mut counts = [Count::default(), Count::default()];
    for (id, fate) in records.fates.iter() {
        let is_forwarded = fate.way() == Way::Forwarded;
        let allowed = if is_forwarded { Allowed::default() } else { records.plan.allowed() };
        let allowed = Allowed { like: like.get(&id).copied().unwrap_or_default(), ..allowed };
        counts[usize::from(is_forwarded)].add(fate, allowed);
        if let Some(wrong) = fate.judge(allowed) {
            records.findings.report(wrong, || fate.describe(id));
        }
        match fate.way() {
            Way::Timer if fate.was_admitted() => records.tally.count(Occurrence::TimerFired),
            Way::Periodic if fate.was_admitted() => records.tally.count(Occurrence::PeriodicFired),
            _ => {}
        }
    }
    counts
}

/// Checks that no state of a key was lost silently, as far as events tell.
fn check_states(records: &Records) {
    if records.plan.keeping == Keeping::Cached || records.events_missed.load(Relaxed) {
        return;
    }
    records.tally.count(Occurrence::StateChecked);
    for (key, lost, announced) in records.states.silently_lost() {
        let describe = || format!("key {key}: {lost} times, announced {announced} times");
        records.findings.report(Wrong::StateLost, describe);
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
