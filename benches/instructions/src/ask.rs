//! A task with an answer: giving it, answering it, and taking an answer that is there.

use std::hint::black_box;

use raddle_runtime::{LocalPool, Reply};

use crate::TIMES;
use crate::actor::{Held, Sum};
use crate::marks::{count_each, instructions_begin, instructions_end};

type Answer = Reply<u64, std::convert::Infallible>;

/// The three in turn, and an asker that has to wait in none of them.
pub(crate) fn all() {
    let held = Held::new();
    let mut handle = held.pool.local();
    let mut replies = Vec::with_capacity(TIMES);
    // The allocator is to have the slots at hand, as it has where tasks come and go.
    held.hold();
    give(&mut handle, &mut replies);
    held.release();
    replies.drain(..).for_each(take);

    held.hold();
    instructions_begin();
    give(&mut handle, &mut replies);
    instructions_end();
    println!("ask/caller/give");
    held.release();
    // Answered after all of them.
    held.pool.ask(0).expect("there is room").wait().expect("adding does not fail");
    count_each("ask/caller/take", replies.drain(..), take);

    held.hold();
    held.begin();
    give(&mut handle, &mut replies);
    held.count("ask/worker");
    drop((handle, replies));
    held.close();
}

fn give(handle: &mut LocalPool<Sum>, replies: &mut Vec<Answer>) {
    for _ in 0..TIMES {
        replies.push(handle.ask(black_box(7)).expect("there is room"));
    }
}

fn take(reply: Answer) {
    black_box(reply.wait().expect("adding does not fail"));
}
