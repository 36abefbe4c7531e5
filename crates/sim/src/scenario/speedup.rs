use std::time::Duration;

use crate::{Arrivals, Cache, Dispatchers, Fault, FaultKind, Load, Scenario, Service, SimError};

impl Scenario {
    /// The shortest mean service time of tasks that are sped up. Times are kept in nanoseconds, so
    /// shorter ones would be rounded noticeably.
    pub const SHORTEST_MEAN: Duration = Duration::from_micros(1);

    /// Checks the speedup. Adds up a trace if there is one.
    pub(super) fn validate_speedup(&self) -> Result<(), SimError> {
        let right = self.speedup > 0.0 && self.speedup.is_finite();
        SimError::unless(right, "speedup", self.speedup, || "a number above 0".into())?;
        if self.speedup <= 1.0 {
            return Ok(());
        }
        let most = self.load.service.mean_secs() / Self::SHORTEST_MEAN.as_secs_f64();
        // Without service times there is nothing to round.
        SimError::unless(most == 0.0 || self.speedup <= most, "speedup", self.speedup, || {
            let most = most.max(1.0);
            format!("up to {most:.3}: above that, tasks would take less than a microsecond")
        })
    }

    /// Returns the scenario that runs in place of this one: with all of its times divided by the
    /// speedup, except the interval of refreshes, which is the pool's and not the tasks'.
    pub(crate) fn sped_up(&self) -> Self {
        let faster = |time: Duration| divided(time, self.speedup);
        let fault = |fault: &Fault| Fault {
            at: faster(fault.at),
            duration: fault.duration.map(faster),
            kind: match fault.kind {
                FaultKind::FailFast { after } => FaultKind::FailFast { after: faster(after) },
                kind => kind,
            },
            ..*fault
        };
        Self {
            load: Load {
                arrivals: arrivals(&self.load.arrivals, self.speedup),
                service: service(&self.load.service, self.speedup),
                ..self.load.clone()
            },
            dispatchers: Dispatchers {
                sync_interval: faster(self.dispatchers.sync_interval),
                ..self.dispatchers
            },
            faults: self.faults.iter().map(fault).collect(),
            timeout: self.timeout.map(faster),
            cache: self.cache.map(|cache| Cache { cold_cost: faster(cache.cold_cost), ..cache }),
            sample_interval: self.sample_interval.map(faster),
            ..self.clone()
        }
    }
}

fn divided(time: Duration, speedup: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() / speedup).unwrap_or(Duration::MAX)
}

fn arrivals(arrivals: &Arrivals, speedup: f64) -> Arrivals {
    match arrivals.faster(speedup) {
        Arrivals::Bursty { rate, burst, burst_length, quiet_length } => Arrivals::Bursty {
            rate,
            burst,
            burst_length: divided(burst_length, speedup),
            quiet_length: divided(quiet_length, speedup),
        },
        arrivals => arrivals,
    }
}

fn service(service: &Service, speedup: f64) -> Service {
    let faster = |time: &Duration| divided(*time, speedup);
    match service {
        Service::Exponential { mean } => Service::Exponential { mean: faster(mean) },
        Service::Constant(time) => Service::Constant(faster(time)),
        Service::Bimodal { short, long, long_share } => {
            Service::Bimodal { short: faster(short), long: faster(long), long_share: *long_share }
        }
        Service::Pareto { mean, shape, longest } => {
            Service::Pareto { mean: faster(mean), shape: *shape, longest: faster(longest) }
        }
        Service::Trace(times) => Service::Trace(times.iter().map(faster).collect()),
    }
}
