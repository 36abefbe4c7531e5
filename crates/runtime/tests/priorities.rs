//! The order in which a worker runs queued tasks.
mod common;

use std::sync::mpsc::channel;

use common::{Do, Obedient, builder, end, hold, watchdog};
use raddle_core::Priority::{self, Control, High, Low, Normal};
use raddle_runtime::Overflow;

/// Queues tasks at one worker, each with a priority or a key, and returns their indices
/// in the order in which they ran.
fn order_of(tasks: &[(Priority, bool)]) -> Vec<usize> {
    let pool =
        builder(1).mailbox(tasks.len(), Overflow::Reject).spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    let (ran, runs) = channel();
    for (index, (priority, keyed)) in tasks.iter().enumerate() {
        let ran = ran.clone();
        let order = Do::call(move || ran.send(index).unwrap());
        let task = pool.task(order);
        if *keyed { task.key(index).tell() } else { task.priority(*priority).tell() }.unwrap();
    }
    gate.open();
    assert_eq!(end(&pool).counts.completed, tasks.len() as u64 + 1);
    runs.try_iter().collect()
}

#[test]
fn higher_priorities_run_first_and_each_priority_keeps_its_order() {
    let _watchdog = watchdog();
    let sent = [Low, Normal, High, Control, Low, Normal, High, Control];
    assert_eq!(order_of(&sent.map(|priority| (priority, false))), [3, 7, 2, 6, 1, 5, 0, 4]);
}

#[test]
fn control_messages_overtake_a_full_mailbox() {
    let _watchdog = watchdog();
    let mut sent: Vec<_> = (0..100).map(|index| (High, index % 2 == 0)).collect();
    sent.extend((0..10).map(|_| (Control, false)));
    let order = order_of(&sent);
    assert_eq!(order[..10], (100..110).collect::<Vec<_>>());
}

#[test]
fn no_priority_starves_and_every_lane_keeps_its_order() {
    let _watchdog = watchdog();
    // Tasks with a key have no priority.
    let kinds = [(High, false), (Normal, false), (Low, false), (Normal, true), (Normal, true)];
    let sent: Vec<_> = (0..2_000).map(|index| kinds[index % kinds.len()]).collect();
    let order = order_of(&sent);
    let is_normal = |index: &usize| sent[*index].0 == Normal || sent[*index].1;
    let is_low = |index: &usize| sent[*index] == (Low, false);
    let is_high = |index: &usize| sent[*index] == (High, false);
    let last_of = |kind: &dyn Fn(&usize) -> bool| order.iter().rposition(kind).unwrap();
    let all_wait = last_of(&is_high).min(last_of(&is_low)).min(last_of(&is_normal));
    assert!(all_wait > 300, "a fifth are high, and take seven of eight turns: {all_wait}");
    for taken in order[..all_wait].windows(8) {
        assert!(taken.iter().any(is_normal), "{taken:?}");
        assert!(taken.iter().filter(|index| is_high(index)).count() >= 6, "high comes first");
    }
    for taken in order[..all_wait].windows(64) {
        assert!(taken.iter().any(is_low), "{taken:?}");
    }
    for kind in [&is_high as &dyn Fn(&usize) -> bool, &is_low, &|index| sent[*index].1] {
        let of_kind: Vec<_> = order.iter().filter(|index| kind(index)).collect();
        assert!(of_kind.is_sorted(), "each lane keeps its order");
    }
}

#[test]
fn a_control_message_overtakes_tasks_that_were_queued_before_it() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 64, Overflow::Block);
    let gate = hold(&pool, 0);
    let (ran, runs) = channel();
    let tell = |number: u32, priority| {
        let ran = ran.clone();
        pool.task(Do::call(move || ran.send(number).unwrap())).priority(priority).tell().unwrap();
    };
    (0..5).for_each(|number| tell(number, High));
    let second = common::Gate::new();
    pool.task(Do::Hold(second.clone())).priority(Control).tell().unwrap();
    gate.open();
    second.reached();
    tell(9, Control);
    second.open();
    end(&pool);
    assert_eq!(runs.try_iter().collect::<Vec<_>>(), [9, 0, 1, 2, 3, 4]);
}
