//! An actor that keeps sessions, and its unit tests: a handler without a pool, and a pool under a
//! virtual clock. `cargo test -p raddle --features test --example unit_tests` runs the tests.

use std::collections::HashMap;
use std::time::Duration;

use raddle::{Actor, Context, Drain, Handler, Pool, PoolBuilder, SendError, WorkerSpec};

/// How long a session lives that is not used.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// A request with less time than this left is not worth beginning.
const WORTHWHILE: Duration = Duration::from_millis(1);

/// Keeps the sessions of users. All messages of a user have the user's number as their key, so they run in
/// order, at one worker.
#[derive(Default)]
struct Sessions {
    /// The number of uses of each session.
    uses: HashMap<u64, u64>,
}

#[derive(Clone, Copy, Debug)]
enum Message {
    /// Uses the session of this user; begins one if there is none.
    Use(u64),
    /// Ends the session of this user, unless it was used more often than this.
    End(u64, u64),
}

#[derive(Debug, PartialEq)]
struct TooLate;

impl Actor for Sessions {}

impl Handler<Message> for Sessions {
    /// The number of uses.
    type Reply = Result<u64, TooLate>;

    fn handle(&mut self, message: Message, cx: &mut Context<'_, Self>) -> Self::Reply {
        match message {
            Message::Use(_) if cx.remaining().is_some_and(|left| left < WORTHWHILE) => Err(TooLate),
            Message::Use(user) => {
                let uses = self.uses.entry(user).or_default();
                *uses += 1;
                if let Some(pool) = cx.pool::<Message>() {
                    // Refused only if the pool is closed: then no session ends any more.
                    let _ = end_later(&pool, user, *uses);
                }
                Ok(*uses)
            }
            Message::End(user, uses) => {
                if self.uses.get(&user) == Some(&uses) {
                    self.uses.remove(&user);
                }
                Ok(uses)
            }
        }
    }
}

fn end_later(pool: &Pool<Message, Reply>, user: u64, uses: u64) -> Result<(), SendError<Message>> {
    pool.task(Message::End(user, uses)).key(user).tell_after(LIFETIME).map(drop)
}

type Reply = Result<u64, TooLate>;

fn sessions() -> PoolBuilder<Message, Reply> {
    Pool::builder("sessions").workers(4, WorkerSpec::general())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = sessions().spawn(|_| Sessions::default())?;
    for user in [1, 2, 1] {
        let uses = pool.task(Message::Use(user)).key(user).ask().wait()?;
        println!("user {user}: {uses:?}");
    }
    let account = pool.shutdown(Drain::within(Duration::from_secs(1)))?;
    assert_eq!((account.counts.completed, pool.take_unfinished().len()), (3, 3));
    Ok(())
}

#[cfg(test)]
mod tests {
    use raddle::test::TestPool;
    use raddle::{AskError, EventKind, Watchdog};

    use super::*;

    #[test]
    fn a_session_counts_its_uses() {
        let mut test = Context::for_test();
        let mut sessions = Sessions::default();
        assert_eq!(sessions.handle(Message::Use(7), &mut test.context()), Ok(1));
        assert_eq!(sessions.handle(Message::Use(7), &mut test.context()), Ok(2));
        assert_eq!(sessions.handle(Message::Use(8), &mut test.context()), Ok(1));
    }

    #[test]
    fn a_request_that_is_nearly_late_is_not_begun() {
        let mut test = Context::for_test();
        let mut sessions = Sessions::default();
        test.set_timeout(2 * WORTHWHILE);
        assert_eq!(sessions.handle(Message::Use(7), &mut test.context()), Ok(1));
        test.advance(WORTHWHILE + Duration::from_nanos(1));
        assert_eq!(sessions.handle(Message::Use(7), &mut test.context()), Err(TooLate));
        assert_eq!(sessions.uses[&7], 1);
    }

    fn use_by(pool: &TestPool<Message, Reply>, user: u64) -> Result<Reply, AskError<Message>> {
        pool.task(Message::Use(user)).key(user).ask().wait()
    }

    #[test]
    fn a_session_ends_half_an_hour_after_its_last_use() -> Result<(), Box<dyn std::error::Error>> {
        let pool = TestPool::spawn(sessions(), |_| Sessions::default())?;
        assert_eq!(use_by(&pool, 7)?, Ok(1));
        pool.advance(LIFETIME / 2);
        assert_eq!(use_by(&pool, 7)?, Ok(2));
        pool.advance(LIFETIME - Duration::from_nanos(1));
        assert_eq!(use_by(&pool, 7)?, Ok(3), "it was used in time");
        pool.advance(LIFETIME);
        assert_eq!(use_by(&pool, 7)?, Ok(1), "a new one");
        Ok(())
    }

    /// Hangs at its first message, wherever that is.
    struct HangsOnce;

    impl Actor for HangsOnce {}

    impl Handler<Message> for HangsOnce {
        type Reply = Reply;

        fn handle(&mut self, _: Message, cx: &mut Context<'_, Self>) -> Reply {
            if cx.worker().generation() == 0 {
                raddle::test::sleep(24 * LIFETIME);
            }
            Ok(0)
        }
    }

    #[test]
    fn a_hung_worker_is_replaced_after_a_minute() -> Result<(), Box<dyn std::error::Error>> {
        let minute = Duration::from_secs(60);
        let builder = sessions().watchdog(Watchdog::after(minute));
        let pool = TestPool::spawn(builder, |_| HangsOnce)?;
        let mut events = pool.subscribe();
        pool.task(Message::Use(7)).key(7).tell()?;
        pool.advance(minute);
        assert_eq!(events.try_recv(), None);
        pool.advance(Duration::from_secs(1));
        assert_eq!(events.try_recv().map(|event| event.kind), Some(EventKind::Quarantined));
        assert_eq!(use_by(&pool, 7)?, Ok(0));
        Ok(())
    }
}
