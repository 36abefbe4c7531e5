//! Copies of the workspace with changed sources.

use std::error::Error;
use std::path::Path;
use std::{fs, io};

use xshell::{Shell, cmd};

/// Copies the workspace, including uncommitted changes, to the folder `tree`, and changes the content of
/// each file. What is unchanged since the last time is not written.
///
/// # Errors
/// When a file cannot be read or written, or `change` fails.
pub(crate) fn copy(
    shell: &Shell,
    tree: &str,
    change: impl Fn(&str, Vec<u8>) -> Result<Vec<u8>, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let root = shell.current_dir();
    let tree = root.join(tree);
    // The paths that were copied, one per line.
    let copied = tree.with_extension("copied");
    let listed = cmd!(shell, "git ls-files --cached --others --exclude-standard").quiet().read()?;
    for old in fs::read_to_string(&copied).unwrap_or_default().lines() {
        if !listed.lines().any(|path| path == old) || !root.join(old).exists() {
            let _ = fs::remove_file(tree.join(old));
        }
    }
    for path in listed.lines() {
        match fs::read(root.join(path)) {
            Ok(content) => write(&tree.join(path), change(path, content)?)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{path}: {error}").into()),
        }
    }
    fs::write(copied, listed)?;
    Ok(())
}

/// Writes a file unless it is unchanged, so that it is not built again.
pub(crate) fn write(path: &Path, content: Vec<u8>) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}
