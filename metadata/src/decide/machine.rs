//! The machine: what becomes of a command.
//!
//! [`decide`] looks at the image and says which records a command makes, and what to answer; it changes nothing, so it
//! also serves requests that only validate. [`apply_command`] decides and applies. Both are functions of their
//! arguments alone: every controller comes to the same image.
//!
//! A change to what a command decides changes what old logs mean on nodes that replay them: it needs a new command, or
//! a field with a default, and a newer metadata version. What is of a version that is not finalised is refused.

use std::borrow::Borrow;

use holdfast_proto::ids::MetadataIndex;

use super::{brokers, disks, fences, leaders, moves, partitions, producer_ids, topics, trust, versions};
use crate::{
    command::Command,
    history::HistoryHash,
    image::Image,
    invariant::{self, Violation},
    needs::{self, Needs},
    record::Record,
    response::{Decision, Outcome, Rejection, Response},
};

/// What the command would come to, without doing it.
pub fn decide(image: &Image, command: &Command) -> Outcome {
    match decide_by(&needs::SHIPPED, image, command) {
        Ok((records, response)) => Outcome { records, result: Ok(response) },
        Err(rejection) => Outcome { records: Vec::new(), result: Err(rejection) },
    }
}

/// Decides, if by this table the cluster's version has the command and all records that come of it.
fn decide_by(needs: &Needs, image: &Image, command: &Command) -> Decision {
    needs.check_command(image.version(), command)?;
    let decided = decide_any(image, command)?;
    needs.check_records(image.version(), &decided.0)?;
    Ok(decided)
}

fn decide_any(image: &Image, command: &Command) -> Decision {
    match command {
        Command::FormCluster { cluster_id } => brokers::form_cluster(image, *cluster_id),
        Command::RegisterBroker(command) => brokers::register(image, command),
        Command::FenceBroker { broker_id, broker_epoch } => brokers::fence(image, *broker_id, *broker_epoch),
        Command::FenceBrokers { brokers } => fences::fence_together(image, brokers),
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
        Command::FinalizeVersion(command) => versions::finalize(image, command),
        Command::RenewFolderToken { broker_id, broker_epoch, token } => {
            trust::renew_token(image, *broker_id, *broker_epoch, *token)
        }
        Command::DistrustReplicas(command) => trust::distrust(image, command),
        Command::RecoverPartition(command) => trust::recover(image, command),
        Command::LoseDisk { broker_id, broker_epoch, at_ms } => disks::lose(image, *broker_id, *broker_epoch, *at_ms),
        Command::BeginHistory => Ok((vec![Record::History { hash: HistoryHash::START }], Response::HistoryBegun)),
        Command::CheckHistory { .. } => Ok((Vec::new(), Response::HistoryChecked)),
    }
}

/// Carries out the command at this index of the log. The image is then at the index, also if the command was refused.
///
/// Records that do not fit, or that break an invariant of [`invariant`], are a fault of the machine: they are taken back,
/// and the command is refused with a [`Rejection::is_fault`], on every controller alike. One command less is better than
/// controllers that all end at the same entry, and at each start again.
///
/// Panics if the index does not grow, or if the image was broken before the command: the process must end rather than
/// serve such a state.
pub fn apply_command(image: &mut Image, index: MetadataIndex, command: impl Borrow<Command>) -> Outcome {
    let command = command.borrow();
    let outcome = decide(image, command);
    carry_out(image, index, command, outcome)
}

fn carry_out(image: &mut Image, index: MetadataIndex, command: &Command, outcome: Outcome) -> Outcome {
    if let Err(error) = image.advance_to(index) {
        panic!("index {index}, {command}: {error}; was the log applied out of order?");
    }
    let fault = match &outcome.result {
        Ok(_) => apply(image, &outcome.records).err().map(|why| Rejection::fault(format!("{command}: {why}"))),
        Err(rejection) => Some(rejection).filter(|rejection| rejection.is_fault()).cloned(),
    };
    let Some(fault) = fault else {
        image.remember(&outcome.records);
        return outcome;
    };
    if let Err(violations) = invariant::check(image) {
        panic!("index {index}, {command}: {fault}; the state was broken before: {}", first(&violations));
    }
    Outcome { records: Vec::new(), result: Err(fault) }
}

/// The first of them, and how many there are: there may be several a partition, and the text travels.
fn first(violations: &[Violation]) -> String {
    let count = violations.len();
    violations.first().map_or_else(String::new, |first| format!("{first} (the first of {count})"))
}

/// Applies all records, or none and says what is wrong with them.
fn apply(image: &mut Image, records: &[Record]) -> Result<(), String> {
    let mut undo = Vec::with_capacity(records.len());
    let mut fits = || -> Result<(), String> {
        for record in records {
            undo.push(image.before(record));
            if let Err(error) = image.apply(record) {
                // It has changed nothing.
                undo.pop();
                return Err(error.to_string());
            }
        }
        let touched = records.iter().filter_map(|record| match record {
            Record::Partition { topic_id, partition, .. } => Some((*topic_id, *partition)),
            _ => None,
        });
        invariant::check_partitions(image, touched).map_err(|violations| first(&violations))
    };
    let result = fits();
    if result.is_err() {
        undo.into_iter().rev().for_each(|undo| image.restore(undo));
    }
    result
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
