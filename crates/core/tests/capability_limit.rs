//! The limit of capability names, in a separate process because names are never removed.
#![cfg(not(loom))]

use std::collections::HashSet;
use std::error::Error;
use std::sync::Barrier;
use std::thread;

use raddle_core::{Candidates, Capability, CapabilityError, CapabilitySet, Roster, WorkerSpec};

/// The only names in this process, so that its tests may run in any order.
fn names() -> Vec<String> {
    (0..Capability::MAX).map(|number| format!("name-{number}")).collect()
}

#[test]
fn the_129th_name_is_refused_and_the_128_remain_known() {
    assert_eq!(Capability::MAX, 128);
    let known: Vec<Capability> =
        names().iter().map(|name| Capability::intern(name).unwrap()).collect();

    let error = Capability::intern("one-too-many").unwrap_err();
    assert_eq!(error, CapabilityError::Full { name: "one-too-many".into() });
    assert_eq!(
        error.to_string(),
        "no room for capability `one-too-many`: this process already knows 128 names, \
         which is the limit"
    );
    let roster = Roster::builder().worker(WorkerSpec::new("w").capability("one-too-many")).build();
    let roster_error = roster.unwrap_err();
    assert_eq!(roster_error.to_string(), "cannot intern a capability of worker `w`");
    assert_eq!(roster_error.source().unwrap().to_string(), error.to_string());

    for (name, capability) in names().iter().zip(&known) {
        assert_eq!(Capability::intern(name), Ok(*capability));
        assert_eq!(capability.name(), name);
    }
    assert!(Capability::intern("one-too-many").is_err(), "a refusal frees nothing");

    let all: CapabilitySet = known.iter().copied().collect();
    assert_eq!(all.iter().count(), 128);
    // A group each, one for tasks without a capability, one for those whose capability nobody names.
    let workers = known.iter().map(|known| WorkerSpec::new(known.name()).capability(known.name()));
    let roster = workers.fold(Roster::builder(), |builder, spec| builder.worker(spec)).build();
    assert_eq!(roster.unwrap().groups().count(), Candidates::MAX_GROUPS);
    for capability in known {
        assert!(all.serves(Some(capability)));
        let alone = CapabilitySet::EMPTY.with(capability);
        assert_eq!(alone.iter().collect::<Vec<_>>(), [capability]);
    }
}

#[test]
fn threads_that_intern_the_same_names_get_the_same_values() {
    const THREADS: usize = 8;
    let barrier = Barrier::new(THREADS);
    let tables: Vec<Vec<Capability>> = thread::scope(|scope| {
        let handles: Vec<_> = (0..THREADS)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let names = names();
                    let mut table = vec![None; names.len()];
                    barrier.wait();
                    // Each thread starts elsewhere, so that every name is first for some thread.
                    for step in 0..names.len() {
                        let index = (step + thread * 16) % names.len();
                        table[index] = Some(Capability::intern(&names[index]).unwrap());
                    }
                    table.into_iter().flatten().collect()
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert!(tables.iter().all(|table| *table == tables[0]));
    assert_eq!(tables[0].iter().collect::<HashSet<_>>().len(), Capability::MAX);
    for (name, capability) in names().iter().zip(&tables[0]) {
        assert_eq!(capability.name(), name);
    }
}
