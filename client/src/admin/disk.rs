//! A broker's disk that will not come back: nobody waits for what it holds.

use holdfast_proto::{
    ids::{BrokerEpoch, BrokerId},
    v1,
};

use super::{Admin, handle::Repeat};
use crate::error::Error;

/// What it comes to that a disk is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostDisk {
    /// Replicas that do not count until they were copied again.
    pub replicas: u64,
    /// Those of them that were in sync or eligible: partitions may have waited for them.
    pub eligible: u64,
    /// Partitions that have a leader by it.
    pub led: u64,
}

impl LostDisk {
    /// As an answer has it.
    pub fn from_message(lost: &v1::LostDiskInfo) -> Self {
        Self { replicas: lost.replica_count.into(), eligible: lost.eligible_count.into(), led: lost.led_count.into() }
    }
}

impl Admin {
    /// What [`Self::lose_disk`] would come to; the error says why it cannot be done.
    pub async fn plan_lose_disk(&self, broker: BrokerId, epoch: BrokerEpoch) -> Result<LostDisk, Error> {
        self.give_disk_up(broker, epoch, true).await
    }

    /// Gives up the disk of a broker that is gone for good: none of its replicas counts until it was copied again, and
    /// partitions that wait for it go on with those who are left, by what these hold. Refused while the broker is alive or
    /// starts (`INVALID_REQUEST`), and if it has registered since it was looked at (`STALE_BROKER_EPOCH`).
    pub async fn lose_disk(&self, broker: BrokerId, epoch: BrokerEpoch) -> Result<LostDisk, Error> {
        self.give_disk_up(broker, epoch, false).await
    }

    async fn give_disk_up(&self, broker: BrokerId, epoch: BrokerEpoch, validate_only: bool) -> Result<LostDisk, Error> {
        let request = v1::LoseDiskRequest { broker_id: broker.0, broker_epoch: epoch.0, validate_only };
        let repeat = if validate_only { Repeat::Read } else { Repeat::IfNotDone };
        let deadline = self.deadline();
        let (address, response) = self
            .retry("LoseDisk", deadline, repeat, &request, |mut client, request| async move {
                client.lose_disk(request).await
            })
            .await?;
        if !validate_only {
            self.wait_for_index(response.index, deadline).await;
        }
        let reason = "what the lost disk comes to is missing";
        let lost = response.lost.ok_or(Error::Malformed { address, reason })?;
        Ok(LostDisk::from_message(&lost))
    }
}
