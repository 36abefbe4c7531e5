//! tower: its power-of-two-choices balancer over services that are always ready.

use std::convert::Infallible;
use std::future::Ready;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tower::Service;
use ::tower::balance::p2c::Balance;
use ::tower::discover::ServiceList;
use ::tower::load::{CompleteOnResponse, Load, PeakEwma, PendingRequests};
use futures::task::noop_waker_ref;

use crate::figures::Figures;
use crate::harness::Selecting;

/// Replies at once.
struct Instantly(usize);

impl Service<()> for Instantly {
    type Response = usize;
    type Error = Infallible;
    type Future = Ready<Result<usize, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::ready(Ok(self.0))
    }
}

/// By pending requests.
pub fn pending_requests(selecting: &Selecting) -> Figures {
    balance(selecting, |target| PendingRequests::new(target, CompleteOnResponse::default()))
}

/// By peak EWMA, with the settings of tower's example.
pub fn peak_ewma(selecting: &Selecting) -> Figures {
    const DEFAULT_RTT: Duration = Duration::from_millis(30);
    const DECAY: Duration = Duration::from_secs(10);
    let decay = DECAY.as_nanos() as f64;
    balance(selecting, |target| {
        PeakEwma::new(target, DEFAULT_RTT, decay, CompleteOnResponse::default())
    })
}

fn balance<S>(selecting: &Selecting, load: impl Fn(Instantly) -> S) -> Figures
where
    S: Service<(), Response = usize, Error = Infallible> + Load,
    S::Metric: std::fmt::Debug,
{
    let targets: Vec<S> = (0..selecting.targets).map(|at| load(Instantly(at))).collect();
    let mut balance = Balance::new(ServiceList::new(targets));
    let mut context = Context::from_waker(noop_waker_ref());
    selecting.measure(|| {
        assert!(balance.poll_ready(&mut context).is_ready(), "all are ready");
        let answer = pin!(balance.call(()));
        assert!(black_box(answer.poll(&mut context)).is_ready(), "all answer at once");
    })
}
