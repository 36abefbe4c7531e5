//! Files that are written completely or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

/// Why a report cannot be written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Two options name the same file.
    #[error("{one} and {other} name the same file {}: expected two files", path.display())]
    Same {
        /// The first option.
        one: &'static str,
        /// The second option.
        other: &'static str,
        /// The file that both name.
        path: PathBuf,
    },
}

/// The file of a report. It is written to a temporary file and then renamed, so that a reader finds
/// either the old file or the new one.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
}

impl OutputFile {
    /// Checks that the file can be written, before a minute is spent on its content.
    pub fn check(path: &Path) -> Result<Self, FileError> {
        let check = || {
            // Replace the target of a symbolic link, not the link.
            let path = if path.exists() { fs::canonicalize(path)? } else { path.to_owned() };
            if path.exists() && !path.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            beside(&path)?;
            Ok(Self { path })
        };
        check().map_err(|source| FileError::Write { path: path.to_owned(), source })
    }

    /// Checks the files of several options, which must differ.
    pub fn check_all<const N: usize>(
        files: [(&'static str, &Option<PathBuf>); N],
    ) -> Result<[Option<Self>; N], FileError> {
        for (index, (other, file)) in files.iter().enumerate() {
            if let Some(path) = file
                && let Some((one, _)) = files[..index].iter().find(|(_, known)| *known == *file)
            {
                return Err(FileError::Same { one, other, path: path.clone() });
            }
        }
        let mut checked = [const { None }; N];
        for (slot, (_, file)) in checked.iter_mut().zip(files) {
            *slot = file.as_deref().map(Self::check).transpose()?;
        }
        Ok(checked)
    }

    /// Writes the file.
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
        write().map_err(|source| FileError::Write { path: self.path.clone(), source })
    }
}

/// A folder of several files, each written as an [`OutputFile`].
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
}

impl OutputFolder {
    /// Creates the folder if it does not exist, and checks that files can be written into it.
    pub fn check(path: &Path) -> Result<Self, FileError> {
        let check = || {
            fs::create_dir_all(path)?;
            beside(&path.join("file"))
        };
        match check() {
            Ok(_) => Ok(Self { path: path.to_owned() }),
            Err(source) => Err(FileError::Write { path: path.to_owned(), source }),
        }
    }

    /// Writes one of its files.
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
    // By default a temporary file is readable only by its owner; a report follows the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_at_once_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let file = OutputFile::check(&path).unwrap();
        let broken = file.write(|out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        let broken = broken.unwrap_err();
        assert_eq!(broken.to_string(), format!("cannot write {}", path.display()));
        assert_eq!(broken.source().unwrap().to_string(), "disk on fire");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.write(|out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unwritable_file_is_an_error_before_anything_is_written() {
        let missing = OutputFile::check(Path::new("/no/such/folder/report.json")).unwrap_err();
        assert_eq!(missing.to_string(), "cannot write /no/such/folder/report.json");
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::check(folder.path()).unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "it is not a regular file");
    }
}
