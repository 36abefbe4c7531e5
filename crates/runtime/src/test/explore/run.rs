use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Health, Member, Worker, WorkerSpec};
use raddle_sync::fibers::{self, Schedule, Step};
use raddle_sync::thread::{self, JoinHandle};

use super::choices::Choices;
use super::faults::{Fault, Faults};
use super::quiet::quietly;
use crate::crew::Crew;
use crate::test::TestRuntime;

thread_local! {
    /// The run of the calling thread.
    static RUN: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
}

/// A run, as its scenario sees it.
pub struct Run {
    shared: Rc<Shared>,
    runtime: TestRuntime,
    callers: RefCell<Vec<JoinHandle<()>>>,
}

pub(super) struct Shared {
    choices: RefCell<Choices>,
    log: RefCell<String>,
    faults: Cell<Faults>,
    /// Those that were spawned in the run.
    pools: RefCell<Vec<Arc<Crew>>>,
}

/// What the names of workers begin with that are added by a run.
const ADDED: &str = "added";
/// How long a handler hangs.
const HANG: Duration = Duration::from_secs(10);
/// For how many milliseconds a slow one sleeps, at most; and for how long memberships do not change.
const SLOWEST: u32 = 50;

/// Notes a pool that was spawned.
pub(crate) fn note_pool(crew: &Arc<Crew>) {
    RUN.with_borrow(|run| {
        if let Some(run) = run {
            run.pools.borrow_mut().push(Arc::clone(crew));
        }
    });
}

/// Lets others run before a handler does, and may let that fail. Returns what it must pass to
/// [`after_handler`].
pub(crate) fn before_handler(worker: &Worker) -> bool {
    if !fibers::is_active() {
        return false;
    }
    fibers::switch();
    let Some(run) = RUN.with_borrow(Clone::clone) else { return false };
    let Some(fault) = run.fault() else { return false };
    run.note(format_args!("{} {fault}", worker.name()));
    match fault {
        Fault::Panic => resume_unwind(Box::new("an injected panic")),
        Fault::Hang => thread::sleep(HANG),
        Fault::Slow => thread::sleep(Duration::from_millis(run.choose(SLOWEST).into())),
        Fault::LostReply => return true,
    }
    false
}

/// Loses the reply of a handler that has run, if `loses` says so.
pub(crate) fn after_handler(loses: bool) {
    if loses {
        resume_unwind(Box::new("an injected loss of the reply"));
    }
}

impl Shared {
    fn choose(&self, bound: u32) -> u32 {
        self.choices.borrow_mut().next(bound)
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.log.borrow_mut(), "  {what}");
    }

    fn fault(&self) -> Option<Fault> {
        let faults = self.faults.get();
        if faults == Faults::none() {
            return None;
        }
        faults.of(self.choose(Faults::ALL))
    }
}

/// Draws which thread goes on.
struct Drawn {
    shared: Rc<Shared>,
    /// The one after that which went on last. It is the choice 0.
    next: usize,
}

impl Schedule for Drawn {
    fn first(&mut self, count: usize) -> usize {
        (self.next + self.shared.choose(count as u32) as usize) % count
    }

    fn ran(&mut self, Step { index, name, now, polls }: &Step<'_>) {
        self.next = index + 1;
        if !polls {
            let _ = writeln!(self.shared.log.borrow_mut(), "{now} {name}");
        }
    }

    fn interrupts(&mut self) -> bool {
        self.shared.choose(3) == 2
    }
}

/// How a run went.
pub(super) struct Outcome {
    pub(super) choices: Vec<u32>,
    pub(super) log: String,
    /// Why the run failed, if it did.
    pub(super) failure: Option<String>,
}

impl Run {
    /// Runs a scenario with these choices.
    pub(super) fn of(
        choices: Choices,
        faults: Faults,
        patience: Duration,
        scenario: &dyn Fn(&Run),
    ) -> Outcome {
        let shared = Rc::new(Shared {
            choices: RefCell::new(choices),
            log: RefCell::default(),
            faults: Cell::new(faults),
            pools: RefCell::default(),
        });
        let seed = shared.choose(u32::MAX);
        fastrand::seed(seed.into());
        RUN.set(Some(Rc::clone(&shared)));
        let failure = quietly(|| {
            // Dropped last, so that what is left of the pools ends in it.
            let runtime = TestRuntime::enter();
            runtime.explore(Box::new(Drawn { shared: Rc::clone(&shared), next: 0 }), patience);
            let run = Run { shared: Rc::clone(&shared), runtime, callers: RefCell::default() };
            if faults.membership {
                run.change_memberships();
            }
            scenario(&run);
            run.finish();
        });
        RUN.set(None);
        let choices = shared.choices.borrow().made();
        Outcome { choices, log: shared.log.take(), failure: failure.err() }
    }

    /// Returns the runtime of the run's pools.
    pub fn runtime(&self) -> &TestRuntime {
        &self.runtime
    }

    /// Draws one of 0 to `bound - 1`. When a failure is shrunk, the lowest is tried first.
    pub fn choose(&self, bound: u32) -> u32 {
        self.shared.choose(bound)
    }

    /// Adds a line to the run's log.
    pub fn note(&self, what: impl std::fmt::Display) {
        self.shared.note(format_args!("{what}"));
    }

    /// Runs a caller of pools beside the scenario; a panic fails the run. Whoever sends a task, or
    /// waits, may be interrupted by others.
    pub fn spawn(&self, name: impl Into<String>, caller: impl FnOnce() + Send + 'static) {
        match thread::Builder::new().name(name.into()).spawn(caller) {
            Ok(handle) => self.callers.borrow_mut().push(handle),
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for the callers that were spawned.
    ///
    /// # Panics
    /// If one has, with its message.
    pub fn join(&self) {
        for caller in self.callers.take() {
            if let Err(payload) = caller.join() {
                resume_unwind(payload);
            }
        }
    }

    /// Adds and retires workers now and then, on a thread of its own.
    fn change_memberships(&self) {
        let body = || {
            let Some(run) = RUN.with_borrow(Clone::clone) else { return };
            let mut added = 0;
            loop {
                let change = run.choose(5);
                if change == 0 || !run.faults.get().membership {
                    return;
                }
                match run.choose(4) {
                    0 => thread::sleep(Duration::from_millis(run.choose(SLOWEST).into())),
                    turns => (0..4 * turns).for_each(|_| fibers::switch()),
                }
                let pools = run.pools.borrow().clone();
                let Some(crew) = pools.get(run.choose(pools.len().max(1) as u32) as usize) else {
                    continue;
                };
                if change == 1 {
                    let spec = WorkerSpec::new(format!("{ADDED}-{added}"));
                    added += 1;
                    let result = crew.add_workers(|_| vec![spec.clone()]).map(drop);
                    run.note(format_args!("adds a worker: {result:?}"));
                } else if change == 2 {
                    let roster = crew.roster();
                    let members = roster.members();
                    let Some(member) =
                        members.get(run.choose(members.len().max(1) as u32) as usize)
                    else {
                        continue;
                    };
                    let result = crew.retire_worker(member.worker.id());
                    run.note(format_args!("retires {}: {result:?}", member.worker.name()));
                }
            }
        };
        self.spawn("changes", body);
    }

    /// Ends the run: no more faults are injected, what hangs returns, callers are [joined](Self::join),
    /// and every pool is shut down and held to its account. Called after the scenario, unless that has
    /// called it, to check what has become of everything.
    ///
    /// # Panics
    /// If something is wrong.
    pub fn finish(&self) {
        self.shared.faults.set(Faults::none());
        self.runtime.end_sleeps();
        self.join();
        // Whoever is retired has time to leave.
        self.runtime.advance(Duration::from_secs(1));
        let pools = self.shared.pools.take();
        for crew in &pools {
            let name = crew.announcer.pool();
            let roster = crew.roster();
            let drains = |member: &&Member| member.health == Health::Draining;
            if let Some(member) = roster.members().iter().find(drains) {
                panic!("{name}: {} was retired and does not leave", member.worker.name());
            }
        }
        for crew in &pools {
            let name = crew.announcer.pool();
            crew.close();
            crew.end(None).unwrap_or_else(|left| panic!("{name}: {left:?} do not end"));
            let (account, lost) = (crew.account(), crew.threads.lost());
            assert!(account.is_balanced(), "{name}: the account is not balanced: {account:?}");
            assert_eq!(lost, 0, "{name}: threads of handlers that have returned are lost");
            for Member { worker, .. } in crew.roster().members() {
                let in_flight = worker.stats().in_flight();
                assert_eq!(in_flight, 0, "{name}: in flight at {}", worker.name());
            }
            self.note(format_args!("{name}: {account:?}"));
        }
    }
}
