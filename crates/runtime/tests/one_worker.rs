//! Tasks for one worker, for each worker, and messages to all of them.
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{
    At, Do, Gate, LONG, Obedient, await_event, builder, by, end, hold, id, names, number, watchdog,
    worker,
};
use raddle_core::{MailboxOrder, Priority, WorkerId, WorkerSpec};
use raddle_runtime::{
    Actor, AskError, Context, EventKind, Handler, OptionError, Overflow, Pool, Refusal,
    RestartPolicy, Restarts,
};

#[test]
fn a_task_for_one_worker_runs_there_and_is_neither_stolen_nor_rerouted() {
    let _watchdog = watchdog();
    for order in [MailboxOrder::Fifo, MailboxOrder::Boost] {
        let pool = builder(3)
            .stealing(true)
            .reroute(true)
            .mailbox(2, Overflow::Reject)
            .mailbox_order(order)
            .spawn(|_| Obedient::default())
            .unwrap();
        let second = id(&pool, "w-1");
        let gate = Gate::new();
        pool.task(Do::Hold(gate.clone())).worker(second).tell().unwrap();
        gate.reached();
        let asks: Vec<_> = (0..2).map(|_| pool.task(Do::WhoAreYou).worker(second).ask()).collect();
        let full = pool.task(Do::WhoAreYou).worker(second).tell().unwrap_err();
        assert_eq!(*full.refusal(), Refusal::Full, "the others are idle, and get none of them");
        let urgent = pool.task(Do::WhoAreYou).worker(second).priority(Priority::Control).ask();
        assert!(number(pool.ask(Do::Return(7))) == 7, "the others serve");
        gate.open();
        assert_eq!(by(urgent).unwrap(), "w-1");
        for ask in asks {
            assert_eq!(by(ask).unwrap(), "w-1", "{order:?}");
        }
        end(&pool);
    }
}

#[test]
fn a_worker_that_is_no_member_or_leaves_is_refused_by_its_name() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn(|_| Obedient::default()).unwrap();
    let refusal = |worker: WorkerId| {
        let error = pool.task(Do::WhoAreYou).worker(worker).tell().unwrap_err();
        (error.refusal().clone(), error.is_closed())
    };
    let unknown = WorkerId(77);
    assert_eq!(refusal(unknown), (Refusal::NoSuchWorker { worker: unknown }, false));
    let first = id(&pool, "w-0");
    let gate = hold(&pool, 0);
    pool.retire_worker(first).unwrap();
    assert_eq!(refusal(first), (Refusal::NoSuchWorker { worker: first }, false), "it is draining");
    let mut events = pool.subscribe();
    gate.open();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(refusal(first), (Refusal::NoSuchWorker { worker: first }, false), "it has left");
    let mut local = pool.local();
    local.tell(Do::Return(0)).unwrap();
    let added = pool.add_worker(WorkerSpec::new("late")).unwrap();
    assert_eq!(by(local.task(Do::WhoAreYou).worker(added).ask()).unwrap(), "late");
    end(&pool);
    assert_eq!(refusal(added), (Refusal::Closed, true));
    assert_eq!(pool.account().rejected, 4);
}

#[test]
fn a_worker_that_does_not_serve_the_capability_is_refused() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .worker(WorkerSpec::new("gpu").capability("one-worker-gpu"))
        .worker(WorkerSpec::new("cpu").capability("one-worker-cpu"))
        .spawn(|_| Obedient::default())
        .unwrap();
    let ask = |name: &str| {
        let task = pool.task(Do::WhoAreYou).capability("one-worker-gpu");
        task.worker(id(&pool, name)).ask()
    };
    assert_eq!(by(ask("gpu")).unwrap(), "gpu");
    let error = ask("cpu").into_admitted().unwrap_err();
    assert!(matches!(error.refusal(), Refusal::NotCapable { .. }), "{error}");
    let (text, name) = (error.to_string(), id(&pool, "cpu").to_string());
    assert!(text.contains(&name) && text.contains("one-worker-gpu"), "{text}");
    end(&pool);
}

#[test]
fn options_that_contradict_a_worker_are_refused() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn(|_| Obedient::default()).unwrap();
    let first = id(&pool, "w-0");
    let task = || pool.task(Do::Return(1));
    let refusals = [
        (task().worker(first).key(1), OptionError::KeyWithWorker),
        (task().worker(first).strategy(&At(1)), OptionError::StrategyWithWorker),
        (task().strategy(&At(1)).worker(first), OptionError::StrategyWithWorker),
        (
            task().worker(first).priority(Priority::High),
            OptionError::WorkerWithPriority(Priority::High),
        ),
        (
            task().worker(first).priority(Priority::Low),
            OptionError::WorkerWithPriority(Priority::Low),
        ),
    ];
    for (task, expected) in refusals {
        let error = task.tell().unwrap_err();
        assert_eq!(*error.refusal(), Refusal::Options(expected));
        assert!(matches!(error.into_message(), Do::Return(1)));
    }
    // The last worker counts, like the last strategy.
    let second = id(&pool, "w-1");
    assert_eq!(by(pool.task(Do::WhoAreYou).worker(first).worker(second).ask()).unwrap(), "w-1");
    let task = pool.periodic(|| Do::Return(1)).each_worker().worker(first);
    let error = task.tell_every(LONG).unwrap_err();
    assert_eq!(*error.refusal(), Refusal::Options(OptionError::StrategyWithWorker));
    end(&pool);
}

#[test]
fn a_task_for_a_worker_that_cannot_be_restarted_ends() {
    let _watchdog = watchdog();
    let pool = builder(2)
        .restarts(Restarts::default().policy(RestartPolicy::Never))
        .spawn(|_| Obedient::default())
        .unwrap();
    let gate = hold(&pool, 0);
    let first = id(&pool, "w-0");
    let panics = pool.task(Do::Panic("by order")).worker(first).ask();
    let waits = pool.task(Do::WhoAreYou).worker(first).ask();
    gate.open();
    assert!(matches!(panics.wait(), Err(AskError::Panicked { .. })));
    assert!(matches!(waits.wait(), Err(AskError::Retired)));
    end(&pool);
}

#[test]
fn a_delayed_task_for_a_worker_that_has_left_is_rejected() {
    let _watchdog = watchdog();
    let (sender, rejected) = channel();
    let pool = builder(2)
        .on_rejected(move |_: &Do, refusal: &Refusal| sender.send(refusal.clone()).unwrap())
        .spawn(|_| Obedient::default())
        .unwrap();
    let (ran, run) = channel();
    let note = move || {
        let ran = ran.clone();
        Do::with(move |cx| ran.send(cx.worker().name().to_owned()).unwrap())
    };
    let second = id(&pool, "w-1");
    pool.task(note()).worker(second).tell_after(Duration::from_millis(1)).unwrap();
    assert_eq!(run.recv_timeout(LONG).unwrap(), "w-1");
    let mut events = pool.subscribe();
    pool.retire_worker(second).unwrap();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    pool.task(note()).worker(second).tell_after(Duration::from_millis(1)).unwrap();
    assert_eq!(rejected.recv_timeout(LONG).unwrap(), Refusal::NoSuchWorker { worker: second });
    end(&pool);
}

#[test]
fn each_worker_gets_its_periodic_task_also_if_it_is_added_later() {
    let _watchdog = watchdog();
    let pool = builder(2).spawn(|_| Obedient::default()).unwrap();
    let (ran, run) = channel();
    let make = move || {
        let ran = ran.clone();
        Do::with(move |cx| drop(ran.send(cx.worker().name().to_owned())))
    };
    let timer = pool.periodic(make).each_worker().tell_every(Duration::from_millis(1)).unwrap();
    let next = || run.recv_timeout(LONG).unwrap();
    let mut seen = BTreeMap::<_, u32>::new();
    while seen.len() < 2 || seen.values().any(|count| *count < 3) {
        *seen.entry(next()).or_default() += 1;
    }
    pool.add_worker(WorkerSpec::new("late")).unwrap();
    while next() != "late" {}
    assert!(timer.cancel());
    end(&pool);
    let sent = ["w-0", "w-1"].map(|name| worker(&pool, name).counts.admitted);
    assert!(sent[0].abs_diff(sent[1]) <= 1, "they take turns: {sent:?}");
}

#[test]
fn a_periodic_task_with_a_capability_covers_the_workers_that_serve_it() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .workers(2, WorkerSpec::new("gpu").capability("each-worker-gpu"))
        .worker(WorkerSpec::new("cpu").capability("each-worker-cpu"))
        .spawn(|_| Obedient::default())
        .unwrap();
    let (ran, run) = channel();
    let make = move || {
        let ran = ran.clone();
        Do::with(move |cx| drop(ran.send(cx.worker().name().to_owned())))
    };
    let task = pool.periodic(make).capability("each-worker-gpu").each_worker();
    let _timer = task.tell_every(Duration::from_millis(1)).unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let name = run.recv_timeout(LONG).unwrap();
        assert!(name.starts_with("gpu"), "{name}");
        seen.insert(name);
    }
    assert_eq!(end(&pool).rejected, 0);
}

/// Names its worker, and stops at a gate if it is asked to.
struct Named;

#[derive(Clone)]
enum Query {
    Name,
    Hold(Gate),
}

impl Actor for Named {}

impl Handler<Query> for Named {
    type Reply = String;

    fn handle(&mut self, query: Query, cx: &mut Context<'_, Self>) -> String {
        if let Query::Hold(gate) = query {
            gate.pass();
        }
        cx.worker().name().to_owned()
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_broadcast_reaches_every_worker_and_returns_what_each_replies() {
    let _watchdog = watchdog();
    let pool = builder(3).spawn(|_| Named).unwrap();
    let replies = pool.broadcast(Query::Name).wait_timeout(LONG);
    let replied: Vec<_> = replies.into_iter().map(|(_, reply)| reply.unwrap()).collect();
    assert_eq!(replied, names(&pool));

    // One that does not reply in time does not hide what the others replied.
    let gate = Gate::new();
    let second = id(&pool, "w-1");
    pool.task(Query::Hold(gate.clone())).worker(second).tell().unwrap();
    gate.reached();
    let replies = pool.broadcast(Query::Name).wait_timeout(Duration::from_millis(50));
    assert_eq!(replies.len(), 3);
    for (worker, reply) in replies {
        match reply {
            Err(AskError::TimedOut) => assert_eq!(worker, second),
            reply => assert_eq!(id(&pool, &reply.unwrap()), worker),
        }
    }
    let asks = pool.broadcast(Query::Name).into_asks();
    gate.open();
    for (worker, ask) in asks {
        assert_eq!(id(&pool, &ask.wait().unwrap()), worker);
    }
    let replies = block_on(async { pool.broadcast(Query::Name).await });
    assert_eq!(replies.len(), 3);
    assert!(replies.into_iter().all(|(_, reply)| reply.is_ok()));
    end(&pool);
    let refused = pool.broadcast(Query::Name).wait_timeout(LONG);
    assert!(refused.iter().all(|(_, reply)| reply.as_ref().is_err_and(AskError::is_closed)));
}

#[test]
fn a_handler_that_broadcasts_to_its_own_worker_is_told_that_it_waits_for_itself() {
    let _watchdog = watchdog();
    struct Asks;
    impl Actor for Asks {}
    impl Handler<bool> for Asks {
        type Reply = usize;
        fn handle(&mut self, again: bool, cx: &mut Context<'_, Self>) -> usize {
            let Some(pool) = cx.pool::<bool>().filter(|_| again) else { return 1 };
            let replies = pool.broadcast(false).wait_timeout(LONG);
            let deadlocks =
                replies.iter().filter(|(_, reply)| matches!(reply, Err(AskError::Deadlock { .. })));
            deadlocks.count()
        }
    }
    let pool = builder(2).spawn(|_| Asks).unwrap();
    assert_eq!(pool.ask(true).wait().unwrap(), 1, "itself; the other one replies");
    end(&pool);
}
