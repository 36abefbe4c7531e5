//! A check that cannot fail is no check: each is seen to fail, for the reason that it is for.

use std::process::{Command, Output};

fn soak(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raddle-soak")).args(arguments).output().unwrap()
}

/// Runs a second with this sabotage and expects to be told of it.
#[track_caller]
fn is_found(sabotage: &str, told: &str) {
    let output = soak(&["--seconds", "1", "--seed", "5", "--sabotage", sabotage]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(told), "{sabotage} was not found:\n{text}");
}

/// The same of a run that never ends.
#[track_caller]
fn is_stuck(sabotage: &str, seed: &str, told: &str) {
    let stuck = ["--seconds", "1", "--seed", seed, "--patience", "4", "--sabotage", sabotage];
    let output = soak(&stuck);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("has not ended within 4s"), "{text}");
    assert!(text.contains(told), "{sabotage} was not told of:\n{text}");
}

#[test]
fn nothing_is_found_where_nothing_is_broken() {
    let output = soak(&["--seconds", "2", "--seed", "5"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("seed 5: nothing lost, nothing doubled, nothing left"), "{text}");
}

#[test]
fn messages_are_dropped_exactly_once() {
    is_found("forget", "a message was never dropped");
    is_found("drop-twice", "a message was dropped twice");
}

#[test]
fn tasks_are_run_exactly_once() {
    is_found("run-twice", "a task was run twice");
}

#[test]
fn a_key_is_run_in_order_and_one_at_a_time() {
    is_found("order", "a key's tasks were run out of order");
    is_found("overlap", "two tasks of one key were run at once");
}

#[test]
fn askers_get_one_answer_and_the_right_one() {
    is_found("answer", "an asker got no answer");
    is_found("other-answer", "an asker was told what did not happen");
}

#[test]
fn the_account_is_what_happened() {
    is_found("unbalance", "the pool's account is not what happened");
    is_found("occupy", "a worker has tasks in flight at the end");
    is_found("unweigh", "a worker has work ahead at the end");
}

#[test]
fn refused_tasks_come_back_and_are_refused_for_a_reason() {
    is_found("refusal", "a refused task was not both told and handed back");
    is_found("wrong", "a task was refused for a reason that cannot be");
}

#[test]
fn nothing_is_left() {
    is_found("actor", "actors were not dropped exactly once");
    is_found("thread", "a thread outlived its pool");
    is_found("occupy", "workers or lost threads did not end");
}

#[test]
fn the_pool_changes_as_it_should_and_loses_no_more_threads_than_it_may() {
    is_found("change", "a change of the pool failed for a reason that cannot be");
    is_found("bound", "more threads were lost than may be");
}

#[test]
fn only_what_was_planted_panics_and_everything_occurs() {
    is_found("panic", "something panicked that was not to");
    is_found("escape", "a panic in a message's drop came out of the pool");
    is_found("absent", "something did not occur");
}

#[test]
fn a_run_that_is_stuck_tells_where() {
    is_stuck("stuck", "6", "ending the callers");
    // By its plan it is drained without a limit.
    is_stuck("occupy", "6", "1 in flight");
}
