use std::error::Error as _;
use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{Capability, FastThreshold, Tracking, WorkerSpec};

use super::*;
use crate::{Arrivals, Cache, Capabilities, Dispatchers, Fault, FaultKind, Order, Service};

const LOAD: &str = "[arrivals]\nkind = \"poisson\"\nload = 0.5\n\
                    [service]\nkind = \"constant\"\ntime = \"2ms\"\n";

fn read(text: &str) -> Result<Scenario, ParseError> {
    Scenario::from_toml(text)
}

/// Reads a scenario with these lines at the top and an ordinary load below.
fn with(top: &str) -> Result<Scenario, ParseError> {
    read(&format!("{top}\n{LOAD}"))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn missing_keys_have_their_defaults() {
    let scenario = with("workers = \"2x1.0,1x2.0\"").unwrap();
    // Half of what four workers of speed 1 do at 2 ms a task.
    let load = Load::new(Arrivals::Poisson { rate: 1_000.0 }, Service::Constant(ms(2)));
    let workers: Workers = "2x1.0,1x2.0".parse().unwrap();
    assert_eq!(scenario, Scenario::new(workers.sim_workers(), load));
}

#[test]
fn every_key_is_read() {
    let scenario = read(
        r#"
        workers = "1x1.0:code"
        tasks = 5_000
        warm_up = 100
        seed = 7
        timeout = "1s"
        mailbox = 64
        failure_rate = 0.01
        durations_known = true
        stealing = true
        order = "boost"
        refresh_interval = "100ms"
        sample_interval = "10ms"
        [[worker]]
        name = "gpu"
        count = 2
        speed = 2.5
        weight = 3
        capabilities = ["code", "chat"]
        [[worker]]
        name = "old"
        speed = 0.5
        [arrivals]
        kind = "bursty"
        rate = 500
        burst = 3
        burst_length = "10ms"
        quiet_length = "40ms"
        [service]
        kind = "pareto"
        mean = "1ms"
        shape = 1.5
        longest = "1s"
        [[capability]]
        name = "code"
        share = 0.7
        [[capability]]
        share = 0.3
        [keys]
        count = 100
        exponent = 0.9
        [cache]
        keys = 64
        cold_cost = "5ms"
        [dispatchers]
        count = 4
        sync_interval = "5ms"
        [[fault]]
        kind = "hang"
        worker = "old"
        at = "1s"
        duration = "2s"
        [[fault]]
        kind = "fail_fast"
        worker = 0
        after = "10us"
        [[fault]]
        kind = "slow_down"
        worker = 1
        factor = 10
        [[fault]]
        kind = "restart"
        worker = 2
        [tracking]
        enabled = true
        window_size = 50
        history_decay = 0.5
        fast_threshold = "1ms"
        failure_penalty = 3
        peak_decay = "2s"
        "#,
    )
    .unwrap();
    let names: Vec<_> = scenario.workers.iter().map(|worker| worker.spec.name()).collect();
    assert_eq!(names, ["code-0", "gpu-1", "gpu-2", "old"]);
    assert_eq!(scenario.workers[2].speed, 2.5);
    let gpu = WorkerSpec::new("gpu-2").capability("code").capability("chat").weight(3);
    assert_eq!(scenario.workers[2].spec, gpu);
    assert_eq!((scenario.tasks, scenario.warm_up, scenario.seed), (5_000, 100, 7));
    assert_eq!((scenario.timeout, scenario.mailbox), (Some(ms(1_000)), Some(64)));
    assert!(scenario.durations_known && scenario.stealing && scenario.failure_rate == 0.01);
    assert_eq!(scenario.order, Order::Boost);
    assert_eq!((scenario.refresh_interval, scenario.sample_interval), (ms(100), Some(ms(10))));
    let (rate, burst, burst_length, quiet_length) = (500.0, 3.0, ms(10), ms(40));
    assert_eq!(
        scenario.load,
        Load {
            arrivals: Arrivals::Bursty { rate, burst, burst_length, quiet_length },
            service: Service::Pareto { mean: ms(1), shape: 1.5, longest: ms(1_000) },
            capabilities: Capabilities::Mix(vec![
                (Some(Capability::intern("code").unwrap()), 0.7),
                (None, 0.3)
            ]),
            keys: Keys::Zipf { count: 100, exponent: 0.9 },
        }
    );
    assert_eq!(scenario.cache, Some(Cache { keys: 64, cold_cost: ms(5) }));
    assert_eq!(scenario.dispatchers, Dispatchers { count: 4, sync_interval: ms(5) });
    let fault = |worker, at, duration, kind| Fault { worker, at: ms(at), duration, kind };
    assert_eq!(
        scenario.faults,
        [
            fault(3, 1_000, Some(ms(2_000)), FaultKind::Hang),
            fault(0, 0, None, FaultKind::FailFast { after: Duration::from_micros(10) }),
            fault(1, 0, None, FaultKind::SlowDown { factor: 10.0 }),
            fault(2, 0, None, FaultKind::Restart),
        ]
    );
    let (window, history_decay, failure_penalty) = (50, 0.5, 3.0);
    let fast = FastThreshold::Fixed(ms(1));
    let peak_decay = ms(2_000);
    let enabled = true;
    let tracking = Tracking { enabled, window, history_decay, fast, failure_penalty, peak_decay };
    assert_eq!(scenario.tracking, tracking);
}

#[test]
fn errors_name_line_key_value_and_what_is_allowed() {
    let one = "workers = \"1x1\"\n";
    let load = |text: &str| read(&format!("{one}{text}"));
    let service = "[service]\nkind = \"constant\"\ntime = \"1ms\"\n";
    let cases = [
        (with("workers ="), "line 1: "),
        (with(""), "line 1: workers is missing, allowed is workers such as"),
        (with("workers = \"0x1\""), "line 1: invalid workers: `0` in `0x1` is not a number of"),
        (with("workers = 4"), "line 1: workers is `4`, allowed is workers such as"),
        (
            with("workers = \"1x1\"\ntask = 5"),
            "line 2: unknown key `task`, expected one of workers, worker, service, \
             arrivals, capability, keys, tasks, warm_up,",
        ),
        (
            with("workers = \"1x1\"\n\ntasks = 0"),
            "line 3: tasks is `0`, allowed is a whole number of at least 1",
        ),
        (with("workers = \"1x1\"\ntasks = 1.5"), "line 2: tasks is `1.5`, allowed is a whole"),
        (
            with("workers = \"1x1\"\ntasks = 10\nwarm_up = 10"),
            "line 3: warm_up is `10`, allowed is below tasks, which is 10",
        ),
        (
            with("workers = \"1x1\"\ntimeout = \"soon\""),
            "line 2: timeout is `\"soon\"`, allowed is a duration above zero and at most a year",
        ),
        (with("workers = \"1x1\"\ntimeout = \"0s\""), "line 2: timeout is `\"0s\"`, allowed"),
        (
            with("workers = \"1x1\"\nfailure_rate = 2"),
            "line 2: failure_rate is `2`, allowed is a share",
        ),
        (
            with("workers = \"1x1\"\nfailure_rate = nan"),
            "line 2: failure_rate is `nan`, allowed is",
        ),
        (with("workers = \"1x1\"\nstealing = 1"), "line 2: stealing is `1`, allowed is true or"),
        (
            with("workers = \"1x1\"\norder = \"lifo\""),
            "line 2: order is `\"lifo\"`, allowed is one of fifo, boost, boost_exact",
        ),
        (with("workers = \"1x1\"\nkeys = 1"), "line 2: keys is `1`, allowed is a table [keys]"),
        (
            with("workers = \"1x1\"\n[cache]\ncold_cost = \"1ms\""),
            "line 2: cache.keys is missing, allowed is a whole number of at least 1",
        ),
        (with("workers = \"1x1\"\n[cache]\nkeys = 0"), "line 3: cache.keys is `0`, allowed is a"),
        (
            with("workers = \"1x1\"\n[cache]\nkeys = 4"),
            "line 2: cache.cold_cost is missing, allowed is a duration",
        ),
        (with("workers = \"1x1\"\nfault = 1"), "line 2: fault is `1`, allowed is one or more"),
        (
            with("[[worker]]\nname = \"a\"\n[[worker]]\nname = \"a\""),
            "line 4: worker[1].name is `\"a\"`, allowed is a name other than `a`, which is taken",
        ),
        (
            with("[[worker]]\ncount = 100001"),
            "line 2: worker[0].count is `100001`, allowed is a whole number, and at most",
        ),
        (with("[[worker]]\nspeed = -1"), "line 2: worker[0].speed is `-1`, allowed is a number"),
        (
            with("[[worker]]\ncapabilities = \"x\""),
            "line 2: worker[0].capabilities is `\"x\"`, allowed is a list of strings",
        ),
        (load(service), "line 1: arrivals is missing, allowed is a table [arrivals]"),
        (load("[arrivals]"), "line 1: service is missing, allowed is a table [service]"),
        (
            load("[service]\nkind = \"normal\""),
            "line 3: service.kind is `\"normal\"`, allowed is one of exponential, constant,",
        ),
        (load("[service]\n"), "line 2: service.kind is missing, allowed is one of"),
        (
            load("[service]\nkind = \"exponential\""),
            "line 2: service.mean is missing, allowed is a duration such as \"5ms\"",
        ),
        (
            load("[service]\nkind = \"constant\"\ntime = \"1ms\"\nmean = \"1ms\""),
            "line 5: unknown key `service.mean`, expected one of kind, time",
        ),
        (
            load("[service]\nkind=\"pareto\"\nmean=\"2ms\"\nshape=1"),
            "line 5: service.shape is `1`, allowed is a number above 1",
        ),
        (
            load("[service]\nkind=\"pareto\"\nmean=\"2ms\"\nshape=2\nlongest=\"1ms\""),
            "line 2: service.longest is `1ms`, allowed is above the mean, 2ms",
        ),
        (
            load(&format!("{service}[arrivals]\nkind = \"steady\"\nload = 1\nrate = 1")),
            "line 7: arrivals.load is `1`, allowed is only one of load and rate",
        ),
        (
            load(&format!("{service}[arrivals]\nkind = \"steady\"")),
            "line 5: arrivals.load is missing, allowed is a load such as 0.9, or a rate",
        ),
        (
            load(&format!(
                "{service}[arrivals]\nkind = \"bursty\"\nload = 1\nburst = 6\n\
                 burst_length = \"1ms\"\nquiet_length = \"4ms\""
            )),
            "line 8: arrivals.burst is `6`, allowed is a multiple of the mean rate, from 1 to 5",
        ),
        (
            with("workers = \"1x1:a\"\n[[capability]]\nname = \"b\"\nshare = 1"),
            "line 3: capability[0].name is `\"b\"`, allowed is a capability that a worker serves",
        ),
        (
            with("workers = \"1x1\"\n[[fault]]\nkind = \"hang\"\nworker = 1"),
            "line 4: fault[0].worker is `1`, allowed is a worker's position, 0 to 0, or its name",
        ),
        (
            with("workers = \"1x1\"\n[[fault]]\nkind = \"hang\"\nworker = \"x\""),
            "line 4: fault[0].worker is `\"x\"`, allowed is a worker's position",
        ),
        (
            with("workers = \"1x1\"\n[dispatchers]\ncount = 0"),
            "line 3: dispatchers.count is `0`, allowed is a whole number of at least 1",
        ),
        (
            with("workers = \"1x1\"\n[tracking]\nwindow_size = 65537"),
            "line 3: tracking.window_size is `65537`, allowed is a whole number from 1 to 65536",
        ),
    ];
    for (scenario, expected) in cases {
        let error = scenario.unwrap_err();
        let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
        let error = format!("{error}{cause}");
        assert!(error.starts_with(expected), "{error}\nnot\n{expected}");
    }
}

#[test]
fn replacing_the_workers_keeps_the_load_or_the_rate_and_the_faults() {
    let read = |arrivals: &str, workers: &str| {
        let text = format!("workers = \"4x1\"\n{LOAD}").replace("load = 0.5", arrivals)
            + "[[fault]]\nkind = \"hang\"\nworker = 3\n";
        Scenario::parse(&text, Some(&workers.parse().unwrap()))
    };
    let load = read("load = 0.5", "8x2.0").unwrap();
    assert_eq!((load.workers.len(), load.offered_load()), (8, 0.5));
    let rate = read("rate = 1000", "8x2.0").unwrap();
    assert_eq!(rate.offered_load(), 0.125);
    let error = read("load = 0.5", "2x1.0").unwrap_err().to_string();
    assert!(error.contains("a worker's position, 0 to 1, or its name"), "{error}");
}

proptest! {
    #[test]
    fn parsing_never_panics(
        lines in prop::collection::vec(
            "(\\[\\[?)?(workers?|tasks|load|rate|kind|service|arrivals|keys)\\]{0,2}( = [\"0-9a-z.-]{0,8})?",
            0..12,
        )
    ) {
        let _ = Scenario::from_toml(&lines.join("\n"));
    }
}
