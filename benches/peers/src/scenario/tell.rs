//! Throughput of one actor with a mailbox of 1024, with one producer and with four.

use super::definition::{Contender, Scenario, Settings};
use crate::figures::{Figures, RATE};
use crate::harness::{Throughput, Work};
use crate::peers::{
    actix, crossbeam, disruptor, kameo, kanal, ractor, raddle, std_mpsc, tokio, xtra,
};

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    [(1, "one producer"), (4, "four producers")]
        .into_iter()
        .map(|(producers, words)| Scenario {
            name: format!("tell/{producers}"),
            title: format!("Tell: {words}, one actor, a mailbox of 1024"),
            figures: &[RATE],
            contenders: contenders(producers),
        })
        .collect()
}

fn contenders(producers: u64) -> Vec<Contender> {
    let by = |name, run: fn(Throughput) -> Figures| {
        Contender::new(name, move |settings: &Settings| {
            let plan = Work::Empty.plan(settings.rounds_per_us);
            run(Throughput::new(1, producers, plan, settings.seconds))
        })
    };
    let alone = [
        by("disruptor", disruptor::ring_of_one),
        by("disruptor batches of 16", disruptor::batches),
    ];
    let shared = [by("disruptor", disruptor::ring)];
    let mut contenders = vec![
        by("raddle", raddle::pool),
        by("crossbeam", crossbeam::shared_channel),
        by("crossbeam 7 words", crossbeam::wide_channel),
        by("std sync_channel", std_mpsc::channel),
        by("kanal", kanal::shared_channel),
        by("tokio task", tokio::tasks),
        by("actix", actix::actor),
        by("ractor", ractor::actors),
        by("kameo", kameo::actors),
        by("xtra", xtra::actors),
    ];
    if producers == 1 {
        contenders.extend(alone)
    } else {
        contenders.extend(shared)
    }
    contenders
}
