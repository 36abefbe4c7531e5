//! Reads the lines of a trace as typed columns; errors name line and column.

use std::io::Cursor;

use csv::{ByteRecord, Position, Reader, ReaderBuilder, Trim};

use super::error::Fault;

/// The lines after the header.
pub struct Lines<'a> {
    bytes: &'a [u8],
    reader: Reader<Cursor<&'a [u8]>>,
    columns: &'static [&'static str],
    header: &'static str,
}

/// One line.
pub struct Line {
    number: u64,
    record: ByteRecord,
    columns: &'static [&'static str],
}

/// Returns the columns of the first line, joined by commas; `None` if there is no line.
pub fn header(bytes: &[u8]) -> Option<String> {
    let mut first = ByteRecord::new();
    let found = reader(bytes).read_byte_record(&mut first).ok()?;
    found.then(|| first.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(","))
}

fn reader(bytes: &[u8]) -> Reader<Cursor<&[u8]>> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(Cursor::new(bytes))
}

impl<'a> Lines<'a> {
    /// Reads `bytes` after their header, which is `header` and has these columns.
    pub fn new(bytes: &'a [u8], columns: &'static [&'static str], header: &'static str) -> Self {
        let mut reader = reader(bytes);
        // The caller has recognised the header already; reading a slice cannot fail.
        let _ = reader.read_byte_record(&mut ByteRecord::new());
        Self { bytes, reader, columns, header }
    }

    /// The number of the first line after `from` that is not blank: the reader skips blank lines
    /// only after it has noted where the next record starts.
    fn line_number(&self, from: &Position) -> u64 {
        let rest = self.bytes.get(from.byte() as usize..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        from.line() + blank.filter(|byte| **byte == b'\n').count() as u64
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Line, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.reader.position().clone();
        let mut record = ByteRecord::new();
        if !self.reader.read_byte_record(&mut record).unwrap_or(false) {
            return None;
        }
        let number = self.line_number(&start);
        let (expected, found) = (self.columns.len(), record.len());
        if expected != found {
            return Some(Err(Fault::ColumnCount {
                line: number,
                column: expected.min(found) + 1,
                expected,
                header: self.header,
                found,
            }));
        }
        Some(Ok(Line { number, record, columns: self.columns }))
    }
}

impl Line {
    /// Parses the value of a column (from 0).
    pub fn value<T>(
        &self,
        column: usize,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        let text = std::str::from_utf8(&self.record[column]).ok();
        text.and_then(parse).ok_or_else(|| self.fault(column, expected))
    }

    /// Returns the error that this column (from 0) is not as `expected`.
    pub fn fault(&self, column: usize, expected: &str) -> Fault {
        Fault::Value {
            line: self.number,
            column: column + 1,
            name: self.columns[column],
            expected: expected.to_owned(),
            found: String::from_utf8_lossy(&self.record[column]).into_owned(),
        }
    }
}
