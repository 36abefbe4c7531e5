//! Compares the account of a pool on real threads with plain counters: no task is lost or counted
//! twice.
//!
//! A worker is either held in a handler or free, and the model knows which, so it can predict how
//! each task ends. Before it compares anything, it waits until the pool is quiet: every message that
//! must be dropped has been, and each free worker has replied once more.
mod common;

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use common::{At, Counted, Gate, LONG, admitted, builder, counted, watchdog};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use raddle_core::{Counts, Priority, WorkerId, WorkerSpec};
use raddle_runtime::{
    Account, Actor, Ask, AskError, Backoff, Context, Drain, Handler, MembershipError, Overflow,
    Pool, Restarts,
};
use raddle_strategies::WorkerReport;

/// What the actor does with a message.
enum Order {
    Complete,
    Fail,
    Panic,
    Hold(Gate),
}

/// A message whose drop is counted: the model could not see the end of a `tell` otherwise.
struct Message(Order, #[allow(dead_code, reason = "counted when dropped")] Option<Counted>);

struct Servant;

impl Actor for Servant {}

/// What the servant returns.
type Answer = Result<(), ()>;

impl Handler<Message> for Servant {
    type Reply = Answer;

    fn handle(&mut self, message: Message, _: &mut Context<'_, Self>) -> Answer {
        let Message(order, _counted) = message;
        match order {
            Order::Complete => Ok(()),
            Order::Fail => Err(()),
            // Does not call the panic hook, which prints.
            Order::Panic => std::panic::resume_unwind(Box::new("by order")),
            Order::Hold(gate) => {
                gate.pass();
                Ok(())
            }
        }
    }
}

/// How a task must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Fail,
    Panic,
    /// Its deadline passes before it is taken.
    Expire,
    /// Its ask is dropped while it waits.
    Abandon,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send { at: usize, end: End, ask: bool },
    Hold { at: usize },
    Release { at: usize },
    Retire { at: usize },
    Add,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop::sample::select(
        &[End::Complete, End::Fail, End::Panic, End::Expire, End::Abandon][..],
    );
    let step = prop_oneof![
        8 => (0usize..4, end, any::<bool>()).prop_map(|(at, end, ask)| Step::Send { at, end, ask }),
        3 => (0usize..4).prop_map(|at| Step::Hold { at }),
        3 => (0usize..4).prop_map(|at| Step::Release { at }),
        1 => (0usize..4).prop_map(|at| Step::Retire { at }),
        1 => Just(Step::Add),
    ];
    prop::collection::vec(step, 1..60)
}

/// Reads the account of a pool; some tests read a wrong one.
type Reading = fn(&Pool<Message, Answer>) -> Account;

/// The capacity of a mailbox.
const ROOM: usize = 3;

/// A worker that has not left the pool.
struct Member {
    id: WorkerId,
    name: String,
    /// Holds its handler; `None` if it is free.
    held: Option<Gate>,
    /// The tasks in its mailbox, oldest first, with their asks.
    queued: VecDeque<(End, Option<Ask<Message, Answer>>)>,
    counts: Counts,
}

impl Member {
    fn end(&mut self, end: End) {
        let counts = &mut self.counts;
        *match end {
            End::Complete => &mut counts.completed,
            End::Fail => &mut counts.failed,
            End::Panic => &mut counts.panicked,
            End::Expire => &mut counts.expired,
            End::Abandon => &mut counts.cancelled,
        } += 1;
    }

    fn is_drained(&self) -> bool {
        self.queued.is_empty() && self.held.is_none()
    }
}

struct Machine {
    pool: Pool<Message, Answer>,
    overflow: Overflow,
    make: Box<dyn Fn() -> Counted>,
    dropped: Receiver<()>,
    /// Messages that must be dropped before the pool is quiet.
    to_drop: usize,
    /// The workers that take tasks, in the order of the roster.
    members: Vec<Member>,
    /// The workers that still have tasks and take no more.
    leaving: Vec<Member>,
    /// The counts of workers that have left.
    gone: Counts,
    rejected: u64,
    shed: u64,
    added: usize,
    reading: Reading,
}

impl Machine {
    fn new(overflow: Overflow, reading: Reading) -> Self {
        let at_once =
            Backoff { initial: Duration::ZERO, max: Duration::ZERO, ..Backoff::default() };
        let pool = builder(3)
            .mailbox(ROOM, overflow)
            .restarts(Restarts::default().backoff(at_once))
            .spawn(|_| Servant)
            .unwrap();
        let (make, dropped) = counted();
        let mut machine = Self {
            pool,
            overflow,
            make: Box::new(make),
            dropped,
            to_drop: 0,
            members: Vec::new(),
            leaving: Vec::new(),
            gone: Counts::default(),
            rejected: 0,
            shed: 0,
            added: 0,
            reading,
        };
        for report in machine.reports() {
            machine.join(report.id, report.name);
        }
        machine
    }

    fn reports(&self) -> Vec<WorkerReport> {
        self.pool.stats().balancer.workers
    }

    fn join(&mut self, id: WorkerId, name: String) {
        let (queued, counts) = (VecDeque::new(), Counts::default());
        self.members.push(Member { id, name, held: None, queued, counts });
    }

    fn follow(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Send { at, end, ask } if at < self.members.len() => self.send(at, end, ask)?,
            Step::Hold { at } if at < self.members.len() => self.hold(at),
            Step::Release { at } if at < self.members.len() + self.leaving.len() => {
                self.release(at)?;
            }
            Step::Retire { at } if at < self.members.len() => self.retire(at)?,
            Step::Add if self.members.len() < 4 => {
                self.added += 1;
                let name = format!("added-{}", self.added);
                let id = self.pool.add_worker(WorkerSpec::new(&name)).unwrap();
                self.join(id, name);
            }
            _ => {}
        }
        self.check()
    }

    fn send(&mut self, at: usize, end: End, ask: bool) -> Result<(), TestCaseError> {
        let is_held = self.members[at].held.is_some();
        // A free worker may take the task before its ask is dropped, or after.
        if end == End::Abandon && !is_held {
            return Ok(());
        }
        let order = match end {
            End::Fail => Order::Fail,
            End::Panic => Order::Panic,
            _ => Order::Complete,
        };
        let here = At(at);
        let mut task = self.pool.task(Message(order, Some((self.make)()))).strategy(&here);
        if end == End::Expire {
            task = task.timeout(Duration::ZERO);
        }
        let sent = match ask || end == End::Abandon {
            true if end == End::Abandon => task.cancel_on_drop().ask().into_admitted().map(Some),
            true => task.ask().into_admitted().map(Some),
            false => task.tell().map(|()| None),
        };
        let is_full = is_held && self.members[at].queued.len() == ROOM;
        if is_full && self.overflow == Overflow::Reject {
            prop_assert!(sent.is_err_and(|error| error.is_full()), "its mailbox is full");
            self.rejected += 1;
            self.to_drop += 1;
            return Ok(());
        }
        let reply = sent.map_err(|error| TestCaseError::fail(format!("{error} at {at}")))?;
        let member = &mut self.members[at];
        if is_full {
            self.shed += 1;
            self.to_drop += 1;
            let (end, shed) = match self.overflow {
                Overflow::DropNewest => (end, reply),
                _ => {
                    // The oldest task is shed even if its ask was dropped.
                    let oldest = member.queued.pop_front().unwrap();
                    member.queued.push_back((end, reply));
                    member.counts.admitted += 1;
                    oldest
                }
            };
            if self.overflow != Overflow::DropNewest {
                member.counts.admitted -= 1;
                self.drop_abandoned(at);
            }
            if let Some(shed) = shed {
                let reply = shed.wait();
                prop_assert!(matches!(reply, Err(AskError::Shed)), "{:?}: {:?}", end, reply);
            }
            return Ok(());
        }
        member.counts.admitted += 1;
        if is_held {
            member.queued.push_back((end, reply));
            self.drop_abandoned(at);
            return Ok(());
        }
        self.to_drop += 1;
        self.ended(at, end, reply)
    }

    /// Drops the ask of the newest task if it must be abandoned.
    fn drop_abandoned(&mut self, at: usize) {
        if let Some((End::Abandon, reply)) = self.members[at].queued.back_mut() {
            drop(reply.take());
        }
    }

    /// Counts the end of a task of this worker, which is free, and checks its reply.
    fn ended(
        &mut self,
        at: usize,
        end: End,
        ask: Option<Ask<Message, Answer>>,
    ) -> Result<(), TestCaseError> {
        self.member_mut(at).end(end);
        let Some(ask) = ask else { return Ok(()) };
        let reply = ask.wait();
        let is_expected = match end {
            End::Complete => matches!(reply, Ok(Ok(()))),
            End::Fail => matches!(reply, Ok(Err(()))),
            End::Panic => matches!(reply, Err(AskError::Panicked { .. })),
            End::Expire => matches!(reply, Err(AskError::Expired)),
            End::Abandon => false,
        };
        prop_assert!(is_expected, "the reply of {:?} is {:?}", end, reply);
        Ok(())
    }

    /// The members come first, then the workers that are leaving.
    fn member_mut(&mut self, at: usize) -> &mut Member {
        let members = self.members.len();
        if at < members { &mut self.members[at] } else { &mut self.leaving[at - members] }
    }

    fn hold(&mut self, at: usize) {
        if self.members[at].held.is_some() {
            return;
        }
        let gate = Gate::new();
        let message = Message(Order::Hold(gate.clone()), None);
        // Control messages have a lane of their own: this one takes no room from the others.
        let here = At(at);
        self.pool.task(message).strategy(&here).priority(Priority::Control).tell().unwrap();
        gate.reached();
        self.members[at].counts.admitted += 1;
        self.members[at].held = Some(gate);
    }

    fn release(&mut self, at: usize) -> Result<(), TestCaseError> {
        let member = self.member_mut(at);
        let Some(gate) = member.held.take() else { return Ok(()) };
        gate.open();
        member.end(End::Complete);
        let queued = std::mem::take(&mut member.queued);
        self.to_drop += queued.len();
        for (end, reply) in queued {
            self.ended(at, end, reply)?;
        }
        Ok(())
    }

    fn retire(&mut self, at: usize) -> Result<(), TestCaseError> {
        let retired = self.pool.retire_worker(self.members[at].id);
        if self.members.len() == 1 {
            prop_assert!(
                matches!(retired, Err(MembershipError::LastWorker(_))),
                "the last one stays"
            );
            return Ok(());
        }
        prop_assert!(retired.is_ok(), "{:?}", retired);
        let member = self.members.remove(at);
        self.leaving.push(member);
        Ok(())
    }

    /// Waits until nothing can change any more.
    fn quiesce(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..self.to_drop {
            let dropped = self.dropped.recv_timeout(LONG);
            prop_assert!(dropped.is_ok(), "a message was not dropped");
        }
        self.to_drop = 0;
        prop_assert!(self.dropped.try_recv().is_err(), "a message was dropped too early");
        for at in 0..self.members.len() {
            if self.members[at].held.is_none() {
                let here = At(at);
                let task = self.pool.task(Message(Order::Complete, None)).strategy(&here);
                prop_assert!(matches!(task.ask().wait(), Ok(Ok(()))));
                self.members[at].counts.admitted += 1;
                self.members[at].end(End::Complete);
            }
        }
        // A worker without tasks that was retired leaves by itself.
        let (gone, leaving) = self.leaving.drain(..).partition(Member::is_drained);
        self.leaving = leaving;
        for member in gone {
            while self.reports().iter().any(|report| report.id == member.id) {
                std::thread::yield_now();
            }
            self.gone += member.counts;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        self.quiesce()?;
        let reports = self.reports();
        let mut counts = self.gone;
        for member in self.members.iter().chain(&self.leaving) {
            counts += member.counts;
            let report = reports.iter().find(|report| report.id == member.id);
            let report = report.expect("it has not left");
            prop_assert_eq!(&report.name, &member.name);
            prop_assert_eq!(report.counts, member.counts, "the counts of {}", member.name);
            let in_flight = member.queued.len() as u64 + u64::from(member.held.is_some());
            prop_assert_eq!(report.in_flight, in_flight, "in flight at {}", member.name);
        }
        let account = Account { counts, rejected: self.rejected, shed: self.shed };
        prop_assert_eq!((self.reading)(&self.pool), account, "the account");
        Ok(())
    }

    /// Lets every task end, and shuts the pool down.
    fn end(mut self) -> Result<(), TestCaseError> {
        for at in 0..self.members.len() + self.leaving.len() {
            self.release(at)?;
        }
        self.check()?;
        let account = self.pool.shutdown(Drain::all()).unwrap();
        prop_assert!(account.is_balanced() && account.counts.ended() == account.counts.admitted);
        prop_assert_eq!((self.reading)(&self.pool), account, "the account after the end");
        Ok(())
    }
}

impl Drop for Machine {
    /// Releases every handler, so that a failed case leaves none waiting.
    fn drop(&mut self) {
        for member in self.members.iter_mut().chain(&mut self.leaving) {
            if let Some(gate) = member.held.take() {
                gate.open();
            }
        }
    }
}

fn follow(overflow: Overflow, steps: &[Step], reading: Reading) -> Result<(), TestCaseError> {
    let mut machine = Machine::new(overflow, reading);
    for step in steps {
        machine.follow(*step)?;
    }
    machine.end()
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })
}

fn overflows() -> impl Strategy<Value = Overflow> {
    prop::sample::select(vec![Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest])
}

#[test]
fn a_pool_accounts_for_every_task() {
    let _watchdog = watchdog();
    let followed = runner(100).run(&(overflows(), steps()), |(overflow, steps)| {
        follow(overflow, &steps, |pool| pool.account())
    });
    followed.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_model_detects_wrong_accounts() {
    let _watchdog = watchdog();
    let wrong: [(&str, Reading); 3] = [
        ("shed tasks count as admitted", |pool| {
            let mut account = pool.account();
            account.counts.admitted += account.shed;
            account
        }),
        ("the counts of workers that have left are missing", |pool| {
            let mut account = Account { counts: Counts::default(), ..pool.account() };
            for report in pool.stats().balancer.workers {
                account.counts += report.counts;
            }
            account
        }),
        ("expired tasks count as cancelled", |pool| {
            let mut account = pool.account();
            account.counts.cancelled += std::mem::take(&mut account.counts.expired);
            account
        }),
    ];
    for (bug, reading) in wrong {
        let followed = runner(1_000)
            .run(&(overflows(), steps()), |(overflow, steps)| follow(overflow, &steps, reading));
        let Err(TestError::Fail(why, steps)) = followed else { panic!("{bug}: {followed:?}") };
        assert!(why.message().contains("the account"), "{bug}: {why}");
        println!("{bug}: found with {steps:?}");
    }
}

/// A stolen task counts once, wherever it runs.
#[test]
fn a_pool_with_stealing_accounts_for_every_task() {
    let _watchdog = watchdog();
    let ends = prop::sample::select(&[End::Complete, End::Fail, End::Panic, End::Expire][..]);
    let bursts = prop::collection::vec(prop::collection::vec((0usize..3, ends), 0..40), 1..6);
    let stolen = std::cell::Cell::new(0);
    let followed = runner(50).run(&bursts, |bursts| {
        let pool = builder(3).stealing(true).spawn(|_| Servant).unwrap();
        let (mut expected, mut sent) = (Counts::default(), [0; 3]);
        for burst in bursts {
            let mut replies = Vec::new();
            let gate = Gate::new();
            let message = Message(Order::Hold(gate.clone()), None);
            pool.task(message).strategy(&At(0)).priority(Priority::Control).tell().unwrap();
            gate.reached();
            sent[0] += 1;
            expected.admitted += 1;
            expected.completed += 1;
            for (at, end) in burst {
                let order = match end {
                    End::Fail => Order::Fail,
                    End::Panic => Order::Panic,
                    _ => Order::Complete,
                };
                let here = At(at);
                let mut task = pool.task(Message(order, None)).strategy(&here);
                if end == End::Expire {
                    task = task.timeout(Duration::ZERO);
                }
                replies.push(admitted(task.ask()));
                sent[at] += 1;
                expected.admitted += 1;
                *match end {
                    End::Complete | End::Abandon => &mut expected.completed,
                    End::Fail => &mut expected.failed,
                    End::Panic => &mut expected.panicked,
                    End::Expire => &mut expected.expired,
                } += 1;
            }
            gate.open();
            for reply in replies {
                let _ = reply.wait();
            }
            // Nobody waits for the held task, but it ends before this control message is taken.
            let behind = pool.task(Message(Order::Complete, None)).strategy(&At(0));
            let reply = behind.priority(Priority::Control).ask().wait();
            prop_assert!(matches!(reply, Ok(Ok(()))));
            sent[0] += 1;
            expected.admitted += 1;
            expected.completed += 1;
            // The asker of an expired task learns that before the task's turn comes.
            while !pool.account().is_balanced() {
                std::thread::yield_now();
            }
            prop_assert_eq!(pool.account().counts, expected, "the account");
            for (report, sent) in pool.stats().balancer.workers.iter().zip(sent) {
                prop_assert_eq!(report.in_flight, 0, "in flight at {}", report.name);
                stolen.set(stolen.get() + report.counts.admitted.abs_diff(sent));
            }
        }
        prop_assert_eq!(pool.shutdown(Drain::all()).unwrap().counts, expected);
        Ok(())
    });
    followed.unwrap_or_else(|error| panic!("{error}"));
    assert!(stolen.get() > 0, "no task was stolen");
}
