//! A copy of the workspace in which any ordering can be weakened at run time.

use std::error::Error;
use std::path::PathBuf;

use xshell::{Shell, cmd};

use super::sites::Site;
use crate::checker::with_loom;
use crate::tree;

/// The copy, in which each ordering is replaced by a call with the number of its site, so that one
/// build has all mutants.
const TREE: &str = "target/orderings/tree";
/// The target folder of the copy.
const BUILD: &str = "target/orderings/build";

const SYNC: &str = "crates/sync/";
const PROBE: &str = "crates/sync/src/ordering_probe.rs";

/// Copies the workspace, with the orderings of these sites replaced.
pub(super) fn copy(shell: &Shell, sites: &[Site]) -> Result<(), Box<dyn Error>> {
    tree::copy(shell, TREE, |path, content| Ok(probed(path, content, sites)))?;
    let probe = include_str!("probe.rs").replace("SITES", &sites.len().to_string());
    tree::write(&shell.current_dir().join(TREE).join(PROBE), probe.into_bytes())?;
    Ok(())
}

/// Returns the content of a source with its orderings replaced by calls.
fn probed(path: &str, mut content: Vec<u8>, sites: &[Site]) -> Vec<u8> {
    let krate = if path.starts_with(SYNC) { "crate" } else { "raddle_sync" };
    // In reverse, so that the positions of those before stay valid.
    for (number, site) in sites.iter().enumerate().rev().filter(|(_, site)| site.file == path) {
        let call = format!("{krate}::ordering_probe::ordering({number}, {})", site.ordering);
        content.splice(site.bytes.clone(), call.into_bytes());
    }
    if path == "crates/sync/src/lib.rs" {
        content.extend_from_slice(b"\n#[doc(hidden)]\npub mod ordering_probe;\n");
    }
    content
}

/// Builds the models of the copy and returns their programs, each with the name of its file.
pub(super) fn build(shell: &Shell) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let build = shell.current_dir().join(BUILD);
    let _folder = shell.push_dir(TREE);
    let package = "--package=raddle-loom-tests";
    let command = cmd!(shell, "cargo test --profile loom {package} --no-run --message-format=json");
    let messages = with_loom(command).env("CARGO_TARGET_DIR", build).quiet().read()?;
    let mut programs = Vec::new();
    for message in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(message)?;
        let is_model = message["target"]["kind"][0] == "test";
        if let (true, Some(program)) = (is_model, message["executable"].as_str()) {
            let name = message["target"]["name"].as_str().ok_or("a test program without a name")?;
            programs.push((name.to_owned(), PathBuf::from(program)));
        }
    }
    programs.sort();
    Ok(programs)
}
