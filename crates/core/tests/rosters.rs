//! Large and changing rosters.
#![cfg(not(loom))]

use raddle_core::{Capability, Health, Roster, RosterError, Tracking, WorkerId, WorkerSpec};

#[test]
fn one_capable_worker_among_a_thousand_is_the_only_candidate() {
    let roster = Roster::builder()
        .workers(617, WorkerSpec::new("plain").capability("rosters-plain"))
        .worker(WorkerSpec::new("rare").capability("rosters-rare"))
        .workers(382, WorkerSpec::new("other").capability("rosters-other"))
        .tracking(Tracking { enabled: false, ..Tracking::default() })
        .build()
        .unwrap();
    assert_eq!(roster.members().len(), 1_000);
    let rare = Some(Capability::intern("rosters-rare").unwrap());
    let candidates = roster.candidates(rare);
    assert_eq!((candidates.len(), candidates.position(0)), (1, 617));
    assert_eq!(candidates.worker(0).name(), "rare");
    assert_eq!(candidates.worker(0).id(), roster.members()[617].worker.id());
    assert_eq!(roster.candidates(None).len(), 1_000);
    let plain = Some(Capability::intern("rosters-plain").unwrap());
    assert_eq!(roster.candidates(plain).len(), 617);
    let nobody = Some(Capability::intern("rosters-nobody").unwrap());
    assert!(roster.candidates(nobody).is_empty());

    let ejected = roster.with_health(WorkerId(617), Health::Ejected).unwrap();
    assert_eq!(ejected.candidates(rare).len(), 1, "panic mode applies per capability");
    assert_eq!(ejected.candidates(None).len(), 999);
    let draining = roster.with_health(WorkerId(617), Health::Draining).unwrap();
    assert!(draining.candidates(rare).is_empty());
    let gone = roster.without_worker(WorkerId(617)).unwrap();
    assert!(gone.candidates(rare).is_empty());
    assert_eq!(gone.candidates(plain).len(), 617);
    let last = gone.candidates(None);
    assert_eq!(last.position(last.len() - 1), 998, "positions refer to the new roster");
}

#[test]
fn candidates_and_positions_agree_with_the_members() {
    let mut roster = Roster::builder().build().unwrap();
    for index in 0..40 {
        let spec = WorkerSpec::new(format!("w{index}"));
        let spec = if index % 3 == 0 { spec.capability("rosters-third") } else { spec };
        roster = roster.with_workers(&[spec]).unwrap();
        if index % 5 == 4 {
            roster = roster.with_health(WorkerId(index - 2), Health::Quarantined).unwrap();
        }
        if index % 7 == 6 {
            roster = roster.without_worker(WorkerId(index - 5)).unwrap();
        }
    }
    let third = Some(Capability::intern("rosters-third").unwrap());
    for capability in [None, third] {
        let candidates = roster.candidates(capability);
        let expected: Vec<_> = (0..roster.members().len())
            .filter(|position| {
                let member = &roster.members()[*position];
                member.health == Health::Active && member.worker.capabilities().serves(capability)
            })
            .collect();
        let mut positions: Vec<_> =
            (0..candidates.len()).map(|index| candidates.position(index)).collect();
        positions.sort_unstable();
        assert_eq!(positions, expected);
        for (index, worker) in candidates.iter().enumerate() {
            let member = &roster.members()[candidates.position(index)];
            assert_eq!(member.worker.id(), worker.id());
        }
    }
    for member in roster.members() {
        assert_eq!(roster.worker(member.worker.id()).unwrap().name(), member.worker.name());
    }
}

#[test]
fn a_roster_is_not_changed_by_rosters_derived_from_it() {
    let roster = Roster::builder().workers(2, WorkerSpec::general()).build().unwrap();
    let version = roster.version();
    let drained = roster.with_health(WorkerId(0), Health::Draining).unwrap();
    let grown = drained.with_workers(&[WorkerSpec::new("more")]).unwrap();
    assert_eq!((roster.candidates(None).len(), roster.version()), (2, version));
    assert_eq!((drained.candidates(None).len(), grown.candidates(None).len()), (1, 2));
    let versions = [roster.version(), drained.version(), grown.version()];
    assert!(versions[0] != versions[1] && versions[1] != versions[2] && versions[0] != versions[2]);
    let sibling = roster.with_health(WorkerId(1), Health::Draining).unwrap();
    assert!(!versions.contains(&sibling.version()), "nor do two derived from one have one version");
    assert!(sibling.number() > grown.number() && grown.number() > roster.number());
    let other = Roster::builder().build().unwrap();
    assert_eq!([grown.lineage(), sibling.lineage()], [roster.lineage(); 2]);
    assert_ne!(other.lineage(), roster.lineage());
}

#[test]
fn errors_name_the_worker_and_leave_the_roster_unchanged() {
    let roster = Roster::builder().workers(2, WorkerSpec::general()).build().unwrap();
    let error = roster.with_workers(&[WorkerSpec::new("general-1")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "two workers are named `general-1`; names are unique within a pool"
    );
    let error = roster.with_health(WorkerId(5), Health::Active).unwrap_err();
    assert_eq!(error, RosterError::UnknownWorker(WorkerId(5)));
    assert_eq!(error.to_string(), "worker #5 is not in the roster");
    let tracking = Tracking { window: 0, ..Tracking::default() };
    let error = Roster::builder().tracking(tracking).build().unwrap_err();
    assert_eq!(error.to_string(), "window is 0, allowed are 1 to 65536");
    assert_eq!(roster.members().len(), 2);
}

#[test]
fn more_workers_than_there_are_short_ids_are_refused() {
    let tracking = Tracking { enabled: false, ..Tracking::default() };
    let max = Roster::MAX_WORKERS;
    for workers in [max + 1, usize::MAX] {
        let builder = Roster::builder().workers(workers, WorkerSpec::general());
        let error = builder.tracking(tracking).worker(WorkerSpec::new("one")).build().unwrap_err();
        assert_eq!(error, RosterError::TooManyWorkers(workers.saturating_add(1)));
    }
    let roster = Roster::builder().worker(WorkerSpec::new("one")).tracking(tracking).build();
    let specs = vec![WorkerSpec::new("more"); max];
    let error = roster.unwrap().with_workers(&specs).unwrap_err();
    assert_eq!(error.to_string(), "65536 workers were requested; at most 65535 are allowed");
}
