//! Files that are there whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

/// A file cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

/// Where a report goes. It is written beside its place and then put there by one rename, so that
/// whoever reads it finds the old file or the new one.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
}

impl OutputFile {
    /// Checks that it can be written, before a minute is spent on what goes into it.
    pub fn check(path: &Path) -> Result<Self, FileError> {
        let check = || {
            // Through a link the file that it points to is replaced, not the link.
            let path = if path.exists() { fs::canonicalize(path)? } else { path.to_owned() };
            if path.exists() && !path.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            beside(&path)?;
            Ok(Self { path })
        };
        check().map_err(|source| FileError { path: path.to_owned(), source })
    }

    /// Writes it whole.
    pub fn write(
        &self,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let write = || {
            let mut file = BufWriter::new(beside(&self.path)?);
            content(&mut file)?;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|source| FileError { path: self.path.clone(), source })
    }
}

/// Where several reports go, each as an [`OutputFile`].
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
}

impl OutputFolder {
    /// Makes the folder if it is not there, and checks that files can be written into it.
    pub fn check(path: &Path) -> Result<Self, FileError> {
        let check = || {
            fs::create_dir_all(path)?;
            beside(&path.join("file"))
        };
        match check() {
            Ok(_) => Ok(Self { path: path.to_owned() }),
            Err(source) => Err(FileError { path: path.to_owned(), source }),
        }
    }

    /// Writes one of its files whole.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FileError> {
        OutputFile::check(&self.path.join(name))?.write(|out| out.write_all(content))
    }
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".raddle-");
    // A temporary file is its owner's alone; a report is as readable as any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_replaced_whole_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let file = OutputFile::check(&path).unwrap();
        let broken = file.write(|out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        let message = broken.unwrap_err().to_string();
        assert!(message.ends_with("report.json: disk on fire"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.write(|out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_beforehand() {
        let missing = OutputFile::check(Path::new("/no/such/folder/report.json")).unwrap_err();
        let expected = "cannot write /no/such/folder/report.json: ";
        assert!(missing.to_string().starts_with(expected), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        let message = OutputFile::check(folder.path()).unwrap_err().to_string();
        assert!(message.ends_with(": it is not a regular file"), "{message}");
    }
}
