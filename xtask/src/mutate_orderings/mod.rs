//! Each ordering of the library, weakened until a loom model fails. What no model needs is to be
//! `Relaxed`, to get a model, or to be explained in the source where loom cannot see it.
//!
//! All mutants are in one build: a copy of the workspace asks for each ordering by its number, and
//! the environment of a test says which one is weakened. A test without such an environment tells
//! what it reaches, so that a mutant is met by the tests which it concerns.

mod explanations;
mod models;
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
use sites::{Ordering, Site};
use table::Known;

#[derive(Args)]
pub(crate) struct Options {
    /// Only the orderings of sources whose path has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Lists the mutants and runs none.
    #[arg(long)]
    list: bool,
    /// Tests at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Writes the table to docs/verification.md.
    #[arg(long, conflicts_with = "only")]
    update: bool,
}

/// One ordering, weakened.
struct Mutant<'s> {
    number: usize,
    site: &'s Site,
    weaker: Ordering,
    explanation: Option<&'s Explanation>,
}

enum Verdict {
    Killed {
        test: String,
        /// Unless by one of the test's own checks.
        how: Option<&'static str>,
    },
    Survives {
        /// So many models reach it.
        models: usize,
        /// Those of them that were stopped.
        stopped: Vec<String>,
    },
}

/// Weakens them one by one, and prints the table of what fails then.
///
/// # Errors
/// When a mutant survives that is not explained, or one is explained that does not survive.
pub(crate) fn run(shell: &Shell, options: &Options) -> Result<(), Box<dyn Error>> {
    let (mut all, mut explained) = (Vec::new(), Vec::new());
    let crates = ["core", "strategies", "runtime"];
    let sources = crates.map(|name| format!("crates/{name}/src/**.rs"));
    for file in cmd!(shell, "git ls-files {sources...}").quiet().read()?.lines() {
        let source = shell.read_file(file)?;
        all.extend(sites::find(file, &source)?);
        explained.extend(explanations::find(file, &source)?);
    }
    let mutants = mutants(&all, &explained)?;
    let chosen = |mutant: &Mutant<'_>| mutant.site.file.contains(&options.only);
    let mutants: Vec<_> = mutants.into_iter().filter(chosen).collect();
    if options.list {
        mutants.iter().for_each(|mutant| println!("{}", told(mutant)));
        println!("{} orderings, {} mutants", all.len(), mutants.len());
        return Ok(());
    }

    tree::copy(shell, &all)?;
    let mut tests = Vec::new();
    for program in &tree::build(shell)? {
        tests.extend(Test::of(program)?);
    }
    eprintln!("xtask: {} tests, with nothing weakened", tests.len());
    let models = in_parallel(options.jobs, tests, |test| test.run_unweakened());
    let models = models.into_iter().collect::<Result<Vec<_>, _>>()?;
    let models: Vec<_> = models.into_iter().flatten().collect();
    eprintln!("xtask: {} of them explore the real code", models.len());

    let document = shell.read_file(document::PATH)?;
    let known = Known::of(&document);
    let verdicts = in_parallel(options.jobs, mutants, |mutant| {
        let verdict = verdict(&mutant, &models, &known)?;
        println!("{}: {}", told(&mutant), outcome(&verdict));
        Ok::<_, std::io::Error>((mutant, verdict))
    });
    let verdicts = verdicts.into_iter().collect::<Result<Vec<_>, _>>()?;
    let table = table::of(&verdicts);
    if options.update {
        let document = document::replaced(&document, "mutate-orderings", &table);
        shell.write_file(document::PATH, document.ok_or("there is no table to replace")?)?;
    } else {
        println!("\n{table}");
    }
    judge(&verdicts)
}

/// The mutants of all sites.
///
/// # Errors
/// When an explanation is of none.
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
            Err(format!("{file}: an explanation of no ordering: {reason}").into())
        }
        None => Ok(mutants),
    }
}

/// Runs the models that reach it until one fails: first the one that failed the last time, then
/// the short ones.
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

/// Does it with each, so many at a time; the results in the order of the items.
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

fn told(mutant: &Mutant<'_>) -> String {
    let Site { file, line, function, .. } = mutant.site;
    let explained = if mutant.explanation.is_some() { " (explained)" } else { "" };
    format!("{file}:{line} {function}: {}{explained}", mutant.site.weakened(mutant.weaker))
}

fn outcome(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Killed { test, how } => {
            format!("killed by {test}{}", how.map(|how| format!(", {how}")).unwrap_or_default())
        }
        Verdict::Survives { models, stopped } if stopped.is_empty() => {
            format!("SURVIVES {models} models")
        }
        Verdict::Survives { models, stopped } => {
            format!("SURVIVES {models} models, of which took too long: {}", stopped.join(", "))
        }
    }
}

fn judge(verdicts: &[(Mutant<'_>, Verdict)]) -> Result<(), Box<dyn Error>> {
    let mut wrong = String::new();
    let mut killed = 0;
    for (mutant, verdict) in verdicts {
        let is_killed = matches!(verdict, Verdict::Killed { .. });
        killed += usize::from(is_killed);
        if is_killed == mutant.explanation.is_some() {
            let what = if is_killed { "explained, but" } else { "not explained," };
            wrong.push_str(&format!("\n  {}: {what} {}", told(mutant), outcome(verdict)));
        }
    }
    println!("{} mutants, {killed} killed", verdicts.len());
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("orderings and models do not fit:{wrong}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is judged of the one mutant of this source, when it is killed and when it survives.
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
    fn a_mutant_is_to_be_killed_or_explained_and_not_both() {
        let code = "fn f() {\n    a.load(Acquire);\n}";
        assert_eq!(judged(code).unwrap(), [true, false]);
        let comment = "    // No model needs this Acquire: it is a test.\n    a.load";
        assert_eq!(judged(&code.replace("    a.load", comment)).unwrap(), [false, true]);
    }

    #[test]
    fn an_explanation_is_of_some_ordering() {
        let comment = "// No model needs this Release: it is a test.\n";
        assert!(judged(&format!("{comment}fn f() {{ a.load(Acquire); }}")).is_err());
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let squares = in_parallel(3, (0..100).collect(), |number: u32| number * number);
        assert_eq!(squares, (0..100).map(|number| number * number).collect::<Vec<_>>());
    }
}
