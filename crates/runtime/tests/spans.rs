//! With the feature `tracing`, a handler runs in a span that follows from its caller's, and is no child of
//! it.
#![cfg(feature = "tracing")]

mod common;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use common::signal::Signal;
use common::waiting::{self, order};
use common::{Answer, Do, Gate, builder, end, pool, watchdog};
use raddle_core::Priority;
use raddle_runtime::{Actor, AskError, Context, Deferred, Handler, Overflow};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, info, info_span, subscriber};
use tracing_core::span::Current;

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    /// A span without a parent, its name and its fields.
    Root(u64, &'static str, String),
    Child(u64),
    Follows(u64, u64),
    /// An event, in the span that is current.
    Event(Option<u64>),
    Closed(u64),
}

struct Recorder {
    told: Sender<Told>,
    next: AtomicU64,
    /// The metadata and the number of handles of each span, by its id.
    spans: Mutex<Vec<(&'static Metadata<'static>, u64)>>,
}

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn recorder() -> (Recorder, Receiver<Told>) {
    let (told, told_so_far) = channel();
    (Recorder { told, next: AtomicU64::new(0), spans: Mutex::default() }, told_so_far)
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{}={value:?}", field.name());
    }
}

impl Recorder {
    fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }
    fn change(&self, id: &Id, change: impl FnOnce(&mut u64)) -> u64 {
        let mut spans = self.spans.lock().unwrap();
        let handles = &mut spans[id.into_u64() as usize - 1].1;
        change(handles);
        *handles
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, SeqCst) + 1;
        self.spans.lock().unwrap().push((attributes.metadata(), 1));
        let mut fields = Fields(String::new());
        attributes.record(&mut fields);
        let root = attributes.is_root() || ENTERED.with_borrow(Vec::is_empty);
        let name = attributes.metadata().name();
        self.tell(if root { Told::Root(id, name, fields.0) } else { Told::Child(id) });
        Id::from_u64(id)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, id: &Id, from: &Id) {
        self.tell(Told::Follows(id.into_u64(), from.into_u64()));
    }
    fn event(&self, _: &Event<'_>) {
        self.tell(Told::Event(ENTERED.with_borrow(|entered| entered.last().copied())));
    }
    fn enter(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(id.into_u64()));
    }
    fn exit(&self, id: &Id) {
        assert_eq!(ENTERED.with_borrow_mut(Vec::pop), Some(id.into_u64()));
    }
    fn clone_span(&self, id: &Id) -> Id {
        self.change(id, |handles| *handles += 1);
        id.clone()
    }
    fn try_close(&self, id: Id) -> bool {
        let closed = self.change(&id, |handles| *handles -= 1) == 0;
        if closed {
            self.tell(Told::Closed(id.into_u64()));
        }
        closed
    }
    fn current_span(&self) -> Current {
        match ENTERED.with_borrow(|entered| entered.last().copied()) {
            None => Current::none(),
            Some(id) => {
                Current::new(Id::from_u64(id), self.spans.lock().unwrap()[id as usize - 1].0)
            }
        }
    }
}

fn logs() -> Do {
    Do::call(|| info!("in the handler"))
}

fn task(id: u64, worker: &str) -> Told {
    Told::Root(id, "task", format!("worker={worker:?}"))
}

#[test]
fn a_handler_runs_in_a_span_that_follows_from_its_callers() {
    let (recorder, told) = recorder();
    let pool = pool(1, 8, Overflow::Block);
    subscriber::with_default(recorder, || {
        let span = info_span!("request");
        let asked = span.in_scope(|| pool.ask(logs()));
        asked.wait().unwrap().unwrap();
        span.in_scope(|| pool.tell(logs())).unwrap();
        // Without a span.
        pool.ask(logs()).wait().unwrap().unwrap();
    });
    end(&pool);
    use Told::*;
    let expected = [
        Root(1, "request", String::new()),
        task(2, "test/w-0"),
        Follows(2, 1),
        Event(Some(2)),
        Closed(2),
        task(3, "test/w-0"),
        Follows(3, 1),
        Event(Some(3)),
        Closed(3),
        Closed(1),
    ];
    // The caller drops its span while the handler of the second task may run, or have run.
    let mut told: Vec<_> = told.try_iter().collect();
    assert_eq!(told.len(), expected.len(), "{told:?}");
    let closed = told.iter().position(|told| *told == Closed(1)).unwrap();
    assert!(closed >= 5, "{told:?}");
    told.remove(closed);
    assert_eq!(told, expected[..9]);
}

struct Forwards(common::ObedientPool);

impl Actor for Forwards {}

impl Handler<Do> for Forwards {
    type Reply = Deferred<Answer>;

    fn handle(&mut self, order: Do, cx: &mut Context<'_, Self>) -> Deferred<Answer> {
        cx.forward(&self.0, order).unwrap()
    }
}

#[test]
fn a_chain_of_tasks_is_a_chain_of_links_and_no_tree() {
    let (recorder, told) = recorder();
    let last = pool(1, 8, Overflow::Block);
    let next = last.clone();
    let first = builder(1).spawn(move |_| Forwards(next.clone())).unwrap();
    subscriber::with_default(recorder, || {
        let _entered = info_span!("request").entered();
        first.ask(logs()).wait().unwrap().unwrap();
    });
    end(&first);
    end(&last);
    let told: Vec<_> = told.try_iter().collect();
    assert!(!told.iter().any(|told| matches!(told, Told::Child(_))), "{told:?}");
    for expected in [Told::Follows(2, 1), Told::Follows(3, 2), Told::Event(Some(3))] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
}

/// Says something before and after it waits for the signal.
fn logs_twice(signal: &Signal) -> waiting::Order {
    let signal = signal.clone();
    order(move |_| {
        let signal = signal.clone();
        Box::pin(async move {
            info!("before");
            signal.wait().await;
            info!("after");
            Ok(())
        })
    })
}

#[test]
fn an_async_handler_is_in_its_span_whenever_it_runs_and_only_then() {
    let _watchdog = watchdog();
    for concurrency in [1, 2] {
        let (recorder, told) = recorder();
        let pool = match concurrency {
            1 => waiting::spawn(builder(1)),
            _ => waiting::spawn_concurrent(concurrency, builder(1)),
        };
        subscriber::with_default(recorder, || {
            let _entered = info_span!("request").entered();
            let signals = [(); 2].map(|()| Signal::default());
            let asks = signals.each_ref().map(|signal| pool.ask(logs_twice(signal)));
            // Side by side, where that is possible: the first waits when the second begins.
            signals[0].reached(1);
            if concurrency > 1 {
                signals[1].reached(1);
            }
            signals.iter().for_each(Signal::set);
            for ask in asks {
                ask.wait().unwrap().unwrap();
            }
        });
        end(&pool);
        let told: Vec<_> = told.try_iter().collect();
        let said = |id| told.iter().filter(|told| **told == Told::Event(Some(id))).count();
        assert_eq!((said(2), said(3)), (2, 2), "{told:?}");
        assert!(told.contains(&Told::Closed(2)) && told.contains(&Told::Closed(3)), "{told:?}");
    }
}

#[test]
fn a_task_at_a_checkpoint_has_a_span_of_its_own() {
    let _watchdog = watchdog();
    let (recorder, told) = recorder();
    let quantum = Duration::from_micros(10);

    struct Long;
    impl Actor for Long {}
    type Job = Box<dyn FnOnce(&mut Long, &mut Context<'_, Long>) + Send>;
    impl Handler<Job> for Long {
        type Reply = ();
        fn handle(&mut self, job: Job, cx: &mut Context<'_, Self>) {
            job(self, cx);
        }
    }
    let pool = builder(1).quantum(quantum).spawn(|_| Long).unwrap();
    let (begun, has_begun) = channel();
    let (go_on, wait) = channel::<()>();
    subscriber::with_default(recorder, || {
        let _entered = info_span!("request").entered();
        let outer: Job = Box::new(move |actor, cx| {
            begun.send(()).unwrap();
            while wait.try_recv() == Err(TryRecvError::Empty) {
                cx.checkpoint(actor);
            }
            info!("after it");
        });
        let outer = pool.ask(outer);
        has_begun.recv().unwrap();
        let inner: Job = Box::new(|_, _| info!("inside"));
        pool.task(inner).priority(Priority::High).ask().wait().unwrap();
        drop(go_on);
        outer.wait().unwrap();
    });
    end(&pool);
    let events: Vec<_> =
        told.try_iter().filter(|told| matches!(told, Told::Event(_) | Told::Follows(..))).collect();
    let expected =
        [Told::Follows(2, 1), Told::Follows(3, 1), Told::Event(Some(3)), Told::Event(Some(2))];
    assert_eq!(events, expected);
}

#[test]
fn a_handler_that_panics_leaves_its_span() {
    let (recorder, told) = recorder();
    let pool = pool(1, 8, Overflow::Block);
    subscriber::with_default(recorder, || {
        let _entered = info_span!("request").entered();
        let panicked = pool.ask(Do::Panic("planted")).wait();
        assert!(matches!(panicked, Err(AskError::Panicked { .. })));
        pool.ask(logs()).wait().unwrap().unwrap();
    });
    end(&pool);
    assert!(told.try_iter().any(|told| told == Told::Event(Some(3))));
}

#[test]
fn a_task_that_does_not_run_lets_its_callers_span_go() {
    let (recorder, told) = recorder();
    let pool = pool(1, 8, Overflow::Block);
    let gate = Gate::new();
    let held = pool.ask(Do::Hold(gate.clone()));
    gate.reached();
    subscriber::with_default(recorder, || {
        let span = info_span!("request");
        let expired = span.in_scope(|| pool.task(logs()).timeout(Duration::ZERO).ask());
        assert!(matches!(expired.wait(), Err(AskError::Expired)));
        let told_one = span.in_scope(|| pool.task(logs()).timeout(Duration::ZERO).tell());
        told_one.unwrap();
    });
    gate.open();
    held.wait().unwrap().unwrap();
    assert_eq!(end(&pool).counts.expired, 2);
    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told, [Told::Root(1, "request", String::new()), Told::Closed(1)]);
}

/// Panics when a handler's span is left or closed.
#[derive(Default)]
struct Panics(OnceLock<&'static Metadata<'static>>);

impl Subscriber for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.0.get_or_init(|| attributes.metadata());
        Id::from_u64(if attributes.metadata().name() == "task" { 2 } else { 1 })
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, id: &Id) {
        assert_ne!(id.into_u64(), 2, "planted in exit");
    }
    fn clone_span(&self, id: &Id) -> Id {
        id.clone()
    }
    fn try_close(&self, id: Id) -> bool {
        assert_ne!(id.into_u64(), 2, "planted in try_close");
        true
    }
    fn current_span(&self) -> Current {
        Current::new(Id::from_u64(1), self.0.get().expect("a span was created"))
    }
}

#[test]
fn a_subscriber_that_panics_harms_no_task() {
    let pool = pool(1, 8, Overflow::Block);
    subscriber::with_default(Panics::default(), || {
        let _entered = info_span!("request").entered();
        for _ in 0..3 {
            let panicked = pool.ask(Do::Panic("planted in the handler")).wait();
            assert!(matches!(panicked, Err(AskError::Panicked { .. })));
            assert!(pool.ask(Do::Return(1)).wait().unwrap().is_ok());
        }
    });
    let counts = end(&pool).counts;
    assert_eq!((counts.completed, counts.panicked), (3, 3));
}
