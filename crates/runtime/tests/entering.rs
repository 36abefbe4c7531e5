//! Workers whose threads enter another runtime, and what happens if that goes wrong.
mod common;

use std::cell::Cell;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{Do, LONG, Obedient, builder, end, number, watchdog};
use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, AsyncContext, AsyncHandler, Context, Pool, StartError};

thread_local!(static ENTERED: Cell<u32> = const { Cell::new(0) });

#[test]
fn hooks_and_handlers_run_inside_until_the_thread_ends() {
    struct Inside;
    impl Actor for Inside {
        fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
            if ENTERED.get() == 1 { Ok(()) } else { Err("outside".into()) }
        }
    }
    impl AsyncHandler<()> for Inside {
        type Reply = u32;
        async fn handle(&mut self, (): (), _: &mut AsyncContext<'_, Self>) -> u32 {
            ENTERED.get()
        }
    }
    let _watchdog = watchdog();
    let (left, leaves) = channel();
    let pool = Pool::builder("inside")
        .workers(2, WorkerSpec::general())
        .enter(move |run: &mut dyn FnMut()| {
            ENTERED.set(ENTERED.get() + 1);
            run();
            left.send(()).unwrap();
        })
        .spawn_async(|_| Inside)
        .unwrap();
    assert_eq!(pool.ask(()).wait().unwrap(), 1);
    assert!(leaves.try_recv().is_err());
    end(&pool);
    assert_eq!(leaves.iter().take(2).count(), 2);
}

#[test]
fn a_context_that_panics_does_not_call_back_or_calls_twice_does_no_harm() {
    let _watchdog = watchdog();
    type Enter = fn(&mut dyn FnMut());
    let contexts: [Enter; 4] = [
        |_| panic!("before"),
        |_| {},
        |run| {
            run();
            run();
        },
        |run| {
            run();
            panic!("after");
        },
    ];
    for context in contexts {
        let pool = builder(2).enter(context).spawn(|_| Obedient::default()).unwrap();
        assert_eq!(number(pool.ask(Do::Return(7))), 7);
        end(&pool);
    }
}

/// Sleeps by tokio's timer.
struct Sleeper;

impl Actor for Sleeper {}

impl AsyncHandler<Duration> for Sleeper {
    type Reply = ();

    async fn handle(&mut self, time: Duration, _: &mut AsyncContext<'_, Self>) {
        tokio::time::sleep(time).await;
    }
}

#[test]
fn tokio_s_timers_work_inside_and_a_handler_that_sleeps_too_long_is_dropped() {
    let _watchdog = watchdog();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let handle = runtime.handle().clone();
    let pool = Pool::builder("sleep")
        .workers(1, WorkerSpec::general())
        .enter(move |run: &mut dyn FnMut()| {
            let _entered = handle.enter();
            run();
        })
        .spawn_async(|_| Sleeper)
        .unwrap();
    for _ in 0..10 {
        pool.ask(Duration::from_millis(1)).wait().unwrap();
    }
    let task = pool.task(LONG).timeout(Duration::from_millis(20));
    assert!(matches!(task.ask().wait(), Err(raddle_runtime::AskError::Expired)));
    end(&pool);
}
