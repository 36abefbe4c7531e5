use std::error::Error;

use super::sites::{Ordering, Site};

/// What begins the comment that explains why an ordering stays which no model needs, such as
/// `No model needs this Release: ...`. It stands directly above the line of that ordering, and goes
/// on to the end of the comment or to the next one that begins so.
const FORM: &str = "No model needs this ";

/// A comment which says why a weakened ordering may survive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) file: String,
    /// The line of the ordering, from 1.
    line: usize,
    /// What no model needs of it.
    without: Ordering,
    pub(super) reason: String,
}

impl Explanation {
    /// Whether it is of this mutant.
    pub(super) fn is_of(&self, site: &Site, weaker: Ordering) -> bool {
        let place = (&self.file, self.line, self.without);
        place == (&site.file, site.line, site.ordering.without(weaker))
    }
}

/// The explanations of a source.
///
/// # Errors
/// When one does not name an ordering, or gives no reason.
pub(super) fn find(file: &str, source: &str) -> Result<Vec<Explanation>, Box<dyn Error>> {
    let (mut all, mut above) = (Vec::new(), Vec::<Explanation>::new());
    for (line, text) in (1..).zip(source.lines()) {
        let Some(comment) = text.trim_start().strip_prefix("//") else {
            all.extend(above.drain(..).map(|explanation| Explanation { line, ..explanation }));
            continue;
        };
        if let Some((_, of)) = comment.split_once(FORM) {
            let told = of.split_once(": ");
            let told = told.and_then(|(name, reason)| Some((Ordering::named(name)?, reason)));
            let (without, reason) = told.ok_or_else(|| {
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
    fn an_explanation_is_of_the_line_below() {
        let source = "
            // Pairs with that. No model needs this Release: they are all
            // read-modify-writes.
            // No model needs this Acquire: either.
            count.fetch_add(1, AcqRel);
            count.load(Relaxed);
        ";
        let told: Vec<_> = find("a.rs", source).unwrap();
        let explanation = |without, reason: &str| {
            let (file, reason) = ("a.rs".to_owned(), reason.to_owned());
            Explanation { file, line: 5, without, reason }
        };
        assert_eq!(
            told,
            [
                explanation(Ordering::Release, "they are all read-modify-writes."),
                explanation(Ordering::Acquire, "either."),
            ]
        );
    }

    #[test]
    fn an_explanation_names_an_ordering_and_a_reason() {
        assert!(find("a.rs", "// No model needs this ordering: really.").is_err());
        assert!(find("a.rs", "// No model needs this Release.").is_err());
    }
}
