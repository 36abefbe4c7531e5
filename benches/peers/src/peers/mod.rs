//! The contenders, one file each: workers as their users would set them up, with their defaults.

pub mod actix;
pub mod crossbeam;
pub mod disruptor;
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
