//! Finds the orderings in a source.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::tokens::{after_item, is_of_tests, is_punct};

/// An ordering stronger than `Relaxed` in a source file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// The path from the root of the workspace.
    pub(super) file: String,
    /// `Type::function`.
    pub(super) function: String,
    /// The operation with its orderings, such as `count.fetch_add(AcqRel)`.
    operation: String,
    /// The bytes of the ordering in `operation`.
    range: Range<usize>,
    pub(super) ordering: Ordering,
    /// The bytes of the ordering's name in the file.
    pub(super) bytes: Range<usize>,
    /// The line, counted from 1.
    pub(super) line: usize,
}

impl Site {
    /// Describes the operation with its ordering weakened to `weaker`.
    pub(super) fn weakened(&self, weaker: Ordering) -> String {
        let mut operation = self.operation.clone();
        operation.replace_range(self.range.clone(), &format!("{} → {weaker}", self.ordering));
        operation
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordering {
    Relaxed,
    Acquire,
    Release,
    AcqRel,
    SeqCst,
}

impl Ordering {
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [Self::Relaxed, Self::Acquire, Self::Release, Self::AcqRel, Self::SeqCst];
        all.into_iter().find(|ordering| ordering.to_string() == name)
    }

    /// Returns the weaker orderings to try. loom treats `SeqCst` as `AcqRel`, so that only
    /// `Relaxed` is weaker.
    pub(super) fn weaker(self) -> &'static [Self] {
        match self {
            Self::Relaxed => &[],
            Self::Acquire | Self::Release | Self::SeqCst => &[Self::Relaxed],
            Self::AcqRel => &[Self::Acquire, Self::Release, Self::Relaxed],
        }
    }

    /// Returns the part that is lost when it is weakened to `weaker`.
    pub(super) fn without(self, weaker: Self) -> Self {
        match (self, weaker) {
            (Self::AcqRel, Self::Acquire) => Self::Release,
            (Self::AcqRel, Self::Release) => Self::Acquire,
            _ => self,
        }
    }
}

impl fmt::Display for Ordering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Returns the orderings in a source, without those in imports and tests.
///
/// # Errors
/// When the source is not Rust, names an ordering outside of a call, or has a fence, which would
/// have to be removed rather than weakened.
pub(super) fn find(file: &str, source: &str) -> Result<Vec<Site>, Box<dyn Error>> {
    let tokens: TokenStream = source.parse().map_err(|error| format!("{file}: {error}"))?;
    let mut finder = Finder { file, sites: Vec::new(), named: 0 };
    finder.items(tokens, "", "");
    let Finder { sites, named, .. } = finder;
    if let Some(fence) = sites.iter().find(|site| site.operation.starts_with("fence(")) {
        return Err(format!("{file}:{}: a fence cannot be weakened", fence.line).into());
    }
    if sites.len() != named {
        return Err(format!("{file}: an ordering is named outside of a call's arguments").into());
    }
    Ok(sites)
}

/// Visits the tokens, so that macros are included.
struct Finder<'f> {
    file: &'f str,
    sites: Vec<Site>,
    /// The number of orderings that are named, in calls or elsewhere.
    named: usize,
}

impl Finder<'_> {
    /// Visits the tokens of `function` or, if that is empty, of an `impl` of `owner`.
    fn items(&mut self, tokens: TokenStream, owner: &str, function: &str) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut rest = &tokens[..];
        let (mut owner, mut function) = (owner.to_owned(), function.to_owned());
        let (outer_owner, outer_function) = (owner.clone(), function.clone());
        let mut has_signature = false;
        while let [token, after @ ..] = rest {
            rest = after;
            match token {
                token if is_punct(Some(token), '#') => {
                    if let [TokenTree::Group(attribute), item @ ..] = after {
                        rest = if is_of_tests(attribute) { after_item(item) } else { item };
                    }
                }
                // The bounds of an opaque type, `use<..>`, are not an import.
                TokenTree::Ident(word) if word == "use" && !is_punct(after.first(), '<') => {
                    rest = after_item(after);
                }
                TokenTree::Ident(word) if word == "fn" => {
                    if let [TokenTree::Ident(name), ..] = after {
                        let path = if owner.is_empty() { "" } else { "::" };
                        function = format!("{owner}{path}{name}");
                        has_signature = true;
                    }
                }
                TokenTree::Ident(word) if word == "impl" && !has_signature => {
                    owner = implementor(after);
                }
                TokenTree::Ident(word) => {
                    let ordering = Ordering::named(&word.to_string());
                    self.named += usize::from(ordering.is_some_and(|o| o != Ordering::Relaxed));
                }
                TokenTree::Group(group) => {
                    self.items(group.stream(), &owner, &function);
                    if group.delimiter() == Delimiter::Brace {
                        (owner, function) = (outer_owner.clone(), outer_function.clone());
                        has_signature = false;
                    }
                    if group.delimiter() == Delimiter::Parenthesis {
                        let before = &tokens[..tokens.len() - after.len() - 1];
                        self.call(before, group, &function);
                    }
                }
                _ => {}
            }
        }
    }

    /// Adds the orderings among the arguments of a call.
    fn call(&mut self, before: &[TokenTree], arguments: &Group, function: &str) {
        let mut operation = format!("{}(", callee(before));
        let first = self.sites.len();
        let mut separator = "";
        for token in arguments.stream() {
            let TokenTree::Ident(word) = token else { continue };
            let Some(ordering) = Ordering::named(&word.to_string()) else { continue };
            operation.push_str(separator);
            let range = operation.len()..operation.len() + ordering.to_string().len();
            operation.push_str(&ordering.to_string());
            separator = ", ";
            if ordering != Ordering::Relaxed {
                self.sites.push(Site {
                    file: self.file.to_owned(),
                    function: function.to_owned(),
                    operation: String::new(),
                    range,
                    ordering,
                    bytes: word.span().byte_range(),
                    line: word.span().start().line,
                });
            }
        }
        operation.push(')');
        self.sites[first..].iter_mut().for_each(|site| site.operation.clone_from(&operation));
    }
}

/// Returns the type of an `impl`: the last name outside of angle brackets.
fn implementor(tokens: &[TokenTree]) -> String {
    let (mut name, mut depth) = (String::new(), 0);
    for token in tokens {
        match token {
            token if is_punct(Some(token), '<') => depth += 1,
            token if is_punct(Some(token), '>') => depth -= 1,
            TokenTree::Ident(word) if word == "where" => break,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            TokenTree::Ident(word) if depth == 0 => name = word.to_string(),
            _ => {}
        }
    }
    name
}

/// Returns the method and its receiver: `count.fetch_add` for `self.count.fetch_add`.
fn callee(before: &[TokenTree]) -> String {
    match before {
        [.., receiver, dot, TokenTree::Ident(method)] if is_punct(Some(dot), '.') => {
            // For the result of a call or an element of an array, the name before the brackets.
            let of = before.len() - if matches!(receiver, TokenTree::Group(_)) { 3 } else { 2 };
            let receiver = match &before[..of] {
                // `self.0`
                [.., of, _, TokenTree::Literal(field)] => format!("{of}.{field}"),
                [.., receiver] => receiver.to_string(),
                [] => String::new(),
            };
            format!("{receiver}.{method}")
        }
        [.., TokenTree::Ident(function)] => function.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        use std::sync::atomic::Ordering::{Acquire, Release};
        // A comment about Acquire.
        impl<T: Send> Drop for Flag<T> where T: Sync {
            fn drop(&mut self) { self.words[3].store(self.0.load(Acquire), Release); }
        }
        fn claim(state: &AtomicU32, then: impl Fn(u32)) -> impl Iterator<Item = u32> {
            assert!(state.compare_exchange(0, 1, AcqRel, Acquire).is_ok(), \"Release\");
            state.load(Relaxed);
        }
        #[cfg(all(test, not(loom)))]
        mod tests { fn load() { A.load(SeqCst); } }
        #[inline]
        fn last(self) { word(7).swap(true, SeqCst); self.0[1].load(Acquire); }
    ";

    #[test]
    fn orderings_outside_of_imports_comments_and_tests_are_found() {
        let found: Vec<_> = find("a.rs", SOURCE).unwrap().iter().map(describe).collect();
        assert_eq!(
            found,
            [
                "5 Flag::drop: self.0.load(Acquire → Relaxed)",
                "5 Flag::drop: words.store(Release → Relaxed)",
                "8 claim: state.compare_exchange(AcqRel → Relaxed, Acquire)",
                "8 claim: state.compare_exchange(AcqRel, Acquire → Relaxed)",
                "14 last: word.swap(SeqCst → Relaxed)",
                "14 last: self.0.load(Acquire → Relaxed)",
            ]
        );
    }

    fn describe(site: &Site) -> String {
        assert_eq!(SOURCE[site.bytes.clone()], site.ordering.to_string());
        format!("{} {}: {}", site.line, site.function, site.weakened(Ordering::Relaxed))
    }

    #[test]
    fn fences_and_orderings_outside_of_calls_are_refused() {
        assert!(find("a.rs", "fn f() { fence(Acquire); }").is_err());
        assert!(find("a.rs", "const STRONG: Ordering = Acquire;").is_err());
        assert!(find("a.rs", "pub use std::sync::atomic::fence;").is_ok());
    }

    #[test]
    fn weakening_acq_rel_loses_either_half_or_both() {
        let lost = |weaker: &Ordering| Ordering::AcqRel.without(*weaker);
        let lost: Vec<_> = Ordering::AcqRel.weaker().iter().map(lost).collect();
        assert_eq!(lost, [Ordering::Release, Ordering::Acquire, Ordering::AcqRel]);
    }
}
