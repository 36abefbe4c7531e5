use fastrand::Rng;

/// The choices of a run, in the order in which they are made. A run is repeated by its choices.
pub(super) struct Choices {
    given: Vec<u32>,
    made: Vec<u32>,
    /// Makes the choices that are not given; each of those is 0 without it.
    random: Option<Rng>,
}

/// From here on, each choice is 0: the run must end.
const MOST: usize = 20_000;

impl Choices {
    /// Choices at random.
    pub(super) fn random(seed: u64) -> Self {
        Self { given: Vec::new(), made: Vec::new(), random: Some(Rng::with_seed(seed)) }
    }

    /// These choices, and 0 from then on.
    pub(super) fn given(given: &[u32]) -> Self {
        Self { given: given.to_vec(), made: Vec::new(), random: None }
    }

    /// Makes the next choice: one of 0 to `bound - 1`.
    pub(super) fn next(&mut self, bound: u32) -> u32 {
        let given = self.given.get(self.made.len()).copied();
        let mut random = || self.random.as_mut().map(|random| random.u32(..bound.max(1)));
        let choice = match given.map(|given| given.min(bound.saturating_sub(1))) {
            Some(given) => given,
            None if self.made.len() < MOST => random().unwrap_or(0),
            None => return 0,
        };
        self.made.push(choice);
        choice
    }

    /// The choices made so far, without those at the end that are 0 anyway.
    pub(super) fn made(&self) -> Vec<u32> {
        trimmed(self.made.clone())
    }
}

/// Without the zeros at the end.
pub(super) fn trimmed(mut choices: Vec<u32>) -> Vec<u32> {
    let length = choices.iter().rposition(|choice| *choice != 0).map_or(0, |last| last + 1);
    choices.truncate(length);
    choices
}
