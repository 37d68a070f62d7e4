//! The machine: what becomes of a command.
//!
//! [`decide`] looks at the image and says which records a command makes, and what to answer; it changes nothing, so it
//! also serves requests that only validate. [`apply_command`] decides and applies. Both are functions of their
//! arguments alone: every controller comes to the same image.
//!
//! A change to what a command decides changes what old logs mean on nodes that replay them: it needs a new command, or
//! a field with a default.

use std::borrow::Borrow;

use holdfast_proto::ids::MetadataIndex;

use super::{brokers, leaders, moves, partitions, producer_ids, topics};
use crate::{command::Command, image::Image, invariant, record::Record, response::Outcome};

/// What the command would come to, without doing it.
pub fn decide(image: &Image, command: &Command) -> Outcome {
    let decision = match command {
        Command::FormCluster { cluster_id } => brokers::form_cluster(image, *cluster_id),
        Command::RegisterBroker(command) => brokers::register(image, command),
        Command::FenceBroker { broker_id, broker_epoch } => brokers::fence(image, *broker_id, *broker_epoch),
        Command::UnfenceBroker { broker_id, broker_epoch } => brokers::unfence(image, *broker_id, *broker_epoch),
        Command::BeginControlledShutdown { broker_id, broker_epoch } => {
            brokers::begin_controlled_shutdown(image, *broker_id, *broker_epoch)
        }
        Command::UnregisterBroker { broker_id } => brokers::unregister(image, *broker_id),
        Command::CreateTopic(command) => topics::create(image, command),
        Command::DeleteTopic { topic_id } => topics::delete(image, *topic_id),
        Command::AlterTopic(command) => topics::alter(image, command),
        Command::AlterPartition(command) => partitions::alter(image, command),
        Command::AlterReplicas(command) => moves::alter_replicas(image, command),
        Command::SetBrokerDrain { broker_id, draining } => brokers::set_drain(image, *broker_id, *draining),
        Command::ElectLeaders { partitions } => leaders::elect_leaders(image, partitions),
        Command::AllocateProducerIds { broker_id, broker_epoch } => {
            producer_ids::allocate(image, *broker_id, *broker_epoch)
        }
    };
    match decision {
        Ok((records, response)) => Outcome { records, result: Ok(response) },
        Err(rejection) => Outcome { records: Vec::new(), result: Err(rejection) },
    }
}

/// Carries out the command at this index of the log. The image is then at the index, also if the command was refused.
///
/// Panics if the index does not grow, or if the machine's own records do not fit or break an invariant of
/// [`invariant`]: the process must end rather than serve such a state.
pub fn apply_command(image: &mut Image, index: MetadataIndex, command: impl Borrow<Command>) -> Outcome {
    let command = command.borrow();
    let outcome = decide(image, command);
    let fits = |result: Result<(), crate::image::Error>| {
        result.unwrap_or_else(|error| panic!("index {index}, {command}: {error}; was the log applied out of order?"));
    };
    fits(image.advance_to(index));
    for record in &outcome.records {
        fits(image.apply(record));
    }
    let touched = outcome.records.iter().filter_map(|record| match record {
        Record::Partition { topic_id, partition, .. } => Some((*topic_id, *partition)),
        _ => None,
    });
    if let Err(violations) = invariant::check_partitions(image, touched) {
        panic!("index {index}, {command}: {violations:?}");
    }
    outcome
}
