//! Delta debugging: the shortest choices with which a run still fails.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::choices::trimmed;

/// Runs and time that shrinking may take.
const RUNS: usize = 1_000;
const TIME: Duration = Duration::from_secs(5);

/// Choices with which a run fails, and how many runs it took to find them.
pub(super) struct Shrinking<F> {
    best: Vec<u32>,
    fails: F,
    runs: usize,
    begun: Instant,
}

impl<F: FnMut(&[u32]) -> Option<Vec<u32>>> Shrinking<F> {
    /// Starts with choices for which a run fails. `fails` runs with other choices, and returns those
    /// that were made if the run fails too.
    pub(super) fn new(choices: Vec<u32>, fails: F) -> Self {
        Self { best: choices, fails, runs: 0, begun: Instant::now() }
    }

    /// Removes and lowers choices as long as the run still fails. Returns the best ones, and the number
    /// of runs.
    pub(super) fn shortest(mut self) -> (Vec<u32>, usize) {
        loop {
            let before = self.best.clone();
            self.keep_halves();
            self.change_parts(|choices, part| drop(choices.drain(part)));
            self.change_parts(|choices, part| choices[part].fill(0));
            for index in (0..self.best.len()).rev() {
                for lower in [|choice| choice / 2, |choice: u32| choice.saturating_sub(1)] {
                    self.try_changed(|choices| {
                        if let Some(choice) = choices.get_mut(index) {
                            *choice = lower(*choice);
                        }
                    });
                }
            }
            if self.best == before {
                return (self.best, self.runs);
            }
        }
    }

    /// Keeps one half alone, as long as the run fails with that. Takes a few runs, and can find a single
    /// choice that the others hide.
    fn keep_halves(&mut self) {
        let mut before = usize::MAX;
        while self.best.len() < before {
            before = self.best.len();
            let middle = before / 2;
            self.try_changed(|choices| drop(choices.drain(..middle)));
            if self.best.len() == before {
                self.try_changed(|choices| choices.truncate(middle));
            }
        }
    }

    /// Changes parts: all, halves, quarters and so on, from the end.
    fn change_parts(&mut self, change: impl Fn(&mut Vec<u32>, Range<usize>)) {
        let mut size = self.best.len();
        while size > 0 {
            let mut end = self.best.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                self.try_changed(|choices| change(choices, start..end));
                // They may be fewer by now.
                end = start.min(self.best.len());
            }
            size /= 2;
        }
    }

    fn try_changed(&mut self, change: impl FnOnce(&mut Vec<u32>)) {
        let mut changed = self.best.clone();
        change(&mut changed);
        let changed = trimmed(changed);
        let is_over = self.runs >= RUNS || self.begun.elapsed() >= TIME;
        if is_over || !is_better(&changed, &self.best) {
            return;
        }
        self.runs += 1;
        if let Some(made) = (self.fails)(&changed) {
            self.best = if is_better(&made, &changed) { made } else { changed };
        }
    }
}

/// Whether choices are fewer than others, or as many and lower.
fn is_better(choices: &[u32], others: &[u32]) -> bool {
    (choices.len(), choices) < (others.len(), others)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shrinks for a run that fails if this holds.
    fn shrunk(choices: &[u32], fails: impl Fn(&[u32]) -> bool) -> Vec<u32> {
        let run = |choices: &[u32]| fails(choices).then(|| choices.to_vec());
        Shrinking::new(choices.to_vec(), run).shortest().0
    }

    #[test]
    fn what_does_not_matter_is_removed_and_what_does_is_lowered() {
        let long: Vec<u32> = (0..500).collect();
        assert_eq!(shrunk(&long, |choices| choices.iter().any(|choice| *choice > 300)), [301]);
        assert_eq!(shrunk(&long, |choices| choices.iter().sum::<u32>() >= 10), [10]);
        assert_eq!(shrunk(&long, |choices| choices.get(3).is_some_and(|it| *it > 1)), [0, 0, 0, 2]);
        assert_eq!(shrunk(&long, |_| true), [0; 0]);
    }

    #[test]
    fn two_that_matter_together_are_kept() {
        let long: Vec<u32> = (0..200).map(|number| number % 10).collect();
        let both = |choices: &[u32]| choices.contains(&7) && choices.contains(&3);
        let shortest = shrunk(&long, both);
        assert_eq!(shortest.len(), 2, "{shortest:?}");
    }
}
