//! Pools under a seed: what they promise holds in every schedule, with every fault.

#[path = "explored/scenario.rs"]
mod scenario;

use std::time::Duration;

use raddle_runtime::test::{Explore, Faults};

fn explore() -> Explore {
    Explore::default().faults(Faults::all())
}

#[test]
fn what_a_pool_promises_holds_in_every_run() {
    let seconds = std::env::var("RADDLE_EXPLORE_SECONDS").ok().map(|it| it.parse().unwrap());
    let explore = match seconds {
        None => explore().runs(300),
        // For `cargo xtask planted`.
        Some(seconds) => explore().runs(u64::MAX).within(Duration::from_secs(seconds)),
    };
    let explored = explore.check(scenario::mixed).unwrap();
    assert!(explored.choices > 100 * explored.runs, "{explored:?}");
}

#[test]
fn a_seed_repeats_a_run_byte_for_byte() {
    for seed in 0..10 {
        let first = explore().replay_seed(seed, scenario::mixed);
        assert_eq!(explore().replay_seed(seed, scenario::mixed), first);
        assert_eq!(first.failure, None);
        assert!(first.log.lines().count() > 50, "{}", first.log);
    }
    let logs = [0, 1].map(|seed| explore().replay_seed(seed, scenario::mixed).log);
    assert_ne!(logs[0], logs[1]);
}

#[test]
fn a_failure_shrinks_to_what_matters_and_is_repeated() {
    let explore = || Explore::default().runs(1_000);
    let failure = explore().check(scenario::lost_update).unwrap_err();
    assert!(failure.message.contains("lost an update"), "{failure}");
    assert!(failure.choices.len() < failure.found_with / 2, "{failure}");
    let replay = explore().replay(&failure.choices, scenario::lost_update);
    assert_eq!((replay.log, replay.failure), (failure.log, Some(failure.message)));
}

#[test]
fn a_wait_that_never_ends_fails_a_run() {
    let failure = explore().runs(1).check(scenario::stuck).unwrap_err();
    assert!(failure.message.contains("does not come"), "{failure}");
}
