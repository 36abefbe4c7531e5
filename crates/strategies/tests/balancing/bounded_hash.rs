//! Keys that stay with their worker while it has room, and the order in which they overflow.

use proptest::prelude::*;
use raddle_core::{
    Capability, Health, Outcome, Reservation, Roster, TaskProfile, WorkerId, WorkerSpec,
};
use raddle_strategies::rendezvous::owner;
use raddle_strategies::{Balancer, BoundedHash};

use crate::{MS, alike, assert_settled, finish_on, in_flight, note_idle};

const KEYS: u64 = 4_000;

fn bounded() -> Balancer {
    Balancer::new(BoundedHash::new()).unwrap()
}

fn task(key: u64) -> TaskProfile {
    TaskProfile::default().key(key)
}

/// Returns the worker of each key while nothing is in flight.
fn homes(roster: &Roster) -> Vec<WorkerId> {
    let balancer = bounded();
    (0..KEYS).map(|key| balancer.select(&task(key), roster).unwrap().worker().id()).collect()
}

/// Returns a roster's workers in the order of a key: each owns the key once those before it have
/// left.
fn order(key: u64, roster: &Roster) -> Vec<usize> {
    let mut left: Vec<_> =
        roster.members().iter().map(|member| &member.worker).enumerate().collect();
    let mut order = Vec::new();
    while let Some(at) = owner(key, left.iter().map(|(_, w)| (w.name_hash(), w.weight()))) {
        order.push(left.remove(at).0);
    }
    order
}

fn weighted(weights: &[u32]) -> Roster {
    let spec =
        |(index, weight): (usize, &u32)| WorkerSpec::new(format!("w{index}")).weight(*weight);
    let specs = weights.iter().enumerate().map(spec);
    specs.fold(Roster::builder(), |builder, spec| builder.worker(spec)).build().unwrap()
}

/// Returns how many tasks the worker at `position` may have after one more selection with a bound
/// of a quarter, computed in whole numbers.
fn capacity(roster: &Roster, position: usize) -> u64 {
    let weight = |position: usize| u128::from(roster.members()[position].worker.weight().max(1));
    let sum: u128 = (0..roster.members().len()).map(weight).sum();
    let tasks = u128::from(in_flight(roster).iter().sum::<u64>()) + 1;
    (5 * tasks * weight(position)).div_ceil(4 * sum) as u64
}

fn share(homes: &[WorkerId], id: u32) -> f64 {
    homes.iter().filter(|home| home.0 == id).count() as f64 / homes.len() as f64
}

#[test]
fn keys_are_spread_evenly_and_each_stays_where_it_is() {
    let roster = alike(10);
    let first = homes(&roster);
    // 400, with a standard deviation of 19.
    assert!((0..10).all(|id| (share(&first, id) - 0.1).abs() < 0.02), "not even");
    (0..3).for_each(|_| assert_eq!(homes(&roster), first));
    for (key, home) in (0..).zip(first) {
        assert_eq!(order(key, &roster)[0], home.0 as usize);
    }
    assert_settled(&roster);
}

#[test]
fn keys_are_spread_in_proportion_to_weights() {
    // 0 is the lowest weight, and counts as 1.
    let homes = homes(&weighted(&[0, 1, 2, 4, 8]));
    for (id, weight) in [1.0, 1.0, 2.0, 4.0, 8.0].into_iter().enumerate() {
        let (share, fair) = (share(&homes, id as u32), weight / 16.0);
        // Five standard deviations.
        let off = 5.0 * (fair * (1.0 - fair) / KEYS as f64).sqrt();
        assert!((share - fair).abs() < off, "worker {id} has {share} for {fair}");
    }
}

#[test]
fn tasks_in_flight_are_spread_in_proportion_to_weights() {
    let weights = [1, 2, 5];
    let roster = weighted(&weights);
    let balancer = bounded();
    let held: Vec<_> = (0..800).map(|key| balancer.select(&task(key), &roster).unwrap()).collect();
    for (count, weight) in in_flight(&roster).into_iter().zip(weights) {
        assert!(count <= 125 * u64::from(weight), "{count} in flight for a weight of {weight}");
    }
    drop(held);
}

#[test]
fn a_key_has_its_own_order_among_capable_workers() {
    let roster = (0..40)
        .map(|index| {
            let capability = if index % 9 == 2 { "bounded-rare" } else { "bounded-common" };
            WorkerSpec::new(format!("w{index}")).capability(capability)
        })
        .fold(Roster::builder(), |builder, spec| builder.worker(spec))
        .build()
        .unwrap();
    let capable: Vec<usize> = (0..40).filter(|index| index % 9 == 2).collect();
    let rare = Capability::intern("bounded-rare").unwrap();
    let balancer = bounded();
    for key in 0..200 {
        let expected: Vec<_> =
            order(key, &roster).into_iter().filter(|at| capable.contains(at)).collect();
        let home = balancer.select(&task(key).capability(rare), &roster).unwrap();
        assert_eq!(home.position(), expected[0], "key {key}");
    }
    assert_settled(&roster);
}

#[test]
fn a_hot_key_overflows_in_its_own_order() {
    let roster = alike(8);
    let balancer = bounded();
    let mut firsts = Vec::new();
    for hot in 0..50 {
        let mut held = Vec::new();
        let mut met = Vec::new();
        for _ in 0..100 {
            let reservation = balancer.select(&task(hot), &roster).unwrap();
            if !met.contains(&reservation.position()) {
                met.push(reservation.position());
            }
            held.push(reservation);
            let counts = in_flight(&roster);
            // Workers with tasks come before those without, and have had no room.
            assert_eq!(met, order(hot, &roster)[..met.len()], "{counts:?}");
        }
        assert!(met.len() >= 7, "100 tasks fill 6.4 workers by a quarter more: {met:?}");
        firsts.push(met);
    }
    assert!(firsts.iter().any(|met| met[1] != firsts[0][1]), "each key has an order of its own");
    assert_settled(&roster);
}

#[test]
fn an_ejected_worker_s_keys_go_elsewhere_and_come_back() {
    let roster = alike(6);
    let before = homes(&roster);
    for health in [Health::Ejected, Health::Quarantined, Health::Draining] {
        let without = roster.with_health(WorkerId(2), health).unwrap();
        let mut to = [0; 6];
        for (before, after) in before.iter().zip(homes(&without)) {
            assert!(*before == after || before.0 == 2, "moved from {before} to {after}");
            to[after.0 as usize] += usize::from(*before != after);
        }
        assert!((0..6).all(|id| (to[id] > 0) == (id != 2)), "to all of the others: {to:?}");
        let back = without.with_health(WorkerId(2), Health::Active).unwrap();
        assert_eq!(homes(&back), before);
    }
}

#[test]
fn a_hung_worker_gets_no_more_than_its_capacity() {
    let roster = alike(10);
    let balancer = bounded();
    let mut hung = Vec::new();
    for key in 0..20_000 {
        // The others have at most one task each.
        let reservation = balancer.select(&task(key), &roster).unwrap();
        if reservation.position() == 4 {
            hung.push(reservation);
        }
    }
    // With one in flight its capacity is 1.25 * 2 / 10, which is 1.
    assert_eq!(hung.len(), 1);
    drop(hung);
    assert_settled(&roster);
}

#[test]
fn a_bound_that_one_worker_cannot_reach_does_not_limit_a_hung_one() {
    let roster = alike(2);
    let balancer = Balancer::new(BoundedHash::with_bound(1.0)).unwrap();
    let key = (0u64..).find(|key| order(*key, &roster)[0] == 0).unwrap();
    let hung: Vec<_> = (0..100).map(|_| balancer.select(&task(key), &roster).unwrap()).collect();
    assert_eq!(in_flight(&roster), [100, 0], "all there is, twice, by two");
    drop(hung);
}

#[test]
fn a_failing_worker_keeps_its_keys_and_takes_no_overflow_while_another_has_room() {
    let roster = alike(5);
    let before = homes(&roster);
    (0..100).for_each(|_| finish_on(&roster, 0, Outcome::Failed, MS));
    assert_eq!(homes(&roster), before);
    note_idle(&roster, 0);
    let balancer = bounded();
    for key in (0..KEYS).filter(|key| before[*key as usize].0 != 0).take(200) {
        let order = order(key, &roster);
        let mut met: Vec<usize> = Vec::new();
        let mut held = Vec::new();
        while met.len() < 4 {
            let reservation = balancer.select(&task(key), &roster).unwrap();
            if !met.contains(&reservation.position()) {
                met.push(reservation.position());
            }
            held.push(reservation);
        }
        let sound: Vec<_> = order.into_iter().filter(|position| *position != 0).collect();
        assert_eq!(met, sound, "key {key}");
    }
}

#[test]
fn a_failing_worker_takes_overflow_if_no_other_has_room() {
    let roster = alike(3);
    (0..100).for_each(|_| finish_on(&roster, 0, Outcome::Failed, MS));
    let key = (0u64..).find(|key| order(*key, &roster)[0] == 1).unwrap();
    let take =
        |position: usize| Reservation::take(&roster.members()[position].worker, position, None);
    let select = || bounded().select(&task(key), &roster).unwrap().position();
    let held = [1, 2, 1, 2].map(take);
    assert_eq!(select(), 1, "1.25 * 5 / 3 is above 2");
    let more = [1, 2].map(take);
    assert_eq!(select(), 0, "1.25 * 7 / 3 is below 3");
    drop((held, more));
    assert_eq!(select(), 1);
}

#[test]
fn a_closed_worker_has_no_room_and_does_not_count() {
    let roster = alike(4);
    let balancer = bounded();
    roster.members()[1].worker.close();
    let open = roster.without_worker(WorkerId(1)).unwrap();
    assert_eq!(homes(&roster), homes(&open));
    let held: Vec<_> = (0..300).map(|key| balancer.select(&task(key), &roster).unwrap()).collect();
    let counts = in_flight(&roster);
    // A quarter more than a third.
    assert!(counts[1] == 0 && counts.iter().all(|count| *count <= 125), "{counts:?}");
    drop(held);
    roster.members().iter().for_each(|member| member.worker.close());
    assert!(balancer.select(&task(1), &roster).is_err());
}

#[test]
fn without_a_key_the_idle_one_of_two_workers_is_picked() {
    let roster = alike(2);
    let balancer = bounded();
    let held = balancer.select(&TaskProfile::default(), &roster).unwrap();
    for _ in 0..100 {
        let other = balancer.select(&TaskProfile::default(), &roster).unwrap();
        assert_ne!(other.position(), held.position());
    }
    drop(held);
    assert_eq!(balancer.select(&TaskProfile::default(), &alike(1)).unwrap().position(), 0);
}

/// Tasks arrive and end at random; a few of their keys are hot.
#[test]
fn no_worker_gets_more_than_its_capacity() {
    for seed in [0x626f_756e_6401u64, 0x626f_756e_6402, 0x626f_756e_6403] {
        println!("seed {seed:#x}");
        fastrand::seed(seed);
        let weights: Vec<_> = (0..fastrand::usize(2..20)).map(|_| fastrand::u32(0..9)).collect();
        let roster = weighted(&weights);
        let balancer = bounded();
        let mut held = Vec::new();
        for step in 0..20_000 {
            // First more and more, then fewer and fewer.
            let grows = fastrand::u32(..100) < if step < 10_000 { 60 } else { 40 };
            if grows {
                let key = fastrand::u64(..1000).min(fastrand::u64(..1000)) / 50;
                let capacities: Vec<_> =
                    (0..weights.len()).map(|position| capacity(&roster, position)).collect();
                let reservation = balancer.select(&task(key), &roster).unwrap();
                let (position, counts) = (reservation.position(), in_flight(&roster));
                assert!(
                    counts[position] <= capacities[position],
                    "seed {seed:#x}, {weights:?}: {position} of {counts:?} for {capacities:?}"
                );
                held.push(reservation);
            } else if !held.is_empty() {
                drop(held.swap_remove(fastrand::usize(..held.len())));
            }
        }
        drop(held);
        assert_settled(&roster);
    }
}

/// While no task ends, capacities only rise: a worker that is within its capacity once stays so.
#[test]
fn while_no_task_ends_no_worker_is_ever_above_its_capacity() {
    let seed = 0x626f_756e_6404;
    println!("seed {seed:#x}");
    fastrand::seed(seed);
    let roster = weighted(&[3, 1, 1, 7, 2]);
    let balancer = bounded();
    let mut held = Vec::new();
    for _ in 0..3_000 {
        let capacities: Vec<_> = (0..5).map(|position| capacity(&roster, position)).collect();
        held.push(balancer.select(&task(fastrand::u64(..6)), &roster).unwrap());
        let counts = in_flight(&roster);
        let within = counts.iter().zip(&capacities).all(|(count, capacity)| count <= capacity);
        assert!(within, "seed {seed:#x}: {counts:?} for {capacities:?}");
    }
    drop(held);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    // Read backwards: a worker that joins only takes keys.
    #[test]
    fn only_the_keys_of_a_worker_that_leaves_move(
        weights in prop::collection::vec(0u32..10, 2..24), leaves in any::<prop::sample::Index>(),
    ) {
        let roster = weighted(&weights);
        let leaver = WorkerId(leaves.index(weights.len()) as u32);
        let rest = roster.without_worker(leaver).unwrap();
        let (before, after) = (homes(&roster), homes(&rest));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        prop_assert!(moved.clone().all(|(before, _)| *before == leaver));
        let weight = |weight: u32| f64::from(weight.max(1));
        let sum: f64 = weights.iter().map(|w| weight(*w)).sum();
        let fair = KEYS as f64 * weight(weights[leaver.0 as usize]) / sum;
        // K/n of the keys, within six standard deviations.
        let moved = moved.count() as f64;
        prop_assert!(moved <= fair + 6.0 * fair.sqrt(), "{} keys moved, {} are fair", moved, fair);
    }

    #[test]
    fn keys_move_only_to_a_worker_that_joins(workers in 1usize..24, weight in 0u32..4) {
        let roster = alike(workers);
        let joined = roster.with_workers(&[WorkerSpec::new("joins").weight(weight)]).unwrap();
        let joiner = WorkerId(workers as u32);
        let (before, after) = (homes(&roster), homes(&joined));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        prop_assert!(moved.clone().all(|(_, after)| *after == joiner));
        let weight = f64::from(weight.max(1));
        let fair = KEYS as f64 * weight / (workers as f64 + weight);
        let moved = moved.count() as f64;
        prop_assert!(moved <= fair + 6.0 * fair.sqrt(), "{} keys moved, {} are fair", moved, fair);
    }
}
