//! Commands with the types of a model checker behind the facade.

use xshell::Cmd;

/// loom's types, in `raddle-sync` and, by a flag of its own, in `oneshot`.
pub(crate) fn with_loom(command: Cmd<'_>) -> Cmd<'_> {
    with(command, "loom", "--cfg loom --cfg oneshot_loom")
}

pub(crate) fn with_shuttle(command: Cmd<'_>) -> Cmd<'_> {
    with(command, "shuttle", "--cfg shuttle")
}

/// The target folder is a separate one, so that the usual build is kept.
fn with<'s>(command: Cmd<'s>, checker: &str, flags: &str) -> Cmd<'s> {
    let others = std::env::var("RUSTFLAGS").unwrap_or_default();
    command
        .env("RUSTFLAGS", format!("{others} {flags}").trim())
        .env("CARGO_TARGET_DIR", format!("target/{checker}"))
}
