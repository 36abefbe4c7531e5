//! A table of a scenario file: its keys as typed values, with errors that name the line.

use std::rc::Rc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ParseError;

/// The longest duration in a file, so that sums stay far from overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A table whose keys are read one by one. Keys that were never read are [unknown](Self::end).
pub struct Section<'t> {
    text: &'t str,
    /// The positions of its line feeds.
    lines: Rc<[usize]>,
    /// The name in errors; empty for the whole file.
    name: String,
    line: usize,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

/// A value and its location.
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The full name of the key.
    key: String,
    line: usize,
    written: String,
}

impl<T> At<T> {
    /// Creates the error that the value is not allowed.
    pub fn error(&self, allowed: impl Into<String>) -> ParseError {
        ParseError::Value {
            line: self.line,
            key: self.key.clone(),
            value: self.written.clone(),
            allowed: allowed.into(),
        }
    }

    /// Returns the line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    fn map<U>(self, map: impl FnOnce(T) -> U) -> At<U> {
        At { value: map(self.value), key: self.key, line: self.line, written: self.written }
    }

    fn read<U>(
        self,
        allowed: &str,
        read: impl FnOnce(&T) -> Option<U>,
    ) -> Result<At<U>, ParseError> {
        match read(&self.value) {
            Some(value) => Ok(self.map(|_| value)),
            None => Err(self.error(allowed)),
        }
    }
}

impl<'t> Section<'t> {
    /// Creates the section of the whole file.
    pub fn whole(text: &'t str, table: &'t DeTable<'t>) -> Self {
        let lines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
        let lines = lines.collect();
        Self { text, lines, name: String::new(), line: 1, table, known: Vec::new() }
    }

    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn value(&mut self, key: &'static str) -> Option<At<&'t DeValue<'t>>> {
        self.known.push(key);
        let (_, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(At {
            value: value.get_ref(),
            key: self.key(key),
            line: self.line_of(value.span().start),
            written: self.text[value.span()].lines().next().unwrap_or_default().to_owned(),
        })
    }

    /// Creates the error that a key is missing.
    pub fn missing(&self, key: &str, allowed: impl Into<String>) -> ParseError {
        ParseError::Missing { line: self.line, key: self.key(key), allowed: allowed.into() }
    }

    /// Reads a number that passes the test `is_allowed`.
    pub fn number(
        &mut self,
        key: &'static str,
        allowed: &str,
        is_allowed: impl Fn(f64) -> bool,
    ) -> Result<Option<At<f64>>, ParseError> {
        let read = |value: &&DeValue<'_>| number(value).filter(|number| is_allowed(*number));
        self.value(key).map(|value| value.read(allowed, read)).transpose()
    }

    /// Reads a required number that passes the test `is_allowed`.
    pub fn required_number(
        &mut self,
        key: &'static str,
        allowed: &str,
        is_allowed: impl Fn(f64) -> bool,
    ) -> Result<f64, ParseError> {
        let number = self.number(key, allowed, is_allowed)?;
        number.map(|at| at.value).ok_or_else(|| self.missing(key, allowed))
    }

    /// Reads a whole number of at least `least`.
    pub fn whole_number(
        &mut self,
        key: &'static str,
        least: u64,
    ) -> Result<Option<At<u64>>, ParseError> {
        let read = |value: &&DeValue<'_>| match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let allowed = format!("a whole number of at least {least}");
        let value = self.value(key).map(|value| {
            value.read(&allowed, |value| read(value).filter(|number| *number >= least))
        });
        value.transpose()
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, ParseError> {
        let value = self.value(key).map(|value| value.read("true or false", |v| v.as_bool()));
        Ok(value.transpose()?.map(|at| at.value))
    }

    /// Reads a string that is not empty.
    pub fn text(
        &mut self,
        key: &'static str,
        allowed: &str,
    ) -> Result<Option<At<&'t str>>, ParseError> {
        let read = |value: &&'t DeValue<'t>| value.as_str().filter(|text| !text.is_empty());
        self.value(key).map(|value| value.read(allowed, read)).transpose()
    }

    /// Reads a duration above zero.
    pub fn time(&mut self, key: &'static str) -> Result<Option<Duration>, ParseError> {
        let allowed = "a duration above zero and at most a year, such as \"5ms\"";
        self.duration(key, allowed, |time| !time.is_zero())
    }

    /// Reads a duration, which may be zero.
    pub fn time_or_zero(&mut self, key: &'static str) -> Result<Option<Duration>, ParseError> {
        self.duration(key, "a duration of at most a year, such as \"5ms\"", |_| true)
    }

    /// Reads a required duration above zero.
    pub fn required_time(&mut self, key: &'static str) -> Result<Duration, ParseError> {
        let missing = self.missing(key, "a duration such as \"5ms\"");
        self.time(key)?.ok_or(missing)
    }

    /// Creates the error that a duration does not suit the rest of the table.
    pub fn unsuitable_time(&self, key: &str, time: Duration, allowed: String) -> ParseError {
        ParseError::Value {
            line: self.line,
            key: self.key(key),
            value: humantime::format_duration(time).to_string(),
            allowed,
        }
    }

    fn duration(
        &mut self,
        key: &'static str,
        allowed: &str,
        is_allowed: impl Fn(Duration) -> bool,
    ) -> Result<Option<Duration>, ParseError> {
        let read = |value: &&DeValue<'_>| {
            let time = humantime::parse_duration(value.as_str()?).ok()?;
            (time <= LONGEST && is_allowed(time)).then_some(time)
        };
        let value = self.value(key).map(|value| value.read(allowed, read));
        Ok(value.transpose()?.map(|at| at.value))
    }

    /// Reads a required key that must be one of these words.
    pub fn choice(
        &mut self,
        key: &'static str,
        words: &[&'static str],
    ) -> Result<&'static str, ParseError> {
        let allowed = format!("one of {}", words.join(", "));
        let value = self.value(key).ok_or_else(|| self.missing(key, allowed.as_str()))?;
        let word = |value: &&DeValue<'_>| {
            let text = value.as_str()?;
            words.iter().copied().find(|word| *word == text)
        };
        Ok(value.read(&allowed, word)?.value)
    }

    /// Reads a whole number or a string.
    pub fn number_or_text(
        &mut self,
        key: &'static str,
        allowed: &str,
    ) -> Result<Option<At<Result<u64, &'t str>>>, ParseError> {
        let read = |value: &&'t DeValue<'t>| match value {
            DeValue::String(text) => Some(Err(&**text)),
            DeValue::Integer(number) => {
                u64::from_str_radix(number.as_str(), number.radix()).ok().map(Ok)
            }
            _ => None,
        };
        self.value(key).map(|value| value.read(allowed, read)).transpose()
    }

    /// Reads a list of strings that are not empty.
    pub fn texts(&mut self, key: &'static str) -> Result<Vec<&'t str>, ParseError> {
        let read = |value: &&'t DeValue<'t>| {
            let each = |item: &'t Spanned<DeValue<'t>>| {
                item.get_ref().as_str().filter(|text| !text.is_empty())
            };
            value.as_array()?.iter().map(each).collect::<Option<Vec<_>>>()
        };
        let allowed = "a list of strings such as [\"code\", \"chat\"]";
        let value = self.value(key).map(|value| value.read(allowed, read));
        Ok(value.transpose()?.map_or_else(Vec::new, |at| at.value))
    }

    /// Reads a table.
    pub fn section(&mut self, key: &'static str) -> Result<Option<Section<'t>>, ParseError> {
        let Some(at) = self.value(key) else { return Ok(None) };
        let table = at.value.as_table().ok_or_else(|| at.error(format!("a table [{key}]")))?;
        Ok(Some(self.inner(key.to_owned(), at.line, table)))
    }

    /// Reads an array of tables, `[[key]]`.
    pub fn sections(&mut self, key: &'static str) -> Result<Vec<Section<'t>>, ParseError> {
        let Some(at) = self.value(key) else { return Ok(Vec::new()) };
        let error = || at.error(format!("one or more tables [[{key}]]"));
        let array = at.value.as_array().ok_or_else(error)?;
        let inner = |(index, item): (usize, &'t Spanned<DeValue<'t>>)| {
            let table = item.get_ref().as_table().ok_or_else(error)?;
            let line = self.line_of(item.span().start);
            Ok(self.inner(format!("{key}[{index}]"), line, table))
        };
        array.iter().enumerate().map(inner).collect()
    }

    fn inner(&self, name: String, line: usize, table: &'t DeTable<'t>) -> Section<'t> {
        let lines = Rc::clone(&self.lines);
        Section { text: self.text, lines, name, line, table, known: Vec::new() }
    }

    /// Returns the number of the line, from 1, that contains this byte.
    fn line_of(&self, byte: usize) -> usize {
        self.lines.partition_point(|feed| *feed < byte) + 1
    }

    /// Checks that every key has been read.
    pub fn end(self) -> Result<(), ParseError> {
        let unknown =
            self.table.keys().find(|key| !self.known.iter().any(|known| *known == key.get_ref()));
        match unknown {
            None => Ok(()),
            Some(key) => Err(ParseError::Unknown {
                line: self.line_of(key.span().start),
                key: self.key(key.get_ref()),
                known: self.known.join(", "),
            }),
        }
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

/// Returns the number of the line, from 1, that contains this byte.
pub fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().get(..byte).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
