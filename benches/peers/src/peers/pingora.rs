//! pingora: the round robin of its load balancer.

use std::hint::black_box;

use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::RoundRobin;

use crate::figures::Figures;
use crate::harness::Selecting;

/// `select` as pingora's guide calls it.
pub fn round_robin(selecting: &Selecting) -> Figures {
    let targets = (0..selecting.targets).map(|at| format!("127.0.0.1:{}", 10_000 + at));
    let balancer =
        LoadBalancer::<RoundRobin>::try_from_iter(targets).expect("the addresses are valid");
    selecting.measure(|| {
        assert!(black_box(balancer.select(b"", 256)).is_some(), "all are healthy");
    })
}
