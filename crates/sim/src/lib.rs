//! A discrete-event simulator of worker pools: raddle's load-balancing strategies on a virtual
//! clock.
//!
//! A load-balancing strategy is hard to judge on one machine: the run takes as long as the load
//! lasts, thousands of workers do not fit, and no two measurements are alike. The simulator takes
//! seconds, and repeats exactly. It runs the strategies of `raddle-strategies` themselves, on the
//! statistics of `raddle-core`; nothing of them is implemented a second time.
//!
//! ```
//! use raddle_sim::{Scenario, simulate};
//! use raddle_strategies::{LeastLoaded, RoundRobin};
//!
//! let scenario = Scenario::from_toml(
//!     r#"
//!     workers = "4x1.0,4x0.25"    # four workers, and four at a quarter of the speed
//!     tasks = 50_000
//!     [arrivals]
//!     kind = "poisson"
//!     load = 0.7                  # of what the workers can do
//!     [service]
//!     kind = "exponential"
//!     mean = "2ms"
//!     "#,
//! )?;
//! let even = simulate(&scenario, &RoundRobin::new())?;
//! let informed = simulate(&scenario, &LeastLoaded::new())?;
//! assert!(informed.sojourn.quantile(0.99) < even.sojourn.quantile(0.99) / 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Concepts
//!
//! - A [`Scenario`] describes the workers and their speeds ([`SimWorker`]), the [`Load`] offered to
//!   them, and what happens on the way: [faults](Fault), stealing, timeouts, bounded mailboxes and
//!   their [order](Order), several [dispatchers](Dispatchers) with stale knowledge. It is built in code or
//!   [read from TOML](Scenario::from_toml).
//! - A [`Load`] consists of [`Arrivals`] and [`Service`] times, each a random process or a trace,
//!   and optionally of [`Capabilities`] and [`Keys`].
//! - A [`Run`] is the result of a scenario under one strategy: counts by outcome, [`Latencies`],
//!   and figures per worker.
//! - [`simulate_all`] runs many scenarios on a few threads. [`advise`] runs every strategy with
//!   several seeds, ranks them, and says which differences are significant and what the tasks are
//!   too few, or the load too low, to tell.
//!
//! # Guarantees
//!
//! - **Reproducible.** The same scenario, seed and strategy give the same run, bit for bit, on any
//!   number of threads.
//! - **Common random numbers.** Every strategy meets the same tasks, so that differences between
//!   strategies are not differences between loads.
//! - **Every task is accounted for.** A run in which a task is lost ends in an error.
//!
//! # Trade-offs
//!
//! Selecting, sending and waking take no virtual time. The simulator therefore shows the queueing
//! that a policy causes, but not the cost of the policy itself: benchmarks measure that. Workers do
//! not disturb each other, and a warm cache gains nothing unless the scenario has a [`Cache`]. Setters and struct fields take any
//! value; running a scenario [validates](Scenario::validate) it first.

mod advise;
mod arrivals;
mod cache;
mod calendar;
mod contest;
mod dispatchers;
mod engine;
mod error;
mod estimate;
mod facts;
mod fault;
mod latencies;
mod load;
mod objective;
mod order;
mod queue;
mod random;
mod ranking;
mod resample;
mod run;
mod scenario;
mod server;
mod service;
mod workers;

pub use advise::{Advice, Conclusion, Curve, CurvePoint, Question, RESAMPLES, advise};
pub use arrivals::Arrivals;
pub use contest::{Contender, Job, Progress, simulate_all};
pub use engine::{simulate, simulate_each, simulate_with};
pub use error::SimError;
pub use estimate::{CONFIDENCE, Estimate};
pub use facts::{Facts, Spread};
pub use fault::{Fault, FaultKind};
pub use latencies::Latencies;
pub use load::{Capabilities, Keys, Load, Request};
pub use objective::{Objective, TASKS_BEYOND};
pub use order::Order;
pub use ranking::{LOSS_TOLERANCE, Standing};
pub use run::{QueueSample, Run, WorkerRun};
pub use scenario::{Cache, Dispatchers, FileError, ParseError, Scenario, SimWorker};
pub use service::Service;
pub use workers::{WorkerPlan, Workers, WorkersError};
