//! Properties that every strategy is held to, bare and in every wrapper: keys belong to names,
//! wrappers forward what a strategy says of itself, processes do not march in step, and how a
//! membership came about matters neither for shares nor for keys.

use std::sync::Arc;

use proptest::prelude::*;
use raddle_core::{Outcome, Roster, TaskProfile, WorkerId, WorkerSpec};
use raddle_strategies::{
    Balancer, Random, Shadow, SlowStart, Strategy, StrategyName, WeightedRoundRobin,
};

use crate::{MS, alike, finish_on, in_flight, positions};

type Wrap = fn(Box<dyn Strategy>) -> Box<dyn Strategy>;

/// Every way to pass a strategy on: bare, shared, and in each wrapper.
const WRAPPERS: [(&str, Wrap); 5] = [
    ("bare", |strategy| strategy),
    ("shared", |strategy| Box::new(Arc::<dyn Strategy>::from(strategy))),
    ("slow start", |strategy| Box::new(SlowStart::new(strategy))),
    ("shadow", |strategy| Box::new(Shadow::new(strategy.into(), Arc::new(Random::new())))),
    ("slow start of a shadow", |strategy| {
        Box::new(SlowStart::new(Shadow::new(strategy.into(), Arc::new(Random::new()))))
    }),
];

/// Every strategy in every wrapper, with what to call it.
fn all() -> impl Iterator<Item = (String, StrategyName, Wrap)> {
    StrategyName::ALL.into_iter().flat_map(|name| {
        WRAPPERS.into_iter().map(move |(how, wrap)| (format!("{name}, {how}"), name, wrap))
    })
}

fn specs(names: &[String]) -> Vec<WorkerSpec> {
    names.iter().map(|name| WorkerSpec::new(name.as_str())).collect()
}

fn at_once(names: &[String]) -> Roster {
    specs(names)
        .into_iter()
        .fold(Roster::builder(), |builder, spec| builder.worker(spec))
        .build()
        .unwrap()
}

fn id(roster: &Roster, name: &str) -> WorkerId {
    let member = roster.members().iter().find(|member| member.worker.name() == name);
    member.unwrap().worker.id()
}

/// Creates a roster of these workers in another way than at once.
fn by_changes(names: &[String], how: usize) -> Roster {
    let one_by_one = |roster: Roster| {
        specs(names)
            .iter()
            .fold(roster, |roster, spec| roster.with_workers(std::slice::from_ref(spec)).unwrap())
    };
    match how {
        0 => one_by_one(Roster::builder().build().unwrap()),
        1 => {
            // Each is added beside one that leaves again.
            let mut roster = Roster::builder().worker(WorkerSpec::new("leaves")).build().unwrap();
            for (number, spec) in specs(names).iter().enumerate() {
                let leaves = WorkerSpec::new(format!("leaves-{number}"));
                roster = roster.with_workers(&[leaves, spec.clone()]).unwrap();
                roster = roster.without_worker(id(&roster, &format!("leaves-{number}"))).unwrap();
            }
            roster.without_worker(id(&roster, "leaves")).unwrap()
        }
        _ => {
            // After a thousand changes: every worker is replaced, over and over.
            let mut roster = at_once(names);
            for change in 0..1_000 {
                let name = &names[change * 7 % names.len()];
                roster = roster.without_worker(id(&roster, name)).unwrap();
                roster = roster.with_workers(&[WorkerSpec::new(name.as_str())]).unwrap();
            }
            roster
        }
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("host-{number}.example:80")).collect()
}

const KEYS: u64 = 2_000;

fn owners(balancer: &Balancer, roster: &Roster) -> Vec<String> {
    let owner = |key| {
        let task = TaskProfile::default().key(key);
        balancer.select(&task, roster).unwrap().worker().name().to_owned()
    };
    (0..KEYS).map(owner).collect()
}

/// Those by which a key has an owner, in every wrapper.
fn keyed() -> impl Iterator<Item = (String, Balancer)> {
    let has_owners = |it: &dyn Strategy| it.routes_keys() && !it.tells_keys_apart();
    let keyed = all().filter(move |(_, name, _)| has_owners(&*name.build()));
    keyed.map(|(what, name, wrap)| (what, Balancer::new(wrap(name.build())).unwrap()))
}

#[test]
fn keys_belong_to_names_however_the_membership_came_about() {
    let names = names(8);
    let reversed: Vec<_> = names.iter().rev().cloned().collect();
    let expected =
        owners(&Balancer::new(StrategyName::BoundedHash.build()).unwrap(), &at_once(&names));
    assert!(keyed().count() >= WRAPPERS.len());
    for (what, balancer) in keyed() {
        assert!(owners(&balancer, &at_once(&reversed)) == expected, "{what}, reversed");
        for how in 0..3 {
            assert!(owners(&balancer, &by_changes(&names, how)) == expected, "{what}, way {how}");
        }
    }
}

/// As if another process, of another build, had computed them.
#[test]
fn the_owners_of_keys_never_change() {
    let balancer = Balancer::new(StrategyName::BoundedHash.build()).unwrap();
    let owners = owners(&balancer, &at_once(&["a", "b", "c", "d"].map(String::from)));
    assert_eq!(owners[..16].concat(), OWNERS);
}

const OWNERS: &str = "cbaabdbccccadddd";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn a_change_of_membership_moves_only_the_keys_that_must_move(
        names in prop::collection::hash_set("[a-z]{1,9}", 2..12), leaves in any::<prop::sample::Index>(),
    ) {
        let before: Vec<_> = names.into_iter().collect();
        let gone = before[leaves.index(before.len())].clone();
        // A restart without the worker: the others are added in another order.
        let after: Vec<_> = before.iter().rev().filter(|name| **name != gone).cloned().collect();
        for (what, balancer) in keyed() {
            let (before, after) = (owners(&balancer, &at_once(&before)), owners(&balancer, &at_once(&after)));
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(before == after || *before == gone, "{}: {} to {}", what, before, after);
            }
        }
    }
}

#[test]
fn every_wrapper_reports_its_strategy_s_properties_bare_and_prepared() {
    let roster = alike(5);
    finish_on(&roster, 0, Outcome::Completed, MS);
    for (what, name, wrap) in all() {
        let (plain, wrapped) = (name.build(), wrap(name.build()));
        let prepared = wrapped.prepare(&roster);
        // A shadow strategy may need more than the live one.
        let has = |strategy: &dyn Strategy| {
            (
                strategy.name(),
                strategy.lets_steal(),
                strategy.routes_keys(),
                strategy.weights(&roster),
            )
        };
        let needs = |strategy: &dyn Strategy| (strategy.reads_age(), strategy.needs_tracking());
        for strategy in std::iter::once(&*wrapped).chain(prepared.as_deref()) {
            assert_eq!(has(strategy), has(&*plain), "{what}");
            assert_eq!(needs(strategy), needs(&*plain), "{what}");
        }
        assert_eq!(prepared.is_some(), plain.prepare(&roster).is_some(), "{what}");
    }
}

/// Slow start must not take keys from their owner, or the owner's state is lost.
#[test]
fn slow_start_leaves_keys_with_their_owner() {
    let (clock, time) = raddle_core::Clock::simulated();
    let roster = Roster::builder().workers(4, WorkerSpec::general()).clock(clock).build().unwrap();
    time.advance(SlowStart::<Random>::RAMP * 2);
    let grown = roster.with_workers(&[WorkerSpec::new("new")]).unwrap();
    let plain = Balancer::new(StrategyName::BoundedHash.build()).unwrap();
    let slow = Balancer::new(SlowStart::new(StrategyName::BoundedHash.build())).unwrap();
    assert_eq!(owners(&slow, &grown), owners(&plain, &grown));
}

/// Asserts that each position is within six standard deviations of its share.
fn assert_shares(context: &str, counts: &[usize], expected: &[f64]) {
    let total = counts.iter().sum::<usize>() as f64;
    for (position, (count, share)) in counts.iter().zip(expected).enumerate() {
        let (fair, off) = (total * share, 6.0 * (total * share * (1.0 - share)).sqrt() + 1.0);
        let within = (*count as f64 - fair).abs() <= off;
        assert!(within, "{context}: {position} has {count} for {fair:.0} of {counts:?}");
    }
}

const SEED: u64 = 0x7072_6f70;

/// A thousand processes that start at once would otherwise all send their first task to one worker.
#[test]
fn the_first_selection_of_a_fresh_balancer_is_random() {
    let roster = alike(5);
    for (what, name, wrap) in all() {
        fastrand::seed(SEED);
        let mut counts = [0; 5];
        for _ in 0..1_000 {
            let balancer = Balancer::new(wrap(name.build())).unwrap();
            balancer.refresh(&roster);
            counts[positions(&balancer, &TaskProfile::default(), &roster, 1)[0]] += 1;
        }
        assert_shares(&format!("{what}, seed {SEED:#x}"), &counts, &[0.2; 5]);
    }
}

#[test]
fn a_weighted_rotation_starts_anywhere_in_its_round() {
    let specs = [5, 1, 1].map(|weight| WorkerSpec::new(format!("w{weight}")).weight(weight));
    let specs = specs.into_iter().zip(0..).map(|(spec, number)| spec.numbered(number));
    let roster =
        specs.fold(Roster::builder(), |builder, spec| builder.worker(spec)).build().unwrap();
    fastrand::seed(SEED);
    let mut counts = [0; 3];
    for _ in 0..3_000 {
        let balancer = Balancer::new(WeightedRoundRobin::fixed()).unwrap();
        balancer.refresh(&roster);
        counts[positions(&balancer, &TaskProfile::default(), &roster, 1)[0]] += 1;
    }
    assert_shares(&format!("seed {SEED:#x}"), &counts, &[5.0 / 7.0, 1.0 / 7.0, 1.0 / 7.0]);
}

/// What closed members would have got goes to all others, not to a neighbour.
#[test]
fn closed_members_leave_equal_shares() {
    for closed in [vec![3], vec![0, 1, 2], vec![2, 5, 6, 7]] {
        for (what, name, wrap) in all() {
            fastrand::seed(SEED);
            let roster = alike(8);
            closed.iter().for_each(|position| roster.members()[*position].worker.close());
            let balancer = Balancer::new(wrap(name.build())).unwrap();
            balancer.refresh(&roster);
            let mut counts = [0; 8];
            let selected = positions(&balancer, &TaskProfile::default(), &roster, 4_000);
            selected.into_iter().for_each(|position| counts[position] += 1);
            let open = (8 - closed.len()) as f64;
            let share = |position| if closed.contains(&position) { 0.0 } else { 1.0 / open };
            let expected: Vec<_> = (0..8).map(share).collect();
            assert_shares(
                &format!("{what}, {closed:?} closed, seed {SEED:#x}"),
                &counts,
                &expected,
            );
        }
    }
}

#[test]
fn a_closed_member_does_not_change_the_proportions_of_a_weighted_rotation() {
    let roster = (0..4)
        .map(|number| WorkerSpec::new(format!("w{number}")).weight([6, 3, 1, 6][number]))
        .fold(Roster::builder(), |builder, spec| builder.worker(spec))
        .build()
        .unwrap();
    roster.members()[0].worker.close();
    let balancer = Balancer::new(WeightedRoundRobin::fixed()).unwrap();
    balancer.refresh(&roster);
    let mut counts = [0; 4];
    positions(&balancer, &TaskProfile::default(), &roster, 4_000)
        .into_iter()
        .for_each(|at| counts[at] += 1);
    assert_shares("weights", &counts, &[0.0, 0.3, 0.1, 0.6]);
}

/// Some workers are busy, so that a strategy has to look further than its first draw.
#[test]
fn how_the_membership_came_about_does_not_change_shares() {
    for count in [7, 65, 70] {
        let names = names(count);
        let rosters =
            [at_once(&names)].into_iter().chain((0..3).map(|how| by_changes(&names, how)));
        for (way, roster) in rosters.enumerate() {
            for (what, name, wrap) in all() {
                fastrand::seed(SEED);
                let balancer = Balancer::new(wrap(name.build())).unwrap();
                balancer.refresh(&roster);
                let is_busy = |name: &str| names[..count / 2].iter().any(|busy| busy == name);
                let busy =
                    roster.members().iter().enumerate().filter(|(_, m)| is_busy(m.worker.name()));
                let held: Vec<_> = busy
                    .map(|(at, m)| raddle_core::Reservation::take(&m.worker, at, None).unwrap())
                    .collect();
                let mut counts = vec![0; count];
                let selected = positions(&balancer, &TaskProfile::default(), &roster, 200 * count);
                selected.into_iter().for_each(|position| counts[position] += 1);
                drop(held);
                // Those that are alike have alike shares.
                for alike in [true, false] {
                    let group: Vec<_> = (0..count)
                        .filter(|at| is_busy(roster.members()[*at].worker.name()) == alike)
                        .map(|at| counts[at])
                        .collect();
                    let fair = vec![1.0 / group.len() as f64; group.len()];
                    assert_shares(
                        &format!("{what}, {count} workers, way {way}, seed {SEED:#x}"),
                        &group,
                        &fair,
                    );
                }
                assert_eq!(in_flight(&roster), vec![0; count]);
            }
        }
    }
}

/// Two clusters behind one balancer, and an older roster that some thread still has.
#[test]
fn a_selection_on_another_roster_does_not_undo_a_refresh() {
    let fast_and_slow = || {
        let roster = alike(2);
        (0..100).for_each(|_| finish_on(&roster, 0, Outcome::Completed, MS));
        (0..100).for_each(|_| finish_on(&roster, 1, Outcome::Completed, 4 * MS));
        roster
    };
    let (one, other) = (fast_and_slow(), fast_and_slow());
    let balancer = Balancer::new(StrategyName::WeightedRoundRobin.build()).unwrap();
    let newer = one.with_workers(&[WorkerSpec::new("added")]).unwrap();
    let newer = newer.without_worker(id(&newer, "added")).unwrap();
    for roster in [&newer, &other, &one] {
        balancer.refresh(roster);
    }
    let mut counts = [[0; 2]; 2];
    for _ in 0..1_000 {
        for (roster, counts) in [&newer, &other].into_iter().zip(&mut counts) {
            counts[positions(&balancer, &TaskProfile::default(), roster, 1)[0]] += 1;
        }
        positions(&balancer, &TaskProfile::default(), &one, 1);
    }
    // Performances 1 and 1/4: a share of 0.8, in a smooth rotation and so almost exactly.
    for counts in counts {
        assert!((780..=820).contains(&counts[0]), "{counts:?}");
    }
}
