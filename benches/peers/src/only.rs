//! The choice of what to measure: `--only`.

use crate::error::PeersError;

/// Measures only what has one of these patterns in its name, or everything if there are none.
pub struct Only<'a>(&'a [String]);

impl<'a> Only<'a> {
    /// Checks that each pattern is part of a name.
    ///
    /// # Errors
    /// If a pattern is not; the error lists what is `allowed`.
    pub fn new(
        patterns: &'a [String],
        names: &[String],
        allowed: impl FnOnce() -> String,
    ) -> Result<Self, PeersError> {
        let is_unknown = |pattern: &&String| !names.iter().any(|name| name.contains(&***pattern));
        match patterns.iter().find(is_unknown) {
            None => Ok(Self(patterns)),
            Some(unknown) => Err(PeersError::Unknown { name: unknown.clone(), allowed: allowed() }),
        }
    }

    /// Returns whether a name is chosen.
    pub fn takes(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| name.contains(&**pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn names_with_any_of_the_patterns_are_chosen() {
        let names = strings(&["tell/1 raddle", "ask/1 raddle", "pool/1 xtra"]);
        let chosen = |patterns: &[&str]| -> Vec<bool> {
            let patterns = strings(patterns);
            let only = Only::new(&patterns, &names, String::new).unwrap();
            names.iter().map(|name| only.takes(name)).collect()
        };
        assert_eq!(chosen(&[]), [true; 3]);
        assert_eq!(chosen(&["tell", "pool"]), [true, false, true]);
        assert_eq!(chosen(&["1 raddle"]), [true, true, false]);
    }

    #[test]
    fn an_unknown_pattern_is_an_error_even_beside_a_known_one() {
        let patterns = strings(&["tell", "erlang"]);
        let error = Only::new(&patterns, &strings(&["tell/1 raddle"]), || "tell/1".into());
        let message = error.err().unwrap().to_string();
        assert_eq!(message, "`erlang` is part of no name, allowed are parts of: tell/1");
    }
}
