//! The account of a pool with real threads beside plain counters: law 1.
//!
//! A worker is held in a handler or free, and the test knows which, so that what becomes of each task
//! can be told beforehand. Before anything is compared the pool is quiet: every message that is to
//! be dropped was, and each free worker has answered once more.
mod common;

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use common::{At, Counted, Gate, LONG, builder, counted, watchdog};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use raddle_core::{Counts, Priority, WorkerId, WorkerSpec};
use raddle_runtime::{
    Account, Actor, AskError, Backoff, Context, Drain, MembershipError, Overflow, Pool, Reply,
    Restarts, SendError,
};
use raddle_strategies::WorkerReport;

/// What the actor is to do.
enum Order {
    Complete,
    Fail,
    Panic,
    Hold(Gate),
}

/// A message, whose drop is counted, as the test would otherwise not know when a `tell` has ended.
struct Message(Order, #[allow(dead_code, reason = "for its drop")] Option<Counted>);

struct Servant;

impl Actor for Servant {
    type Msg = Message;
    type Reply = ();
    type Error = ();

    fn handle(&mut self, Message(order, _dropped): Message, _: &mut Context<'_>) -> Result<(), ()> {
        match order {
            Order::Complete => Ok(()),
            Order::Fail => Err(()),
            // Without the hook that prints.
            Order::Panic => std::panic::resume_unwind(Box::new("as it was told")),
            Order::Hold(gate) => {
                gate.pass();
                Ok(())
            }
        }
    }
}

/// How a task is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Fail,
    Panic,
    /// Its deadline has passed before it is taken.
    Expire,
    /// Its asker goes away while it waits.
    Abandon,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Give { at: usize, end: End, ask: bool },
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
        8 => (0usize..4, end, any::<bool>()).prop_map(|(at, end, ask)| Step::Give { at, end, ask }),
        3 => (0usize..4).prop_map(|at| Step::Hold { at }),
        3 => (0usize..4).prop_map(|at| Step::Release { at }),
        1 => (0usize..4).prop_map(|at| Step::Retire { at }),
        1 => Just(Step::Add),
    ];
    prop::collection::vec(step, 1..60)
}

/// How the account of a pool is come by, so that a wrong one can be tried.
type Reading = fn(&Pool<Servant>) -> Account;

/// So many tasks fit into a mailbox.
const ROOM: usize = 3;

/// One worker that is not gone.
struct Member {
    id: WorkerId,
    name: String,
    /// Where its handler stands; `None` when it is free.
    held: Option<Gate>,
    /// What waits in its mailbox, oldest first, with the answers that are awaited.
    queued: VecDeque<(End, Option<Reply<(), ()>>)>,
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

    fn is_drawn(&self) -> bool {
        self.queued.is_empty() && self.held.is_none()
    }
}

struct Machine {
    pool: Pool<Servant>,
    overflow: Overflow,
    make: Box<dyn Fn() -> Counted>,
    dropped: Receiver<()>,
    /// Messages that are to be dropped before the pool is quiet.
    to_drop: usize,
    /// Those that take tasks, in the order of the roster.
    members: Vec<Member>,
    /// Those that have tasks left and take no more.
    leaving: Vec<Member>,
    /// Of those that are gone.
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
            .mailbox(ROOM, overflow.clone())
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
            Step::Give { at, end, ask } if at < self.members.len() => self.give(at, end, ask)?,
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

    fn give(&mut self, at: usize, end: End, ask: bool) -> Result<(), TestCaseError> {
        let is_held = self.members[at].held.is_some();
        // Nobody can tell whether a free worker takes a task before its asker has gone.
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
        let reply = match ask || end == End::Abandon {
            true if end == End::Abandon => task.cancel_on_drop().ask().map(Some),
            true => task.ask().map(Some),
            false => task.tell().map(|()| None),
        };
        let is_full = is_held && self.members[at].queued.len() == ROOM;
        if is_full && self.overflow == Overflow::Reject {
            prop_assert!(matches!(reply, Err(SendError::Full(_))), "it is full");
            drop(reply);
            self.rejected += 1;
            self.to_drop += 1;
            return Ok(());
        }
        let reply = reply.map_err(|error| TestCaseError::fail(format!("{error} at {at}")))?;
        let member = &mut self.members[at];
        if is_full {
            self.shed += 1;
            self.to_drop += 1;
            let (end, shed) = match self.overflow {
                Overflow::DropNewest => (end, reply),
                _ => {
                    // An asker that has gone is not looked for when its task is shed.
                    let oldest = member.queued.pop_front().unwrap();
                    member.queued.push_back((end, reply));
                    member.counts.admitted += 1;
                    oldest
                }
            };
            if self.overflow != Overflow::DropNewest {
                member.counts.admitted -= 1;
                self.leave_abandoned(at);
            }
            if let Some(shed) = shed {
                prop_assert_eq!(shed.wait(), Err(AskError::Shed), "the asker of {:?}", end);
            }
            return Ok(());
        }
        member.counts.admitted += 1;
        if is_held {
            member.queued.push_back((end, reply));
            self.leave_abandoned(at);
            return Ok(());
        }
        self.to_drop += 1;
        self.ended(at, end, reply)
    }

    /// Lets go of the answer of a newest task that nobody is to wait for.
    fn leave_abandoned(&mut self, at: usize) {
        if let Some((End::Abandon, reply)) = self.members[at].queued.back_mut() {
            drop(reply.take());
        }
    }

    /// A task of this worker, which is free, ends.
    fn ended(
        &mut self,
        at: usize,
        end: End,
        reply: Option<Reply<(), ()>>,
    ) -> Result<(), TestCaseError> {
        self.member_mut(at).end(end);
        let Some(reply) = reply else { return Ok(()) };
        let answer = reply.wait();
        let as_foretold = match end {
            End::Complete => answer.is_ok(),
            End::Fail => answer == Err(AskError::Failed(())),
            End::Panic => matches!(answer, Err(AskError::Panicked { .. })),
            End::Expire => answer == Err(AskError::Expired),
            End::Abandon => false,
        };
        prop_assert!(as_foretold, "{:?} was answered by {:?}", end, answer);
        Ok(())
    }

    /// The members, then those that are leaving.
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
        // It has a lane of its own, so that it is not counted among those that fill the mailbox.
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
            prop_assert!(matches!(retired, Err(MembershipError::LastWorker(_))), "the last stays");
            return Ok(());
        }
        prop_assert!(retired.is_ok(), "{:?}", retired);
        let member = self.members.remove(at);
        self.leaving.push(member);
        Ok(())
    }

    /// Waits until all that is to happen has happened.
    fn quiesce(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..self.to_drop {
            let dropped = self.dropped.recv_timeout(LONG);
            prop_assert!(dropped.is_ok(), "every message is dropped");
        }
        self.to_drop = 0;
        prop_assert!(self.dropped.try_recv().is_err(), "no message is dropped before its time");
        for at in 0..self.members.len() {
            if self.members[at].held.is_none() {
                let here = At(at);
                let task = self.pool.task(Message(Order::Complete, None)).strategy(&here);
                prop_assert_eq!(task.ask().unwrap().wait(), Ok(()));
                self.members[at].counts.admitted += 1;
                self.members[at].end(End::Complete);
            }
        }
        // A worker without a task that is to leave does so by itself.
        let (gone, leaving) = self.leaving.drain(..).partition(Member::is_drawn);
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
            let report = report.expect("it is not gone");
            prop_assert_eq!(&report.name, &member.name);
            prop_assert_eq!(report.counts, member.counts, "the counts of {}", member.name);
            let in_flight = member.queued.len() as u64 + u64::from(member.held.is_some());
            prop_assert_eq!(report.in_flight, in_flight, "in flight at {}", member.name);
        }
        let account = Account { counts, rejected: self.rejected, shed: self.shed };
        prop_assert_eq!((self.reading)(&self.pool), account, "the account");
        Ok(())
    }

    /// Lets everything end.
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
    /// So that a case that has failed leaves no handler waiting.
    fn drop(&mut self) {
        for member in self.members.iter_mut().chain(&mut self.leaving) {
            if let Some(gate) = member.held.take() {
                gate.open();
            }
        }
    }
}

fn follow(overflow: &Overflow, steps: &[Step], reading: Reading) -> Result<(), TestCaseError> {
    let mut machine = Machine::new(overflow.clone(), reading);
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
        follow(&overflow, &steps, |pool| pool.account())
    });
    followed.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn wrong_accounts_are_found() {
    let _watchdog = watchdog();
    let wrong: [(&str, Reading); 3] = [
        ("what was shed stays among the admitted", |pool| {
            let mut account = pool.account();
            account.counts.admitted += account.shed;
            account
        }),
        ("who is gone takes the counts along", |pool| {
            let mut account = Account { counts: Counts::default(), ..pool.account() };
            for report in pool.stats().balancer.workers {
                account.counts += report.counts;
            }
            account
        }),
        ("what expired was cancelled", |pool| {
            let mut account = pool.account();
            account.counts.cancelled += std::mem::take(&mut account.counts.expired);
            account
        }),
    ];
    for (bug, reading) in wrong {
        let followed = runner(1_000)
            .run(&(overflows(), steps()), |(overflow, steps)| follow(&overflow, &steps, reading));
        let Err(TestError::Fail(why, steps)) = followed else { panic!("{bug}: {followed:?}") };
        assert!(why.message().contains("the account"), "{bug}: {why}");
        println!("{bug}: found with {steps:?}");
    }
}

/// What idle workers take from others is counted once, wherever it is run.
#[test]
fn a_pool_whose_workers_steal_accounts_for_every_task() {
    let _watchdog = watchdog();
    let ends = prop::sample::select(&[End::Complete, End::Fail, End::Panic, End::Expire][..]);
    let bursts = prop::collection::vec(prop::collection::vec((0usize..3, ends), 0..40), 1..6);
    let stolen = std::cell::Cell::new(0);
    let followed = runner(50).run(&bursts, |bursts| {
        let pool = builder(3).stealing(true).spawn(|_| Servant).unwrap();
        let (mut expected, mut given) = (Counts::default(), [0; 3]);
        for burst in bursts {
            let mut replies = Vec::new();
            let gate = Gate::new();
            let message = Message(Order::Hold(gate.clone()), None);
            pool.task(message).strategy(&At(0)).priority(Priority::Control).tell().unwrap();
            gate.reached();
            given[0] += 1;
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
                replies.push(task.ask().unwrap());
                given[at] += 1;
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
            // The held task was told: a control message behind it is taken after it has ended.
            let behind = pool.task(Message(Order::Complete, None)).strategy(&At(0));
            prop_assert!(behind.priority(Priority::Control).ask().unwrap().wait().is_ok());
            given[0] += 1;
            expected.admitted += 1;
            expected.completed += 1;
            prop_assert_eq!(pool.account().counts, expected, "the account");
            for (report, given) in pool.stats().balancer.workers.iter().zip(given) {
                prop_assert_eq!(report.in_flight, 0, "in flight at {}", report.name);
                stolen.set(stolen.get() + report.counts.admitted.abs_diff(given));
            }
        }
        prop_assert_eq!(pool.shutdown(Drain::all()).unwrap().counts, expected);
        Ok(())
    });
    followed.unwrap_or_else(|error| panic!("{error}"));
    assert!(stolen.get() > 0, "some tasks were run elsewhere than they were given");
}
