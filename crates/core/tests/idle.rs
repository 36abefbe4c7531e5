//! Looking for idle workers, against a scan of all.
#![cfg(not(loom))]

use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{
    Candidates, Capability, Completion, Outcome, Reservation, Roster, Tracking, WorkerId,
    WorkerSpec,
};

/// A worker to be: what it serves, and whether it has left.
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

/// A roster of boards of so many workers, each of another weight: the number of its word, by board
/// and 64 lanes, and its number in that.
fn roster(boards: &[Vec<Spec>]) -> Roster {
    let tracking = Tracking { enabled: false, ..Tracking::default() };
    let mut roster = Roster::builder().tracking(tracking).build().unwrap();
    for (board, workers) in boards.iter().enumerate() {
        let specs = workers.iter().enumerate().map(|(lane, (serves, _))| {
            let weight = 1 + board * 1_000 + lane / 64 * 100 + lane % 64;
            let spec = WorkerSpec::new(format!("{board}-{lane}")).weight(weight as u32);
            match serves {
                Serves::Able => spec.capability("idle-able"),
                Serves::Other => spec.capability("idle-other"),
                Serves::Anything => spec.and_general(),
            }
        });
        let specs: Vec<_> = specs.collect();
        roster = roster.with_workers(&specs).unwrap();
    }
    let gone = boards.iter().flatten().zip(0..).filter(|((_, gone), _)| *gone);
    gone.fold(roster, |roster, (_, id)| roster.without_worker(WorkerId(id)).unwrap())
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

/// The candidates that one search looks at, in order, and whether each is the one that was drawn.
fn offered(candidates: &Candidates<'_>, random: u64, able: Capability) -> Vec<(usize, bool)> {
    let mut offered = Vec::new();
    let none = candidates.find_idle(random, |index, signals, drawn| {
        let worker = candidates.worker(index);
        assert_eq!((signals.weight(), signals.in_flight()), (worker.weight(), 0), "its own words");
        let named = candidates.group() > 1 && worker.capabilities().contains(able);
        assert_eq!(signals.names_capability(), named, "{worker:?}");
        offered.push((index, drawn));
        false
    });
    assert_eq!(none, None);
    offered
}

/// Checks what a search offers where it is not stale who is idle.
fn check_offers(
    candidates: &Candidates<'_>,
    random: u64,
    able: Capability,
    idle: &[usize],
) -> Result<(), TestCaseError> {
    let offered = offered(candidates, random, able);
    // The upper half of the number draws.
    let drawn = (((random >> 32) * candidates.len() as u64) >> 32) as usize;
    let free = idle.contains(&drawn);
    prop_assert_eq!(offered.len(), idle.len().min(if free { 8 } else { 7 }));
    let first: Vec<_> = offered.iter().filter(|(_, first)| *first).collect();
    prop_assert_eq!(first, if free { vec![&offered[0]] } else { vec![] });
    prop_assert!(!free || offered[0].0 == drawn);
    let mut others: Vec<_> = offered.iter().map(|(index, _)| *index).collect();
    if !others.is_empty() {
        // Nobody of another word before those of its own.
        let word = |index: usize| candidates.worker(index).weight() / 100;
        let near = idle.iter().filter(|index| word(**index) == word(drawn)).count();
        prop_assert!(others.iter().take(near).all(|index| word(*index) == word(drawn)));
    }
    others.sort_unstable();
    others.dedup();
    prop_assert_eq!(others.len(), offered.len(), "nobody twice");
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
            for number in (0..100).map(|number| mixed(random ^ number)) {
                check_offers(&candidates, number, able, &idle_ones)?;
            }
            drop(held);
            prop_assert_eq!(found(&candidates, random, 6_000).len(), candidates.len());
        }
    }
}

#[test]
fn candidates_that_begin_in_the_middle_of_a_board_are_found_where_they_are() {
    let able = Capability::intern("idle-able").unwrap();
    let board: Vec<_> = (0..200).map(|lane| (Serves::Anything, lane < 70)).collect();
    let roster = roster(&[board]);
    let candidates = roster.candidates(None);
    let busy = (0..130).filter(|index| index % 3 != 0);
    let _held: Vec<_> = busy.map(|index| candidates.take(index, None).unwrap()).collect();
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
    // Nor one that is refused a task, or rests, afterwards.
    assert!(Reservation::take(&roster.members()[0].worker, 0, None).is_none());
    roster.members()[0].worker.recorder().unwrap().mark_idle(1);
    assert_eq!(found(&candidates, 7, 1_000), [1]);
}

#[test]
fn a_weight_is_on_the_board_and_at_least_one() {
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
fn a_scan_reads_the_peak_of_each_worker_itself() {
    let roster = Roster::builder().workers(3, WorkerSpec::general()).build().unwrap();
    let roster = roster.without_worker(WorkerId(0)).unwrap();
    let candidates = roster.candidates(None);
    assert!(!candidates.take(0, None).unwrap().hand_over(), "nobody sleeps");
    let end = Completion { service: 700, at: 1, ..Completion::new(Outcome::Completed) };
    candidates.worker(0).recorder().unwrap().end(&end);
    let peaks = candidates.signals().map(|signals| signals.peak_latency(1));
    assert_eq!(peaks.collect::<Vec<_>>(), [Some(700), None]);
}

#[test]
fn who_is_found_busy_is_passed_over_until_it_is_idle() {
    let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
    let (candidates, worker) = (roster.candidates(None), &roster.members()[0].worker);
    let find = || candidates.find_idle(7, |_, _, _| true);
    let take = || Reservation::take(worker, 0, None).unwrap();
    // By whom a task is ended makes no difference.
    let held = take();
    assert_eq!(find(), None);
    held.finish(Outcome::Completed, Duration::ZERO);
    assert_eq!(find(), Some(0), "ended by its dispatcher");
    let held = take();
    assert_eq!(find(), None);
    drop(held);
    assert_eq!(find(), Some(0), "given back");
    let held = take();
    assert_eq!(find(), None);
    roster.record(held.detach(), &Completion::new(Outcome::Completed)).unwrap();
    assert_eq!(find(), Some(0), "recorded by its id");
    for rests in [true, false] {
        let mut recorder = worker.recorder().unwrap();
        assert!(!take().hand_over(), "nobody sleeps");
        assert_eq!(find(), None);
        recorder.end(&Completion::new(Outcome::Completed));
        if rests {
            recorder.mark_idle(1);
            assert_eq!(find(), Some(0), "its thread rests");
        }
        drop(recorder);
        assert_eq!(find(), Some(0), "its thread is gone");
    }
}

#[test]
fn the_one_idle_worker_among_many_is_found_once_the_others_were_seen() {
    let roster = Roster::builder().workers(200, WorkerSpec::general()).build().unwrap();
    let candidates = roster.candidates(None);
    let busy = (0..200).filter(|index| *index != 137);
    let _held: Vec<_> = busy.map(|index| candidates.take(index, None).unwrap()).collect();
    // Eight are seen in a search, and there are 199.
    found(&candidates, 1, 1_000);
    for number in 0..100 {
        assert_eq!(candidates.find_idle(mixed(number), |_, _, _| true), Some(137), "{number}");
    }
}

#[test]
fn the_idle_neighbours_of_who_is_busy_are_found_equally_often() {
    let workers = Roster::builder().workers(64, WorkerSpec::general()).build().unwrap();
    let one_gone = workers.without_worker(WorkerId(9)).unwrap();
    for roster in [workers, one_gone] {
        let candidates = roster.candidates(None);
        let busy = (0..candidates.len()).filter(|index| !matches!(index, 20..24 | 50..56));
        let _held: Vec<_> = busy.map(|index| candidates.take(index, None).unwrap()).collect();
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
fn it_is_known_since_when_a_worker_is_idle() {
    let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
    let idle_for = |now| roster.candidates(None).signals_at(0).unwrap().idle_for(now);
    let mut recorder = roster.members()[0].worker.recorder().unwrap();
    recorder.mark_idle(100);
    assert_eq!((idle_for(150), idle_for(100), idle_for(90)), (50, 0, 0));
    recorder.mark_idle(120);
    assert_eq!(idle_for(150), 30);
}

#[test]
fn a_worker_sleeps_only_over_what_it_holds_and_who_gives_it_a_task_wakes_it() {
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
    assert!(take().hand_over(), "who gave it a task is told");
    assert!(!worker.stats().is_parked(), "and is the only one");
    assert!(!recorder.try_park(0) && !worker.stats().is_parked(), "there is a task");
    assert!(!recorder.try_park(2) && !worker.stats().is_parked(), "it does not hold two");
    assert!(recorder.try_park(1) && worker.stats().is_parked(), "it cannot be run yet");
    recorder.unpark();
    assert!(!worker.stats().is_parked());
    recorder.end(&Completion::new(Outcome::Completed));
    worker.close();
    assert!(!recorder.try_park(0), "it is to go");
}
