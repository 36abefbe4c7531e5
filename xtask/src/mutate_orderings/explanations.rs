//! Comments that explain why no model needs an ordering.

use std::error::Error;

use super::sites::{Ordering, Site};

/// The start of an explanation, such as `No model needs this Release: ...`. It is directly above
/// the line of the ordering and ends with the comment or where the next explanation starts.
const FORM: &str = "No model needs this ";

/// A comment that says why a weakened ordering may survive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) file: String,
    /// The line of the ordering, counted from 1.
    line: usize,
    /// The part of the ordering that no model needs.
    without: Ordering,
    pub(super) reason: String,
}

impl Explanation {
    /// Returns whether this explains the mutant.
    pub(super) fn is_of(&self, site: &Site, weaker: Ordering) -> bool {
        let key = (&self.file, self.line, self.without);
        key == (&site.file, site.line, site.ordering.without(weaker))
    }
}

/// Returns the explanations in a source.
///
/// # Errors
/// When one does not name an ordering or has no reason.
pub(super) fn find(file: &str, source: &str) -> Result<Vec<Explanation>, Box<dyn Error>> {
    let (mut all, mut above) = (Vec::new(), Vec::<Explanation>::new());
    for (line, text) in (1..).zip(source.lines()) {
        let Some(comment) = text.trim_start().strip_prefix("//") else {
            all.extend(above.drain(..).map(|explanation| Explanation { line, ..explanation }));
            continue;
        };
        if let Some((_, of)) = comment.split_once(FORM) {
            let parts = of.split_once(": ");
            let parts = parts.and_then(|(name, reason)| Some((Ordering::named(name)?, reason)));
            let (without, reason) = parts.ok_or_else(|| {
                format!("{file}:{line}: not in the form `{FORM}<ordering>: <reason>`")
            })?;
            let (file, reason) = (file.to_owned(), reason.to_owned());
            above.push(Explanation { file, line, without, reason });
        } else if let Some(explanation) = above.last_mut() {
            explanation.reason.push_str(comment);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_belongs_to_the_line_below() {
        let source = "
            // Pairs with that. No model needs this Release: they are all
            // read-modify-writes.
            // No model needs this Acquire: either.
            count.fetch_add(1, AcqRel);
            count.load(Relaxed);
        ";
        let found: Vec<_> = find("a.rs", source).unwrap();
        let explanation = |without, reason: &str| {
            let (file, reason) = ("a.rs".to_owned(), reason.to_owned());
            Explanation { file, line: 5, without, reason }
        };
        assert_eq!(
            found,
            [
                explanation(Ordering::Release, "they are all read-modify-writes."),
                explanation(Ordering::Acquire, "either."),
            ]
        );
    }

    #[test]
    fn an_explanation_without_an_ordering_or_a_reason_is_refused() {
        assert!(find("a.rs", "// No model needs this ordering: really.").is_err());
        assert!(find("a.rs", "// No model needs this Release.").is_err());
    }
}
