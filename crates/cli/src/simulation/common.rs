//! What both commands share.

use std::ops::ControlFlow;

use crate::args::SimulationArgs;
use crate::progress::Progress;
use crate::report::file::{FileError, Files, OutputFile, OutputFolder};
use crate::report::html::{self, Page};
use crate::report::layout::Layout;
use crate::report::simulated::Simulated;
use crate::report::table;
use crate::stop::Stop;

/// With more workers, nobody would read a table of each one's share.
const MOST_SHARES: usize = 24;

/// Returns a callback that shows the number of simulated tasks, and breaks after a signal.
pub fn show(progress: &Progress, stop: &Stop) -> impl Fn(u64) -> ControlFlow<()> + Sync {
    progress.start("simulating");
    move |tasks| {
        progress.set(tasks as usize);
        if stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Returns each worker's share of the tasks as text.
pub fn shares(strategies: &[Simulated], layout: &Layout) -> String {
    match strategies.first().map_or(0, |first| first.share.len()) {
        ..=MOST_SHARES => {
            format!("\nshare of completed tasks\n{}\n", table::shares(strategies, layout))
        }
        workers => format!("\n(--json has the shares of the {workers} workers)\n"),
    }
}

/// The files of the page and its pictures, if they were asked for.
pub struct PageFiles {
    page: Option<OutputFile>,
    pictures: Option<OutputFolder>,
}

impl PageFiles {
    /// Checks the files, and creates the folder of the pictures, which have these names.
    pub fn check(
        files: &mut Files,
        args: &SimulationArgs,
        pictures: &'static [&'static str],
    ) -> Result<Self, FileError> {
        // First, as other files may be in it.
        let folder = args.svg.as_deref();
        let pictures = folder.map(|folder| files.output_folder("--svg", folder, pictures));
        let pictures = pictures.transpose()?;
        Ok(Self { page: files.optional_output("--report", args.report.as_deref())?, pictures })
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
            folder.write(&html::pictures(&page))?;
        }
        Ok(())
    }
}
