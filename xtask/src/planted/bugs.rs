//! The bugs.

/// A mistake in one place of the runtime.
pub(super) struct Bug {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) file: &'static str,
    /// What is there.
    pub(super) correct: &'static str,
    /// What is there instead, with `PLANTED` for whether the bug is there.
    pub(super) wrong: &'static str,
}

pub(super) const BUGS: [Bug; 10] = [
    Bug {
        name: "lost-wake-up",
        what: "a parked worker is not woken for a task",
        file: "crates/runtime/src/mailbox/mod.rs",
        correct: "if reservation.hand_over() {",
        wrong: "if reservation.hand_over() && !PLANTED {",
    },
    Bug {
        name: "key-kept",
        what: "a task that panics keeps its key",
        file: "crates/runtime/src/worker/actor_host.rs",
        correct: "            self.router.control.release_key(key, self.short_id);\n",
        wrong: "            if outcome != Outcome::Panicked || !PLANTED {\n\
                self.router.control.release_key(key, self.short_id);\n}\n",
    },
    Bug {
        name: "hung-task-kept",
        what: "a worker that is taken from its thread keeps the account of the task that hangs",
        file: "crates/runtime/src/crew/watchdog.rs",
        correct: "        if revoked.task {",
        wrong: "        if revoked.task && !PLANTED {",
    },
    Bug {
        name: "ended-twice",
        what: "a thread that has lost its worker records its task there",
        file: "crates/runtime/src/worker/actor_host.rs",
        correct: "let still_ours = stay.is_none_or(|stay| thread.lease.end(stay));",
        wrong: "let still_ours = stay.is_none_or(|stay| thread.lease.end(stay)) || PLANTED;",
    },
    Bug {
        name: "stolen-task-kept",
        what: "a stolen task stays on the account of the worker that it is taken from",
        file: "crates/runtime/src/worker/steal.rs",
        correct: "self.thread.recorder.adopt(sibling);",
        wrong: "if !PLANTED { self.thread.recorder.adopt(sibling); }",
    },
    Bug {
        name: "shed-task-kept",
        what: "a task that makes room for another is not taken off the account",
        file: "crates/runtime/src/mailbox/mod.rs",
        correct: "                self.0.worker.withdraw();\n                oldest.push(removed);",
        wrong: "                if !PLANTED { self.0.worker.withdraw(); }\n                oldest.push(removed);",
    },
    Bug {
        name: "refused-task-kept",
        what: "a task that is refused for lack of room stays in flight",
        file: "crates/runtime/src/mailbox/mod.rs",
        correct: "Overflow::Reject | Overflow::DropNewest => {",
        wrong: "Overflow::Reject | Overflow::DropNewest => {\n\
                if PLANTED { std::mem::forget(reservation); }",
    },
    Bug {
        name: "fired-timer-cancelled",
        what: "a timer that has fired says that cancelling prevented it",
        file: "crates/runtime/src/timer/state.rs",
        correct: "        if state.load(Relaxed) != PENDING {\n            return false;",
        wrong: "        if state.load(Relaxed) != PENDING {\n            return PLANTED;",
    },
    Bug {
        name: "moved-task-lost",
        what: "a task of a hung worker that finds no room elsewhere is dropped",
        file: "crates/runtime/src/router/dispatch.rs",
        correct: "                mailbox.defer(task);\n                mailbox.wake();",
        wrong: "                if PLANTED { drop(task); } else { mailbox.defer(task); }\n                mailbox.wake();",
    },
    Bug {
        name: "retired-worker-stays",
        what: "a retired worker is not closed once its keys have moved",
        file: "crates/runtime/src/crew/mod.rs",
        correct: "let retire = self.close_retiring().then(",
        wrong: "let retire = (!PLANTED && self.close_retiring()).then(",
    },
];
