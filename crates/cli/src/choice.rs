//! What runs against each other: strategies, and orders of the mailboxes.

use std::fmt;
use std::str::FromStr;

use raddle::MailboxOrder;
use raddle::strategies::StrategyName;

/// A strategy and the order of the mailboxes, written as `least_loaded` or `least_loaded+boost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The strategy.
    pub strategy: StrategyName,
    /// The order of the mailboxes.
    pub order: MailboxOrder,
}

/// What follows the name of a strategy with boosted mailboxes.
pub const BOOSTED: &str = "+boost";

/// The strategies to run, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategies {
    /// All of them.
    All,
    /// These.
    These(Vec<Choice>),
}

impl Strategies {
    /// Returns each of them; `boosted` decides whether all strategies include those with boosted
    /// mailboxes.
    pub fn choices(&self, boosted: bool) -> Vec<Choice> {
        match self {
            Self::These(choices) => choices.clone(),
            Self::All => {
                let orders = if boosted { &MailboxOrder::ALL[..] } else { &MailboxOrder::ALL[..1] };
                let with =
                    |strategy| orders.iter().map(move |order| Choice { strategy, order: *order });
                StrategyName::ALL.into_iter().flat_map(with).collect()
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boosted = if self.order == MailboxOrder::Boost { BOOSTED } else { "" };
        write!(f, "{}{boosted}", self.strategy)
    }
}

impl FromStr for Strategies {
    type Err = String;

    fn from_str(names: &str) -> Result<Self, String> {
        if names == "all" {
            return Ok(Self::All);
        }
        let mut choices = Vec::new();
        for name in names.split(',').map(str::trim) {
            let (plain, order) = match name.strip_suffix(BOOSTED) {
                Some(plain) => (plain, MailboxOrder::Boost),
                None => (name, MailboxOrder::Fifo),
            };
            let strategy = plain.parse().map_err(|_| {
                let known = StrategyName::ALL.map(StrategyName::as_str).join(", ");
                format!(
                    "`{name}` is no strategy: expected all, or names joined by commas: {known}; each \
                     may be followed by {BOOSTED}"
                )
            })?;
            let choice = Choice { strategy, order };
            if choices.contains(&choice) {
                return Err(format!("`{choice}` is there twice: expected each strategy once"));
            }
            choices.push(choice);
        }
        Ok(Self::These(choices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_names_joined_by_commas_or_all() {
        use StrategyName::{JoinIdle, Random};

        let fifo = |strategy| Choice { strategy, order: MailboxOrder::Fifo };
        let boosted = Choice { order: MailboxOrder::Boost, ..fifo(Random) };
        let these = |choices: &[Choice]| Ok(Strategies::These(choices.to_vec()));
        assert_eq!("all".parse(), Ok(Strategies::All));
        assert_eq!("random".parse(), these(&[fifo(Random)]));
        assert_eq!("random, join_idle".parse(), these(&[fifo(Random), fifo(JoinIdle)]));
        assert_eq!("random+boost,random".parse(), these(&[boosted, fifo(Random)]));
        let error = |text: &str| text.parse::<Strategies>().unwrap_err();
        for wrong in
            ["fastest", "", "random,", "all,random", "random;join_idle", "+boost", "random+"]
        {
            let expected = "is no strategy: expected all, or names joined by commas: round_robin, ";
            assert!(error(wrong).contains(expected), "{wrong}: {}", error(wrong));
        }
        let twice = "`random` is there twice: expected each strategy once";
        assert_eq!(error("random,join_idle,random"), twice);
        assert!(error("random+boost,random+boost").starts_with("`random+boost` is there twice"));
    }

    #[test]
    fn all_strategies_may_include_those_with_boosted_mailboxes() {
        let names = |boosted| {
            Strategies::All.choices(boosted).iter().map(Choice::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(false), StrategyName::ALL.map(StrategyName::as_str));
        assert_eq!(names(true).len(), 2 * StrategyName::ALL.len());
        assert_eq!(names(true)[..3], ["round_robin", "round_robin+boost", "least_loaded"]);
    }
}
