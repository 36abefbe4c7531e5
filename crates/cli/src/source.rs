//! What the program reads: a file or standard input, plain or compressed by gzip.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use thiserror::Error;

/// The path that names standard input or output.
pub const STANDARD: &str = "-";

/// The maximum size, uncompressed, so that an endless input is an error and not a lack of memory.
const LARGEST: u64 = 4 << 30;

/// The first bytes of what gzip has compressed; no trace and no scenario begins with them.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file or standard input cannot be read.
#[derive(Debug, Error)]
#[error("cannot read the {what} {}", path.display())]
pub struct ReadError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Reads the whole file, or standard input if the path is `-`. `what` is what it should hold.
pub fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ReadError> {
    let read = || {
        if path == Path::new(STANDARD) {
            whole(io::stdin().lock(), LARGEST)
        } else {
            whole(File::open(path)?, LARGEST)
        }
    };
    read().map_err(|source| ReadError { what, path: path.to_owned(), source })
}

fn whole(mut input: impl Read, largest: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.by_ref().take(GZIP.len() as u64).read_to_end(&mut head)?;
    let is_compressed = head == GZIP;
    let input = head.as_slice().chain(input);
    if is_compressed {
        limited(MultiGzDecoder::new(input), largest)
    } else {
        limited(input, largest)
    }
}

fn limited(input: impl Read, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = input.take(largest + 1).read_to_end(&mut bytes)?;
    if size as u64 > largest {
        let expected = format!("it is too large: expected at most {largest} bytes, uncompressed");
        return Err(io::Error::other(expected));
    }
    Ok(bytes)
}

/// Returns whether the file is a scenario, by the end of its name or, for standard input, by its
/// first line: a line of TOML is a comment, a table or a key with a value.
pub fn is_scenario(path: &Path, bytes: &[u8]) -> bool {
    if path == Path::new(STANDARD) {
        let text = bytes.trim_ascii_start();
        let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return first.starts_with(b"#") || first.starts_with(b"[") || first.contains(&b'=');
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.strip_suffix(".gz").unwrap_or(&name).ends_with(".toml")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn an_input_without_an_end_is_refused() {
        assert_eq!(whole(io::repeat(b'x').take(1_000), 1_000).unwrap().len(), 1_000);
        let error = whole(io::repeat(b'x'), 1_000).unwrap_err().to_string();
        assert_eq!(error, "it is too large: expected at most 1000 bytes, uncompressed");
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&[0; 100_000]).unwrap();
        let bomb = bomb.finish().unwrap();
        assert!(bomb.len() < 1_000 && whole(bomb.as_slice(), 1_000).is_err());
    }

    #[test]
    fn the_bytes_of_a_pipe_may_come_one_by_one() {
        struct OneByOne(Vec<u8>);
        impl Read for OneByOne {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let size = buffer.len().min(self.0.len()).min(1);
                buffer[..size].copy_from_slice(&self.0[..size]);
                self.0.drain(..size);
                Ok(size)
            }
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"content").unwrap();
        let compressed = encoder.finish().unwrap();
        assert_eq!(whole(OneByOne(compressed), 100).unwrap(), b"content");
        assert_eq!(whole(OneByOne(b"c".to_vec()), 100).unwrap(), b"c");
        assert_eq!(whole(OneByOne(Vec::new()), 100).unwrap(), b"");
    }
}
