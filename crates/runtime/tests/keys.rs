//! Tasks with a key run on one worker, in the order in which they were sent and one at a time, even
//! if workers join and leave.
mod common;

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use common::{
    Answer, Do, Gate, Obedient, ObedientPool, admitted, ask_at, await_event, builder, by, end,
    hold, id, key_of, names, watchdog, worker,
};
use raddle_core::WorkerSpec;
use raddle_runtime::{
    AskError, EventKind, Overflow, Pool, Refusal, RestartPolicy, Restarts, RetireReason,
    TaskBuilder,
};

/// A key, the number of its tasks that were sent before, and the worker that ran the task.
type Note = (u64, u64, String);

/// Sends a note when it runs.
fn note(sender: &Sender<Note>, key: u64, number: u64) -> Do {
    let sender = sender.clone();
    Do::with(move |cx| {
        let _ = sender.send((key, number, cx.worker().name().to_owned()));
    })
}

/// The notes of each key, in the order in which its tasks ran.
fn by_key(notes: &Receiver<Note>) -> HashMap<u64, Vec<(u64, String)>> {
    let mut keys = HashMap::<_, Vec<_>>::new();
    for (key, number, worker) in notes.try_iter() {
        keys.entry(key).or_default().push((number, worker));
    }
    keys
}

/// Panics unless these are tasks 0 to `count`, in order and all run by one worker.
fn assert_in_order_by_one(key: u64, notes: &[(u64, String)], count: u64) {
    let numbers: Vec<_> = notes.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "key {key}");
    assert!(notes.iter().all(|(_, worker)| *worker == notes[0].1), "key {key}: {notes:?}");
}

/// The worker of each of this number of keys, for tasks that `describe` completes.
fn owners(
    pool: &ObedientPool,
    keys: u64,
    describe: impl for<'p> Fn(TaskBuilder<'p, Do, Answer>) -> TaskBuilder<'p, Do, Answer>,
) -> Vec<String> {
    let ask = |key: u64| admitted(describe(pool.task(Do::WhoAreYou).key(key)).ask());
    let replies: Vec<_> = (0..keys).map(ask).collect();
    replies.into_iter().map(|reply| by(reply).unwrap()).collect()
}

/// The worker of each of 1000 keys.
fn owners_of_all(pool: &ObedientPool) -> Vec<String> {
    owners(pool, 1000, |task| task)
}

#[test]
fn tasks_of_one_key_run_on_one_worker_in_the_order_in_which_they_were_sent() {
    let _watchdog = watchdog();
    let pool = builder(4)
        .stealing(true)
        .mailbox(16, Overflow::Block)
        .spawn(|_| Obedient::default())
        .unwrap();
    let (sender, notes) = channel();
    for number in 0..100 {
        for key in 0..20 {
            pool.task(note(&sender, key, number)).key(key).tell().unwrap();
        }
    }
    let account = end(&pool);
    assert_eq!(account.counts.completed, 2000);
    let keys = by_key(&notes);
    assert_eq!(keys.len(), 20);
    for (key, notes) in &keys {
        assert_in_order_by_one(*key, notes, 100);
    }
    let workers: HashSet<_> = keys.values().map(|notes| &notes[0].1).collect();
    assert!(workers.len() > 1, "the keys are spread");
}

#[test]
fn the_order_of_a_key_is_kept_when_its_actor_panics() {
    let _watchdog = watchdog();
    let pool = builder(2).mailbox(16, Overflow::Block).spawn(|_| Obedient::default()).unwrap();
    let (sender, notes) = channel();
    for number in 0..60 {
        for key in 0..4 {
            let panics = number % 20 == 10 + key;
            let sender = sender.clone();
            let task = Do::with(move |cx| {
                let _ = sender.send((key, number, cx.worker().name().to_owned()));
                assert!(!panics, "by order");
            });
            pool.task(task).key(key).tell().unwrap();
        }
    }
    let account = end(&pool);
    assert_eq!((account.counts.panicked, account.counts.completed), (12, 228));
    let keys = by_key(&notes);
    assert_eq!(keys.len(), 4);
    for (key, notes) in &keys {
        assert_in_order_by_one(*key, notes, 60);
    }
}

#[test]
fn keys_are_spread_in_proportion_to_the_workers_weights() {
    let _watchdog = watchdog();
    let weighted = |name, weight| WorkerSpec::new(name).weight(weight);
    let pool = Pool::builder("test")
        .worker(weighted("one", 1))
        .worker(weighted("two", 2))
        .worker(weighted("three", 3))
        .spawn(|_| Obedient::default())
        .unwrap();
    let owners = owners(&pool, 3000, |task| task);
    for (name, weight) in [("one", 1.0), ("two", 2.0), ("three", 3.0)] {
        let share = owners.iter().filter(|owner| *owner == name).count() as f64 / 3000.0;
        let off = share / (weight / 6.0) - 1.0;
        assert!(off.abs() < 0.3, "{name} owns a share of {share}");
    }
    end(&pool);
}

#[test]
fn only_the_keys_that_must_move_do_so() {
    let _watchdog = watchdog();
    let pool = common::pool(3, 64, Overflow::Block);
    let three = owners_of_all(&pool);
    pool.add_worker(WorkerSpec::new("new")).unwrap();
    let four = owners_of_all(&pool);
    let taken = four.iter().filter(|owner| *owner == "new").count();
    assert!((150..350).contains(&taken), "{taken} of 1000 keys moved to the fourth worker");
    for (before, after) in three.iter().zip(&four) {
        assert!(after == before || after == "new", "a key of {before} moved to {after}");
    }
    pool.resize(6).unwrap();
    let six = owners_of_all(&pool);
    for (before, after) in four.iter().zip(&six) {
        let is_old = four.contains(after);
        assert!(after == before || !is_old, "a key of {before} moved to {after}");
    }
    pool.resize(3).unwrap();
    assert_eq!(owners_of_all(&pool), three, "the newest workers left, and their keys returned");
    pool.retire_worker(id(&pool, "w-1")).unwrap();
    for (before, after) in three.iter().zip(owners_of_all(&pool)) {
        match before.as_str() {
            "w-1" => assert_ne!(after, "w-1"),
            stayed => assert_eq!(after, stayed),
        }
    }
    end(&pool);
}

#[test]
fn a_retired_worker_runs_the_tasks_of_its_keys_before_the_new_owner_runs_more() {
    let _watchdog = watchdog();
    let pool = common::pool(2, 64, Overflow::Block);
    let mut events = pool.subscribe();
    let (key, other) = (key_of(&pool, "w-0"), key_of(&pool, "w-1"));
    let gate = hold(&pool, 0);
    let (sender, notes) = channel();
    let tell = |number| pool.task(note(&sender, key, number)).key(key).tell().unwrap();
    (0..5).for_each(tell);
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    (5..8).for_each(tell);
    // The new owner runs everything else meanwhile.
    assert_eq!(by(ask_at(&pool, 0, Do::WhoAreYou)).unwrap(), "w-1");
    assert_eq!(common::owner(&pool, other), "w-1");
    assert!(notes.try_recv().is_err(), "the old owner has run none, so the new one must not");
    gate.open();
    let retired = await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(retired.kind, EventKind::Retired { reason: RetireReason::Requested });
    assert_eq!(names(&pool), ["w-1"]);
    end(&pool);
    let ran: Vec<_> = notes.try_iter().map(|(_, number, worker)| (number, worker)).collect();
    let expected = |number| (number, if number < 5 { "w-0" } else { "w-1" }.to_owned());
    assert_eq!(ran, (0..8).map(expected).collect::<Vec<_>>());
}

/// Passes a gate when it is dropped.
struct Anchor(Gate);

impl Drop for Anchor {
    fn drop(&mut self) {
        self.0.pass();
    }
}

#[test]
fn the_overflow_policy_decides_about_a_task_whose_key_a_closed_worker_still_has() {
    let _watchdog = watchdog();
    for overflow in [Overflow::Block, Overflow::Reject, Overflow::DropOldest] {
        let pool = builder(3)
            .mailbox(64, overflow)
            .restarts(Restarts::default().policy(RestartPolicy::Never))
            .spawn(|_| Obedient::default())
            .unwrap();
        let key = key_of(&pool, "w-0");
        let first = Gate::new();
        pool.task(Do::Hold(first.clone())).key(key).tell().unwrap();
        first.reached();
        pool.retire_worker(id(&pool, "w-0")).unwrap();
        // The key's new worker defers this task until the first worker has ended the one above. Its
        // drop holds up the end of that new worker, which a panic retires below.
        let end_of_second = Gate::new();
        let anchor = Anchor(end_of_second.clone());
        pool.task(Do::call(move || drop(anchor))).key(key).tell().unwrap();
        // The first worker is no longer among the candidates.
        let index = usize::from(worker(&pool, "w-1").in_flight == 0);
        let third = ["w-2", "w-1"][index];
        let reply = ask_at(&pool, index, Do::Panic("for good")).wait();
        assert!(matches!(reply, Err(AskError::Panicked { .. })), "{reply:?}");
        end_of_second.reached();
        let (sender, notes) = channel();
        let tell = || pool.task(note(&sender, key, 0)).key(key).tell();
        thread::scope(|scope| match overflow {
            Overflow::Block => {
                let sent = scope.spawn(tell);
                end_of_second.open();
                sent.join().unwrap().unwrap();
            }
            Overflow::Reject => {
                assert!(tell().unwrap_err().is_full());
                end_of_second.open();
            }
            _ => {
                tell().unwrap();
                assert_eq!(pool.account().shed, 1);
                end_of_second.open();
            }
        });
        first.open();
        end(&pool);
        let ran: Vec<_> = notes.try_iter().map(|(_, _, worker)| worker).collect();
        let expected: &[_] = if overflow == Overflow::Block { &[third] } else { &[] };
        assert_eq!(ran, expected, "{overflow:?}");
    }
}

#[test]
fn keys_keep_their_order_and_exclusivity_while_workers_come_and_go() {
    let _watchdog = watchdog();
    let pool = builder(2)
        .stealing(true)
        .mailbox(16, Overflow::Block)
        .spawn(|_| Obedient::default())
        .unwrap();
    common::key_order::assert_kept_while_workers_come_and_go(&pool, |_| {});
}

#[test]
fn the_keys_of_a_capability_belong_to_workers_that_serve_it() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .workers(2, WorkerSpec::new("gpu").capability("keys-gpu"))
        .worker(WorkerSpec::new("cpu").capability("keys-cpu"))
        .spawn(|_| Obedient::default())
        .unwrap();
    let set = |owners: &[String]| owners.iter().cloned().collect::<HashSet<_>>();
    let on_gpus = owners(&pool, 200, |task| task.capability("keys-gpu"));
    assert_eq!(set(&on_gpus), ["gpu-0", "gpu-1"].map(String::from).into());
    assert_eq!(owners(&pool, 200, |task| task.capability("keys-gpu")), on_gpus);
    assert_eq!(
        set(&owners(&pool, 200, |task| task.capability("keys-cpu"))),
        ["cpu".to_owned()].into()
    );
    assert_eq!(
        set(&owners(&pool, 200, |task| task)).len(),
        3,
        "all workers serve tasks without a capability"
    );
    let unknown = || pool.task(Do::Return(1)).key(1).capability("keys-fpga").tell();
    let error = unknown().unwrap_err();
    assert!(matches!(error.refusal(), Refusal::NoCapableWorker { .. }), "{error}");
    pool.add_worker(WorkerSpec::general()).unwrap();
    assert!(unknown().is_ok(), "a general worker serves every capability");
    pool.retire_worker(id(&pool, "gpu-0")).unwrap();
    let left = owners(&pool, 200, |task| task.capability("keys-gpu"));
    assert!(!left.iter().any(|owner| owner == "gpu-0" || owner == "cpu"));
    end(&pool);
}

/// As after a restart: the same workers, added in another order, one of them late.
#[test]
fn keys_belong_to_the_names_of_workers() {
    let _watchdog = watchdog();
    let pool = |names: &[&str]| {
        let specs = names.iter().map(|name| WorkerSpec::new(*name));
        let builder = specs.fold(Pool::builder("test"), |builder, spec| builder.worker(spec));
        builder.spawn(|_| Obedient::default()).unwrap()
    };
    let first = pool(&["a", "b", "c", "d"]);
    let expected = owners_of_all(&first);
    let second = pool(&["d", "b", "a"]);
    second.add_worker(WorkerSpec::new("c")).unwrap();
    assert_eq!(owners_of_all(&second), expected);
    // A restart without the first worker moves its keys and no others.
    let without = pool(&["b", "c", "d"]);
    for (before, after) in expected.iter().zip(owners_of_all(&without)) {
        assert!(*before == after || before == "a", "from {before} to {after}");
    }
    for pool in [first, second, without] {
        end(&pool);
    }
}

/// Shrinking and growing again brings the same names back, and so the same keys.
#[test]
fn a_pool_of_one_size_has_the_same_keys_however_it_was_resized() {
    let _watchdog = watchdog();
    let pool = builder(4).spawn(|_| Obedient::default()).unwrap();
    let expected = owners_of_all(&pool);
    let mut events = pool.subscribe();
    pool.resize(2).unwrap();
    for _ in 0..2 {
        await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    }
    pool.resize(4).unwrap();
    assert_eq!(owners_of_all(&pool), expected);
    end(&pool);
}
