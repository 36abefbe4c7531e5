use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use raddle::Overflow;

use crate::asks::Asked;
use crate::fate::{Fate, Mark, Way};
use crate::findings::Wrong;
use crate::kind::Kind;
use crate::message::{Message, Pool};
use crate::records::Records;
use crate::tally::Occurrence;
use crate::unknown::Unknown;

/// Sends a message to each worker, and waits for some of the replies. Returns the asks for the others.
pub fn send(records: &Arc<Records>, producer: usize, pool: &Pool, rng: &mut Rng) -> Vec<Asked> {
    records.tally.count(Occurrence::Broadcast);
    let kind = Kind::draw(rng, &records.saboteur);
    // A control message always has room.
    let fate = Fate::new(kind, Way::Ask, producer).under(Overflow::DropOldest).for_worker();
    let mut message = Message::new(records, fate.later(kind.draw_later(rng)), None);
    records.fates.mark(message.id, Mark::Withdrawn.bit());
    let tasks = Arc::new(Mutex::new(Vec::new()));
    message.template_of = Some(Arc::clone(&tasks));
    let asks = pool.broadcast(message).into_asks();
    let tasks = std::mem::take(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner));
    if tasks.len() != asks.len() {
        let describe = || format!("{} messages, {} asks of a broadcast", tasks.len(), asks.len());
        records.findings.report(Wrong::Unanswered, describe);
    }
    let asked = tasks.into_iter().zip(asks);
    let asked = asked.map(|(id, (_, ask))| Asked::open(Unknown::new(records, id), id, ask));
    let wait = Duration::from_micros(rng.u64(..2_000));
    if rng.bool() {
        return asked.collect();
    }
    asked.filter_map(|asked| asked.wait_timeout(wait)).collect()
}
