//! A copy of oneshot without fences, which ThreadSanitizer does not support.
//!
//! oneshot reads a channel's state with a Relaxed load, followed by an Acquire fence once there is
//! a message. The sanitizer ignores the fence and reports every reply as a race, in oneshot and
//! wherever the reply is then used, so that no suppression would be narrow enough. The loads of the
//! copy are Acquire. This could hide a missing fence in oneshot itself, which its own loom tests
//! check.

use std::error::Error;
use std::path::Path;

use xshell::{Shell, cmd};

/// Replaces its `src/atomic.rs`.
const ATOMIC: &str = include_str!("oneshot_atomic.rs");

/// Returns the path of the copy, which is made below `folder` once for each version.
pub(super) fn prepare(shell: &Shell, folder: &str) -> Result<String, Box<dyn Error>> {
    cmd!(shell, "cargo fetch --locked").quiet().run()?;
    let metadata = cmd!(shell, "cargo metadata --locked --format-version 1").quiet().read()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .filter(|package| package["name"] == "oneshot")
        .find_map(|package| package["manifest_path"].as_str())
        .ok_or("oneshot is not a dependency")?;
    let source = Path::new(manifest).parent().ok_or("oneshot is in no folder")?;
    let name = source.file_name().ok_or("oneshot's folder has no name")?;
    let copy = shell.current_dir().join(folder).join(name);
    shell.create_dir(&copy)?;
    let atomic = copy.join("src/atomic.rs");
    if !shell.path_exists(&atomic) || shell.read_file(&atomic)? != ATOMIC {
        shell.remove_path(&copy)?;
        cmd!(shell, "cp -r {source} {copy}").quiet().run()?;
        shell.write_file(&atomic, ATOMIC)?;
    }
    Ok(copy.display().to_string())
}
