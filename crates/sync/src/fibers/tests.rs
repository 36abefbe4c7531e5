use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{Fibers, Schedule, Step, Time};
use crate::channel::{RecvTimeoutError, bounded};
use crate::lock::{ColdLock, Condvar};
use crate::{thread, time};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Manual(Rc<Cell<u64>>);

impl Time for Manual {
    fn now(&self) -> u64 {
        self.0.get()
    }

    fn set(&self, now: u64) {
        self.0.set(now);
    }
}

fn enter() -> (Fibers, Manual) {
    let time = Manual::default();
    (Fibers::enter(Box::new(time.clone())).unwrap(), time)
}

type Log = Arc<ColdLock<Vec<&'static str>>>;

#[test]
fn fibers_take_turns_and_run_only_when_stepped() {
    let (fibers, _) = enter();
    let log = Log::default();
    let handles = ["a", "b"].map(|name| {
        let log = Arc::clone(&log);
        thread::spawn(move || {
            for _ in 0..2 {
                log.lock().push(name);
                super::switch();
            }
            name
        })
    });
    assert!(log.lock().is_empty() && !handles[0].is_finished());
    assert_eq!(fibers.run_until_idle(), 6, "two turns each, and the ends");
    assert_eq!(*log.lock(), ["a", "b", "a", "b"]);
    assert_eq!(handles.map(|handle| handle.join().unwrap()), ["a", "b"]);
}

#[test]
fn channels_block_fibers_and_not_the_thread() {
    let (_fibers, time) = enter();
    let (sender, receiver) = bounded(1);
    let producer = thread::spawn(move || (0..5).for_each(|number| sender.send(number).unwrap()));
    assert_eq!((0..5).map(|_| receiver.recv().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    producer.join().unwrap();
    assert!(receiver.recv().is_err(), "disconnected");
    let (_sender, receiver) = bounded::<()>(1);
    let begun = time::now();
    assert_eq!(receiver.recv_timeout(SECOND), Err(RecvTimeoutError::Timeout));
    assert_eq!((time.now(), time::now() - begun), (1_000_000_000, SECOND));
    assert!(_sender.try_send(()).is_ok());
    assert!(_sender.send_timeout((), SECOND).is_err());
    assert_eq!(time.now(), 2_000_000_000);
}

#[test]
fn time_passes_for_those_who_sleep_in_order() {
    let (fibers, time) = enter();
    let log = Log::default();
    for (name, seconds) in [("late", 3), ("early", 1)] {
        let log = Arc::clone(&log);
        thread::spawn(move || {
            thread::sleep(seconds * SECOND);
            log.lock().push(name);
        });
    }
    fibers.advance(2 * SECOND);
    assert_eq!((&log.lock()[..], time.now()), (&["early"][..], 2_000_000_000));
    fibers.advance(SECOND);
    assert_eq!(*log.lock(), ["early", "late"]);
}

#[test]
fn fibers_that_poll_wait_for_time_to_pass() {
    let (fibers, _) = enter();
    let open = Arc::new(ColdLock::new(false));
    let opener = Arc::clone(&open);
    thread::spawn(move || {
        thread::sleep(SECOND);
        *opener.lock() = true;
    });
    let poller = thread::spawn(move || {
        while !*open.lock() {
            thread::yield_now();
        }
    });
    fibers.run_until_idle();
    assert!(!poller.is_finished());
    poller.join().unwrap();
}

#[test]
fn a_lock_is_free_while_its_condition_is_awaited() {
    let (_fibers, _) = enter();
    let shared = Arc::new((ColdLock::new(0), Condvar::new()));
    let its = Arc::clone(&shared);
    thread::spawn(move || {
        for _ in 0..3 {
            *its.0.lock() += 1;
            its.1.notify_all();
            super::switch();
        }
    });
    assert_eq!(*shared.0.wait_while(&shared.1, None, |count| *count < 3), 3);
    assert_eq!(*shared.0.wait_while(&shared.1, Some(SECOND), |count| *count < 4), 3, "too long");
}

crate::thread_local! {
    static OWN: Cell<u32> = const { Cell::new(7) };
}

#[test]
fn each_fiber_has_its_own_thread_local_values_and_identity() {
    let (fibers, _) = enter();
    OWN.with(|own| own.set(1));
    let count = || {
        OWN.with(|own| own.set(own.get() + 1));
        super::switch();
        (OWN.with(Cell::get), thread::current().id())
    };
    let handles = [thread::spawn(count), thread::spawn(count)];
    fibers.run_until_idle();
    let [(first, one), (second, other)] = handles.map(|handle| {
        let id = handle.thread().id();
        let (own, known) = handle.join().unwrap();
        assert_eq!(known, id);
        (own, id)
    });
    assert_eq!((first, second, OWN.with(Cell::get)), (8, 8, 1));
    assert!(one != other && one != thread::current().id());
}

#[test]
fn a_panic_is_that_of_its_fiber() {
    let (_fibers, _) = enter();
    let panicked = thread::spawn(|| std::panic::resume_unwind(Box::new("oh"))).join();
    assert_eq!(*panicked.map(|()| "").unwrap_err().downcast::<&str>().unwrap(), "oh");
}

#[test]
#[should_panic(expected = "waiter waits")]
fn a_wait_that_cannot_end_names_those_who_wait() {
    let (_fibers, _) = enter();
    let (_sender, receiver) = bounded::<()>(1);
    let waiter = thread::Builder::new().name("waiter".into());
    let waiter = waiter.spawn(move || receiver.recv()).unwrap();
    let _ = waiter.join();
}

#[test]
fn a_schedule_decides() {
    struct Last;
    impl Schedule for Last {
        fn first(&mut self, count: usize) -> usize {
            count - 1
        }
        fn ran(&mut self, _: &Step<'_>) {}
    }
    let (fibers, _) = enter();
    fibers.set_schedule(Box::new(Last));
    let log = Log::default();
    for name in ["a", "b", "c"] {
        let log = Arc::clone(&log);
        thread::spawn(move || log.lock().push(name));
    }
    fibers.run_until_idle();
    assert_eq!(*log.lock(), ["c", "b", "a"]);
}

#[test]
fn fibers_are_entered_once_and_left_with_what_still_sleeps() {
    let (fibers, _) = enter();
    assert!(Fibers::enter(Box::new(Manual::default())).is_none());
    let ended = Arc::new(());
    let its = Arc::clone(&ended);
    thread::spawn(move || {
        thread::sleep(Duration::MAX);
        drop(its);
    });
    fibers.run_until_idle();
    drop(fibers);
    assert_eq!(Arc::strong_count(&ended), 1);
    assert!(!super::is_active());
}
