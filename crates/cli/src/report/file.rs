//! What the program writes: files, each completely or not at all, pipes and standard output.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::source::STANDARD;

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
    /// A file would be written twice, or written over what is read.
    #[error("{one} and {other} name the same file {}: expected two files", path.display())]
    Same {
        /// The option, argument or stream that names it first.
        one: &'static str,
        /// The option that names it again.
        other: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// The files that the program reads and writes, no two of which may be the same.
#[derive(Debug)]
pub struct Files {
    known: Vec<(&'static str, Identity)>,
}

/// What makes two paths name the same file, whatever links and other spellings are in them.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    StandardOutput,
    /// The number of a file's device, and its own number there.
    #[cfg(unix)]
    Inode(u64, u64),
    /// A file that does not exist, in a folder that does; or, where files have no numbers, any.
    Path(PathBuf),
}

impl Files {
    /// Starts with the file that is read, if there is one, which errors call `what`; and with the
    /// files that standard output and standard error are redirected to.
    ///
    /// # Errors
    /// If the file that is read is one that a stream is redirected to.
    pub fn new(read: Option<(&'static str, &Path)>) -> Result<Self, FileError> {
        let mut known: Vec<_> =
            Identity::of_streams().into_iter().filter_map(|(name, of)| Some((name, of?))).collect();
        if let Some((what, path)) = read
            && let Some(identity) = Identity::of_read(path)
        {
            if let Some((stream, _)) = known.iter().find(|(_, stream)| *stream == identity) {
                return Err(FileError::Same { one: what, other: stream, path: path.to_owned() });
            }
            known.push((what, identity));
        }
        Ok(Self { known })
    }

    /// Checks the file of an option, if it was given, as [`output`](Self::output) does.
    pub fn optional_output(
        &mut self,
        option: &'static str,
        path: Option<&Path>,
    ) -> Result<Option<OutputFile>, FileError> {
        path.map(|path| self.output(option, path)).transpose()
    }

    /// Checks that the file that an option names can be written, before a minute is spent on its
    /// content. `-` and `/dev/stdout` are standard output, and a pipe or device is opened here.
    fn output(&mut self, option: &'static str, path: &Path) -> Result<OutputFile, FileError> {
        let checked = Target::check(path);
        let (target, identity) =
            checked.map_err(|source| FileError::Write { path: path.to_owned(), source })?;
        if let Some(identity) = identity {
            if let Some((one, _)) = self.known.iter().find(|(_, known)| *known == identity) {
                return Err(FileError::Same { one, other: option, path: path.to_owned() });
            }
            self.known.push((option, identity));
        }
        Ok(OutputFile { path: path.to_owned(), target })
    }

    /// Creates the folder that an option names, unless it exists, and checks that the files of
    /// these names can be written into it.
    pub fn output_folder(
        &mut self,
        option: &'static str,
        path: &Path,
        names: &'static [&'static str],
    ) -> Result<OutputFolder, FileError> {
        let wrong = |source| FileError::Write { path: path.to_owned(), source };
        if path == Path::new(STANDARD) {
            return Err(wrong(io::Error::other("it is standard output: expected a folder")));
        }
        fs::create_dir_all(path).map_err(wrong)?;
        let file = |name: &&'static str| Ok((*name, self.output(option, &path.join(name))?));
        Ok(OutputFolder { files: names.iter().map(file).collect::<Result<_, _>>()? })
    }

    /// Returns whether a report goes to standard output, which then must hold nothing else.
    pub fn use_standard_output(&self) -> bool {
        self.known.iter().any(|(_, known)| *known == Identity::StandardOutput)
    }
}

impl Identity {
    /// Returns the identity of a regular file.
    #[cfg(unix)]
    fn of_file(_: &Path, file: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        Ok(Self::Inode(file.dev(), file.ino()))
    }

    #[cfg(not(unix))]
    fn of_file(path: &Path, _: &Metadata) -> io::Result<Self> {
        Ok(Self::Path(fs::canonicalize(path)?))
    }

    /// Returns the identity of what is read; `None` unless it is a regular file.
    fn of_read(path: &Path) -> Option<Self> {
        if path == Path::new(STANDARD) {
            return Self::of_stream(&io::stdin());
        }
        let file = fs::metadata(path).ok().filter(Metadata::is_file)?;
        Self::of_file(path, &file).ok()
    }

    /// Returns the identities of the files that the streams are redirected to.
    fn of_streams() -> [(&'static str, Option<Self>); 2] {
        [
            ("standard output", Self::of_stream(&io::stdout())),
            ("standard error", Self::of_stream(&io::stderr())),
        ]
    }

    #[cfg(unix)]
    fn of_stream(stream: &impl std::os::fd::AsFd) -> Option<Self> {
        let file = File::from(stream.as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
        file.is_file().then(|| Self::of_file(Path::new(""), &file).ok())?
    }

    #[cfg(not(unix))]
    fn of_stream<S>(_: &S) -> Option<Self> {
        None
    }
}

/// The file of a report.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    target: Target,
}

/// Where a report goes.
#[derive(Debug)]
enum Target {
    StandardOutput,
    /// A pipe or a device, which is written as it is.
    Stream(File),
    /// A file with this path, which has no symbolic link in it. It is written to a temporary file
    /// and then renamed, so that a reader finds either the old file or the new one.
    Replaced(PathBuf),
}

impl Target {
    /// The names of standard output, which may be redirected to a file that must not be replaced.
    const STANDARD: [&str; 4] = [STANDARD, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

    fn check(path: &Path) -> io::Result<(Self, Option<Identity>)> {
        if Self::STANDARD.iter().any(|standard| path == Path::new(standard)) {
            return Ok((Self::StandardOutput, Some(Identity::StandardOutput)));
        }
        let existing = match fs::metadata(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if existing.as_ref().is_some_and(is_stream) {
            return Ok((Self::Stream(File::options().write(true).open(path)?), None));
        }
        if existing.as_ref().is_some_and(|file| !file.is_file()) {
            return Err(io::Error::other("it is not a regular file"));
        }
        let path = without_links(path)?;
        beside(&path)?;
        let identity = match existing {
            Some(file) => Identity::of_file(&path, &file)?,
            None => Identity::Path(path.clone()),
        };
        Ok((Self::Replaced(path), Some(identity)))
    }
}

impl OutputFile {
    /// Writes the file.
    pub fn write(
        self,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let written = match self.target {
            Target::StandardOutput => to_standard_output(content),
            Target::Stream(file) => to_stream(file, content),
            Target::Replaced(path) => replace(&path, content),
        };
        written.map_err(|source| FileError::Write { path: self.path, source })
    }
}

/// A reader that has closed the pipe is not an error, as for [`print`](crate::print).
fn to_standard_output(content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match to_stream(io::stdout().lock(), content) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn to_stream(
    stream: impl Write,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut stream = BufWriter::new(stream);
    content(&mut stream)?;
    stream.flush()
}

fn replace(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let file = beside(path)?;
    // Before the content: a file that only its owner may read stays so.
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(path) {
        file.as_file().set_permissions(old.permissions())?;
    }
    let mut file = BufWriter::new(file);
    content(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A folder of several files.
#[derive(Debug)]
pub struct OutputFolder {
    files: Vec<(&'static str, OutputFile)>,
}

impl OutputFolder {
    /// Writes those of its files that `content` has.
    pub fn write(self, content: &[(String, String)]) -> Result<(), FileError> {
        for (name, file) in self.files {
            if let Some((_, text)) = content.iter().find(|(known, _)| known == name) {
                file.write(|out| out.write_all(text.as_bytes()))?;
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn is_stream(file: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    file.file_type().is_fifo() || file.file_type().is_char_device()
}

#[cfg(not(unix))]
fn is_stream(_: &Metadata) -> bool {
    false
}

/// Returns the path of what a path leads to, which need not exist: the target of a symbolic link is
/// replaced, not the link.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    // A chain of links that leads nowhere ends; one that goes round is another error.
    if let Ok(target) = fs::read_link(path) {
        return without_links(&folder_of(path).join(target));
    }
    let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
    Ok(fs::canonicalize(folder_of(path))?.join(name))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".raddle-");
    // By default a temporary file is readable only by its owner; a report follows the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder_of(path))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn output(path: &Path) -> Result<OutputFile, FileError> {
        Files::new(None).unwrap().output("--json", path)
    }

    #[test]
    fn a_file_is_replaced_at_once_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let broken = output(&path).unwrap().write(|out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        let broken = broken.unwrap_err();
        assert_eq!(broken.to_string(), format!("cannot write {}", path.display()));
        assert_eq!(broken.source().unwrap().to_string(), "disk on fire");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        output(&path).unwrap().write(|out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unwritable_file_is_an_error_before_anything_is_written() {
        let missing = output(Path::new("/no/such/folder/report.json")).unwrap_err();
        assert_eq!(missing.to_string(), "cannot write /no/such/folder/report.json");
        let folder = tempfile::tempdir().unwrap();
        let error = output(folder.path()).unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "it is not a regular file");
    }
}
