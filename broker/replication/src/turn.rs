//! What a role works with during one step.

use holdfast_proto::{error::ErrorCode, ids::Millis};

use crate::{
    config::ReplicaConfig,
    effect::{Effect, Produced},
    event::ProduceToken,
    log::local_log::LocalLog,
};

/// The surroundings of one step: everything that is not the role's own.
pub(crate) struct Turn<'a> {
    pub(crate) config: &'a ReplicaConfig,
    pub(crate) log: &'a mut LocalLog,
    pub(crate) now: Millis,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn refuse_produce(&mut self, token: ProduceToken, code: ErrorCode) {
        self.effects.push(Effect::CompleteProduce { token, result: Err(code) });
    }

    pub(crate) fn complete_produce(&mut self, token: ProduceToken, produced: Produced) {
        self.effects.push(Effect::CompleteProduce { token, result: Ok(produced) });
    }
}
