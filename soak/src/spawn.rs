//! The pools of a round.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use raddle::{SpawnError, Worker};

use crate::actor::Faulty;
use crate::callbacks;
use crate::message::Pool;
use crate::mode::{CONCURRENCY, Keeping, Mode};
use crate::records::Records;

/// Spawns the pool to which handlers forward some tasks. Its own handlers are of another mode.
///
/// # Errors
/// If it cannot be spawned.
pub fn back(records: &Arc<Records>) -> Result<Pool, SpawnError> {
    let refuses = Arc::clone(records);
    let builder = records.plan.back_builder();
    let builder = builder
        .on_rejected(move |message, reason| callbacks::on_rejected(&refuses, message, reason));
    let make = make::<false>(records, None);
    match records.plan.mode {
        Mode::Plain => builder.spawn_async(make),
        _ => builder.spawn(make),
    }
}

/// Spawns the round's pool.
///
/// # Errors
/// If it cannot be spawned.
pub fn front(records: &Arc<Records>, back: &Pool) -> Result<Pool, SpawnError> {
    let (refuses, sheds, plan) = (Arc::clone(records), Arc::clone(records), &records.plan);
    let builder = plan
        .builder()
        .on_rejected(move |message, reason| callbacks::on_rejected(&refuses, message, reason))
        .on_shed(move |message, reason| callbacks::on_shed(&sheds, message, reason));
    let (keeps, hands_over) =
        (make::<false>(records, Some(back)), make::<true>(records, Some(back)));
    let pool = match (plan.mode, plan.keeping) {
        (Mode::Plain, Keeping::Handed) => builder.spawn(hands_over),
        (Mode::Plain, _) => builder.spawn(keeps),
        (Mode::Async, Keeping::Handed) => builder.spawn_async(hands_over),
        (Mode::Async, _) => builder.spawn_async(keeps),
        (Mode::Shared, _) => builder.spawn_concurrent(CONCURRENCY, keeps),
        (Mode::ReadWrite, _) => builder.spawn_read_write(CONCURRENCY, keeps),
    }?;
    let (weak, its) = (pool.downgrade(), Arc::downgrade(records));
    records.reentry.begin(move || {
        if let (Some(records), Some(pool)) = (its.upgrade(), weak.upgrade()) {
            callbacks::use_pool(&records, &pool);
        }
    });
    records.started.store(true, Relaxed);
    Ok(pool)
}

/// Returns what creates the actors.
fn make<const HANDS_OVER: bool>(
    records: &Arc<Records>,
    back: Option<&Pool>,
) -> impl Fn(&Worker) -> Faulty<HANDS_OVER> + Send + Sync + 'static {
    let (records, back) = (Arc::clone(records), back.cloned());
    move |_| Faulty::new(&records, back.clone())
}
