//! Successive asks of one actor from a plain thread.

use std::time::Duration;

use super::definition::{Contender, Scenario, Settings};
use crate::figures::{Figures, P50, P99, P999};
use crate::harness::Asking;
use crate::peers::{actix, crossbeam, disruptor, kameo, kanal, ractor, raddle, tokio, xtra};

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    [("back-to-back", Duration::ZERO), ("50us-apart", Duration::from_micros(50))]
        .into_iter()
        .map(|(name, pause)| Scenario {
            name: format!("ask/{name}"),
            title: format!("Ask: from a plain thread, {}", name.replace('-', " ")),
            figures: &[P50, P99, P999],
            contenders: contenders(pause),
        })
        .collect()
}

fn contenders(pause: Duration) -> Vec<Contender> {
    let by = |name, run: fn(&Asking) -> Figures| {
        Contender::new(name, move |settings: &Settings| {
            run(&Asking { pause, seconds: settings.seconds })
        })
    };
    vec![
        by("raddle spinning", raddle::ask_spinning),
        by("raddle", raddle::ask_default),
        by("crossbeam spinning", crossbeam::ask_spinning),
        by("crossbeam spinning oneshot", crossbeam::ask_spinning_oneshot),
        by("crossbeam backoff", crossbeam::ask_backoff),
        by("crossbeam blocking", crossbeam::ask_blocking),
        by("kanal", kanal::ask),
        by("disruptor", disruptor::ask),
        by("tokio task", tokio::ask),
        by("actix", actix::ask),
        by("ractor", ractor::ask),
        by("kameo", kameo::ask),
        by("xtra", xtra::ask),
    ]
}
