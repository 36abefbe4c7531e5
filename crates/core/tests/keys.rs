//! The keys that a worker remembers, and what a cold one costs.
#![cfg(not(loom))]

use std::sync::Arc;
use std::time::Duration;

use raddle_core::{
    Capability, Completion, KeyAge, Outcome, Reservation, Roster, Worker, WorkerSpec,
};

const LATEST: KeyAge = KeyAge::LATEST;

fn roster(workers: usize) -> Roster {
    Roster::builder().workers(workers, WorkerSpec::general()).build().unwrap()
}

fn worker(roster: &Roster, position: usize) -> &Arc<Worker> {
    &roster.members()[position].worker
}

fn take(roster: &Roster, key: u64, capability: Option<Capability>) -> Reservation<'_> {
    Reservation::take(worker(roster, 0), 0, capability).unwrap().noting_key(key)
}

#[test]
fn a_worker_remembers_keys_from_when_it_is_told_to_until_its_actor_restarts() {
    let roster = roster(2);
    let stats = worker(&roster, 0).stats();
    assert_eq!((take(&roster, 7, None).key_age(), stats.key_age(7)), (None, None));
    stats.remember_keys();
    assert_eq!(stats.key_age(7), Some(KeyAge::UNSEEN), "what ran before is unknown");
    let ages = [7, 8, 7].map(|key| take(&roster, key, None).key_age().unwrap());
    assert_eq!(ages, [KeyAge::UNSEEN, KeyAge::UNSEEN, ages[2]]);
    assert!(ages[2] < KeyAge::UNSEEN);
    stats.remember_keys();
    assert_eq!(stats.key_age(7), Some(LATEST), "asking again forgets nothing");
    assert_eq!(worker(&roster, 1).stats().key_age(7), None, "it is another worker's");
    worker(&roster, 0).next_generation();
    assert_eq!(stats.key_age(7), Some(KeyAge::UNSEEN));
}

#[test]
fn ages_are_in_the_order_of_the_last_use() {
    let roster = roster(1);
    worker(&roster, 0).stats().remember_keys();
    (0..512).for_each(|key| drop(take(&roster, key, None)));
    let age = |key| worker(&roster, 0).stats().key_age(key).unwrap().index();
    let mean = |keys: std::ops::Range<u64>| {
        let count = keys.end - keys.start;
        keys.map(age).sum::<usize>() as f64 / count as f64
    };
    // Quarters of what a table holds: keys fall into its sets at random.
    let means: Vec<_> = (0..4).map(|part| mean(128 * part..128 * (part + 1))).collect();
    assert!(means.is_sorted_by(|older, younger| older > younger), "{means:?}");
    assert!(means[3] < 2.0 && means[0] > 5.0, "{means:?}");
}

#[test]
fn an_age_fits_into_four_bits_and_any_bits_are_one() {
    for age in [None, Some(KeyAge::LATEST), Some(KeyAge::UNSEEN)] {
        assert_eq!(KeyAge::unpack(0xab0 | KeyAge::pack(age)), age);
    }
    assert!(
        (0..=u64::from(u16::MAX)).filter_map(KeyAge::unpack).all(|age| age.index() < KeyAge::COUNT)
    );
}

/// Only successes count, by every way to record, and each capability has its own cost.
#[test]
fn a_cold_key_costs_what_tasks_with_one_take_longer() {
    let roster = roster(1);
    worker(&roster, 0).stats().remember_keys();
    let costs = |capability| roster.baseline().cold_costs(capability)[KeyAge::UNSEEN.index()];
    let slow = Some(Capability::intern("keys-slow").unwrap());
    let run = |key, capability, outcome, micros| {
        take(&roster, key, capability).finish(outcome, Duration::from_micros(micros));
    };
    // Five successes in turn, of which each is sampled, as every eighth one is.
    for key in 0..64 {
        run(key, None, Outcome::Completed, 30);
        run(key, None, Outcome::Completed, 10);
        run(key, None, Outcome::Completed, 10);
        run(key, slow, Outcome::Completed, 10);
        run(1_000 + key, slow, Outcome::Completed, 1_010);
        run(2_000 + key, None, Outcome::Failed, 9_999);
    }
    assert_eq!((costs(None), costs(slow)), (20_000, 1_000_000));
    let other = Some(Capability::intern("keys-other").unwrap());
    assert_eq!(roster.baseline().cold_costs(other), [0; KeyAge::COUNT]);

    let mut recorder = worker(&roster, 0).recorder().unwrap();
    for key in 3_000..3_064 {
        for age in [KeyAge::UNSEEN, LATEST, LATEST] {
            let reservation = take(&roster, key, other);
            assert_eq!(reservation.key_age(), Some(age));
            let _ = reservation.hand_over();
            let service = if age == LATEST { 10 } else { 15 };
            let end = Completion { service, ..Completion::new(Outcome::Completed) };
            recorder.end(&Completion { capability: other, ..end });
            recorder.learn_cost(age, other, service);
        }
    }
    assert_eq!(costs(other), 5);
}

#[test]
fn a_key_whose_tasks_are_shorter_elsewhere_costs_nothing() {
    let roster = roster(1);
    worker(&roster, 0).stats().remember_keys();
    for key in 0..64 {
        for micros in [5, 10, 10] {
            take(&roster, key, None).finish(Outcome::Completed, Duration::from_micros(micros));
        }
    }
    assert_eq!(roster.baseline().cold_costs(None), [0; KeyAge::COUNT]);
}
