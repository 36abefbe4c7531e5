//! Looking for idle workers, against a scan of all.
#![cfg(not(loom))]

use proptest::prelude::*;
use raddle_core::{Candidates, Capability, Reservation, Roster, Tracking, WorkerId, WorkerSpec};

/// A roster of boards of so many workers, of which those marked have the capability and those that
/// are marked as gone have left.
fn roster(boards: &[Vec<(bool, bool)>]) -> Roster {
    let tracking = Tracking { enabled: false, ..Tracking::default() };
    let mut roster = Roster::builder().tracking(tracking).build().unwrap();
    for (board, workers) in boards.iter().enumerate() {
        let specs: Vec<_> = (0..)
            .zip(workers)
            .map(|(index, (able, _))| {
                let spec = WorkerSpec::new(format!("{board}-{index}"));
                if *able { spec.capability("idle-able") } else { spec.capability("idle-other") }
            })
            .collect();
        roster = roster.with_workers(&specs).unwrap();
    }
    let gone = boards.iter().flatten().zip(0..).filter(|((_, gone), _)| *gone);
    gone.fold(roster, |roster, (_, id)| roster.without(WorkerId(id)).unwrap())
}

/// A number that looks random, by the finaliser of splitmix64.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// All that are found by so many numbers, where stale bits were cleared before.
fn found(candidates: &Candidates<'_>, random: u64, count: u64) -> Vec<usize> {
    let numbers = (1..=count).map(|number| mixed(random.wrapping_add(number)));
    let mut found: Vec<_> =
        numbers.filter_map(|number| candidates.find_idle(number, |_, _, _| true)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn idle(candidates: &Candidates<'_>) -> Vec<usize> {
    let in_flight = |index: &usize| candidates.worker(*index).stats().in_flight();
    (0..candidates.len()).filter(|index| in_flight(index) == 0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_idle_candidate_is_found_and_no_other(
        boards in prop::collection::vec(prop::collection::vec((any::<bool>(), any::<bool>()), 0..70), 0..4),
        busy in prop::collection::vec(any::<bool>(), 400),
        random in any::<u64>(),
    ) {
        let roster = roster(&boards);
        let able = Capability::intern("idle-able").unwrap();
        for capability in [None, Some(able)] {
            let candidates = roster.candidates(capability);
            let held: Vec<_> = candidates
                .iter()
                .zip(&busy)
                .filter(|(_, busy)| **busy)
                .map(|(worker, _)| Reservation::take(worker, 0, None).unwrap())
                .collect();
            // Eight stale bits a look, at the most, are cleared.
            found(&candidates, random, 1_000);
            let idle_ones = idle(&candidates);
            prop_assert_eq!(&found(&candidates, random, 6_000), &idle_ones);
            let first = candidates.find_idle(random, |_, _, _| true);
            prop_assert_eq!(first.is_some(), !idle_ones.is_empty(), "at once, nothing being stale");
            prop_assert_eq!(candidates.find_idle(random, |_, _, _| false), None);
            drop(held);
            prop_assert_eq!(found(&candidates, random, 6_000).len(), candidates.len());
        }
    }
}

#[test]
fn a_closed_worker_is_not_idle() {
    let roster = Roster::builder().workers(2, WorkerSpec::general()).build().unwrap();
    roster.workers()[0].worker.close();
    let candidates = roster.candidates(None);
    assert_eq!(found(&candidates, 7, 1_000), [1]);
    // Nor one that is refused a task, or rests, afterwards.
    assert!(Reservation::take(&roster.workers()[0].worker, 0, None).is_none());
    roster.workers()[0].worker.recorder().unwrap().rest(1);
    assert_eq!(found(&candidates, 7, 1_000), [1]);
}

#[test]
fn a_weight_is_on_the_board_and_at_least_one() {
    let roster = [0, 1, 7, u32::MAX].into_iter().fold(Roster::builder(), |builder, weight| {
        builder.worker(WorkerSpec::new(format!("of-{weight}")).weight(weight))
    });
    let roster = roster.build().unwrap().without(WorkerId(1)).unwrap();
    let candidates = roster.candidates(None);
    let weights: Vec<_> = candidates.signals().map(|signals| signals.weight()).collect();
    assert_eq!(weights, [1, 7, u32::MAX]);
    assert_eq!(candidates.signals_at(1).unwrap().weight(), 7);
    assert!(candidates.signals_at(3).is_none());
}
