use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use generator::{Generator, Gn};

use super::schedule::{InTurn, Schedule, Step};

/// A virtual clock, in nanoseconds.
pub trait Time {
    /// Returns the clock's time.
    fn now(&self) -> u64;
    /// Sets the clock.
    fn set(&self, now: u64);
}

/// The words of a fiber's stack: 1 MiB, of which memory is used as far as it is touched.
const STACK: usize = (1 << 20) / size_of::<usize>();
/// After this many yields in a row, with nothing else going on, those who yield are taken to wait for
/// time to pass. When it has, they may yield this often again.
const YIELDS: u32 = 4096;
const YIELDS_AGAIN: u32 = 16;
/// A root waits in vain if nothing but housekeeping happens for so long by the virtual clock, unless the
/// patience is set, or for so many moves of it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
const MOVES: u32 = 1_000_000;
/// How the names of threads end that only keep house.
const KEEPER: &str = "-keeper";
/// More steps than this in a row never end.
const ENDLESS: u64 = 10_000_000;
/// How often the clock is moved at the end for fibers to end.
const LAST_MOVES: u32 = 10_000;

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static CURRENT: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

#[inline]
pub(super) fn is_active() -> bool {
    ACTIVE.get()
}

/// The fibers that the calling thread has entered. May be called while a thread drops its thread-local
/// values.
pub(super) fn current() -> Option<Rc<State>> {
    if is_active() { CURRENT.try_with(|current| current.borrow().clone()).ok()? } else { None }
}

/// The fibers of the thread that has entered them. Dropping it leaves them: those that have not ended
/// are given time to end, and then leaked.
pub struct Fibers {
    state: Rc<State>,
}

pub(super) struct State {
    time: Box<dyn Time>,
    /// What `Instant` is at the clock's time 0.
    origin: Instant,
    schedule: RefCell<Box<dyn Schedule>>,
    /// In the order in which they were spawned, without the one that runs.
    fibers: RefCell<Vec<Fiber>>,
    /// The fiber that runs; the root if there is none.
    running: Cell<Option<u64>>,
    /// Why the running fiber has paused.
    pause: Cell<Pause>,
    locals: RefCell<HashMap<(u64, usize), Rc<dyn Any>>>,
    spawned: Cell<u64>,
    /// Yields since anything else has happened.
    yields: Cell<u32>,
    /// How often a fiber has gone on that does not only keep house.
    busy: Cell<u64>,
    patience: Cell<Duration>,
    /// Whether the root has waited in vain: nothing runs any more.
    abandoned: Cell<bool>,
    /// Whether the fibers are being left, so that none sleeps any more.
    leaving: Cell<bool>,
}

struct Fiber {
    id: u64,
    name: String,
    body: Generator<'static, (), ()>,
    pause: Pause,
}

/// Why a fiber does not run.
#[derive(Clone, Copy)]
enum Pause {
    /// It can go on.
    Ready,
    /// It polls for something.
    Yields,
    /// It waits for something, or for the clock's `until`; `again` if that had not come when it last
    /// ran.
    Waits { until: Option<u64>, again: bool },
    /// It waits for the clock's time alone.
    Sleeps { until: u64 },
}

impl Fibers {
    /// Enters fibers with this clock. `None` if the thread has entered its fibers already.
    pub fn enter(time: Box<dyn Time>) -> Option<Self> {
        if is_active() {
            return None;
        }
        let state = Rc::new(State {
            origin: Instant::now(),
            time,
            schedule: RefCell::new(Box::new(InTurn::default())),
            fibers: RefCell::default(),
            running: Cell::new(None),
            pause: Cell::new(Pause::Ready),
            locals: RefCell::default(),
            spawned: Cell::new(0),
            yields: Cell::new(0),
            busy: Cell::new(0),
            patience: Cell::new(PATIENCE),
            abandoned: Cell::new(false),
            leaving: Cell::new(false),
        });
        CURRENT.set(Some(Rc::clone(&state)));
        ACTIVE.set(true);
        Some(Self { state })
    }

    /// Sets what decides which fiber goes on; each in its turn by default.
    pub fn set_schedule(&self, schedule: Box<dyn Schedule>) {
        *self.state.schedule.borrow_mut() = schedule;
    }

    /// Sets for how long, by the clock, nothing but housekeeping may happen while the root waits, before
    /// that counts as forever; a day by default.
    pub fn set_patience(&self, patience: Duration) {
        self.state.patience.set(patience);
    }

    /// Ends all sleeps of fibers, and lets none sleep from now on.
    pub fn end_sleeps(&self) {
        self.state.leaving.set(true);
    }

    /// Lets one fiber go on until it pauses. Returns whether any could.
    pub fn step(&self) -> bool {
        self.state.step()
    }

    /// Lets fibers run until none can go on before the clock is moved. Returns the number of steps.
    ///
    /// # Panics
    /// After ten million steps: they never end.
    pub fn run_until_idle(&self) -> u64 {
        self.state.run_until_idle()
    }

    /// Moves the clock forward, and lets fibers run at each time for which one waits.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let target = self.state.now().saturating_add(by);
        loop {
            self.state.run_until_idle();
            let next = self.state.next_wake().filter(|next| *next <= target);
            let Some(next) = next else { break };
            self.state.move_to(next);
        }
        self.state.move_to(target);
        self.state.run_until_idle();
    }

    /// Describes the fibers that have not ended, one per line.
    pub fn describe(&self) -> String {
        self.state.describe()
    }
}

impl Drop for Fibers {
    fn drop(&mut self) {
        self.state.leave();
        ACTIVE.set(false);
        CURRENT.set(None);
    }
}

impl State {
    pub(super) fn now(&self) -> u64 {
        self.time.now()
    }

    /// The virtual clock's time as an `Instant`.
    pub(super) fn instant(&self) -> Instant {
        let now = Duration::from_nanos(self.now());
        self.origin.checked_add(now).unwrap_or(self.origin)
    }

    /// The number of the running fiber; `None` for the root.
    pub(super) fn running(&self) -> Option<u64> {
        self.running.get()
    }

    pub(super) fn spawn(&self, name: String, body: impl FnOnce() + Send + 'static) -> u64 {
        let id = self.spawned.get();
        self.spawned.set(id + 1);
        let body = Gn::<()>::new_opt(STACK, body);
        self.fibers.borrow_mut().push(Fiber { id, name, body, pause: Pause::Ready });
        id
    }

    /// The running fiber's own value at `key`; `None` on the root.
    pub(super) fn local<K, T: 'static>(&self, key: &'static K, init: fn() -> T) -> Option<Rc<T>> {
        let key = (self.running()?, std::ptr::from_ref(key) as usize);
        let known = self.locals.borrow().get(&key).cloned();
        let local = known.unwrap_or_else(|| {
            let fresh: Rc<dyn Any> = Rc::new(init());
            self.locals.borrow_mut().insert(key, Rc::clone(&fresh));
            fresh
        });
        local.downcast().ok()
    }

    /// Waits until `is_ready`, or until the clock has reached `until`.
    pub(super) fn wait(&self, until: Option<u64>, is_ready: &mut dyn FnMut() -> bool) {
        let (mut again, mut vain) = (false, Vain::default());
        while !is_ready() {
            let now = self.now();
            if until.is_some_and(|until| now >= until) {
                return;
            }
            if self.running().is_some() {
                self.pause(Pause::Waits { until, again });
            } else if !self.drive(until, &mut vain) {
                return;
            }
            again = true;
        }
    }

    /// Lets time pass until the clock has reached `until`.
    pub(super) fn sleep(&self, until: u64) {
        if self.running().is_some() {
            self.pause(Pause::Sleeps { until });
        } else {
            self.wait(Some(until), &mut || false);
        }
    }

    /// Polls again later.
    pub(super) fn yield_now(&self) {
        if self.running().is_some() {
            self.pause(Pause::Yields);
        } else if !self.step() {
            self.stall();
        }
    }

    pub(super) fn switch(&self) {
        if self.running().is_some() {
            self.pause(Pause::Ready);
            return;
        }
        // In each condition, the schedule's borrow ends with it.
        while self.interrupts() {
            self.step();
        }
    }

    fn interrupts(&self) -> bool {
        !self.abandoned.get() && self.schedule.borrow_mut().interrupts()
    }

    fn pause(&self, pause: Pause) {
        self.pause.set(pause);
        #[allow(deprecated, reason = "the other way to yield must have the scope at hand")]
        generator::yield_with(());
    }

    /// Counts a yield. Returns whether there were too many in a row; then moves the clock, if it is the
    /// root that yields.
    fn stall(&self) {
        self.yields.set(self.yields.get() + 1);
        if self.yields.get() > YIELDS
            && let Some(next) = self.next_wake()
        {
            self.move_to(next);
        }
    }

    fn step(&self) -> bool {
        let count = self.fibers.borrow().len();
        // Fibers do not run within each other.
        if count == 0 || self.abandoned.get() || self.running().is_some() {
            return false;
        }
        let first = self.schedule.borrow_mut().first(count) % count;
        (first..count).chain(0..first).any(|index| self.resume(index))
    }

    /// Lets a fiber go on until it pauses or ends. Returns whether it did anything.
    fn resume(&self, index: usize) -> bool {
        if let Pause::Sleeps { until } = self.fibers.borrow()[index].pause
            && self.now() < until
            && !self.leaving.get()
        {
            return false;
        }
        let mut fiber = self.fibers.borrow_mut().remove(index);
        self.running.set(Some(fiber.id));
        self.pause.set(Pause::Ready);
        fiber.body.resume();
        self.running.set(None);
        let goes_on = if fiber.body.is_done() {
            true
        } else {
            fiber.pause = self.pause.get();
            !matches!(fiber.pause, Pause::Waits { again: true, .. })
        };
        let yields = matches!(fiber.pause, Pause::Yields) && !fiber.body.is_done();
        let goes_on = match yields {
            true => {
                self.yields.set(self.yields.get().saturating_add(1));
                self.yields.get() <= YIELDS
            }
            false => goes_on,
        };
        // Whoever keeps house does so each time that the clock is moved.
        if goes_on && !yields && !fiber.name.ends_with(KEEPER) {
            self.yields.set(0);
            self.busy.set(self.busy.get() + 1);
        }
        if goes_on {
            let step = Step { index, name: &fiber.name, now: self.now(), polls: yields };
            self.schedule.borrow_mut().ran(&step);
        }
        if fiber.body.is_done() {
            let own: Vec<_> = {
                let mut locals = self.locals.borrow_mut();
                let keys: Vec<_> = locals.keys().filter(|key| key.0 == fiber.id).copied().collect();
                keys.iter().filter_map(|key| locals.remove(key)).collect()
            };
            // Dropping them may run anything.
            drop(own);
        } else {
            // Fibers that were spawned meanwhile are behind it.
            self.fibers.borrow_mut().insert(index, fiber);
        }
        goes_on
    }

    fn run_until_idle(&self) -> u64 {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < ENDLESS, "after {ENDLESS} steps, there is still something to do");
        }
        steps
    }

    /// The earliest time for which a fiber waits.
    fn next_wake(&self) -> Option<u64> {
        let fibers = self.fibers.borrow();
        let untils = fibers.iter().filter_map(|fiber| match fiber.pause {
            Pause::Waits { until, .. } => until,
            Pause::Sleeps { until } => Some(until),
            Pause::Ready | Pause::Yields => None,
        });
        untils.min()
    }

    fn move_to(&self, time: u64) {
        if time > self.now() {
            self.time.set(time);
        }
        self.yields.set(self.yields.get().min(YIELDS - YIELDS_AGAIN));
    }

    /// Lets something happen that the root may wait for: a step, or else time passes. Returns `false` if
    /// the root waits in vain.
    fn drive(&self, until: Option<u64>, vain: &mut Vain) -> bool {
        if self.abandoned.get() {
            return false;
        }
        if self.step() {
            vain.steps += 1;
            if vain.steps < ENDLESS {
                return true;
            }
        } else if let Some(next) = self.next_wake().into_iter().chain(until).min() {
            if vain.busy != self.busy.get() || vain.moves == 0 {
                *vain = Vain { busy: self.busy.get(), since: self.now(), moves: 0, ..*vain };
            }
            vain.moves += 1;
            let patience = u64::try_from(self.patience.get().as_nanos()).unwrap_or(u64::MAX);
            let is_long = next.saturating_sub(vain.since) > patience || vain.moves > MOVES;
            if !is_long || until.is_some() {
                self.move_to(next);
                return true;
            }
        }
        self.abandoned.set(true);
        let waiting = self.describe();
        // In a drop while the test fails, another panic would abort.
        assert!(
            std::thread::panicking(),
            "the test waits for something that does not come; its threads:\n{waiting}"
        );
        false
    }

    fn describe(&self) -> String {
        let mut all = String::new();
        for Fiber { name, pause, .. } in &*self.fibers.borrow() {
            let _ = match pause {
                Pause::Ready => writeln!(all, "{name} can go on"),
                Pause::Yields => writeln!(all, "{name} polls"),
                Pause::Waits { until: None, .. } => writeln!(all, "{name} waits"),
                Pause::Waits { until: Some(until), .. } => {
                    writeln!(all, "{name} waits, until {:?} at most", Duration::from_nanos(*until))
                }
                Pause::Sleeps { until } => {
                    writeln!(all, "{name} sleeps until {:?}", Duration::from_nanos(*until))
                }
            };
        }
        all
    }

    /// Lets the fibers end.
    fn leave(&self) {
        self.leaving.set(true);
        for _ in 0..LAST_MOVES {
            let mut steps = 0;
            while steps < YIELDS && self.step() {
                steps += 1;
            }
            let Some(next) = self.next_wake().filter(|_| !self.abandoned.get()) else { break };
            self.move_to(next);
        }
        // Dropping a fiber would unwind its stack, and what it runs catches panics.
        self.fibers.take().into_iter().for_each(|fiber| std::mem::forget(fiber.body));
    }
}

/// How long the root has waited.
#[derive(Clone, Copy, Default)]
struct Vain {
    /// The busy count when something other than housekeeping was last seen to happen, and the time.
    busy: u64,
    since: u64,
    /// Moves of the clock since.
    moves: u32,
    steps: u64,
}
