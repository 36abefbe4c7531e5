//! Checks the search for idle workers against a scan of all workers.
#![cfg(not(loom))]

use std::time::Duration;

use proptest::prelude::*;
use raddle_core::random::below;
use raddle_core::{
    Candidates, Capability, Completion, Outcome, Reservation, Roster, Tracking, WorkerId,
    WorkerSpec,
};

/// The description of a worker: what it serves, and whether it has left.
type Spec = (Serves, bool);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Serves {
    Able,
    Other,
    Anything,
}

fn boards() -> impl Strategy<Value = Vec<Vec<Spec>>> {
    let serves = prop::sample::select(&[Serves::Able, Serves::Other, Serves::Anything][..]);
    prop::collection::vec(prop::collection::vec((serves, any::<bool>()), 0..140), 0..4)
}

/// Creates a roster with several boards. Each worker's weight encodes its board, its word of 64 rows
/// and its bit there.
fn roster(boards: &[Vec<Spec>]) -> Roster {
    let tracking = Tracking { enabled: false, ..Tracking::default() };
    let mut roster = Roster::builder().tracking(tracking).build().unwrap();
    for (board, workers) in boards.iter().enumerate() {
        let specs = workers.iter().enumerate().map(|(row, (serves, _))| {
            let weight = 1 + board * 1_000 + row / 64 * 100 + row % 64;
            let spec = WorkerSpec::new(format!("{board}-{row}")).weight(weight as u32);
            match serves {
                Serves::Able => spec.capability("idle-able"),
                Serves::Other => spec.capability("idle-other"),
                Serves::Anything => spec.and_general(),
            }
        });
        let specs: Vec<_> = specs.collect();
        roster = roster.with_workers(&specs).unwrap();
    }
    let left = boards.iter().flatten().zip(0..).filter(|((_, left), _)| *left);
    left.fold(roster, |roster, (_, id)| roster.without_worker(WorkerId(id)).unwrap())
}

/// A pseudo-random number, by the finaliser of splitmix64.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// Everything that `count` searches find.
fn found(candidates: &Candidates<'_>, random: u64, count: u64) -> Vec<usize> {
    let numbers = (1..=count).map(|number| mixed(random.wrapping_add(number)));
    let mut found: Vec<_> =
        numbers.filter_map(|number| candidates.find_idle(number, |_, _, _| true)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The candidates that one search visits, in order, and whether each is the one drawn first.
fn offered(candidates: &Candidates<'_>, random: u64, able: Capability) -> Vec<(usize, bool)> {
    let mut offered = Vec::new();
    let none = candidates.find_idle(random, |index, signals, drawn| {
        let worker = candidates.worker(index);
        assert_eq!((signals.weight(), signals.in_flight()), (worker.weight(), 0), "its own row");
        let named = candidates.group() > 1 && worker.capabilities().contains(able);
        assert_eq!(signals.names_capability(), named, "{worker:?}");
        offered.push((index, drawn));
        false
    });
    assert_eq!(none, None);
    offered
}

/// Checks which candidates a search offers when no idle bit is stale.
fn check_offers(
    candidates: &Candidates<'_>,
    random: u64,
    able: Capability,
    idle: &[usize],
) -> Result<(), TestCaseError> {
    let offered = offered(candidates, random, able);
    let drawn = below((random >> 32) as u32, candidates.len());
    let free = idle.contains(&drawn);
    prop_assert_eq!(offered.len(), idle.len().min(if free { 8 } else { 7 }));
    let first: Vec<_> = offered.iter().filter(|(_, first)| *first).collect();
    prop_assert_eq!(first, if free { vec![&offered[0]] } else { vec![] });
    prop_assert!(!free || offered[0].0 == drawn);
    let mut others: Vec<_> = offered.iter().map(|(index, _)| *index).collect();
    if !others.is_empty() {
        // Candidates of the same ward come first: as many wards of equal size as there are words.
        let (count, wards) = (candidates.len(), candidates.len().div_ceil(64));
        let ward = |index: usize| (0..wards).rfind(|ward| ward * count / wards <= index);
        let near = idle.iter().filter(|index| ward(**index) == ward(drawn)).count();
        prop_assert!(others.iter().take(near).all(|index| ward(*index) == ward(drawn)));
    }
    others.sort_unstable();
    others.dedup();
    prop_assert_eq!(others.len(), offered.len(), "no candidate twice");
    prop_assert!(others.iter().all(|index| idle.contains(index)));
    Ok(())
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
        boards in boards(),
        busy in prop::collection::vec(prop::bool::weighted(0.8), 600),
        random in any::<u64>(),
    ) {
        let roster = roster(&boards);
        let able = Capability::intern("idle-able").unwrap();
        for capability in [None, Some(able)] {
            let candidates = roster.candidates(capability);
            let reserved: Vec<_> = candidates
                .iter()
                .zip(&busy)
                .filter(|(_, busy)| **busy)
                .map(|(worker, _)| Reservation::take(worker, 0, None).unwrap())
                .collect();
            // Each search clears at most eight stale bits.
            found(&candidates, random, 1_000);
            let idle_ones = idle(&candidates);
            prop_assert_eq!(&found(&candidates, random, 6_000), &idle_ones);
            let first = candidates.find_idle(random, |_, _, _| true);
            prop_assert_eq!(first.is_some(), !idle_ones.is_empty(), "at once, because no bit is stale");
            for number in (0..100).map(|number| mixed(random ^ number)) {
                check_offers(&candidates, number, able, &idle_ones)?;
            }
            drop(reserved);
            prop_assert_eq!(found(&candidates, random, 6_000).len(), candidates.len());
        }
    }
}

#[test]
fn candidates_that_start_in_the_middle_of_a_board_are_found() {
    let able = Capability::intern("idle-able").unwrap();
    let board: Vec<_> = (0..200).map(|row| (Serves::Anything, row < 70)).collect();
    let roster = roster(&[board]);
    let candidates = roster.candidates(None);
    let busy = (0..130).filter(|index| index % 3 != 0);
    let _reserved: Vec<_> = busy.map(|index| candidates.take(index, None).unwrap()).collect();
    found(&candidates, 1, 1_000);
    let idle = idle(&candidates);
    for number in 0..1_000 {
        check_offers(&candidates, mixed(number), able, &idle).unwrap();
    }
}

#[test]
fn a_closed_worker_is_not_idle() {
    let roster = Roster::builder().workers(2, WorkerSpec::general()).build().unwrap();
    roster.members()[0].worker.close();
    let candidates = roster.candidates(None);
    assert_eq!(found(&candidates, 7, 1_000), [1]);
    // Nor after it has refused a task, or marked itself idle.
    assert!(Reservation::take(&roster.members()[0].worker, 0, None).is_none());
    roster.members()[0].worker.recorder().unwrap().mark_idle(1);
    assert_eq!(found(&candidates, 7, 1_000), [1]);
}

#[test]
fn the_weight_on_the_board_is_at_least_one() {
    let roster = [0, 1, 7, u32::MAX].into_iter().fold(Roster::builder(), |builder, weight| {
        builder.worker(WorkerSpec::new(format!("of-{weight}")).weight(weight))
    });
    let roster = roster.build().unwrap().without_worker(WorkerId(1)).unwrap();
    let candidates = roster.candidates(None);
    let weights: Vec<_> = candidates.signals().map(|signals| signals.weight()).collect();
    assert_eq!(weights, [1, 7, u32::MAX]);
    assert_eq!(candidates.signals_at(1).unwrap().weight(), 7);
    assert!(candidates.signals_at(3).is_none());
}

#[test]
fn a_scan_reads_the_peak_of_each_row() {
    let roster = Roster::builder().workers(3, WorkerSpec::general()).build().unwrap();
    let roster = roster.without_worker(WorkerId(0)).unwrap();
    let candidates = roster.candidates(None);
    assert!(!candidates.take(0, None).unwrap().hand_over(), "the worker is awake");
    let end = Completion { service: 700, at: 1, ..Completion::new(Outcome::Completed) };
    candidates.worker(0).recorder().unwrap().end(&end);
    let peaks = candidates.signals().map(|signals| signals.peak_latency(1));
    assert_eq!(peaks.collect::<Vec<_>>(), [Some(700), None]);
}

#[test]
fn a_busy_worker_is_skipped_until_it_is_idle() {
    let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
    let (candidates, worker) = (roster.candidates(None), &roster.members()[0].worker);
    let find = || candidates.find_idle(7, |_, _, _| true);
    let take = || Reservation::take(worker, 0, None).unwrap();
    // However its task ends.
    let reserved = take();
    assert_eq!(find(), None);
    reserved.finish(Outcome::Completed, Duration::ZERO);
    assert_eq!(find(), Some(0), "ended by its reservation");
    let reserved = take();
    assert_eq!(find(), None);
    drop(reserved);
    assert_eq!(find(), Some(0), "released");
    let reserved = take();
    assert_eq!(find(), None);
    roster.record(reserved.detach(), &Completion::new(Outcome::Completed)).unwrap();
    assert_eq!(find(), Some(0), "recorded by its id");
    for marks_idle in [true, false] {
        let mut recorder = worker.recorder().unwrap();
        assert!(!take().hand_over(), "the worker is awake");
        assert_eq!(find(), None);
        recorder.end(&Completion::new(Outcome::Completed));
        if marks_idle {
            recorder.mark_idle(1);
            assert_eq!(find(), Some(0), "its thread is idle");
        }
        drop(recorder);
        assert_eq!(find(), Some(0), "its recorder was returned");
    }
}

#[test]
fn the_only_idle_worker_is_found_once_the_others_are_unlisted() {
    let roster = Roster::builder().workers(200, WorkerSpec::general()).build().unwrap();
    let candidates = roster.candidates(None);
    let busy = (0..200).filter(|index| *index != 137);
    let _reserved: Vec<_> = busy.map(|index| candidates.take(index, None).unwrap()).collect();
    // A search visits eight, and there are 199.
    found(&candidates, 1, 1_000);
    for number in 0..100 {
        assert_eq!(candidates.find_idle(mixed(number), |_, _, _| true), Some(137), "{number}");
    }
}

#[test]
fn idle_neighbours_of_a_busy_worker_are_found_equally_often() {
    let workers = Roster::builder().workers(64, WorkerSpec::general()).build().unwrap();
    let one_gone = workers.without_worker(WorkerId(9)).unwrap();
    for roster in [workers, one_gone] {
        let candidates = roster.candidates(None);
        let busy = (0..candidates.len()).filter(|index| !matches!(index, 20..24 | 50..56));
        let _reserved: Vec<_> = busy.map(|index| candidates.take(index, None).unwrap()).collect();
        found(&candidates, 1, 1_000);
        let mut times = vec![0u32; candidates.len()];
        for number in 0..20_000 {
            times[candidates.find_idle(mixed(number), |_, _, _| true).unwrap()] += 1;
        }
        times.retain(|times| *times > 0);
        assert_eq!(times.len(), 10);
        assert!(times.iter().all(|times| (1_850..2_150).contains(times)), "{times:?}");
    }
}

#[test]
fn idle_time_counts_from_the_last_mark_idle() {
    let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
    let idle_for = |now| roster.candidates(None).signals_at(0).unwrap().idle_for(now);
    let mut recorder = roster.members()[0].worker.recorder().unwrap();
    recorder.mark_idle(100);
    assert_eq!((idle_for(150), idle_for(100), idle_for(90)), (50, 0, 0));
    recorder.mark_idle(120);
    assert_eq!(idle_for(150), 30);
}

#[test]
fn a_worker_parks_only_over_deferred_tasks_and_the_next_task_wakes_it() {
    let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
    let worker = &roster.members()[0].worker;
    let mut recorder = worker.recorder().unwrap();
    let take = || Reservation::take(worker, 0, None).unwrap();
    for _ in 0..5 {
        assert!(!take().hand_over(), "it is awake");
        recorder.end(&Completion::new(Outcome::Completed));
    }
    assert!(!worker.stats().is_parked());
    assert!(recorder.try_park(0) && worker.stats().is_parked());
    assert!(take().hand_over(), "the caller must wake it");
    assert!(!worker.stats().is_parked(), "only that caller must");
    assert!(!recorder.try_park(0) && !worker.stats().is_parked(), "a task is in flight");
    assert!(!recorder.try_park(2) && !worker.stats().is_parked(), "only one is in flight");
    assert!(recorder.try_park(1) && worker.stats().is_parked(), "that task is deferred");
    recorder.unpark();
    assert!(!worker.stats().is_parked());
    recorder.end(&Completion::new(Outcome::Completed));
    worker.close();
    assert!(!recorder.try_park(0), "it is closed");
}
