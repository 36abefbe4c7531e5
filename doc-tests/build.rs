//! Makes a test of each Rust sample in the documents.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What the samples of a page may use without declaring it.
const SETUP: [(&str, &str); 6] = [
    ("architecture", "let image = photo();"),
    ("guide/asking", RESIZERS),
    ("guide/changing", RESIZERS),
    ("guide/routing", "let (pool, msg, customer_id) = (resizers()?, photo(), 7);"),
    ("guide/statistics", RESIZERS),
    ("guide/timers", "let (pool, msg) = (tickers()?, Tick);"),
];

const RESIZERS: &str = "let (pool, msg) = (resizers()?, photo());";

/// The page whose samples need the feature `test`.
const TEST_KIT: &str = "guide/testing";

/// The end of a sample's test.
const DONE: &str = "Ok::<(), Box<dyn std::error::Error>>(())";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tests = String::new();
    for page in pages(&root)? {
        println!("cargo::rerun-if-changed={}", page.display());
        let text = fs::read_to_string(&page)?;
        if let Some(fence) = unknown_fence(&text) {
            return Err(
                format!("{}: `{fence}` is not tested: expected ```rust", page.display()).into()
            );
        }
        let name = name_of(&page, &root)?;
        if name == TEST_KIT && env::var_os("CARGO_FEATURE_TEST").is_none() {
            continue;
        }
        for (line, sample) in samples(&text) {
            write_test(&mut tests, &name, line, &sample)?;
        }
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("samples.rs"), tests)?;
    Ok(())
}

/// The README, and what is in `docs` and `docs/guide`.
fn pages(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/guide"] {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// The page's path below `docs`, without its extension.
fn name_of(page: &Path, root: &Path) -> Result<String, Box<dyn Error>> {
    let below = page.strip_prefix(root.join("docs")).or_else(|_| page.strip_prefix(root))?;
    let name = below.with_extension("");
    Ok(name.to_str().ok_or("a page's name is not UTF-8")?.to_owned())
}

/// The blocks marked `rust`, each with the line on which it begins.
fn samples(text: &str) -> Vec<(usize, String)> {
    let mut lines = (1..).zip(text.lines());
    let mut samples = Vec::new();
    while let Some((line, _)) = lines.find(|(_, line)| line.trim() == "```rust") {
        let block = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
        samples.push((line, block.collect::<Vec<_>>().join("\n")));
    }
    samples
}

/// The first fence of a Rust sample that is neither tested nor marked as ignored.
fn unknown_fence(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| {
        let language = line.strip_prefix("```").unwrap_or_default().to_lowercase();
        let is_rust = language.starts_with("rust") || language == "rs";
        is_rust && !matches!(*line, "```rust" | "```rust,ignore")
    })
}

fn write_test(
    tests: &mut String,
    page: &str,
    line: usize,
    sample: &str,
) -> Result<(), Box<dyn Error>> {
    let setup = SETUP.iter().find(|(name, _)| *name == page).map_or("", |(_, setup)| setup);
    let name = page.to_lowercase().replace(['/', '-'], "_");
    let body = if sample.contains("fn main()") {
        format!("{sample}\nmain()")
    } else if sample.contains(".await") {
        format!("block_on(async {{\n{setup}\n{sample}\n{DONE}\n}})")
    } else {
        format!("{setup}\n{sample}\n{DONE}")
    };
    write!(
        tests,
        "#[test]\nfn {name}_line_{line}() -> Result<(), Box<dyn std::error::Error>> {{\n\
         use crate::context::*;\n{body}\n}}\n\n"
    )?;
    Ok(())
}
