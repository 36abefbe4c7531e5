use crate::figures::{Figure, Figures};

/// A scenario and its contenders.
pub struct Scenario {
    /// The name: what is done, and how.
    pub name: String,
    /// A description.
    pub title: String,
    /// The figures that are measured.
    pub figures: &'static [Figure],
    /// The contenders, in order.
    pub contenders: Vec<Contender>,
}

/// A contender of a scenario.
pub struct Contender {
    /// The name.
    pub name: String,
    measure: Box<dyn Fn(&Settings) -> Figures>,
}

/// How a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The approximate duration of the measurement.
    pub seconds: f64,
    /// Rounds of arithmetic per microsecond, the same throughout a comparison.
    pub rounds_per_us: f64,
}

impl Contender {
    /// Creates a contender that is measured by this function.
    pub fn new(name: impl Into<String>, measure: impl Fn(&Settings) -> Figures + 'static) -> Self {
        Self { name: name.into(), measure: Box::new(measure) }
    }

    /// Takes one sample.
    pub fn measure(&self, settings: &Settings) -> Figures {
        (self.measure)(settings)
    }
}
