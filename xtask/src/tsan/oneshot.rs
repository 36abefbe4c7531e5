//! oneshot without fences, which the sanitizer does not know.
//!
//! oneshot looks at a channel's state by a Relaxed load and makes up for that by an Acquire fence once
//! there is a message. The sanitizer sees the load, not the fence, and reports every answer as a race,
//! in oneshot and wherever the answer is then used: no suppression would be narrow enough. So a copy
//! of it is built whose loads acquire. What that could hide is a missing fence in oneshot itself,
//! which its own loom tests are for.

use std::error::Error;

use xshell::{Shell, cmd};

/// What is built in place of its `src/atomic.rs`.
const ATOMIC: &str = include_str!("oneshot_atomic.rs");

/// Makes the copy in this folder, once a version, and returns where it is.
pub(super) fn prepare(shell: &Shell, folder: &str) -> Result<String, Box<dyn Error>> {
    cmd!(shell, "cargo fetch --locked").quiet().run()?;
    let metadata = cmd!(shell, "cargo metadata --locked --format-version 1").quiet().read()?;
    // Nothing else in that text ends so; a parser of JSON would be one more dependency of the chores.
    let manifest = metadata
        .split('"')
        .find(|text| text.ends_with("/Cargo.toml") && text.contains("/oneshot-"))
        .ok_or("cargo knows no oneshot")?;
    let source = manifest.strip_suffix("/Cargo.toml").expect("as was looked for");
    let name = source.rsplit('/').next().expect("a path has a last part");
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
