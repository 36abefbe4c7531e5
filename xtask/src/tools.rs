//! Cargo subcommands that a chore needs.

use std::error::Error;

use xshell::{Shell, cmd};

/// Installs `cargo <name>` into the target folder unless there is one.
pub(crate) fn install(shell: &Shell, name: &str) -> Result<(), Box<dyn Error>> {
    if !is_installed(shell, name)? {
        let package = format!("cargo-{name}");
        cmd!(shell, "cargo install --locked --root target/tools {package}").run()?;
    }
    Ok(())
}

/// Returns an error that says how to install `cargo <name>`, unless there is one.
pub(crate) fn require(shell: &Shell, name: &str) -> Result<(), Box<dyn Error>> {
    match is_installed(shell, name)? {
        true => Ok(()),
        false => {
            Err(format!("cargo-{name} is missing: `cargo install --locked cargo-{name}`").into())
        }
    }
}

/// Checks the path and the target folder, which it adds to the path.
fn is_installed(shell: &Shell, name: &str) -> Result<bool, Box<dyn Error>> {
    let tools = shell.current_dir().join("target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(tools).chain(std::env::split_paths(&path));
    shell.set_var("PATH", std::env::join_paths(paths)?);
    let version = cmd!(shell, "cargo {name} --version").quiet().ignore_stdout().ignore_stderr();
    Ok(version.run().is_ok())
}
