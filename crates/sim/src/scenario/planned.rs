//! The workers of a scenario file.

use std::collections::HashSet;

use super::SimWorker;
use super::error::ParseError;
use super::section::Section;
use crate::{WorkerPlan, Workers};

/// A worker as the file describes it.
pub struct PlannedWorker {
    pub plan: WorkerPlan,
    weight: u32,
}

impl PlannedWorker {
    pub fn all_of(workers: &Workers) -> Vec<Self> {
        workers.plans().into_iter().map(|plan| Self { plan, weight: 1 }).collect()
    }

    pub fn sim_worker(&self) -> SimWorker {
        SimWorker { spec: self.plan.spec().weight(self.weight), speed: self.plan.speed }
    }

    /// Reads the workers of the key `workers`, followed by those of each `[[worker]]`.
    pub fn read_all(file: &mut Section<'_>) -> Result<Vec<Self>, ParseError> {
        let allowed = "workers such as \"4x1.0:code,2x0.5\", or tables [[worker]]";
        let mut all: Vec<PlannedWorker> = Vec::new();
        if let Some(at) = file.text("workers", allowed)? {
            let workers: Workers = at
                .value
                .parse()
                .map_err(|source| ParseError::Workers { line: at.line(), source })?;
            all = PlannedWorker::all_of(&workers);
        }
        let mut taken: HashSet<_> = all.iter().map(|worker| worker.plan.name.clone()).collect();
        for mut section in file.sections("worker")? {
            let name = section.text("name", "a name such as \"gpu\"")?;
            let most = Workers::MAX_COUNT.saturating_sub(all.len()) as u64;
            let count = match section.whole_number("count", 1)? {
                Some(at) if at.value > most => {
                    let most = Workers::MAX_COUNT;
                    return Err(at.error(format!("a whole number, and at most {most} in total")));
                }
                count => count.map_or(1, |at| at.value),
            };
            let speed = section
                .number("speed", "a number from 0.001 to 1000", |x| (1e-3..=1e3).contains(&x))?
                .map_or(1.0, |at| at.value);
            let weight = match section.whole_number("weight", 0)? {
                Some(at) => u32::try_from(at.value)
                    .map_err(|_| at.error(format!("a whole number of at most {}", u32::MAX)))?,
                None => 1,
            };
            let capabilities: Vec<String> =
                section.texts("capabilities")?.into_iter().map(str::to_owned).collect();
            let kind = match &name {
                Some(at) => at.value.to_owned(),
                None if capabilities.is_empty() => "any".into(),
                None => capabilities.join("+"),
            };
            let mut twice = None;
            for _ in 0..count {
                // A single named worker keeps its name, others are numbered.
                let numbered = format!("{kind}-{}", all.len());
                let name = if name.is_some() && count == 1 { kind.clone() } else { numbered };
                if !taken.insert(name.clone()) {
                    twice = Some(name.clone());
                }
                let plan = WorkerPlan { name, speed, capabilities: capabilities.clone() };
                all.push(PlannedWorker { plan, weight });
            }
            if let Some(twice) = twice {
                let allowed = format!("a name other than `{twice}`, which is taken");
                return Err(match name {
                    Some(at) => at.error(allowed),
                    None => section.missing("name", allowed),
                });
            }
            section.end()?;
        }
        if all.is_empty() {
            return Err(file.missing("workers", allowed));
        }
        Ok(all)
    }
}
