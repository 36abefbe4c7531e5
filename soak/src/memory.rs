use std::sync::Barrier;
use std::thread;

use peak_alloc::PeakAlloc;
use raddle::{Actor, Context, Drain, Handler, Pool, SpawnError, WorkerSpec};

use crate::findings::{Findings, Wrong};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

struct Idle;

impl Actor for Idle {}

impl Handler<()> for Idle {
    type Reply = ();

    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) {}
}

/// How much memory was allocated after each round, when all that is left is the harness itself.
#[derive(Debug, Default)]
pub struct Memory(Vec<usize>);

/// What the process may keep at most, in bytes, once it has had other names: hash tables keep their
/// places.
const KEPT: usize = 4 << 10;
/// More threads than a round has at the same time: arc-swap keeps 192 bytes for each that there ever was
/// at once, and some rounds have fifty more than those before.
const THREADS: usize = 256;
/// Most of what is kept, 5 to 8 KiB, comes with the second round.
const FIRST: usize = 3;

impl Memory {
    /// Begins once the process has allocated what it keeps for its threads.
    ///
    /// # Errors
    /// If the pool that the threads use cannot be spawned.
    pub fn begin() -> Result<Self, SpawnError> {
        let pool = Pool::builder("warm-up").worker(WorkerSpec::general()).spawn(|_| Idle)?;
        let all = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let _ = pool.account();
                    all.wait();
                });
            }
        });
        let _ = pool.shutdown(Drain::all());
        Ok(Self::default())
    }

    /// Notes how much is allocated now.
    pub fn note(&mut self) {
        self.0.push(ALLOCATOR.current_usage());
    }

    /// Reports memory that grew by more than a tenth after the first tenth of the rounds, or the
    /// [`FIRST`] ones.
    pub fn check(&self, findings: &Findings) {
        let first = self.0.len().div_ceil(10).max(FIRST);
        if let (Some(&before), Some(&after)) = (self.0.get(first - 1), self.0.last())
            && after > before + before / 10 + KEPT
        {
            findings.report(Wrong::MemoryGrew, || format!("from {before} bytes to {after}"));
        }
    }
}
