use super::board::Sample;
use super::case::Case;

/// All contenders in one case under one load.
#[derive(Debug)]
pub struct Stage {
    /// The fault of one worker.
    pub case: Case,
    /// The load in percent of capacity.
    pub load: u32,
    /// The results.
    pub rows: Vec<Row>,
}

/// The result of one contender.
#[derive(Debug)]
pub struct Row {
    /// The name of the contender.
    pub contender: &'static str,
    /// The measurement; `None` if its process failed.
    pub sample: Option<Sample>,
}

impl Stage {
    /// Returns case and load in words.
    pub fn title(&self) -> String {
        format!("{}, {} % of {:.0} tasks/s", self.case.words(), self.load, self.case.capacity())
    }
}
