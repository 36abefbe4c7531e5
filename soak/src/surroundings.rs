use raddle::Worker;

use crate::message::Pool;

/// What plain and async contexts have in common.
pub trait Surroundings {
    fn worker(&self) -> &Worker;
    fn is_cancelled(&self) -> bool;
    fn stop(&mut self);
    fn give_up(&mut self, reason: &str);
    fn pool(&self) -> Option<Pool>;
}
