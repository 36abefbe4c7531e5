//! The progress bar; not shown where standard error is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of all strategies together.
pub struct Progress(ProgressBar);

impl Progress {
    /// Starts with this many tasks ahead.
    pub fn new(tasks: usize) -> Self {
        let bar = ProgressBar::new(tasks as u64);
        let style = "{msg:22} [{bar:40}] {percent:>3} %, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// Says what is running.
    pub fn start(&self, strategy: &str) {
        self.0.set_message(strategy.to_owned());
    }

    /// This many tasks are done.
    pub fn set(&self, tasks: usize) {
        self.0.set_position(tasks as u64);
    }

    /// Leaves the terminal as it was.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
