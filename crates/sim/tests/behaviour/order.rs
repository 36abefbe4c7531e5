use std::collections::HashMap;

use raddle_core::Capability;
use raddle_sim::{Capabilities, Keys, Order};
use raddle_strategies::StrategyName::{LeastLoaded, Random};

use super::*;

/// Short and long tasks for two workers, of equal shares of the work, at a load of 0.8.
fn mixed(order: Order) -> Scenario {
    let (short, long) = (Duration::from_millis(1), Duration::from_millis(20));
    let service = Service::Bimodal { short, long, long_share: 0.05 };
    let load = Load::new(Arrivals::Poisson { rate: 0.8 * 2.0 / 1.95e-3 }, service);
    let (tasks, warm_up) = (200_000, 20_000);
    let scenario = Scenario::new(SimWorker::equal(2), load);
    Scenario { tasks, warm_up, order, durations_known: true, record_sojourns: true, ..scenario }
}

/// Everything but the order is equal, so nothing can be told apart.
#[test]
fn without_sizes_a_boosted_mailbox_is_fifo() {
    let unknown = |order| Scenario { durations_known: false, ..mixed(order) };
    assert!(!unknown(Order::Boost).tells_sizes());
    let (fifo, boost) = (unknown(Order::Fifo), unknown(Order::Boost));
    assert_eq!(run(&fifo, LeastLoaded).sojourns, run(&boost, LeastLoaded).sojourns);
}

#[test]
fn short_tasks_overtake_long_ones_whose_size_is_stated_or_learned() {
    let fifo = run(&mixed(Order::Fifo), Random);
    let stated = run(&mixed(Order::Boost), Random);
    let exact = run(&Scenario { durations_known: false, ..mixed(Order::BoostExact) }, Random);
    let [short, long] = ["order-short", "order-long"].map(|name| Capability::intern(name).unwrap());
    let mut learned = Scenario { durations_known: false, ..mixed(Order::Boost) };
    learned.load.service = Service::Trace(
        (0..200_000).map(|n| Duration::from_millis(if n % 20 == 7 { 20 } else { 1 })).collect(),
    );
    learned.load.capabilities = Capabilities::Trace(
        (0..200_000).map(|n| Some(if n % 20 == 7 { long } else { short })).collect(),
    );
    let by_arrival = run(&Scenario { order: Order::Fifo, ..learned.clone() }, Random);
    assert!(learned.tells_sizes());
    let learned = run(&learned, Random);
    for (boosted, fifo) in [(&stated, &fifo), (&exact, &fifo), (&learned, &by_arrival)] {
        let ratio = |q: f64| {
            boosted.sojourn.quantile(q).as_secs_f64() / fifo.sojourn.quantile(q).as_secs_f64()
        };
        let mean = boosted.sojourn.mean().as_secs_f64() / fifo.sojourn.mean().as_secs_f64();
        let (p99, p999) = (ratio(0.99), ratio(0.999));
        assert!(mean < 0.75 && p99 < 0.9 && p999 < 1.05, "{mean} {p99} {p999}");
    }
}

#[test]
fn tasks_of_one_key_run_in_the_order_of_arrival() {
    for order in Order::ALL {
        let mut scenario = Scenario { warm_up: 0, ..mixed(order) };
        let keys: Vec<_> = (0..200_000).map(|n: u64| Some(n.wrapping_mul(n) % 50)).collect();
        scenario.load.keys = Keys::Trace(keys.clone().into());
        let arrivals: Vec<_> = (0..200_000).map(|n| Duration::from_micros(n * 1_200)).collect();
        scenario.load.arrivals = Arrivals::Trace(arrivals.clone().into());
        // One worker: in the simulator, keys need not stay with theirs.
        scenario.workers.truncate(1);
        scenario.workers[0].speed = 2.0;
        let run = run(&scenario, Random);
        let mut last = HashMap::new();
        for ((sojourn, key), arrival) in run.sojourns.iter().zip(&keys).zip(&arrivals) {
            let end = *arrival + sojourn.unwrap();
            let before = last.insert(*key, end);
            assert!(before.is_none_or(|before| before < end), "{order:?} {key:?} at {arrival:?}");
        }
    }
}

#[test]
fn boosted_tasks_expire_are_stolen_and_are_rejected_like_others() {
    for order in Order::ALL {
        let mut scenario = Scenario { stealing: true, ..mixed(order) };
        scenario.timeout = Some(Duration::from_millis(30));
        scenario.mailbox = Some(10);
        let run = run(&scenario, Random);
        assert!(run.stolen > 0 && run.expired > 0 && run.rejected > 0, "{order:?}");
        assert_eq!(run.completed + run.expired + run.rejected, run.tasks);
    }
}
