//! A task with a reply: submitting it, replying, and taking a reply that has arrived.

use std::hint::black_box;

use raddle_runtime::{Ask, LocalPool};

use crate::actor::PausablePool;
use crate::marks::{TIMES, count_each, instructions_begin, instructions_end};

/// Counts all three. The caller never has to wait.
pub(crate) fn all() {
    let pausable = PausablePool::new();
    let mut local = pausable.pool.local();
    let mut replies = Vec::with_capacity(TIMES);
    // Fills the allocator's cache with reply slots, as in a program whose tasks come and go.
    pausable.pause();
    submit(&mut local, &mut replies);
    pausable.resume();
    replies.drain(..).for_each(take);

    pausable.pause();
    instructions_begin();
    submit(&mut local, &mut replies);
    instructions_end();
    println!("ask/caller/give");
    pausable.resume();
    // Its reply comes after all others.
    pausable.pool.ask(0).wait().expect("adding does not fail");
    count_each("ask/caller/take", replies.drain(..), take);

    pausable.pause();
    pausable.begin();
    submit(&mut local, &mut replies);
    pausable.count("ask/worker");
    drop((local, replies));
    pausable.close();
}

fn submit(local: &mut LocalPool<u64, u64>, replies: &mut Vec<Ask<u64, u64>>) {
    for _ in 0..TIMES {
        replies.push(local.ask(black_box(7)));
    }
}

fn take(reply: Ask<u64, u64>) {
    black_box(reply.wait().expect("adding does not fail"));
}
