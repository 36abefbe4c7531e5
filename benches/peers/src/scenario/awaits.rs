//! Calls whose handlers await a timer, from async callers.

use std::time::Duration;

use super::definition::{Contender, Scenario, Settings};
use crate::figures::{Figures, RATE};
use crate::harness::Awaiting;
use crate::peers::{actix, kameo, ractor, raddle, tokio, xtra};

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    [
        ("5ms", "5 ms, four workers, 256 callers", (4, 256, 1, 5)),
        ("1ms", "1 ms, one worker, 1,000 at once by one caller", (1, 1, 1_000, 1)),
    ]
    .into_iter()
    .map(|(name, words, (workers, callers, at_once, millis))| {
        let pause = Duration::from_millis(millis);
        let awaiting = Awaiting { workers, callers, at_once, pause, seconds: 0.0 };
        Scenario {
            name: format!("await/{name}"),
            title: format!("Handlers that await a timer of {words}"),
            figures: &[RATE],
            contenders: contenders(awaiting),
        }
    })
    .collect()
}

fn contenders(awaiting: Awaiting) -> Vec<Contender> {
    let by = |name, run: fn(Awaiting) -> Figures| {
        Contender::new(name, move |settings: &Settings| {
            run(Awaiting { seconds: settings.seconds, ..awaiting })
        })
    };
    vec![
        by("raddle concurrent", raddle::awaiting_concurrent),
        by("raddle with deadlines", raddle::awaiting_in_time),
        by("raddle exclusive", raddle::awaiting_exclusive),
        by("tokio futures", tokio::awaiting),
        by("actix futures", actix::awaiting),
        by("ractor spawning", ractor::awaiting),
        by("kameo delegating", kameo::awaiting),
        by("xtra shared", xtra::awaiting),
    ]
}
