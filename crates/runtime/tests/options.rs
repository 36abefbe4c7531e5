//! Every option of a task, on every way to send it: it takes effect, or the task is refused. The table
//! in the guide says which.
mod common;

use std::error::Error;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use common::{At, Gate, LONG, end, id, watchdog};
use raddle_core::{Candidates, Priority, TaskProfile, WorkerSpec};
use raddle_runtime::{
    Actor, Ask, Context, Handler, Hedge, Overflow, Pool, Refusal, SendError, TaskBuilder,
};
use raddle_strategies::{HotCold, RoundRobin, Strategy};

const GUIDE: &str = include_str!("../../../docs/guide/routing.md");

/// The key of keyed tasks.
const KEY: u64 = 7;
const SHORT: Duration = Duration::from_millis(20);
const EXPECTED: Duration = Duration::from_secs(1);

/// How a task is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Tell,
    Ask,
    Hedged,
    After,
    Every,
    /// Its strategy's first choice is full.
    Rerouted,
    Keyed,
}

const WAYS: [Way; 7] =
    [Way::Tell, Way::Ask, Way::Hedged, Way::After, Way::Every, Way::Rerouted, Way::Keyed];

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    Capability,
    Timeout,
    Deadline,
    ExpectedDuration,
    Priority,
    Control,
    Key,
    Strategy,
    SharedStrategy,
    Worker,
    Waits,
    DoesNotWait,
    CancelOnDrop,
}

const CHOICES: [(Choice, &str); 13] = [
    (Choice::Capability, "`capability`"),
    (Choice::Timeout, "`timeout`"),
    (Choice::Deadline, "`deadline`"),
    (Choice::ExpectedDuration, "`expected_duration`"),
    (Choice::Priority, "`priority`, other than `Control`"),
    (Choice::Control, "`priority(Control)`"),
    (Choice::Key, "`key`"),
    (Choice::Strategy, "`strategy`"),
    (Choice::SharedStrategy, "`shared_strategy`"),
    (Choice::Worker, "`worker`"),
    (Choice::Waits, "`overflow` that waits"),
    (Choice::DoesNotWait, "`overflow` that does not wait"),
    (Choice::CancelOnDrop, "`cancel_on_drop`"),
];

#[derive(Clone)]
struct Order {
    number: u32,
    gate: Option<Gate>,
    ran: Sender<Ran>,
}

/// What a handler reports.
struct Ran {
    number: u32,
    by: String,
    remaining: Option<Duration>,
}

struct Reports;

impl Actor for Reports {}

impl Handler<Order> for Reports {
    type Reply = ();

    fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) {
        if let Some(gate) = order.gate {
            gate.pass();
        }
        let by = cx.worker().name().to_owned();
        let _ = order.ran.send(Ran { number: order.number, by, remaining: cx.remaining() });
    }
}

/// Three workers: `w-0` and `w-2` serve one capability, `w-1` another.
struct Bench {
    pool: Pool<Order, ()>,
    way: Way,
    choice: Choice,
    strategy: Arc<dyn Strategy>,
    sender: Sender<Ran>,
    ran: Receiver<Ran>,
    /// The numbers of shed messages.
    shed: Receiver<u32>,
    gates: Vec<Gate>,
}

/// The number of the task whose option is tried.
const IT: u32 = 1_000;
/// The capacity of each lane.
const CAPACITY: u32 = 1;

/// Picks the first candidate and the third one in turn.
#[derive(Debug, Default)]
struct FirstAndThird(AtomicU64);

impl Strategy for FirstAndThird {
    fn name(&self) -> &'static str {
        "first_and_third"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        (self.0.fetch_add(1, Relaxed) % 2) as usize * 2
    }
}

impl Bench {
    fn new(way: Way, choice: Choice) -> Self {
        let (sender, ran) = channel();
        let (shed_sender, shed) = channel();
        let spec = |name: &str, served| {
            let spec = WorkerSpec::new(name);
            if choice == Choice::Capability { spec.capability(served) } else { spec }
        };
        let builder = Pool::builder("options")
            .worker(spec("w-0", "options-gpu"))
            .worker(spec("w-1", "options-cpu"))
            .worker(spec("w-2", "options-gpu"))
            .stealing(false)
            .mailbox(CAPACITY as usize, Overflow::Reject)
            .reroute(way == Way::Rerouted)
            .on_shed(move |order: Order, _| shed_sender.send(order.number).unwrap());
        let builder = match way {
            Way::Rerouted => builder.strategy(At(0)),
            _ => builder.strategy(RoundRobin::new()),
        };
        let pool = builder.spawn(|_| Reports).unwrap();
        let strategy: Arc<dyn Strategy> = match way {
            Way::Rerouted => Arc::new(FirstAndThird::default()),
            _ => Arc::new(At(2)),
        };
        let mut bench = Self { pool, way, choice, strategy, sender, ran, shed, gates: Vec::new() };
        if way == Way::Rerouted {
            bench.hold(0);
            bench.fill(0);
        }
        bench
    }

    fn order(&self, number: u32) -> Order {
        Order { number, gate: None, ran: self.sender.clone() }
    }

    /// Stops the handler of a worker.
    fn hold(&mut self, index: usize) {
        let gate = Gate::new();
        let order = Order { gate: Some(gate.clone()), ..self.order(0) };
        self.task_at(index, order).tell().unwrap();
        gate.reached();
        self.gates.push(gate);
    }

    fn hold_all(&mut self) {
        for index in self.gates.len()..3 {
            self.hold(index);
        }
    }

    /// A task for a worker. With capabilities, the workers that serve it are the candidates.
    fn task_at(&self, index: usize, order: Order) -> TaskBuilder<'_, Order, ()> {
        const AT: [&At; 3] = [&At(0), &At(1), &At(2)];
        let task = self.pool.task(order);
        match self.choice {
            Choice::Capability => task.capability("options-gpu").strategy(AT[index / 2]),
            _ => task.strategy(AT[index]),
        }
    }

    /// Fills the lanes for tasks without a key of a worker that is held. No other one gets a task.
    fn fill(&self, index: usize) {
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            for number in 0..CAPACITY {
                self.task_at(index, self.order(number)).priority(priority).tell().unwrap();
            }
        }
    }

    fn fill_all(&self) {
        let first = usize::from(self.way == Way::Rerouted);
        if self.way == Way::Keyed {
            return self.pool.task(self.order(0)).key(KEY).tell().unwrap();
        }
        (first..3).for_each(|index| self.fill(index));
    }

    /// Lets the handlers go on.
    fn open(&mut self) {
        self.gates.drain(..).for_each(|gate| gate.open());
    }

    /// Sends a task with the option, in the way.
    fn send(&self, number: u32) -> Result<Option<Ask<Order, ()>>, (Refusal, Order)> {
        let (pool, order) = (&self.pool, self.order(number));
        let refused = |error: SendError<Order>| (error.refusal().clone(), error.into_message());
        let task = || self.with_option(pool.task(order.clone()));
        match self.way {
            Way::Tell => task().tell().map(|()| None).map_err(refused),
            Way::Ask | Way::Rerouted => task().ask().into_admitted().map(Some).map_err(refused),
            Way::Hedged => {
                let ask = task().ask_hedged(Hedge::after(LONG));
                ask.into_admitted().map(Some).map_err(refused)
            }
            Way::Keyed => task().key(KEY).ask().into_admitted().map(Some).map_err(refused),
            Way::After => {
                task().tell_after(Duration::from_millis(1)).map(|_| None).map_err(refused)
            }
            Way::Every => {
                let sent = AtomicBool::new(false);
                let make = move || match sent.swap(true, Relaxed) {
                    false => order.clone(),
                    true => resume_unwind(Box::new("it was sent")),
                };
                let task = self.with_option(pool.periodic(make));
                let timer = task.tell_every(Duration::from_millis(1)).map(|_| None);
                timer.map_err(|error| (error.refusal().clone(), error.into_message()()))
            }
        }
    }

    /// Sends a task that must be admitted. Keep what is returned, or the task may be cancelled.
    fn admit(&self, number: u32) -> Option<Ask<Order, ()>> {
        self.send(number).unwrap_or_else(|(refusal, _)| {
            panic!("{:?} was refused by {:?}: {refusal}", self.choice, self.way)
        })
    }

    fn with_option<'p, P>(
        &'p self,
        task: TaskBuilder<'p, Order, (), P>,
    ) -> TaskBuilder<'p, Order, (), P> {
        match self.choice {
            Choice::Capability => task.capability("options-gpu"),
            Choice::Timeout => task.timeout(LONG),
            Choice::Deadline => task.deadline(Instant::now() + LONG),
            Choice::ExpectedDuration => task.expected_duration(EXPECTED),
            Choice::Priority => task.priority(Priority::High),
            Choice::Control => task.priority(Priority::Control),
            Choice::Key => task.key(KEY),
            Choice::Strategy => task.strategy(&*self.strategy),
            Choice::SharedStrategy => task.shared_strategy(Arc::clone(&self.strategy)),
            Choice::Worker => {
                task.worker(id(&self.pool, if self.way == Way::Rerouted { "w-0" } else { "w-2" }))
            }
            Choice::Waits => task.overflow(Overflow::BlockFor(SHORT)),
            Choice::DoesNotWait => task.overflow(Overflow::DropOldest),
            Choice::CancelOnDrop => task.cancel_on_drop(),
        }
    }

    /// Waits until a task has run.
    fn ran(&self, number: u32) -> Ran {
        loop {
            let ran = self.ran.recv_timeout(LONG).expect("the task runs");
            if ran.number == number {
                return ran;
            }
        }
    }

    /// The workers that run some tasks with the option.
    fn places(&self) -> Vec<String> {
        (IT..IT + 6)
            .map(|number| {
                let _ask = self.admit(number);
                self.ran(number).by
            })
            .collect()
    }

    fn in_flight(&self) -> u64 {
        self.pool.stats().balancer.workers.iter().map(|worker| worker.in_flight).sum()
    }

    /// Whether the option has the effect that it should have.
    fn takes_effect(&mut self) -> bool {
        match self.choice {
            Choice::Capability => self.places().iter().all(|by| by != "w-1"),
            Choice::Strategy | Choice::SharedStrategy | Choice::Worker => {
                self.places().iter().all(|by| by == "w-2")
            }
            Choice::Key => {
                let ask = self.pool.task(self.order(1)).key(KEY).ask();
                ask.wait().unwrap();
                let owner = self.ran(1).by;
                self.places().iter().all(|by| *by == owner)
            }
            Choice::Timeout | Choice::Deadline => {
                let _ask = self.admit(IT);
                self.ran(IT).remaining.is_some_and(|left| left <= LONG)
            }
            Choice::ExpectedDuration => {
                self.hold_all();
                let queued = self.in_flight();
                let _ask = self.admit(IT);
                self.await_in_flight(queued + 1);
                let workers = self.pool.stats().balancer.workers;
                let work: i64 = workers.iter().map(|worker| worker.work_in_flight).sum();
                work == EXPECTED.as_nanos() as i64
            }
            Choice::Priority | Choice::Control => {
                self.hold_all();
                for index in usize::from(self.way == Way::Rerouted)..3 {
                    self.task_at(index, self.order(2)).tell().unwrap();
                }
                let queued = self.in_flight();
                let _ask = self.admit(IT);
                self.await_in_flight(queued + 1);
                self.open();
                let ran: Vec<_> = (0..queued + 1)
                    .map(|_| self.ran.recv_timeout(LONG).expect("every task runs"))
                    .collect();
                let it = ran.iter().position(|ran| ran.number == IT).unwrap();
                let later = ran[it..].iter().filter(|other| other.by == ran[it].by);
                later.filter(|other| other.number == 2).count() == 1
            }
            Choice::Waits => {
                self.hold_all();
                self.fill_all();
                let begun = Instant::now();
                let refused = self.send(IT).err().map(|(refusal, _)| refusal);
                refused == Some(Refusal::Full) && begun.elapsed() >= SHORT
            }
            Choice::DoesNotWait => {
                self.hold_all();
                self.fill_all();
                let _ask = self.admit(IT);
                self.shed.recv_timeout(LONG).is_ok_and(|number| number < CAPACITY)
            }
            Choice::CancelOnDrop => {
                self.hold_all();
                drop(self.admit(IT));
                self.open();
                end(&self.pool).counts.cancelled == 1
            }
        }
    }

    fn await_in_flight(&self, tasks: u64) {
        while self.in_flight() < tasks {
            std::thread::yield_now();
        }
    }

    /// Whether a task that is not rerouted stays with its worker.
    fn stays(&mut self) -> bool {
        if self.choice == Choice::Key {
            self.hold_all();
            assert!(self.send(0).is_ok());
            return self.send(1).is_err_and(|(refusal, _)| refusal == Refusal::Full);
        }
        let _ask = self.admit(IT);
        self.open();
        self.ran(IT).by == "w-0"
    }

    fn end(mut self) {
        self.open();
        end(&self.pool);
    }
}

/// Whether a pool with room refuses a task with the option, and returns its message.
fn is_refused(way: Way, choice: Choice) -> bool {
    let bench = Bench::new(way, choice);
    let refused = match bench.send(IT) {
        Err((Refusal::Options(_), order)) => order.number == IT,
        Err((other, _)) => panic!("{way:?}, {choice:?}: {other}"),
        Ok(_) => false,
    };
    bench.end();
    refused
}

/// What becomes of the option, in the words of the table.
fn observe(way: Way, choice: Choice) -> &'static str {
    // A contradiction in terms.
    if (way, choice) == (Way::Keyed, Choice::Key) {
        return "-";
    }
    if is_refused(way, choice) {
        return "refused";
    }
    let mut bench = Bench::new(way, choice);
    let is_not_rerouted =
        way == Way::Rerouted && matches!(choice, Choice::Key | Choice::Control | Choice::Worker);
    let (as_it_should, word) =
        if is_not_rerouted { (bench.stays(), "-") } else { (bench.takes_effect(), "yes") };
    bench.end();
    if as_it_should { word } else { "ignored" }
}

#[test]
fn every_option_takes_effect_or_is_refused_as_the_guide_says() {
    let _watchdog = watchdog();
    let table = GUIDE.split_once("| option | `tell` |").expect("the guide has the table").1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<_>> =
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), CHOICES.map(|choice| choice.1));
    for ((choice, name), row) in CHOICES.into_iter().zip(&rows) {
        let seen = WAYS.map(|way| observe(way, choice));
        assert_eq!(row[1..], seen, "{name}, by {WAYS:?}");
    }
}

#[test]
fn a_strategy_out_of_bounds_is_refused_with_the_message() {
    let _watchdog = watchdog();
    let bench = Bench::new(Way::Ask, Choice::Strategy);
    let wrong = HotCold::with_quantile(7.0);
    let error = bench.pool.task(bench.order(IT)).strategy(&wrong).tell().unwrap_err();
    assert!(matches!(error.refusal(), Refusal::Strategy(_)), "{error:?}");
    assert!(error.source().unwrap().to_string().contains("is 7, allowed is"), "{error:?}");
    assert_eq!(error.into_message().number, IT);
    let shared = bench.pool.task(bench.order(IT)).shared_strategy(Arc::new(wrong));
    let error = shared.tell_after(LONG).unwrap_err();
    assert!(matches!(error.refusal(), Refusal::Strategy(_)), "{error:?}");
    assert_eq!(bench.pool.account().rejected, 2);
    bench.end();
}

#[test]
fn a_capability_that_cannot_be_used_is_refused_before_a_timer_is_set() {
    let _watchdog = watchdog();
    let bench = Bench::new(Way::After, Choice::Timeout);
    let error = bench.pool.task(bench.order(IT)).capability("").tell_after(LONG).unwrap_err();
    assert!(matches!(error.refusal(), Refusal::Capability(_)), "{error:?}");
    assert_eq!(error.into_message().number, IT);
    let order = bench.order(IT);
    let task = bench.pool.periodic(move || order.clone()).capability("");
    let error = task.tell_every(LONG).unwrap_err();
    assert!(matches!(error.refusal(), Refusal::Capability(_)), "{error:?}");
    assert_eq!(error.into_message()().number, IT);
    bench.end();
}
