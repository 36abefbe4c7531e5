use std::ops::Range;

/// Which children are started anew when one has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SupervisionStrategy {
    /// That one alone: the children do not need each other.
    #[default]
    OneForOne,
    /// All of them: each needs each other.
    OneForAll,
    /// That one and those after it: each needs those before it.
    RestForOne,
}

impl SupervisionStrategy {
    /// The positions of those that are started anew, of so many, when the one at `failed` has
    /// failed.
    pub(super) fn affected(self, failed: usize, children: usize) -> Range<usize> {
        match self {
            Self::OneForOne => failed..failed + 1,
            Self::OneForAll => 0..children,
            Self::RestForOne => failed..children,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_affects_those_that_it_says() {
        for children in 1..6 {
            for failed in 0..children {
                let affected = |strategy: SupervisionStrategy| strategy.affected(failed, children);
                assert_eq!(affected(SupervisionStrategy::OneForOne).collect::<Vec<_>>(), [failed]);
                assert_eq!(affected(SupervisionStrategy::OneForAll), 0..children);
                assert_eq!(affected(SupervisionStrategy::RestForOne), failed..children);
            }
        }
    }
}
