//! What a panic of the user's code carries.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// After this many payloads that panic when they are dropped, the next one is leaked.
const MOST: usize = 8;

/// Drops the payload, and returns its message.
#[cold]
pub(crate) fn message(payload: Box<dyn Any + Send>) -> String {
    let message = match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "a panic without a message".to_owned(),
        },
    };
    discard(payload);
    message
}

/// Drops the payload. That may panic, and so may dropping that panic's payload.
#[cold]
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    let mut left = Some(payload);
    for _ in 0..MOST {
        let Some(payload) = left else { return };
        left = catch_unwind(AssertUnwindSafe(|| drop(payload))).err();
    }
    std::mem::forget(left);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;
    use std::sync::Arc;

    struct Bomb(Arc<()>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Arc::clone(&self.0));
        }
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_dropped_with_the_next_one() {
        let value = Arc::new(());
        assert_eq!(message(Box::new(Bomb(Arc::clone(&value)))), "a panic without a message");
        assert_eq!(Arc::strong_count(&value), 1);
    }

    struct Endless;

    impl Drop for Endless {
        fn drop(&mut self) {
            panic_any(Self);
        }
    }

    #[test]
    fn payloads_that_always_panic_when_dropped_come_to_an_end() {
        discard(Box::new(Endless));
    }
}
