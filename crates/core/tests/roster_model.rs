//! Checks rosters against a plain list of workers that is searched linearly.
#![cfg(not(loom))]

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use raddle_core::{
    Candidates, Capability, Health, Roster, RosterError, Tracking, WorkerId, WorkerSpec,
};

/// The capabilities that workers of this test may have.
const CAPABILITIES: [&str; 4] =
    ["roster-model-a", "roster-model-b", "roster-model-c", "roster-model-d"];

/// The description of a worker.
#[derive(Clone, Copy, Debug)]
struct Spec {
    /// One bit for each of [`CAPABILITIES`].
    capabilities: u8,
    general: bool,
    weight: u32,
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<Spec>),
    /// A worker with the name of a member.
    AddNamesake(usize),
    Change(Change),
}

/// A change to the member at a position; beyond the last position, to an unknown worker.
#[derive(Clone, Copy, Debug)]
enum Change {
    Remove(usize),
    Health(usize, Health),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let spec = (0u8..16, any::<bool>(), 0u32..4).prop_map(|(capabilities, general, weight)| Spec {
        capabilities,
        general,
        weight,
    });
    let specs = prop::collection::vec(spec, 0..4);
    let health = prop::sample::select(
        &[
            Health::Active,
            Health::Draining,
            Health::Quarantined,
            Health::Ejected,
            Health::Restarting,
            Health::Starting,
        ][..],
    );
    let change = prop_oneof![
        2 => (0usize..12).prop_map(Change::Remove),
        5 => (0usize..12, health).prop_map(|(position, health)| Change::Health(position, health)),
    ];
    let step = prop_oneof![
        3 => specs.clone().prop_map(Step::Add),
        1 => (0usize..12).prop_map(Step::AddNamesake),
        6 => change.prop_map(Step::Change),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Clone, Debug)]
struct Member {
    id: u32,
    spec: Spec,
    health: Health,
}

impl Member {
    fn name(&self) -> String {
        format!("w{}", self.id)
    }

    fn serves(&self, capability: Option<usize>) -> bool {
        let Spec { capabilities, general, .. } = self.spec;
        capability.is_none() || general || capabilities == 0 || self.names(capability)
    }

    fn names(&self, capability: Option<usize>) -> bool {
        capability.is_some_and(|number| self.spec.capabilities & 1 << number != 0)
    }

    fn to_spec(&self) -> WorkerSpec {
        let Spec { general, weight, .. } = self.spec;
        let own = (0..4).filter(|number| self.names(Some(*number)));
        let spec = WorkerSpec::new(self.name()).weight(weight);
        let spec = own.fold(spec, |spec, number| spec.capability(CAPABILITIES[number]));
        if general { spec.and_general() } else { spec }
    }
}

/// The members in order, and how many there have ever been.
#[derive(Clone, Debug, Default)]
struct Model {
    members: Vec<Member>,
    ever: u32,
}

impl Model {
    fn add(&mut self, specs: &[Spec]) -> Vec<WorkerSpec> {
        let first = self.members.len();
        for spec in specs {
            self.members.push(Member { id: self.ever, spec: *spec, health: Health::Active });
            self.ever += 1;
        }
        self.members[first..].iter().map(Member::to_spec).collect()
    }

    /// The id at this position, or one that nobody has.
    fn id_at(&self, position: usize) -> WorkerId {
        WorkerId(self.members.get(position).map_or(self.ever, |member| member.id))
    }

    /// The positions of the workers that may serve a capability: the active ones, or if there are
    /// none, those that were set aside.
    fn candidates(&self, capability: Option<usize>) -> Vec<usize> {
        let with = |right: fn(Health) -> bool| -> Vec<usize> {
            let positions = 0..self.members.len();
            let serves = |position: &usize| {
                self.members[*position].serves(capability) && right(self.members[*position].health)
            };
            positions.filter(serves).collect()
        };
        let active = with(|health| health == Health::Active);
        if !active.is_empty() {
            return active;
        }
        with(|health| !matches!(health, Health::Draining | Health::Starting))
    }
}

/// How the changes of a step are applied, so that planted bugs can be tested too.
trait Subject {
    fn changed(roster: &Roster, change: Change, id: WorkerId) -> Result<Roster, RosterError> {
        match change {
            Change::Remove(_) => roster.without_worker(id),
            Change::Health(_, health) => roster.with_health(id, health),
        }
    }

    /// The positions of the candidates.
    fn candidates(roster: &Roster, capability: Option<Capability>) -> Vec<usize> {
        let candidates = roster.candidates(capability);
        let mut positions: Vec<_> =
            (0..candidates.len()).map(|index| candidates.position(index)).collect();
        positions.sort_unstable();
        positions
    }
}

struct Real;

impl Subject for Real {}

fn change<S: Subject>(
    roster: &Roster,
    model: &mut Model,
    change: Change,
) -> Result<Roster, TestCaseError> {
    let (Change::Remove(position) | Change::Health(position, _)) = change;
    let id = model.id_at(position);
    let changed = S::changed(roster, change, id);
    if position >= model.members.len() {
        prop_assert_eq!(changed.err(), Some(RosterError::UnknownWorker(id)));
        return Ok(roster.clone());
    }
    match change {
        Change::Remove(_) => _ = model.members.remove(position),
        Change::Health(_, health) => model.members[position].health = health,
    }
    changed.map_err(|error| TestCaseError::fail(error.to_string()))
}

fn follow<S: Subject>(steps: &[Step]) -> Result<(), TestCaseError> {
    let tracking = Tracking { enabled: false, ..Tracking::default() };
    let mut roster = Roster::builder().tracking(tracking).build().unwrap();
    let mut model = Model::default();
    let mut versions = HashSet::from([roster.version()]);
    for step in steps {
        let (before, model_before) = (roster.clone(), model.clone());
        roster = match step {
            Step::Add(specs) => {
                let specs = model.add(specs);
                roster.with_workers(&specs).unwrap()
            }
            Step::AddNamesake(position) => {
                let Some(member) = model.members.get(*position) else { continue };
                let newcomers = [WorkerSpec::new("newcomer"), WorkerSpec::new(member.name())];
                let error = roster.with_workers(&newcomers).err();
                prop_assert_eq!(error, Some(RosterError::DuplicateName(member.name())));
                continue;
            }
            Step::Change(one) => change::<S>(&roster, &mut model, *one)?,
        };
        if roster.version() != before.version() {
            prop_assert!(versions.insert(roster.version()), "every roster has a unique version");
        }
        check::<S>(&roster, &model)?;
        // The earlier roster is unchanged.
        check::<S>(&before, &model_before)?;
    }
    Ok(())
}

fn check<S: Subject>(roster: &Roster, model: &Model) -> Result<(), TestCaseError> {
    let members: Vec<_> = roster
        .members()
        .iter()
        .map(|member| (member.worker.id().0, member.worker.name().to_owned(), member.health))
        .collect();
    let expected: Vec<_> =
        model.members.iter().map(|member| (member.id, member.name(), member.health)).collect();
    prop_assert_eq!(members, expected, "members");
    for id in 0..=model.ever {
        let found = roster.worker(WorkerId(id)).map(|worker| worker.id().0);
        let is_member = model.members.iter().any(|member| member.id == id);
        prop_assert_eq!(found, is_member.then_some(id), "found by its id");
    }
    for number in [None, Some(0), Some(1), Some(2), Some(3)] {
        let capability = number.map(|number| Capability::intern(CAPABILITIES[number]).unwrap());
        let expected = model.candidates(number);
        prop_assert_eq!(S::candidates(roster, capability), expected.clone(), "candidates");
        let members: Vec<_> = expected.iter().map(|position| &model.members[*position]).collect();
        check_candidates(roster.candidates(capability), &members, number)?;
    }
    Ok(())
}

fn check_candidates(
    candidates: Candidates<'_>,
    members: &[&Member],
    capability: Option<usize>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(candidates.len(), members.len());
    prop_assert_eq!(candidates.is_empty(), members.is_empty());
    let ids = |candidates: Candidates<'_>| -> Vec<u32> {
        candidates.iter().map(|worker| worker.id().0).collect()
    };
    // By index: rows are used again, so candidates are not in the order of their positions.
    let by_id = |id: &u32| *members.iter().find(|member| member.id == *id).unwrap();
    let members: Vec<_> = ids(candidates).iter().map(by_id).collect();
    let expected: Vec<_> = members.iter().map(|member| member.id).collect();
    let distinct: HashSet<_> = expected.iter().collect();
    prop_assert_eq!(distinct.len(), members.len(), "the candidates");
    let group = candidates.roster().groups().nth(candidates.group()).unwrap();
    prop_assert_eq!(ids(group), expected, "the group has the same workers");
    let weights: Vec<_> = candidates.weights().to_vec();
    let expected: Vec<_> = members
        .iter()
        .map(|member| (raddle_core::hash::of_name(&member.name()), member.spec.weight))
        .collect();
    prop_assert_eq!(weights, expected, "their names and weights");
    // Each gets a different number of tasks, so that a signal read from a wrong row shows.
    let tasks = |index: usize| (index * 7 + 3) % 5;
    let mut reservations = Vec::new();
    for (index, member) in members.iter().enumerate() {
        for _ in 0..tasks(index) {
            let reservation = candidates.take(index, None).unwrap();
            prop_assert_eq!(reservation.worker().id().0, member.id, "the worker that is taken");
            prop_assert_eq!(reservation.position(), candidates.position(index));
            reservations.push(reservation);
        }
    }
    for (index, signals) in candidates.signals().enumerate() {
        prop_assert_eq!(signals.in_flight(), tasks(index) as u64, "in flight, in a scan");
        prop_assert_eq!(signals.weight(), members[index].spec.weight.max(1));
        let there = candidates.signals_at(index).unwrap();
        prop_assert_eq!(there.in_flight(), tasks(index) as u64, "in flight, looked up");
        let named = members[index].names(capability);
        prop_assert_eq!(
            [signals.names_capability(), there.names_capability()],
            [named; 2],
            "names the capability"
        );
    }
    prop_assert_eq!(candidates.signals().count(), members.len());
    prop_assert!(candidates.signals_at(members.len()).is_none());
    Ok(())
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn a_roster_behaves_like_the_list_of_its_workers() {
    let followed = runner().run(&steps(), |steps| follow::<Real>(&steps));
    followed.unwrap_or_else(|error| panic!("{error}"));
}

/// Drains a worker that should leave.
struct RemovesNobody;

impl Subject for RemovesNobody {
    fn changed(roster: &Roster, change: Change, id: WorkerId) -> Result<Roster, RosterError> {
        match change {
            Change::Remove(_) => roster.with_health(id, Health::Draining),
            Change::Health(_, health) => roster.with_health(id, health),
        }
    }
}

/// When no worker is active, draining workers are candidates too.
struct DrainingIsCandidate;

impl Subject for DrainingIsCandidate {
    fn candidates(roster: &Roster, capability: Option<Capability>) -> Vec<usize> {
        match Real::candidates(roster, capability) {
            none if none.is_empty() => (0..roster.members().len())
                .filter(|position| {
                    roster.members()[*position].worker.capabilities().serves(capability)
                })
                .collect(),
            some => some,
        }
    }
}

fn assert_found<S: Subject>(reason: &str) {
    let followed = runner().run(&steps(), |steps| follow::<S>(&steps));
    let Err(TestError::Fail(why, steps)) = followed else { panic!("{followed:?}") };
    assert!(why.message().contains(reason), "{why}");
    println!("{} is found with {steps:?}", std::any::type_name::<S>());
}

#[test]
fn planted_bugs_are_found() {
    assert_found::<RemovesNobody>("members");
    assert_found::<DrainingIsCandidate>("candidates");
}
