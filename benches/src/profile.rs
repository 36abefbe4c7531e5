//! Draws flame graphs of the benches that `--profile-time` runs, on every thread of the process.
//!
//! `pprof` has such a profiler too, but for another version of criterion.

use std::fs::File;
use std::path::Path;

use criterion::profiler::Profiler;
use pprof::flamegraph::Options;
use pprof::{ProfilerGuard, ProfilerGuardBuilder};

/// Samples per second and running thread. Not a round number, so that it does not keep step with
/// periodic work.
const FREQUENCY: i32 = 997;

/// Writes `profile/flamegraph.svg` into the bench's folder below `target/criterion`.
#[derive(Default)]
pub struct FlameGraphs(Option<ProfilerGuard<'static>>);

impl Profiler for FlameGraphs {
    fn start_profiling(&mut self, _bench: &str, _folder: &Path) {
        let builder = ProfilerGuardBuilder::default()
            .frequency(FREQUENCY)
            // The unwinder takes locks that a thread interrupted in these may hold.
            .blocklist(&["libc", "libgcc", "pthread", "vdso"]);
        self.0 = Some(builder.build().expect("no other profiler is running"));
    }

    fn stop_profiling(&mut self, bench: &str, folder: &Path) {
        let Some(guard) = self.0.take() else { return };
        let report = guard.report().build().expect("samples were taken");
        std::fs::create_dir_all(folder).expect("the folder is below target/");
        let path = folder.join("flamegraph.svg");
        let file = File::create(&path).expect("the folder exists");
        let mut options = Options::default();
        options.title = bench.to_owned();
        report.flamegraph_with_options(file, &mut options).expect("a graph can be written");
        println!("{}", path.display());
    }
}

impl std::fmt::Debug for FlameGraphs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlameGraphs").finish_non_exhaustive()
    }
}
