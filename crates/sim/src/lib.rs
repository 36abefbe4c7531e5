//! The strategies of [raddle](https://docs.rs/raddle) on a virtual clock: a discrete-event
//! simulator of pools of workers, for policies and sizes that no one machine can run.
//!
//! What picks is `raddle-strategies`, what is known of the workers is `raddle-core`: nothing of
//! either is written a second time here. A [`Scenario`] says who the workers are and what is asked
//! of them, a [`Run`] what became of it. The same scenario and seed give the same run, to the bit.

mod advise;
mod arrivals;
mod calendar;
mod contest;
mod dispatchers;
mod engine;
mod error;
mod estimate;
mod facts;
mod fault;
mod load;
mod measure;
mod random;
mod run;
mod scenario;
mod server;
mod service;
mod workers;

pub use advise::{Advice, Curve, CurvePoint, MOST_LOST, Objective, Question, Standing, advise};
pub use arrivals::Arrivals;
pub use contest::{Contender, Job, Progress, simulate_all};
pub use engine::{simulate, simulate_each, simulate_with};
pub use error::SimError;
pub use estimate::{CONFIDENCE, Estimate};
pub use facts::{Facts, Spread};
pub use fault::{Fault, FaultKind};
pub use load::{Capabilities, Keys, Load, Request};
pub use run::{QueueSample, Run, WorkerRun};
pub use scenario::{Dispatchers, FileError, FileFault, Scenario, SimWorker};
pub use service::Service;
pub use workers::{WorkerPlan, Workers, WorkersError};
