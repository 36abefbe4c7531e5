//! Labels that do not run into each other.

/// A letter of a tick's label is about this wide.
const LETTER: f64 = 7.1;

/// Shortens a name to at most `longest` characters.
pub fn shortened(name: &str, longest: usize) -> String {
    if name.chars().count() <= longest {
        return name.into();
    }
    name.chars().take(longest - 1).chain(['…']).collect()
}

/// Keeps the labels, from left to right, that do not run into the one before.
pub(crate) fn apart<'a>(labels: impl Iterator<Item = (f64, &'a str)>) -> Vec<(f64, &'a str)> {
    let mut free = f64::NEG_INFINITY;
    let mut kept = Vec::new();
    for (x, label) in labels {
        let half = label.chars().count() as f64 * LETTER / 2.0;
        if x - half >= free {
            free = x + half + LETTER;
            kept.push((x, label));
        }
    }
    kept
}

/// Moves sorted coordinates apart by at least `gap`, each as little as possible; by less than `gap`
/// if there is not enough room between `from` and `to`.
pub(crate) fn spread(wanted: &[f64], gap: f64, from: f64, to: f64) -> Vec<f64> {
    let gap = gap.min((to - from) / (wanted.len().max(2) - 1) as f64);
    // Labels that touch form a block, centred on the average of what its members want.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    let length = |members: usize| (members - 1) as f64 * gap;
    for coordinate in wanted {
        let mut block = (coordinate.clamp(from, to), 1);
        while let Some((start, members)) = blocks.last().copied() {
            if start + members as f64 * gap <= block.0 {
                break;
            }
            let both = members + block.1;
            let shifted = block.0 - members as f64 * gap;
            let sum = start * members as f64 + shifted * block.1 as f64;
            block = ((sum / both as f64).clamp(from, (to - length(both)).max(from)), both);
            blocks.pop();
        }
        blocks.push(block);
    }
    let members =
        |(start, members): (f64, usize)| (0..members).map(move |at| start + at as f64 * gap);
    blocks.into_iter().flat_map(members).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_with_room_stay_and_others_move_apart() {
        assert_eq!(spread(&[10.0, 50.0], 15.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 50.0, 50.0], 10.0, 0.0, 100.0), [40.0, 50.0, 60.0]);
        assert_eq!(spread(&[98.0, 99.0], 10.0, 0.0, 100.0), [90.0, 100.0]);
        assert_eq!(spread(&[0.0; 3], 80.0, 0.0, 100.0), [0.0, 50.0, 100.0]);
        assert!(spread(&[], 10.0, 0.0, 100.0).is_empty());
    }

    #[test]
    fn tick_labels_do_not_run_into_each_other() {
        let labels = [(0.0, "0 %"), (35.0, "50 %"), (45.0, "75 %"), (100.0, "90 %")];
        let kept: Vec<&str> =
            apart(labels.into_iter()).into_iter().map(|(_, label)| label).collect();
        assert_eq!(kept, ["0 %", "50 %", "90 %"]);
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(shortened("grün", 4), "grün");
        assert_eq!(shortened("grüner", 4), "grü…");
    }

    proptest! {
        #[test]
        fn labels_keep_their_order_and_distance(
            mut wanted in prop::collection::vec(-50.0..450.0, 0..40)
        ) {
            wanted.sort_by(f64::total_cmp);
            let spread = spread(&wanted, 15.0, 0.0, 400.0);
            prop_assert_eq!(spread.len(), wanted.len());
            let gap = f64::min(15.0, 400.0 / (wanted.len().max(2) - 1) as f64);
            for pair in spread.windows(2) {
                prop_assert!(pair[1] - pair[0] >= gap - 1e-6, "{spread:?}");
            }
            for coordinate in spread {
                prop_assert!((-1e-6..=400.0 + 1e-6).contains(&coordinate));
            }
        }
    }
}
