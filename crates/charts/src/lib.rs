//! Line charts as SVG, for the program's HTML report and the pictures of the peers' benchmark.
//!
//! A [`Plot`] is drawn twice on a page, for a wide window and for a phone, and the page's style
//! shows one of the two; or once, as a [picture](Plot::picture), a file of its own. Colours are CSS
//! variables of [`STYLE`], so both follow the reader's light or dark mode.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod axis;
pub mod format;
mod labels;
mod mark;
pub mod nines;
mod percentiles;
mod plot;
mod scale;

pub use axis::Axis;
pub use format::Unit;
pub use labels::shortened;
pub use mark::Mark;
pub use percentiles::percentiles;
pub use plot::{Line, Plot, path, px};
pub use scale::Scale;

/// The style that charts need, on a page or in a picture.
pub const STYLE: &str = include_str!("chart.css");
