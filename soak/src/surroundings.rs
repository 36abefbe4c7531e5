use raddle::{AsyncContext, Context, Worker};

use crate::actor::{Faulty, Pool};
use crate::message::Message;

/// What plain and async contexts have in common.
pub trait Surroundings {
    fn worker(&self) -> &Worker;
    fn is_cancelled(&self) -> bool;
    fn stop(&mut self);
    fn give_up(&mut self, reason: &str);
    fn pool(&self) -> Option<Pool>;
}

macro_rules! surroundings {
    ($($context:ident),*) => {
        $(
            impl<const HANDS_OVER: bool> Surroundings for $context<'_, Faulty<HANDS_OVER>> {
                fn worker(&self) -> &Worker {
                    self.worker()
                }

                fn is_cancelled(&self) -> bool {
                    self.is_cancelled()
                }

                fn stop(&mut self) {
                    self.stop();
                }

                fn give_up(&mut self, reason: &str) {
                    self.give_up(reason);
                }

                fn pool(&self) -> Option<Pool> {
                    self.pool::<Message>()
                }
            }
        )*
    };
}

surroundings!(Context, AsyncContext);
