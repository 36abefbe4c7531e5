//! The hooks of an actor, of which some fail.

use std::sync::atomic::Ordering::Relaxed;

use raddle::{Actor, Context, KeyedState, StartError};

use crate::actor::Faulty;
use crate::hand_over;
use crate::planted;
use crate::tally::Occurrence;

impl<const HANDS_OVER: bool> Actor for Faulty<HANDS_OVER> {
    fn on_start(&mut self, cx: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.generation.set(cx.worker().generation());
        self.records.call_back(Occurrence::CalledFromHook, 10);
        if self.records.started.load(Relaxed) && self.chance(20) {
            self.count(Occurrence::StartFailed);
            return Err("planted: on_start".into());
        }
        Ok(())
    }

    fn on_restart(&mut self, cx: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.generation.set(cx.worker().generation());
        self.records.call_back(Occurrence::CalledFromHook, 100);
        let fails = self.records.plan.failing_restarts;
        match self.draw(|rng| rng.u32(..1_000)) {
            0..100 if fails => {
                self.count(Occurrence::RestartFailed);
                Err("planted: on_restart".into())
            }
            100..120 if fails => {
                self.count(Occurrence::RestartPanicked);
                planted::blow_up("on_restart")
            }
            120..122 => {
                self.count(Occurrence::RestartHung);
                self.records.hangs.hang(Some(self.records.plan.hang()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_panic(&mut self, _: &str, _: &mut Context<'_, Self>) {
        self.records.call_back(Occurrence::CalledFromHook, 100);
        if self.chance(100) {
            self.count(Occurrence::HookPanicked);
            planted::blow_up("on_panic");
        }
    }

    fn survives_panic(&mut self, _: &str, _: &mut Context<'_, Self>) -> bool {
        let survives = HANDS_OVER && self.chance(2);
        if survives {
            self.count(Occurrence::Survived);
        }
        survives
    }

    fn keyed_state() -> Option<KeyedState<Self>> {
        HANDS_OVER.then(hand_over::keyed_state)
    }

    fn on_stop(&mut self, cx: &mut Context<'_, Self>) {
        self.note_revoked(cx);
        self.records.call_back(Occurrence::CalledFromHook, 10);
        if self.chance(20) {
            self.count(Occurrence::HookPanicked);
            planted::blow_up("on_stop");
        }
    }
}
