//! Workers as text, the form of `--workers`: parsing never panics, an error quotes its cause and
//! says what is expected, and parsed workers survive a round trip through their text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raddle::sim::{Workers, WorkersError};

fuzz_target!(|text: &str| {
    match text.parse::<Workers>() {
        Ok(workers) => {
            assert_eq!(shown(&workers).parse().as_ref(), Ok(&workers), "round trip");
            assert!((1..=Workers::MAX_COUNT).contains(&workers.count()));
            assert!(workers.capacity() > 0.0 && workers.capacity().is_finite());
            // The plans of many workers take long, and those of a group are equal.
            if workers.count() <= 1_000 {
                let plans = workers.plans();
                assert_eq!(plans.len(), workers.count());
                let mut names: Vec<_> = plans.iter().map(|plan| &plan.name).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), plans.len(), "names are unique");
            }
        }
        Err(error) => {
            let words = error.to_string();
            assert!(words.contains("expected "), "what is expected is missing: {words}");
            let quoted = match &error {
                WorkersError::Form { part } => part,
                WorkersError::Count { count, part }
                | WorkersError::Speed { speed: count, part } => {
                    assert!(part.contains(count.as_str()), "{words}");
                    part
                }
                WorkersError::TooMany { count } => {
                    assert!(*count > Workers::MAX_COUNT);
                    return;
                }
                _ => panic!("an unknown kind of error: {words}"),
            };
            assert!(
                text.split(',').any(|part| part == quoted),
                "does not occur in the text: {words}"
            );
        }
    }
});

fn shown(workers: &Workers) -> String {
    let text = workers.to_string();
    // The planted bug: a speed is rounded to one decimal.
    if cfg!(feature = "planted") { text.replace(".25", ".3") } else { text }
}
