//! Prints the lines of code of each crate, and the public items of its library.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;

use proc_macro2::{TokenStream, TokenTree};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::imports::Modules;
use crate::tokens::{after_item, is_of_tests, is_punct};

/// Prints a table of the crates.
///
/// # Errors
/// When a source cannot be read, or a library cannot be documented.
pub(crate) fn run(shell: &Shell) -> Result<(), Box<dyn Error>> {
    println!("{:<12} {:>13} {:>12}", "crate", "lines of code", "public items");
    for folder in shell.read_dir("crates")? {
        let name = folder.file_name().unwrap_or_default().display().to_string();
        let library = folder.join("src/lib.rs");
        let is_library = library.exists();
        let root = if is_library { library } else { folder.join("src/main.rs") };
        let mut lines = 0;
        // A file that is declared once for each `cfg` counts once.
        let files: BTreeSet<_> = Modules::read(&root)?.files.into_iter().collect();
        for file in &files {
            lines += lines_of_code(&fs::read_to_string(file)?)?;
        }
        let package = if name == "raddle" { name.clone() } else { format!("raddle-{name}") };
        let items = if is_library { public_items(shell, &package)? } else { 0 };
        println!("{name:<12} {lines:>13} {items:>12}");
    }
    Ok(())
}

/// Counts the lines with code, without comments, blank lines and tests.
fn lines_of_code(source: &str) -> Result<usize, Box<dyn Error>> {
    let mut lines = BTreeSet::new();
    collect(source.parse()?, &mut lines);
    Ok(lines.len())
}

fn collect(tokens: TokenStream, lines: &mut BTreeSet<usize>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut rest = &tokens[..];
    while let [token, after @ ..] = rest {
        rest = after;
        if is_punct(Some(token), '#') {
            let inner = usize::from(is_punct(after.first(), '!'));
            if let Some(TokenTree::Group(attribute)) = after.get(inner) {
                // Comments of documentation are attributes.
                if attribute.stream().to_string().starts_with("doc =") {
                    rest = &after[inner + 1..];
                    continue;
                }
                if is_of_tests(attribute) {
                    rest = after_item(&after[inner + 1..]);
                    continue;
                }
            }
        }
        match token {
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                collect(group.stream(), lines);
                lines.insert(group.span_close().end().line);
            }
            token => lines.extend(token.span().start().line..=token.span().end().line),
        }
    }
}

/// Counts the public items of a library with rustdoc's JSON: modules, types, traits, functions,
/// methods, variants, fields, constants and macros. Re-exports, implementations of traits and
/// hidden items are left out.
fn public_items(shell: &Shell, package: &str) -> Result<usize, Box<dyn Error>> {
    let json = ["-Z", "unstable-options", "--output-format", "json"];
    cmd!(shell, "cargo rustdoc --quiet -p {package} --lib --all-features -- {json...}")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", "target/size")
        .quiet()
        .run()?;
    let path = format!("target/size/doc/{}.json", package.replace('-', "_"));
    let document: Value = serde_json::from_str(&shell.read_file(path)?)?;
    Ok(count_items(&document))
}

fn count_items(document: &Value) -> usize {
    let mut counted = BTreeMap::new();
    visit(document, &document["root"], false, &mut counted);
    // All but the root.
    counted.values().filter(|is_item| **is_item).count().saturating_sub(1)
}

/// Adds an item and those in it. Parts of a public enum or trait are public without saying so.
fn visit<'d>(
    document: &'d Value,
    id: &'d Value,
    is_part: bool,
    counted: &mut BTreeMap<String, bool>,
) {
    let item = &document["index"][id.to_string()];
    let Some((kind, inner)) = item["inner"].as_object().and_then(|inner| inner.iter().next())
    else {
        return;
    };
    let (mut parts, mut are_public) = (Vec::new(), false);
    match kind.as_str() {
        "use" => {
            parts.push(&inner["id"]);
        }
        "impl" if inner["trait"].is_null() => parts.extend(list(&inner["items"])),
        "impl" => return,
        _ if item["visibility"] != "public" && !is_part => return,
        "module" => parts.extend(list(&inner["items"])),
        "trait" => {
            are_public = true;
            parts.extend(list(&inner["items"]));
        }
        "enum" => {
            are_public = true;
            parts.extend(list(&inner["variants"]));
        }
        "struct" => {
            parts.extend(list(&inner["kind"]["plain"]["fields"]));
            parts.extend(list(&inner["kind"]["tuple"]));
        }
        _ => {}
    }
    let is_item = kind != "use" && kind != "impl";
    if counted.insert(id.to_string(), is_item).is_some() {
        return;
    }
    parts.into_iter().for_each(|part| visit(document, part, are_public, counted));
    list(&inner["impls"]).for_each(|block| visit(document, block, false, counted));
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_blank_lines_and_tests_are_not_lines_of_code() {
        let source = "//! Module.\n\nuse a::B;\n\n/// Item.\n#[inline]\nfn f() {\n    // Why.\n    \
                      g(\n        \"two\nlines\",\n    )\n}\n\n#[cfg(test)]\nmod tests {\n    use a;\n}\n";
        assert_eq!(lines_of_code(source).unwrap(), 8);
    }

    #[test]
    fn public_items_are_counted_once_with_their_parts() {
        let item =
            |visibility: &str, inner: Value| json!({ "visibility": visibility, "inner": inner });
        let document = json!({ "root": 0, "index": {
            "0": item("public", json!({ "module": { "items": [1, 2, 6, 7] } })),
            "1": item("public", json!({ "use": { "id": 2 } })),
            "2": item("public", json!({ "enum": { "variants": [3], "impls": [4, 8] } })),
            "3": item("default", json!({ "variant": {} })),
            "4": item("default", json!({ "impl": { "trait": null, "items": [5, 7] } })),
            "5": item("public", json!({ "function": {} })),
            "6": item("crate", json!({ "struct": { "kind": "unit", "impls": [] } })),
            "7": item("default", json!({ "function": {} })),
            "8": item("default", json!({ "impl": { "trait": { "id": 9 }, "items": [5] } })),
        }});
        // The enum, its variant and its method.
        assert_eq!(count_items(&document), 3);
    }
}
