//! Settings that have no meaning together are refused, with the reason.
mod common;

use std::time::Duration;

use common::{Obedient, builder, end, pool, watchdog};
use raddle_core::Tracking;
use raddle_runtime::{
    Actor, Context, Handler, Hedge, Overflow, Pool, PoolBuilder, RestartLimit, RestartPolicy,
    Restarts, SpawnError,
};
use raddle_strategies::{LatencyBased, LeastLoaded, SlowStart, StrategyName};

fn untracked() -> Tracking {
    Tracking { enabled: false, ..Tracking::default() }
}

fn refused(builder: PoolBuilder<common::Do, common::Answer>) -> SpawnError {
    builder.spawn(|_| Obedient::default()).unwrap_err()
}

#[test]
fn a_strategy_that_picks_by_what_is_tracked_is_refused_if_tracking_is_off() {
    let _watchdog = watchdog();
    use StrategyName::{ExpectedDelay, HotCold, LatencyBased as Latency, PeakEwma, WarmFirst};
    for name in StrategyName::ALL {
        let builder = builder(2).strategy(name.build()).tracking(untracked());
        let spawned = builder.spawn(|_| Obedient::default());
        let needs = [Latency, PeakEwma, HotCold, ExpectedDelay, WarmFirst].contains(&name);
        assert_eq!(spawned.is_err(), needs, "{name}");
        if let Err(error) = spawned {
            let expected = format!("tracking of {name} is off, allowed is on, since it picks by ");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
    let pool = builder(2).tracking(untracked()).spawn(|_| Obedient::default()).unwrap();
    assert!(pool.set_strategy(LatencyBased::new()).is_err());
    assert!(pool.set_strategy(SlowStart::new(LatencyBased::new())).is_err());
    assert!(pool.set_shadow(LatencyBased::new()).is_err());
    pool.set_shadow(LeastLoaded::new()).unwrap();
    end(&pool);
}

#[test]
fn rerouting_is_refused_if_mailboxes_are_unbounded() {
    let error = refused(builder(2).mailbox_unbounded().reroute(true));
    assert!(matches!(error, SpawnError::Meaningless { option: "reroute", .. }), "{error:?}");
    assert!(error.to_string().contains("unbounded"), "{error}");
    let bounded = builder(2).mailbox_unbounded().mailbox(4, Overflow::Reject).reroute(true);
    end(&bounded.spawn(|_| Obedient::default()).unwrap());
}

#[test]
fn a_restart_limit_is_refused_if_no_actor_is_restarted() {
    let limit = RestartLimit { restarts: 3, within: Duration::from_secs(1) };
    let restarts = Restarts::default().policy(RestartPolicy::Never).limit(limit);
    let error = refused(builder(1).restarts(restarts));
    assert_eq!(
        error.to_string(),
        "a restart limit has no meaning with the policy `never`; remove one of them"
    );
}

/// Accepts messages that can be cloned.
struct Sink;

impl Actor for Sink {}

impl Handler<u8> for Sink {
    type Reply = ();
    fn handle(&mut self, _: u8, _: &mut Context<'_, Self>) {}
}

#[test]
fn a_hedge_at_a_quantile_is_refused_if_tracking_is_off() {
    let _watchdog = watchdog();
    let pool: Pool<u8, ()> = builder(2).tracking(untracked()).spawn(|_| Sink).unwrap();
    let ask = pool.task(7).ask_hedged(Hedge::at_quantile(0.9));
    let Err(refused) = ask.into_admitted() else { panic!("it cannot be honoured") };
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("tracking"), "{source}");
    assert_eq!(refused.into_message(), 7);
    pool.task(7).ask_hedged(Hedge::after(Duration::from_secs(1))).wait().unwrap();
    end(&pool);
}

#[test]
fn settings_that_seem_odd_and_have_a_meaning_are_honoured() {
    let _watchdog = watchdog();
    // Workers may be added.
    let builder = builder(1).stealing(true).reroute(true).hedge_budget(0.0);
    end(&builder.mailbox(1, Overflow::DropOldest).spawn(|_| Obedient::default()).unwrap());
    end(&pool(1, 1, Overflow::BlockFor(Duration::ZERO)));
}
