//! What the user reads: the heading, the tables and warnings, without the control characters of
//! input.

use std::io::{self, Write};

use thiserror::Error;

/// The most characters of a message: enough for any but those that quote a long input.
const LONGEST: usize = 1_500;
/// The characters kept at the end of a longer message, where it says what is expected.
const END: usize = 500;

/// The stream for what the user reads.
#[derive(Clone, Copy, Debug)]
pub enum Screen {
    /// Standard output.
    Output,
    /// Standard error, because a report goes to standard output.
    Error,
}

/// What the user reads cannot be written.
#[derive(Debug, Error)]
#[error("cannot write to {stream}")]
pub struct ScreenError {
    stream: &'static str,
    source: io::Error,
}

impl Screen {
    /// Chooses the stream.
    pub fn new(output_is_used: bool) -> Self {
        if output_is_used { Self::Error } else { Self::Output }
    }

    /// Prints text that is free of control characters of input. A reader that has closed the pipe
    /// is not an error.
    pub fn print(self, text: &str) -> Result<(), ScreenError> {
        let (stream, printed) = match self {
            Self::Output => ("standard output", print(text, io::stdout().lock())),
            Self::Error => ("standard error", print(text, io::stderr().lock())),
        };
        printed.map_err(|source| ScreenError { stream, source })
    }

    /// Prints a line that may quote input.
    pub fn line(self, text: &str) -> Result<(), ScreenError> {
        self.print(&(message(text) + "\n"))
    }
}

fn print(text: &str, mut out: impl Write) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a warning, which may quote input, on standard error.
pub fn warn(text: &str) {
    tell(&format!("warning: {}\n", message(text)));
}

/// Prints an error, which may quote input, on standard error.
pub fn error(text: &str) {
    tell(&format!("error: {}\n", message(text)));
}

/// Prints text on standard error as far as possible: if it cannot be written, nobody reads it.
pub fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Makes text that quotes input fit to show: [`visible`], and not megabytes of it.
pub fn message(text: &str) -> String {
    visible(&shortened(text, LONGEST, END))
}

/// Writes characters that would control the terminal, or reorder its text, as escapes like
/// `\u{1b}`; so the text stays on one line.
pub fn visible(text: &str) -> String {
    escaped(text, has_effect)
}

/// Does the same to text of several lines, whose line feeds stay. Names in it must be [`visible`]
/// before.
pub fn visible_lines(text: &str) -> String {
    escaped(text, |char| has_effect(char) && char != '\n')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if is_escaped(char) {
            escaped.extend(char.escape_default());
        } else {
            escaped.push(char);
        }
    }
    escaped
}

/// Returns whether a character controls the terminal, or reorders its text.
pub fn has_effect(char: char) -> bool {
    // Marks, embeddings, overrides and isolates of text direction; separators of lines.
    let of_order = matches!(
        char,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    of_order || char.is_control()
}

/// Leaves out the middle of text that has more than `longest` characters, and keeps `end` of them
/// at the end.
pub fn shortened(text: &str, longest: usize, end: usize) -> String {
    // An upper bound that is cheap.
    if text.len() <= longest {
        return text.to_owned();
    }
    let count = text.chars().count();
    if count <= longest {
        return text.to_owned();
    }
    let start: String = text.chars().take(longest - end).collect();
    let last: String = text.chars().skip(count - end).collect();
    format!("{start}… ({} characters) …{last}", count - longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        let text = "a\u{1b}[31m\r\t\u{7}\u{9b}\u{202e}\u{7f}é\n";
        let expected = "a\\u{1b}[31m\\r\\t\\u{7}\\u{9b}\\u{202e}\\u{7f}é";
        assert_eq!(visible(text), format!("{expected}\\n"));
        assert_eq!(visible_lines(text), format!("{expected}\n"));
    }

    #[test]
    fn the_middle_of_long_text_is_left_out() {
        assert_eq!(shortened("abcdef", 6, 2), "abcdef");
        assert_eq!(shortened("ééé", 3, 1), "ééé");
        assert_eq!(shortened("abcdefgh", 5, 2), "abc… (3 characters) …gh");
    }
}
