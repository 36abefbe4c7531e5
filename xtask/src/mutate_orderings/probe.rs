//! Returns each ordering to the copied sources. Environment variables select one to weaken, and
//! make the program print those that it reaches. Copied into `raddle-sync`.
#![allow(missing_docs, clippy::disallowed_types)]

use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// `site=ordering`.
static WEAKENED: LazyLock<Option<(usize, Ordering)>> = LazyLock::new(|| {
    let weakened = std::env::var("RADDLE_WEAKENED").ok()?;
    let (site, ordering) = weakened.split_once('=').expect("site=ordering");
    let ordering = match ordering {
        "Relaxed" => Ordering::Relaxed,
        "Acquire" => Ordering::Acquire,
        "Release" => Ordering::Release,
        other => panic!("not a weaker ordering: {other}"),
    };
    Some((site.parse().expect("a number"), ordering))
});

static PRINTS: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("RADDLE_PRINT_REACHED").is_some());
static REACHED: [AtomicBool; SITES] = [const { AtomicBool::new(false) }; SITES];

pub fn ordering(site: usize, ordering: Ordering) -> Ordering {
    if *PRINTS && !REACHED[site].swap(true, Ordering::Relaxed) {
        // One write, so that lines are not mixed, and not captured as a test's output is.
        let _ = std::io::stderr().write_all(format!("\nreached {site}.\n").as_bytes());
    }
    match *WEAKENED {
        Some((weakened, by)) if weakened == site => by,
        _ => ordering,
    }
}
