//! Operations of real threads, with what is known of their order, and the tester over them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// A specification that the tester can go back in.
pub trait Spec: SequentialSpec<Op: Clone + Debug, Ret: Clone + Debug> + Clone + Default {}

impl<S> Spec for S where S: SequentialSpec<Op: Clone + Debug, Ret: Clone + Debug> + Clone + Default {}

/// What is shared by the threads of one history.
pub struct Stage {
    threads: usize,
    arrived: AtomicUsize,
    stamps: AtomicU64,
}

/// The operations of one thread, in order. One that takes effect in two places is two operations, side
/// by side: the second one goes to another log.
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

/// What the threads of one history did.
pub struct History<S: SequentialSpec>(Vec<Vec<Done<S>>>);

impl Stage {
    /// For so many threads, which begin together.
    pub fn new(threads: usize) -> Self {
        Self { threads, arrived: AtomicUsize::new(0), stamps: AtomicU64::new(0) }
    }

    /// Waits for the other threads, not asleep: operations of a tenth of a microsecond must meet.
    pub fn log<S: SequentialSpec>(&self) -> Log<'_, S> {
        self.arrived.fetch_add(1, SeqCst);
        while self.arrived.load(SeqCst) < self.threads {
            thread::yield_now();
        }
        Log { stage: self, done: Vec::new(), beside: Vec::new() }
    }
}

impl<S: SequentialSpec> Log<'_, S> {
    /// Calls an operation; `of` tells what it returned.
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

    /// The last operation was this one, too.
    pub fn and(&mut self, op: S::Op, ret: S::Ret) {
        let &Done { invoked, returned, .. } = self.done.last().expect("there was one");
        self.beside.push(Done { invoked, returned, op, ret });
    }

    /// Whoever has a later stamp comes later.
    fn stamp(&self) -> u64 {
        self.stage.stamps.fetch_add(1, SeqCst)
    }
}

impl<S: SequentialSpec> History<S> {
    /// The operations of these threads.
    pub fn of<'h>(logs: impl IntoIterator<Item = Log<'h, S>>) -> Self {
        Self(logs.into_iter().flat_map(|log| [log.done, log.beside]).collect())
    }

    /// Each with the number of its log.
    fn operations(&self) -> impl Iterator<Item = (usize, &Done<S>)> {
        let logs = self.0.iter().enumerate();
        logs.flat_map(|(log, done)| done.iter().map(move |done| (log, done)))
    }

    /// Whether operations of two threads met.
    fn overlaps(&self) -> bool {
        let mut spans: Vec<_> =
            self.operations().map(|(_, op)| (op.invoked, op.returned)).collect();
        spans.sort_unstable();
        // Two that are one operation have the same span.
        spans.dedup();
        spans.windows(2).any(|pair| pair[1].0 < pair[0].1)
    }
}

impl<S: Spec> History<S> {
    /// Whether one after the other could have had these results, in an order that agrees with who
    /// had returned before whom was called.
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
            let told = match is_return {
                false => tester.on_invoke(log, done.op.clone()),
                true => tester.on_return(log, done.ret.clone()),
            };
            told.expect("each thread does one thing after the other");
        }
        tester.is_consistent()
    }

    fn tell(&self) -> String {
        let mut operations: Vec<_> = self.operations().collect();
        operations.sort_by_key(|(_, done)| done.invoked);
        let line = |(log, Done { invoked, returned, op, ret }): (usize, &Done<S>)| {
            format!("{invoked:>4} to {returned:>4}, log {log}: {op:?} -> {ret:?}\n")
        };
        operations.into_iter().map(line).collect()
    }
}

/// Takes so many histories, each with a seed of its own, which must all be linearizable.
///
/// # Panics
/// When one is not, and when in less than one of a hundred operations met.
pub fn hold<S: Spec>(name: &str, histories: u64, take: impl Fn(u64) -> History<S>) {
    let seed = fastrand::u64(..1 << 32);
    println!("{name}: seed {seed}");
    let mut met = 0;
    for number in 0..histories {
        let history = take(seed + number);
        assert!(
            history.is_linearizable(),
            "{name}: history {number} of seed {seed} is of no sequential object:\n{}",
            history.tell()
        );
        met += u64::from(history.overlaps());
    }
    println!("{name}: {histories} histories, operations met in {met}");
    assert!(
        met >= histories / 100,
        "{name}: operations met in {met} of {histories} histories only"
    );
}

/// Histories in which a bug must show; a few tens are enough, seldom some hundred.
const PATIENCE: u64 = 20_000;

/// Takes histories until the tester refutes one.
///
/// # Panics
/// When so many were taken for nothing.
pub fn refute<S: Spec>(name: &str, take: impl Fn(u64) -> History<S>) {
    let seed = fastrand::u64(..1 << 32);
    println!("{name}: seed {seed}");
    let refuted = (0..PATIENCE).find(|number| !take(seed + number).is_linearizable());
    let number = refuted.unwrap_or_else(|| panic!("{name}: not refuted by {PATIENCE} histories"));
    println!("{name}: refuted by history {number}");
}
