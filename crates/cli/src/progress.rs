//! The progress of a run on standard error: a bar, or a line now and then if that is no terminal.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{ProgressBar, ProgressStyle};

use crate::print::tell;

/// The interval of lines, where no bar can be drawn.
const INTERVAL: Duration = Duration::from_secs(10);

/// The progress of all strategies together.
pub struct Progress {
    bar: ProgressBar,
    /// Ends the thread that writes lines. Nothing is ever sent.
    _end: Sender<()>,
}

impl Progress {
    /// Shows the progress of this many tasks.
    pub fn new(tasks: usize) -> Self {
        let bar = ProgressBar::new(tasks as u64);
        let style = "{msg:22} [{wide_bar}] {percent:>3} %, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        let (end, ended) = bounded::<()>(0);
        if bar.is_hidden() {
            let bar = bar.clone();
            thread::spawn(move || {
                while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout)
                    && !bar.is_finished()
                {
                    tell(&format!("{}\n", line(&bar)));
                }
            });
        }
        Self { bar, _end: end }
    }

    /// Shows what is running.
    pub fn start(&self, strategy: &str) {
        self.bar.set_message(strategy.to_owned());
    }

    /// Shows that this many tasks are done.
    pub fn set(&self, tasks: usize) {
        self.bar.set_position(tasks as u64);
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(bar: &ProgressBar) -> String {
    let share = bar.position() as f64 / bar.length().unwrap_or_default().max(1) as f64;
    let seconds = bar.elapsed().as_secs();
    format!("{}: {:.1} % of all tasks done after {seconds} s", bar.message(), share * 100.0)
}
