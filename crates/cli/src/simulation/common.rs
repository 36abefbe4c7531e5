//! What both commands share.

use std::ops::ControlFlow;

use crate::args::SimulationArgs;
use crate::progress::Progress;
use crate::report::file::{FileError, OutputFile, OutputFolder};
use crate::report::html::{self, Page};
use crate::report::simulated::Simulated;
use crate::report::table;
use crate::stop::Stop;

/// With more workers, nobody would read a table of each one's share.
const MOST_SHARES: usize = 24;

/// Returns a callback that shows the number of simulated tasks, and breaks after Ctrl-C.
pub fn show(progress: &Progress, stop: &Stop) -> impl Fn(u64) -> ControlFlow<()> + Sync {
    progress.start("simulating");
    move |tasks| {
        progress.set(tasks as usize);
        if stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Returns each worker's share of the tasks as text.
pub fn shares(strategies: &[Simulated]) -> String {
    match strategies.first().map_or(0, |first| first.share.len()) {
        ..=MOST_SHARES => format!("\nshare of completed tasks\n{}\n", table::shares(strategies)),
        workers => format!("\n(--json has the shares of the {workers} workers)\n"),
    }
}

/// The files of the page and its pictures, if they were asked for.
pub struct PageFiles {
    page: Option<OutputFile>,
    pictures: Option<OutputFolder>,
}

impl PageFiles {
    /// Checks the folder of the pictures.
    pub fn check(page: Option<OutputFile>, args: &SimulationArgs) -> Result<Self, FileError> {
        let pictures = args.svg.as_deref().map(OutputFolder::check).transpose()?;
        Ok(Self { page, pictures })
    }

    /// Returns whether neither was asked for.
    pub fn are_none(&self) -> bool {
        self.page.is_none() && self.pictures.is_none()
    }

    /// Writes what was asked for; `page` is only called if something was.
    pub fn write(self, page: impl FnOnce() -> Page) -> Result<(), FileError> {
        if self.are_none() {
            return Ok(());
        }
        let page = page();
        if let Some(file) = self.page {
            file.write(|out| html::write(&page, out))?;
        }
        if let Some(folder) = self.pictures {
            for (name, picture) in html::pictures(&page) {
                folder.write(&format!("{name}.svg"), picture.as_bytes())?;
            }
        }
        Ok(())
    }
}
