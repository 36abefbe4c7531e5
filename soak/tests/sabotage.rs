//! Shows that every check can fail, and for the right reason.

use std::process::{Command, Output};

fn soak(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raddle-soak")).args(arguments).output().unwrap()
}

/// Seeds whose plans drain with a time limit, after the producers have ended. Of plain handlers and of
/// exclusive async ones, state is handed over.
const PLAIN: &str = "184";
const ASYNC: &str = "187";
const SHARED: &str = "191";
const READ_WRITE: &str = "182";

/// Runs at most this often until something is found.
const RUNS: usize = 4;

/// Runs for a second with this sabotage, and expects the failure to be reported.
#[track_caller]
fn is_found(sabotage: &str, expected: &str) {
    is_found_with(PLAIN, sabotage, expected);
}

#[track_caller]
fn is_found_with(seed: &str, sabotage: &str, expected: &str) {
    is_found_within("1", seed, sabotage, expected);
}

#[track_caller]
fn is_found_within(seconds: &str, seed: &str, sabotage: &str, expected: &str) {
    let run = || {
        let output = soak(&["--seconds", seconds, "--seed", seed, "--sabotage", sabotage]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // Nothing may come of it in a run on a busy machine, which has few tasks.
    let found = (0..RUNS).map(|_| run()).find(|(code, _)| *code != Some(0));
    let (code, text) = found.unwrap_or_else(|| panic!("{sabotage} was not found by seed {seed}"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(expected), "{sabotage} was not found:\n{text}");
}

/// Runs with a sabotage that prevents the end, and expects the stuck run to be reported.
#[track_caller]
fn is_stuck(sabotage: &str, seed: &str, expected: &str) {
    let stuck = ["--seconds", "1", "--seed", seed, "--patience", "16", "--sabotage", sabotage];
    let output = soak(&stuck);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("has not ended within 16s"), "{text}");
    assert!(text.contains(expected), "{sabotage} was not reported:\n{text}");
}

#[test]
fn nothing_is_found_without_sabotage() {
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
fn tasks_of_a_key_run_in_order_and_one_at_a_time() {
    is_found("order", "the tasks of a key were run out of order");
    is_found("overlap", "two tasks of one key were run at once");
}

#[test]
fn askers_receive_one_correct_answer() {
    is_found("answer", "an asker received no answer");
    is_found("other-answer", "an asker received an answer that did not happen");
}

#[test]
fn the_account_matches_what_happened() {
    is_found("unbalance", "the pool's account does not match what happened");
    is_found("occupy", "a worker has tasks in flight at the end");
    is_found("unweigh", "a worker has expected work at the end");
}

#[test]
fn the_fates_of_handlers_that_wait_are_known() {
    let expected = "the pool's account does not match what happened";
    for seed in [ASYNC, SHARED, READ_WRITE] {
        is_found_with(seed, "cut", expected);
    }
    is_found_with(ASYNC, "early", "a handler was dropped without a reason");
    is_found_with(READ_WRITE, "beside", "a handler ran beside others that it excludes");
}

#[test]
fn the_fates_of_tasks_without_a_reply_are_known() {
    is_found("reply", "the pool's account does not match what happened");
    for seed in [PLAIN, ASYNC, SHARED] {
        is_found_with(seed, "give-up", "an asker received an answer that did not happen");
    }
}

#[test]
fn state_is_not_lost_silently_and_tasks_run_on_their_workers() {
    for seed in [PLAIN, ASYNC] {
        is_found_with(seed, "state", "the state of a key was lost without an event");
    }
    is_found("worker", "a task ran on another worker than its own");
}

#[test]
fn refused_tasks_are_handed_back_and_refused_for_a_reason() {
    is_found("refusal", "a refused task was not both reported and handed back");
    is_found("wrong", "a task was refused for an impossible reason");
}

#[test]
fn nothing_is_left_over() {
    is_found("actor", "actors were not dropped exactly once");
    is_found("thread", "a thread outlived its pool");
    is_found("occupy", "workers or lost threads did not end");
    // Long enough for a round after the first three.
    let expected = "more memory was allocated after the last round than before";
    is_found_within("8", PLAIN, "leak", expected);
}

#[test]
fn changes_succeed_and_lost_threads_are_bounded() {
    is_found("change", "a change of the pool failed for an impossible reason");
    // Its watchdog gives threads up within the second.
    is_found_with("5", "bound", "more threads were lost than allowed");
}

#[test]
fn only_planned_panics_occur_and_every_occurrence_is_seen() {
    is_found("panic", "an unplanned panic occurred");
    is_found("escape", "a panic in a message's drop escaped from the pool");
    is_found("absent", "something did not occur");
}

#[test]
fn a_stuck_run_reports_where() {
    is_stuck("stuck", "6", "ending the producers");
    // The plan of this seed drains without a time limit.
    is_stuck("occupy", "6", "1 in flight");
}
