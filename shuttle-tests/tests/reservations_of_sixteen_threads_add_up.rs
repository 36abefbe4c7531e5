//! Sixteen threads reserve, finish, release, detach and record tasks of one worker: the number in
//! flight is never too low and 0 at the end, and every end is counted once.
#![cfg(shuttle)]

use std::sync::Arc;

use raddle_core::Roster;
use raddle_loom_tests::{Account, roster};
use raddle_shuttle_tests::{explore, fails_with};
use raddle_sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use shuttle::thread;

const THREADS: usize = 16;
const ROUNDS: usize = 2;

fn real() -> Arc<Roster> {
    Arc::new(roster(1))
}

/// A minimal worker with a planted bug. Every ordering is the strongest: the bugs are in the steps.
struct Twin {
    bug: Bug,
    admitted: AtomicU64,
    closed: AtomicBool,
    ended: AtomicU64,
    detached: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Reads the admitted tasks before the ended ones.
    AdmittedFirst,
    /// Counts an end by a load and a store, although several threads do so.
    LoadsThenStores,
    /// Checks whether a task is detached, and then takes it.
    ChecksThenTakes,
    /// The closed bit is a separate word.
    ChecksThenAdmits,
}

/// A reservation of [`Twin`].
struct Reserved(Option<Arc<Twin>>);

impl Twin {
    fn with(bug: Bug) -> Arc<Self> {
        Arc::new(Self {
            bug,
            admitted: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            detached: AtomicU64::new(0),
        })
    }

    fn end(&self) {
        if self.bug == Bug::LoadsThenStores {
            // Planted.
            self.ended.store(self.ended.load(SeqCst) + 1, SeqCst);
        } else {
            self.ended.fetch_add(1, SeqCst);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(twin) = &self.0 {
            twin.admitted.fetch_sub(1, SeqCst);
        }
    }
}

impl Account for Twin {
    type Reserved = Reserved;

    fn reserve(self: &Arc<Self>) -> Option<Reserved> {
        // Planted in every twin, as only one model closes.
        if self.closed.load(SeqCst) {
            return None;
        }
        self.admitted.fetch_add(1, SeqCst);
        Some(Reserved(Some(Arc::clone(self))))
    }
    fn finish(mut reserved: Reserved) {
        reserved.0.take().unwrap().end();
    }
    fn detach(mut reserved: Reserved) {
        reserved.0.take().unwrap().detached.fetch_add(1, SeqCst);
    }
    fn record(&self) -> bool {
        let taken = if self.bug == Bug::ChecksThenTakes {
            // Planted.
            let some = self.detached.load(SeqCst) > 0;
            self.detached.fetch_sub(u64::from(some), SeqCst);
            some
        } else {
            let less = |count: u64| count.checked_sub(1);
            self.detached.fetch_update(SeqCst, SeqCst, less).is_ok()
        };
        if taken {
            self.end();
        }
        taken
    }
    fn close(&self) {
        self.closed.store(true, SeqCst);
    }
    fn in_flight(&self) -> u64 {
        if self.bug == Bug::AdmittedFirst {
            // Planted: a task that starts and ends in between is subtracted without being counted.
            let admitted = self.admitted.load(SeqCst);
            return admitted.saturating_sub(self.ended.load(SeqCst));
        }
        let ended = self.ended.load(SeqCst);
        self.admitted.load(SeqCst).saturating_sub(ended)
    }
    fn selectable(&self) -> u64 {
        self.in_flight()
    }
    fn completed(&self) -> u64 {
        self.ended.load(SeqCst)
    }
}

/// One step of a thread; returns how many tasks it detached and recorded.
fn act<A: Account>(account: &Arc<A>, number: usize) -> [u64; 2] {
    match number % 4 {
        0 => A::finish(account.reserve().unwrap()),
        1 => drop(account.reserve()),
        2 => {
            A::detach(account.reserve().unwrap());
            return [1, 0];
        }
        _ => return [0, u64::from(account.record())],
    }
    [0, 0]
}

/// One task stays reserved while sixteen threads do everything possible with others.
fn all_operations_at_once<A: Account>(account: Arc<A>) {
    let reserved = account.reserve().unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let account = Arc::clone(&account);
            thread::spawn(move || {
                let counts = (0..ROUNDS).map(|round| act(&account, thread + round));
                counts.fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
            })
        })
        .collect();
    let mut before = 0;
    for _ in 0..8 {
        let (seen, completed) = (account.in_flight(), account.completed());
        assert!(seen >= 1, "{seen} in flight while one is reserved");
        assert!(completed >= before, "{completed} completed after {before}: an end was lost");
        before = completed;
    }
    let done = threads.into_iter().map(|thread| thread.join().unwrap());
    let [detached, recorded] = done.fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
    assert!(recorded <= detached, "{recorded} recorded of {detached} detached");
    for _ in recorded..detached {
        assert!(account.record(), "a detached task could not be recorded");
    }
    assert!(!account.record(), "more were recorded than detached");
    assert_eq!(account.in_flight(), 1, "in flight with one reserved: an end was lost");
    A::finish(reserved);
    let finished = (THREADS * ROUNDS / 4) as u64;
    assert_eq!((account.in_flight(), account.completed()), (0, 1 + finished + detached));
}

/// Sixteen threads record eight detached tasks.
fn a_task_is_recorded_once<A: Account>(account: Arc<A>) {
    const DETACHED: usize = THREADS / 2;
    (0..DETACHED).for_each(|_| A::detach(account.reserve().unwrap()));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let account = Arc::clone(&account);
            thread::spawn(move || account.record())
        })
        .collect();
    let recorded = threads.into_iter().map(|thread| thread.join().unwrap());
    let recorded = recorded.filter(|recorded| *recorded).count();
    assert_eq!(recorded, DETACHED, "the tasks recorded are not those detached");
    assert_eq!((account.in_flight(), account.completed()), (0, DETACHED as u64));
}

/// A closed worker with nothing in flight ends, while sixteen dispatchers try to reserve.
fn a_closed_idle_worker_stays_idle<A: Account>(account: Arc<A>) {
    let ended = Arc::new(AtomicBool::new(false));
    let dispatchers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (account, ended) = (Arc::clone(&account), Arc::clone(&ended));
            thread::spawn(move || {
                if let Some(reservation) = account.reserve() {
                    assert!(!ended.load(SeqCst), "a task was admitted to a worker that has ended");
                    A::finish(reservation);
                }
            })
        })
        .collect();
    account.close();
    while account.in_flight() > 0 {
        thread::yield_now();
    }
    ended.store(true, SeqCst);
    dispatchers.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(account.in_flight(), 0);
}

#[test]
fn reservations_of_sixteen_threads_add_up() {
    explore("reservations of sixteen threads", || all_operations_at_once(real()));
}

#[test]
fn reading_admissions_first_loses_a_reserved_task() {
    let model = || all_operations_at_once(Twin::with(Bug::AdmittedFirst));
    fails_with("admissions read first", "0 in flight while one is reserved", model);
}

#[test]
fn counting_ends_by_load_and_store_loses_one() {
    let model = || all_operations_at_once(Twin::with(Bug::LoadsThenStores));
    fails_with("ends by load and store", "an end was lost", model);
}

#[test]
fn each_detached_task_is_recorded_once() {
    explore("a task is recorded once", || a_task_is_recorded_once(real()));
}

#[test]
fn checking_before_taking_records_twice() {
    let expected = "the tasks recorded are not those detached";
    let model = || a_task_is_recorded_once(Twin::with(Bug::ChecksThenTakes));
    fails_with("check, then take", expected, model);
}

#[test]
fn closed_and_idle_is_final() {
    let model = || a_closed_idle_worker_stays_idle(real());
    explore("a closed idle worker stays idle", model);
}

#[test]
fn a_separate_closed_bit_admits_after_the_end() {
    let model = || a_closed_idle_worker_stays_idle(Twin::with(Bug::ChecksThenAdmits));
    fails_with("separate closed bit", "admitted to a worker that has ended", model);
}
