use std::ops::Range;

/// Which children are restarted when one has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SupervisionStrategy {
    /// That one alone: for children that do not depend on each other.
    #[default]
    OneForOne,
    /// All of them: for children that all depend on each other.
    OneForAll,
    /// That one and those after it: for children that depend on those before them.
    RestForOne,
}

impl SupervisionStrategy {
    /// The indices of those that restart, of `children`, when the one at `failed` has failed.
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
    fn each_strategy_affects_the_right_children() {
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
