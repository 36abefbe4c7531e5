//! The samples; see the crate's documentation.

mod context;

#[allow(unused, non_local_definitions, clippy::all, reason = "samples show one thing at a time")]
#[deny(unused_must_use)]
mod samples {
    include!(concat!(env!("OUT_DIR"), "/samples.rs"));
}

/// A page that loses its samples, or the marks by which they are found, is noticed.
#[test]
fn the_samples_are_found() {
    let samples = include_str!(concat!(env!("OUT_DIR"), "/samples.rs"));
    for page in ["readme", "guide_first_pool", "guide_actors", "guide_asking", "architecture"] {
        assert!(samples.contains(&format!("fn {page}_line_")), "no sample of {page}");
    }
}
