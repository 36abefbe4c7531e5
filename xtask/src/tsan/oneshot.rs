//! oneshot without fences, which the sanitizer does not know.
//!
//! oneshot looks at a channel's state by a Relaxed load and makes up for that by an Acquire fence once
//! there is a message. The sanitizer sees the load, not the fence, and reports every answer as a race,
//! in oneshot and wherever the answer is then used: no suppression would be narrow enough. So a copy
//! of it is built whose loads acquire. What that could hide is a missing fence in oneshot itself,
//! which its own loom tests are for.

use std::error::Error;
use std::path::Path;

use xshell::{Shell, cmd};

/// What is built in place of its `src/atomic.rs`.
const ATOMIC: &str = include_str!("oneshot_atomic.rs");

/// Makes the copy in this folder, once a version, and returns where it is.
pub(super) fn prepare(shell: &Shell, folder: &str) -> Result<String, Box<dyn Error>> {
    cmd!(shell, "cargo fetch --locked").quiet().run()?;
    let metadata = cmd!(shell, "cargo metadata --locked --format-version 1").quiet().read()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .filter(|package| package["name"] == "oneshot")
        .find_map(|package| package["manifest_path"].as_str())
        .ok_or("cargo knows no oneshot")?;
    let source = Path::new(manifest).parent().ok_or("oneshot is in no folder")?;
    let name = source.file_name().ok_or("oneshot's folder has no name")?;
    let copy = shell.current_dir().join(folder).join(name);
    shell.create_dir(&copy)?;
    let mine = copy.join("src/atomic.rs");
    if !shell.path_exists(&mine) || shell.read_file(&mine)? != ATOMIC {
        shell.remove_path(&copy)?;
        cmd!(shell, "cp -r {source} {copy}").quiet().run()?;
        shell.write_file(&mine, ATOMIC)?;
    }
    Ok(copy.display().to_string())
}
