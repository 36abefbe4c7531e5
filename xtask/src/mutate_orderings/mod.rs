//! Weakens each ordering of the library until a loom model fails. An ordering that no model needs
//! must become `Relaxed`, get a model, or be explained in the source if loom cannot check it.
//!
//! All mutants are in one build: a copy of the workspace requests each ordering by its number, and
//! an environment variable selects the one to weaken. A first run of each test shows which
//! orderings it reaches, so that a mutant is run with these tests only.

mod explanations;
mod models;
mod mutant;
mod sites;
mod table;
mod tree;

use std::error::Error;
use std::sync::Mutex;
use std::thread;

use clap::Args;
use xshell::{Shell, cmd};

use crate::document;
use explanations::Explanation;
use models::{Ending, Model, Test};
use mutant::{Mutant, Verdict};
use sites::Site;
use table::Known;

#[derive(Args)]
pub(crate) struct Options {
    /// Selects the sources whose path contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Lists the mutants without running them.
    #[arg(long)]
    list: bool,
    /// Number of tests that run at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Writes the table to docs/verification.md.
    #[arg(long, conflicts_with = "only")]
    update: bool,
}

/// Runs the mutants and prints the table of tests that kill them.
///
/// # Errors
/// When a mutant survives without an explanation, one is killed despite an explanation, or none is
/// selected.
pub(crate) fn run(shell: &Shell, options: &Options) -> Result<(), Box<dyn Error>> {
    let (mut all, mut explanations) = (Vec::new(), Vec::new());
    let crates = ["sync", "core", "strategies", "runtime"];
    let sources = crates.map(|name| format!("crates/{name}/src/**.rs"));
    for file in cmd!(shell, "git ls-files {sources...}").quiet().read()?.lines() {
        let source = shell.read_file(file)?;
        all.extend(sites::find(file, &source)?);
        explanations.extend(explanations::find(file, &source)?);
    }
    let mutants = mutants(&all, &explanations)?;
    let chosen = |mutant: &Mutant<'_>| mutant.site.file.contains(&options.only);
    let mutants: Vec<_> = mutants.into_iter().filter(chosen).collect();
    if mutants.is_empty() {
        return Err(format!("no source with an ordering has `{}` in its path", options.only).into());
    }
    if options.list {
        mutants.iter().for_each(|mutant| println!("{}", describe(mutant)));
        println!("{} orderings, {} mutants", all.len(), mutants.len());
        return Ok(());
    }

    tree::copy(shell, &all)?;
    let mut tests = Vec::new();
    for program in &tree::build(shell)? {
        tests.extend(Test::of(program)?);
    }
    eprintln!("xtask: running {} tests with nothing weakened", tests.len());
    let models = in_parallel(options.jobs, tests, |test| test.run_unweakened());
    let models = models.into_iter().collect::<Result<Vec<_>, _>>()?;
    let models: Vec<_> = models.into_iter().flatten().collect();
    eprintln!("xtask: {} of them have a model of the real code", models.len());

    let document = shell.read_file(document::PATH)?;
    let known = Known::of(&document);
    let verdicts = in_parallel(options.jobs, mutants, |mutant| {
        let verdict = verdict(&mutant, &models, &known)?;
        println!("{}: {verdict}", describe(&mutant));
        Ok::<_, std::io::Error>((mutant, verdict))
    });
    let verdicts = verdicts.into_iter().collect::<Result<Vec<_>, _>>()?;
    let table = table::of(&verdicts);
    if options.update {
        let document = document::replaced(&document, "mutate-orderings", &table);
        shell
            .write_file(document::PATH, document.ok_or("the document has no table to replace")?)?;
    } else {
        println!("\n{table}");
    }
    judge(&verdicts)
}

/// Returns the mutants of all sites.
///
/// # Errors
/// When an explanation belongs to no mutant.
fn mutants<'s>(
    sites: &'s [Site],
    explanations: &'s [Explanation],
) -> Result<Vec<Mutant<'s>>, Box<dyn Error>> {
    let mut mutants = Vec::new();
    for (number, site) in sites.iter().enumerate() {
        mutants.extend(site.ordering.weaker().iter().map(|&weaker| {
            let explanation = explanations.iter().find(|of| of.is_of(site, weaker));
            Mutant { number, site, weaker, explanation }
        }));
    }
    let is_used = |explanation: &&Explanation| {
        mutants.iter().any(|mutant| explanation.is_of(mutant.site, mutant.weaker))
    };
    match explanations.iter().find(|explanation| !is_used(explanation)) {
        Some(Explanation { file, reason, .. }) => {
            Err(format!("{file}: no ordering belongs to the explanation: {reason}").into())
        }
        None => Ok(mutants),
    }
}

/// Runs the models that reach the mutant until one fails: first the one that failed the last time,
/// then the others, shortest first.
fn verdict(mutant: &Mutant<'_>, models: &[Model], known: &Known) -> std::io::Result<Verdict> {
    let mut models: Vec<_> =
        models.iter().filter(|model| model.reaches.contains(&mutant.number)).collect();
    let first = known.test_of(mutant);
    models.sort_by_key(|model| (first != Some(&model.path()), model.takes));
    let mut stopped = Vec::new();
    for model in &models {
        match model.run(mutant.number, mutant.weaker)? {
            Ending::Passed => {}
            Ending::Failed(how) => return Ok(Verdict::Killed { test: model.path(), how }),
            Ending::TookTooLong => stopped.push(model.path()),
        }
    }
    Ok(Verdict::Survives { models: models.len(), stopped })
}

/// Runs the job on each item, `jobs` at a time, and returns the results in the order of the items.
fn in_parallel<T: Send, R: Send>(
    jobs: usize,
    items: Vec<T>,
    job: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let (items, results) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    let next = || items.lock().expect("no panic while it is locked").next();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((index, item)) = next() {
                    let result = job(item);
                    results.lock().expect("no panic while it is locked").push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no panic while it is locked");
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn describe(mutant: &Mutant<'_>) -> String {
    let Site { file, line, function, .. } = mutant.site;
    let explained = if mutant.explanation.is_some() { " (explained)" } else { "" };
    format!("{file}:{line} {function}: {}{explained}", mutant.site.weakened(mutant.weaker))
}

fn judge(verdicts: &[(Mutant<'_>, Verdict)]) -> Result<(), Box<dyn Error>> {
    let mut wrong = String::new();
    let mut killed = 0;
    for (mutant, verdict) in verdicts {
        let is_killed = matches!(verdict, Verdict::Killed { .. });
        killed += usize::from(is_killed);
        if is_killed == mutant.explanation.is_some() {
            let what = if is_killed { "explained, but" } else { "not explained," };
            wrong.push_str(&format!("\n  {}: {what} {verdict}", describe(mutant)));
        }
    }
    println!("{} mutants, {killed} killed", verdicts.len());
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("orderings and models do not match:{wrong}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether the only mutant of this source is accepted when killed and when it survives.
    fn judged(source: &str) -> Result<[bool; 2], Box<dyn Error>> {
        let (sites, explained) =
            (sites::find("a.rs", source)?, explanations::find("a.rs", source)?);
        let killed = Verdict::Killed { test: "file::test".to_owned(), how: None };
        let survives = Verdict::Survives { models: 1, stopped: Vec::new() };
        let [killed, survives] = [killed, survives].map(|verdict| {
            let mutant = mutants(&sites, &explained).map(|mut mutants| mutants.remove(0))?;
            Ok(judge(&[(mutant, verdict)]).is_ok())
        });
        killed.and_then(|killed| Ok([killed, survives?]))
    }

    #[test]
    fn a_mutant_must_be_either_killed_or_explained() {
        let code = "fn f() {\n    a.load(Acquire);\n}";
        assert_eq!(judged(code).unwrap(), [true, false]);
        let comment = "    // No model needs this Acquire: it is a test.\n    a.load";
        assert_eq!(judged(&code.replace("    a.load", comment)).unwrap(), [false, true]);
    }

    #[test]
    fn an_explanation_without_an_ordering_is_refused() {
        let comment = "// No model needs this Release: it is a test.\n";
        assert!(judged(&format!("{comment}fn f() {{ a.load(Acquire); }}")).is_err());
    }

    #[test]
    fn parallel_results_are_in_the_order_of_the_items() {
        let squares = in_parallel(3, (0..100).collect(), |number: u32| number * number);
        assert_eq!(squares, (0..100).map(|number| number * number).collect::<Vec<_>>());
    }
}
