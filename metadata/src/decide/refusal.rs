//! Whether a command would be refused, asked before it is proposed: what is refused anyway needs no place in the log.
//!
//! Pure. It says of the image what [`super::decide`] would say. Of what comes often, and of what changes all partitions of
//! a broker, it looks at the registration alone; the rest is decided as a whole, which may cost as much as carrying it
//! out: a creation places all its replicas. So the caller has to bound how many are asked about at once.
//!
//! A refusal is final for the caller, as the image holds everything that was acknowledged; what is not refused here may
//! still be refused once its turn in the log has come.
//!
//! The changes of an ISR and the moves are not looked at one by one: what a leader may conclude from the refusal of one
//! proposal rests on the proposals that it made before having been decided first, and that is known in the log alone.

use super::{brokers, fences, machine::decide, moves, partitions, trust};
use crate::{command::Command, image::Image, needs, response::Rejection};

/// Why the whole command would be refused if it were decided on this image; `None` if it would be carried out.
pub fn refusal(image: &Image, command: &Command) -> Option<Rejection> {
    if let Err(rejection) = needs::SHIPPED.check_command(image.version(), command) {
        return Some(rejection);
    }
    let checked = match command {
        Command::RegisterBroker(command) => brokers::registrable(image, command),
        Command::FenceBroker { broker_id, broker_epoch }
        | Command::BeginControlledShutdown { broker_id, broker_epoch }
        | Command::RenewFolderToken { broker_id, broker_epoch, .. } => {
            brokers::registered(image, *broker_id, *broker_epoch).map(drop)
        }
        Command::FenceBrokers { brokers } => fences::bounded(brokers),
        Command::DistrustReplicas(command) => trust::distrustable(image, command),
        Command::UnfenceBroker { broker_id, broker_epoch } => {
            brokers::unfenceable(image, *broker_id, *broker_epoch).map(drop)
        }
        Command::AlterPartition(command) => partitions::acceptable(image, command),
        Command::AlterReplicas(command) => moves::acceptable(command),
        Command::BeginHistory | Command::CheckHistory { .. } => Ok(()),
        Command::FormCluster { .. }
        | Command::UnregisterBroker { .. }
        | Command::CreateTopic(_)
        | Command::DeleteTopic { .. }
        | Command::AlterTopic(_)
        | Command::SetBrokerDrain { .. }
        | Command::ElectLeaders { .. }
        | Command::AllocateProducerIds { .. }
        | Command::RecoverPartition(_)
        | Command::LoseDisk { .. }
        | Command::FinalizeVersion(_) => decide(image, command).result.map(drop),
    };
    checked.err()
}
