//! How many workers are ejected at a time.

use super::*;
use proptest::prelude::*;

#[test]
fn the_worst_are_ejected_first_up_to_the_maximum_share() {
    let mut scene = Scene::new(5, Ejection::default().base_duration(10 * S).max_duration(10 * S));
    for position in 0..5 {
        scene.good(position, 4 - position);
        scene.bad(position, 8 + position);
    }
    let decided = scene.next_review();
    assert_eq!(decided, [(4, failing(12, 12)), (3, failing(11, 12))]);
    (0..5).for_each(|position| scene.bad(position, 10));
    assert_eq!(scene.next_review(), [], "the maximum share is reached");
    assert_eq!(scene.health(), [Active, Active, Active, Ejected, Ejected]);
}

#[test]
fn one_of_two_may_be_ejected_but_never_a_lone_worker() {
    let mut scene = Scene::new(2, Ejection::default().max_ejected_share(0.1));
    (0..2).for_each(|position| scene.bad(position, 10));
    assert_eq!(scene.next_review().len(), 1);
    let mut alone = Scene::new(1, Ejection::default().max_ejected_share(1.0));
    alone.bad(0, 10);
    assert_eq!(alone.next_review(), []);
}

#[test]
fn if_all_are_ejected_all_take_tasks() {
    let mut scene = Scene::new(3, Ejection::default().max_ejected_share(1.0));
    (0..3).for_each(|position| scene.bad(position, 10));
    assert_eq!(scene.next_review().len(), 3);
    assert_eq!(scene.health(), [Ejected; 3]);
    assert_eq!(scene.roster.candidates(None).len(), 3, "some service beats none");
}

proptest! {
    #[test]
    fn the_maximum_share_holds_and_ejected_workers_return(
        workers in 1usize..9,
        share in 0.01f64..=1.0,
        rounds in prop::collection::vec(prop::collection::vec(0usize..12, 8), 1..20),
    ) {
        let mut scene = Scene::new(workers, Ejection::default().max_ejected_share(share));
        let (mut out, mut back) = (0, 0);
        for failures in rounds {
            for (position, failures) in failures.into_iter().take(workers).enumerate() {
                scene.bad(position, failures);
                scene.good(position, 5);
            }
            for (_, verdict) in scene.next_review() {
                match verdict {
                    Verdict::Ejected(_) => out += 1,
                    Readmitted => back += 1,
                }
            }
            let aside = scene.health().iter().filter(|health| **health == Ejected).count();
            let bound = if workers < 2 { 0 } else { ((share * workers as f64) as usize).max(1) };
            prop_assert!(aside <= bound);
            prop_assert_eq!(out - back, aside);
        }
        for _ in 0..31 {
            back += scene.next_review().len();
        }
        prop_assert_eq!(out, back);
        prop_assert!(scene.health().iter().all(|health| *health == Active));
    }
}
