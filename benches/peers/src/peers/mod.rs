//! The contenders, a file each: workers set up as their users would, at their own defaults.

pub mod actix;
pub mod crossbeam;
pub mod kameo;
pub mod kanal;
#[cfg(feature = "pingora")]
pub mod pingora;
pub mod ractor;
pub mod raddle;
pub mod rayon;
pub mod std_mpsc;
pub mod tokio;
pub mod tower;
pub mod xtra;
