//! A stress test with fault injection. Handlers panic, fail, run slowly and hang; hooks, drops and
//! callbacks panic. Eight threads submit tasks in every way while others change the pool in every
//! way. Afterwards every single task must be accounted for.
//!
//! Each round runs a different pool, drawn from the seed, and ends in a full check. `mode.rs` lists the
//! modes of handlers, `judge.rs` says how a task may end, `outcomes.rs` compares that with the pool's
//! account, `states.rs` follows the state of keys, and `round.rs` does the rest.

mod actor;
mod args;
mod asks;
mod broadcast;
mod callbacks;
mod chaos;
mod check;
mod ending;
mod events;
mod fate;
mod fates;
mod findings;
mod futures;
mod hand_over;
mod handlers;
mod hangs;
mod hooks;
mod judge;
mod kept;
mod keys;
mod kind;
mod later;
mod life;
mod memory;
mod message;
mod mode;
mod outcomes;
mod plan;
mod planted;
mod producer;
mod records;
mod reentry;
mod round;
mod running;
mod sabotage;
mod script;
mod shape;
mod spawn;
mod states;
mod stuck;
mod summary;
mod surroundings;
mod tally;
mod threads;
mod timers;
mod unknown;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use std::sync::atomic::Ordering::Relaxed;

use args::Arguments;
use findings::{Findings, Wrong};
use memory::Memory;
use plan::Plan;
use records::Records;
use sabotage::Sabotage;
use stuck::Stuck;
use summary::Summary;

/// From this many seconds on, every occurrence must be seen.
const LONG: u64 = 10;
/// Approximate length of a round in milliseconds.
const ROUND: u64 = 2_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(summary) => {
            print!("{summary}");
            if summary.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Summary, Box<dyn std::error::Error>> {
    let seconds = arguments.seconds;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("seed {seed}, {seconds} seconds");
    planted::install();
    let patience = arguments.patience.unwrap_or(2 * seconds + 60);
    let stuck = Stuck::watch(seed, Duration::from_secs(patience));

    let rounds = (seconds * 1_000 / ROUND).max(if seconds >= LONG { 6 } else { 1 });
    let length = Duration::from_secs(seconds) / u32::try_from(rounds)?;
    let mut summary = Summary::new(seed);
    let mut memory = Memory::begin()?;
    for number in 0..rounds {
        let plan = Plan::draw(seed, number, length);
        println!("round {} of {rounds}: {plan}", number + 1);
        let records = Records::new(plan, arguments.sabotage);
        let round = round::run(&records, &stuck)?;
        let peak_lost = records.peak_lost.load(Relaxed);
        summary.add(&round, &records.tally, records.fates.len(), peak_lost);
        println!("  {} tasks, {} of them run", records.fates.len(), round.ran);
        report(&mut summary, &records.findings);
        drop(records);
        memory.note();
    }
    let findings = Findings::default();
    memory.check(&findings);
    if seconds >= LONG || arguments.sabotage == Some(Sabotage::Absent) {
        for occurrence in summary.tally.missing() {
            findings.report(Wrong::DidNotOccur, || occurrence.name().to_owned());
        }
    }
    report(&mut summary, &findings);
    Ok(summary)
}

fn report(summary: &mut Summary, findings: &Findings) {
    if findings.count() > 0 {
        println!("WRONG:\n{findings}");
    }
    summary.found(findings.count());
}
