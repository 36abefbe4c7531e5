//! The operations of real threads, with what is known of their order, and a check of them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// A specification whose state the tester can copy.
pub trait Spec: SequentialSpec<Op: Clone + Debug, Ret: Clone + Debug> + Clone + Default {}

impl<S> Spec for S where S: SequentialSpec<Op: Clone + Debug, Ret: Clone + Debug> + Clone + Default {}

/// State that the threads of one history share.
pub struct Stage {
    threads: usize,
    arrived: AtomicUsize,
    stamps: AtomicU64,
}

/// The operations of one thread, in order. A call that takes effect in two steps is two operations
/// with the same times, of which the second belongs to a log of its own.
pub struct Log<'h, S: SequentialSpec> {
    stage: &'h Stage,
    done: Vec<Done<S>>,
    beside: Vec<Done<S>>,
}

struct Done<S: SequentialSpec> {
    invoked: u64,
    returned: u64,
    op: S::Op,
    ret: S::Ret,
}

/// The operations of all threads, by log.
pub struct History<S: SequentialSpec>(Vec<Vec<Done<S>>>);

impl Stage {
    /// Creates the stage of this many threads, which begin together.
    pub fn new(threads: usize) -> Self {
        Self { threads, arrived: AtomicUsize::new(0), stamps: AtomicU64::new(0) }
    }

    /// Waits for the other threads, without parking: operations that take a tenth of a microsecond
    /// must overlap.
    pub fn log<S: SequentialSpec>(&self) -> Log<'_, S> {
        self.arrived.fetch_add(1, SeqCst);
        while self.arrived.load(SeqCst) < self.threads {
            thread::yield_now();
        }
        Log { stage: self, done: Vec::new(), beside: Vec::new() }
    }
}

impl<S: SequentialSpec> Log<'_, S> {
    /// Runs an operation and logs it; `of` converts its result.
    pub fn call<R>(
        &mut self,
        op: S::Op,
        run: impl FnOnce() -> R,
        of: impl FnOnce(&R) -> S::Ret,
    ) -> R {
        let invoked = self.stamp();
        let result = run();
        let returned = self.stamp();
        self.done.push(Done { invoked, returned, op, ret: of(&result) });
        result
    }

    /// Logs a second operation at the times of the last one.
    pub fn and(&mut self, op: S::Op, ret: S::Ret) {
        let &Done { invoked, returned, .. } = self.done.last().expect("there was one");
        self.beside.push(Done { invoked, returned, op, ret });
    }

    /// Returns the next number of the order that all threads agree on.
    fn stamp(&self) -> u64 {
        self.stage.stamps.fetch_add(1, SeqCst)
    }
}

impl<S: SequentialSpec> History<S> {
    /// Combines the logs of the threads.
    pub fn of<'h>(logs: impl IntoIterator<Item = Log<'h, S>>) -> Self {
        Self(logs.into_iter().flat_map(|log| [log.done, log.beside]).collect())
    }

    /// Returns the operations, each with the number of its log.
    fn operations(&self) -> impl Iterator<Item = (usize, &Done<S>)> {
        let logs = self.0.iter().enumerate();
        logs.flat_map(|(log, done)| done.iter().map(move |done| (log, done)))
    }

    /// Returns whether operations of two threads overlap.
    fn overlaps(&self) -> bool {
        let mut spans: Vec<_> =
            self.operations().map(|(_, op)| (op.invoked, op.returned)).collect();
        spans.sort_unstable();
        // Two operations of one call have the same span.
        spans.dedup();
        spans.windows(2).any(|pair| pair[1].0 < pair[0].1)
    }
}

impl<S: Spec> History<S> {
    /// Returns whether the operations could have had these results one after the other, in an order
    /// in which each comes after those that had returned before it was called.
    fn is_linearizable(&self) -> bool {
        let mut events: Vec<_> = self
            .operations()
            .flat_map(|(log, done)| {
                [(done.invoked, false, log, done), (done.returned, true, log, done)]
            })
            .collect();
        events.sort_by_key(|(stamp, ..)| *stamp);
        let mut tester = LinearizabilityTester::new(S::default());
        for (_, is_return, log, done) in events {
            let accepted = match is_return {
                false => tester.on_invoke(log, done.op.clone()),
                true => tester.on_return(log, done.ret.clone()),
            };
            accepted.expect("a log has one operation at a time");
        }
        tester.is_consistent()
    }

    fn describe(&self) -> String {
        let mut operations: Vec<_> = self.operations().collect();
        operations.sort_by_key(|(_, done)| done.invoked);
        let line = |(log, Done { invoked, returned, op, ret }): (usize, &Done<S>)| {
            format!("{invoked:>4} to {returned:>4}, log {log}: {op:?} -> {ret:?}\n")
        };
        operations.into_iter().map(line).collect()
    }
}

/// Takes this many histories, each with its own seed, all of which must be linearizable.
///
/// # Panics
/// If one is not, or if operations overlap in less than one history of a hundred.
pub fn hold<S: Spec>(name: &str, histories: u64, take: impl Fn(u64) -> History<S>) {
    let seed = fastrand::u64(..1 << 32);
    println!("{name}: seed {seed}");
    let mut overlapping = 0;
    for number in 0..histories {
        let history = take(seed + number);
        assert!(
            history.is_linearizable(),
            "{name}: history {number} of seed {seed} is not linearizable:\n{}",
            history.describe()
        );
        overlapping += u64::from(history.overlaps());
    }
    println!("{name}: {histories} histories, operations overlap in {overlapping}");
    assert!(
        overlapping >= histories / 100,
        "{name}: operations overlap in only {overlapping} of {histories} histories"
    );
}

/// The histories in which a bug must show. A few tens are usually enough, seldom a few hundred.
const PATIENCE: u64 = 20_000;

/// Takes histories until the tester refutes one.
///
/// # Panics
/// If none of them is refuted.
pub fn refute<S: Spec>(name: &str, take: impl Fn(u64) -> History<S>) {
    let seed = fastrand::u64(..1 << 32);
    println!("{name}: seed {seed}");
    let refuted = (0..PATIENCE).find(|number| !take(seed + number).is_linearizable());
    let number = refuted.unwrap_or_else(|| panic!("{name}: not refuted by {PATIENCE} histories"));
    println!("{name}: refuted by history {number}");
}
