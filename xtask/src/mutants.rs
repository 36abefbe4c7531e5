//! Mutants of core and strategies: each must fail a test of its own package, or be explained in
//! `docs/verification.md`.

use std::error::Error;

use xshell::{Shell, cmd};

use crate::tools;

/// Runs cargo-mutants with `.cargo/mutants.toml`; its lists are in `target/mutants.out`.
pub fn run(shell: &Shell, options: &[String]) -> Result<(), Box<dyn Error>> {
    tools::need(shell, "mutants")?;
    let packages = ["-p", "raddle-core", "-p", "raddle-strategies"];
    cmd!(shell, "cargo mutants --output target {packages...} {options...}").run()?;
    Ok(())
}
