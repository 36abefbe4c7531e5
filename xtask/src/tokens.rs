//! Reading a source as tokens, which includes what is inside macros.

use proc_macro2::{Delimiter, Group, TokenTree};

pub(crate) fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

/// Returns whether this is `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
pub(crate) fn is_of_tests(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text.starts_with("cfg(test") || text.starts_with("cfg(all(test")
}

/// Returns the tokens after an item, which ends with a semicolon or a block.
pub(crate) fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(Some(token), ';'),
    };
    // `use` can have braces before its semicolon, but no ordering after them.
    let end = tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1);
    &tokens[end..]
}
