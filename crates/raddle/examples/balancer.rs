//! Balances the targets of a proxy that has threads of its own, without a pool.
//! `cargo run --package raddle --example balancer`

use std::time::{Duration, Instant};

use raddle::strategies::{Balancer, BalancerConfig};
use raddle::{Outcome, Roster, TaskProfile, WorkerSpec};

/// Pretends to call an upstream server. One of the three is slow, and one fails now and then.
fn ask_upstream(name: &str, request: u32) -> Result<(), ()> {
    let micros = if name == "upstream-1" { 2_000 } else { 200 };
    std::thread::sleep(Duration::from_micros(micros));
    if name == "upstream-2" && request.is_multiple_of(10) { Err(()) } else { Ok(()) }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // LOAD_BALANCER_STRATEGY and the other variables, if they are set.
    let config = if std::env::var_os("LOAD_BALANCER_STRATEGY").is_some() {
        BalancerConfig::from_env()?
    } else {
        "latency_based,window_size=50".parse()?
    };
    let balancer: Balancer = config.build()?;
    let roster = Roster::builder()
        .workers(3, WorkerSpec::new("upstream"))
        .tracking(config.tracking())
        .build()?;

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for request in 0..100 {
                    let reservation = match balancer.select(&TaskProfile::default(), &roster) {
                        Ok(reservation) => reservation,
                        Err(error) => return eprintln!("no upstream: {error}"),
                    };
                    let start = Instant::now();
                    let outcome = match ask_upstream(reservation.worker().name(), request) {
                        Ok(()) => Outcome::Completed,
                        Err(()) => Outcome::Failed,
                    };
                    reservation.finish(outcome, start.elapsed());
                }
            });
        }
    });

    let stats = balancer.stats(&roster);
    println!("{} after {} selections", stats.strategy, stats.selections);
    assert_eq!(stats.selections, 400);
    for worker in &stats.workers {
        assert_eq!(worker.in_flight, 0);
        println!(
            "{}: share {:.2}, mean {:?}, successes {:.2}",
            worker.name, worker.share, worker.mean_latency, worker.success_rate
        );
    }
    Ok(())
}
