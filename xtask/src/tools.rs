//! Cargo subcommands that a chore needs.

use std::error::Error;

use xshell::{Shell, cmd};

/// Makes `cargo <name>` be there: installs it into the target folder where it is missing.
pub fn need(shell: &Shell, name: &str) -> Result<(), Box<dyn Error>> {
    let root = shell.current_dir().join("target/tools");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(root.join("bin")).chain(std::env::split_paths(&path));
    shell.set_var("PATH", std::env::join_paths(paths)?);
    let is_there = cmd!(shell, "cargo {name} --version").quiet().ignore_stdout().ignore_stderr();
    if is_there.run().is_err() {
        let package = format!("cargo-{name}");
        cmd!(shell, "cargo install --locked --root {root} {package}").run()?;
    }
    Ok(())
}
