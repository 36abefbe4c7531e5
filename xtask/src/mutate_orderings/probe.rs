//! What the copied sources ask for each ordering: by the environment one of them is weakened, and
//! those which are reached are told on the error output. Copied into `raddle-sync`.
#![allow(missing_docs, clippy::disallowed_types)]

use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// `site=ordering`.
static WEAKENED: LazyLock<Option<(usize, Ordering)>> = LazyLock::new(|| {
    let told = std::env::var("RADDLE_WEAKENED").ok()?;
    let (site, ordering) = told.split_once('=').expect("site=ordering");
    let ordering = match ordering {
        "Relaxed" => Ordering::Relaxed,
        "Acquire" => Ordering::Acquire,
        "Release" => Ordering::Release,
        other => panic!("no weaker ordering: {other}"),
    };
    Some((site.parse().expect("a number"), ordering))
});

static TELLS: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RADDLE_TELL_REACHED").is_some());
static REACHED: [AtomicBool; SITES] = [const { AtomicBool::new(false) }; SITES];

pub fn ordering(site: usize, ordering: Ordering) -> Ordering {
    if *TELLS && !REACHED[site].swap(true, Ordering::Relaxed) {
        // In one piece, and past the capture of a test's output.
        let _ = std::io::stderr().write_all(format!("\nreached {site}.\n").as_bytes());
    }
    match *WEAKENED {
        Some((weakened, by)) if weakened == site => by,
        _ => ordering,
    }
}
