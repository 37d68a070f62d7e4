//! The table: which metadata version each command and each record came with, and what is refused before it is finalised.

use holdfast_proto::{error::ErrorCode, ids::MetadataVersion};

use crate::{
    command::{Command, RegisterBroker},
    record::{BrokerRegistration, PartitionState, Record},
    response::Rejection,
    trust::{PartitionRecovery, Vouch},
    version::{FIRST, RECOVERY, TRUST},
};

/// The version that each command and each record came with.
pub(crate) struct Needs {
    pub(crate) command: fn(&Command) -> MetadataVersion,
    pub(crate) record: fn(&Record) -> MetadataVersion,
}

/// The table of this build. A version is the first one that has the command or the record, and never changes.
pub(crate) const SHIPPED: Needs = Needs {
    command: |command| match command {
        Command::RegisterBroker(RegisterBroker { folder: Some(folder), .. })
            if folder.replicas.iter().any(|report| report.vouch == Vouch::Unread) =>
        {
            RECOVERY
        }
        Command::RegisterBroker(RegisterBroker { replaces: Some(_), .. } | RegisterBroker { folder: Some(_), .. })
        | Command::RenewFolderToken { .. }
        | Command::DistrustReplicas(_)
        | Command::RecoverPartition(_) => TRUST,
        Command::AlterPartition(command) if command.changes.iter().any(|change| change.high_watermark.is_some()) => {
            TRUST
        }
        Command::FenceBrokers { .. } | Command::LoseDisk { .. } => RECOVERY,
        Command::FormCluster { .. }
        | Command::RegisterBroker(_)
        | Command::FenceBroker { .. }
        | Command::UnfenceBroker { .. }
        | Command::BeginControlledShutdown { .. }
        | Command::UnregisterBroker { .. }
        | Command::CreateTopic(_)
        | Command::DeleteTopic { .. }
        | Command::AlterTopic(_)
        | Command::AlterPartition(_)
        | Command::AlterReplicas(_)
        | Command::SetBrokerDrain { .. }
        | Command::ElectLeaders { .. }
        | Command::AllocateProducerIds { .. }
        | Command::FinalizeVersion(_)
        | Command::BeginHistory
        | Command::CheckHistory { .. } => FIRST,
    },
    record: |record| match record {
        Record::ControllerRecovery(_) | Record::LostDisk(_) => RECOVERY,
        Record::PartitionRecovery(recovery) if has_recovery(recovery) => RECOVERY,
        Record::Partition { state, .. } if has_recovered_state(state) => RECOVERY,
        Record::Broker(BrokerRegistration { token: Some(_), .. }) | Record::PartitionRecovery(_) => TRUST,
        Record::Partition { state, .. } if has_trust(state) => TRUST,
        Record::Cluster { .. }
        | Record::Broker(_)
        | Record::RemoveBroker { .. }
        | Record::Topic { .. }
        | Record::RemoveTopic { .. }
        | Record::TopicConfig { .. }
        | Record::Partition { .. }
        | Record::BrokerDrain { .. }
        | Record::MoveLimit { .. }
        | Record::NextProducerId { .. }
        | Record::NextBrokerEpoch { .. }
        | Record::Version { .. }
        | Record::History { .. } => FIRST,
    },
};

/// True if what was given up is kept as only [`RECOVERY`] has it.
fn has_recovery(recovery: &PartitionRecovery) -> bool {
    recovery.high_watermark_epoch.is_some() || recovery.high_watermark_is_old || !recovery.claims.is_empty()
}

/// True if a state holds what came with [`RECOVERY`].
fn has_recovered_state(state: &PartitionState) -> bool {
    state.unsettled || state.frozen_in.is_some() || state.claims.iter().any(|claim| claim.unread)
}

/// True if a state holds what came with [`TRUST`].
fn has_trust(state: &PartitionState) -> bool {
    state.frozen_high_watermark.is_some() || !state.claims.is_empty() || !state.distrusted.is_empty()
}

impl Needs {
    /// Refuses a command that the version does not have.
    pub(crate) fn check_command(&self, finalised: MetadataVersion, command: &Command) -> Result<(), Rejection> {
        let needed = (self.command)(command);
        if needed <= finalised {
            return Ok(());
        }
        Err(Rejection::new(
            ErrorCode::UnsupportedVersion,
            format!(
                "this needs metadata version {needed}, and the cluster's finalised one is {finalised}; once every node is \
                 upgraded: `holdfast cluster finalize-version {needed}`"
            ),
        ))
    }

    /// A command of the version must not make records that the version does not have.
    pub(crate) fn check_records(&self, finalised: MetadataVersion, records: &[Record]) -> Result<(), Rejection> {
        match records.iter().map(self.record).max() {
            Some(needed) if needed > finalised => Err(Rejection::fault(format!(
                "a record of metadata version {needed}, while version {finalised} is finalised"
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
