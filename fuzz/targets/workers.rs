//! Workers in a line of text, as `--workers` takes them: no text makes the parser panic, an error
//! quotes what is wrong and says what would be right, and what is read is read again as it is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raddle::sim::{Workers, WorkersError};

fuzz_target!(|text: &str| {
    match text.parse::<Workers>() {
        Ok(workers) => {
            assert_eq!(shown(&workers).parse().as_ref(), Ok(&workers), "as it is shown");
            assert!((1..=Workers::MOST).contains(&workers.count()));
            assert!(workers.capacity() > 0.0 && workers.capacity().is_finite());
            // Of many workers the plans are many too, and all of a group alike.
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
            assert!(words.contains("expected "), "what would be right is missing: {words}");
            let quoted = match &error {
                WorkersError::Form { part } => part,
                WorkersError::Count { count, part }
                | WorkersError::Speed { speed: count, part } => {
                    assert!(part.contains(count.as_str()), "{words}");
                    part
                }
                WorkersError::TooMany { count } => {
                    assert!(*count > Workers::MOST);
                    return;
                }
            };
            assert!(text.split(',').any(|part| part == quoted), "not there: {words}");
        }
    }
});

fn shown(workers: &Workers) -> String {
    let text = workers.to_string();
    // The planted bug: a speed is rounded where it has a second decimal.
    if cfg!(feature = "planted") { text.replace(".25", ".3") } else { text }
}
