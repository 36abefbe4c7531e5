//! A progress bar on standard error, hidden if that is not a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of all strategies together.
pub struct Progress(ProgressBar);

impl Progress {
    /// Creates a bar for this many tasks.
    pub fn new(tasks: usize) -> Self {
        let bar = ProgressBar::new(tasks as u64);
        let style = "{msg:22} [{bar:40}] {percent:>3} %, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// Shows what is running.
    pub fn start(&self, strategy: &str) {
        self.0.set_message(strategy.to_owned());
    }

    /// Shows that this many tasks are done.
    pub fn set(&self, tasks: usize) {
        self.0.set_position(tasks as u64);
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
