//! Splits a trace into lines of columns; errors name line and column.
//!
//! The csv crate reads on where a value is malformed: a quote that is never closed takes in the
//! lines after it, and what follows a closing quote is appended to the value. So lines are split
//! here, and a line break ends a line, whatever was before it.

use std::borrow::Cow;

use super::error::Fault;

/// The lines of a trace that are not blank.
pub struct Lines<'a> {
    rest: &'a [u8],
    /// The number of the line last read.
    number: u64,
}

/// One line.
pub struct Line<'a> {
    number: u64,
    values: Vec<Cow<'a, [u8]>>,
    columns: &'static [&'static str],
}

impl<'a> Lines<'a> {
    /// Splits `bytes`, which may begin with the byte order mark of UTF-8.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), number: 0 }
    }

    /// Reads the remaining lines as these columns.
    pub fn of(
        self,
        columns: &'static [&'static str],
    ) -> impl Iterator<Item = Result<Line<'a>, Fault>> {
        self.map(move |line| line?.of(columns))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.get(1..).unwrap_or_default();
            self.number += 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                return Some(Line::split(self.number, line));
            }
        }
        None
    }
}

impl<'a> Line<'a> {
    fn split(number: u64, mut rest: &'a [u8]) -> Result<Self, Fault> {
        let mut values = Vec::new();
        loop {
            let column = values.len() + 1;
            let fault = |expected: String| Fault::Form { line: number, column, expected };
            let (value, after) = value(rest).map_err(|expected| fault(expected.into()))?;
            match value.iter().find(|byte| byte.is_ascii_control()) {
                None => values.push(value),
                Some(b'\r') => {
                    return Err(fault("a line end (LF or CR LF), found a CR alone".into()));
                }
                Some(byte) => {
                    return Err(fault(format!("no control character, found U+{byte:04X}")));
                }
            }
            match after.split_first() {
                None => return Ok(Self { number, values, columns: &[] }),
                Some((b',', next)) => rest = next,
                Some(_) => return Err(fault(AFTER_QUOTE.into())),
            }
        }
    }

    /// Returns the number of the line, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns how many of these columns the line begins with, as a header.
    pub fn begins_with(&self, columns: &[&str]) -> usize {
        let pairs = self.values.iter().zip(columns);
        pairs.take_while(|(value, column)| value.as_ref() == column.as_bytes()).count()
    }

    /// Returns whether the line is the header of these columns.
    pub fn is_header_of(&self, columns: &[&str]) -> bool {
        self.values.len() == columns.len() && self.begins_with(columns) == columns.len()
    }

    /// Returns the values, joined by commas.
    pub fn text(&self) -> String {
        self.values.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>().join(",")
    }

    fn of(self, columns: &'static [&'static str]) -> Result<Self, Fault> {
        let (expected, found) = (columns.len(), self.values.len());
        if expected == found {
            return Ok(Self { columns, ..self });
        }
        let (line, column) = (self.number, expected.min(found) + 1);
        Err(Fault::ColumnCount { line, column, columns, found })
    }

    /// Parses the value of a column (from 0).
    pub fn value<T>(
        &self,
        column: usize,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        let text = std::str::from_utf8(&self.values[column]).ok();
        text.and_then(parse).ok_or_else(|| self.fault(column, expected))
    }

    /// Returns the error that this column (from 0) is not as `expected`.
    pub fn fault(&self, column: usize, expected: &str) -> Fault {
        Fault::Value {
            line: self.number,
            column: column + 1,
            name: self.columns[column],
            expected: expected.to_owned(),
            found: String::from_utf8_lossy(&self.values[column]).into_owned(),
        }
    }
}

const CLOSING_QUOTE: &str = "a closing quote on the same line";
const AFTER_QUOTE: &str = "a comma or the end of the line after a closing quote";
const QUOTE_INSIDE: &str =
    "no quote inside a value that does not begin with one (within quotes, a quote is doubled)";

/// Returns the first value of `line` and what follows it; spaces and tabs around it are dropped.
///
/// # Errors
/// Returns what was expected.
fn value(line: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), &'static str> {
    let line = trim_start(line);
    let Some(mut rest) = line.strip_prefix(b"\"") else {
        let (value, after) = line.split_at(position(line, b',').unwrap_or(line.len()));
        let blank = value.iter().rev().take_while(|byte| is_blank(**byte)).count();
        let value = &value[..value.len() - blank];
        return if value.contains(&b'"') { Err(QUOTE_INSIDE) } else { Ok((value.into(), after)) };
    };
    let mut value = Cow::default();
    loop {
        let (part, after) = rest.split_at(position(rest, b'"').ok_or(CLOSING_QUOTE)?);
        append(&mut value, part);
        match after[1..].strip_prefix(b"\"") {
            None => return Ok((value, trim_start(&after[1..]))),
            Some(next) => {
                append(&mut value, b"\"");
                rest = next;
            }
        }
    }
}

/// Copies only if there was something before.
fn append<'a>(value: &mut Cow<'a, [u8]>, part: &'a [u8]) {
    if value.is_empty() {
        *value = part.into();
    } else {
        value.to_mut().extend_from_slice(part);
    }
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| is_blank(**byte)).count()..]
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
