//! The controllers go on from one of them. See [`crate::recovery`].

use std::collections::BTreeSet;

use holdfast_proto::ids::{BrokerEpoch, BrokerId, LeaderEpoch, MetadataIndex, PartitionEpoch, ProducerId};

use crate::{
    image::Image,
    invariant,
    limits::{MAX_BROKERS, MAX_CONTROLLER_RECOVERIES},
    record::{BrokerRegistration, PartitionState, Record},
    recovery::{
        BROKER_EPOCH_LEAP, ControllerRecovery, INDEX_LEAP, LEADER_EPOCH_LEAP, PARTITION_EPOCH_LEAP, PRODUCER_ID_LEAP,
        RecoverControllers,
    },
    trust::{Distrust, DistrustReason},
    version::RECOVERY,
};

/// Why the controllers cannot go on from this metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// There is no cluster yet.
    #[error("this metadata belongs to no cluster: there is nothing to go on with")]
    NoCluster,
    /// A broker is given up that is neither registered nor expected.
    #[error("broker {0} is to be given up, but is not registered here; registered are: {1}")]
    UnknownBroker(BrokerId, String),
    /// A broker is to be waited for, and given up.
    #[error("broker {0} is said to be there and to be gone for good: it is one of the two")]
    GivenUpAndExpected(BrokerId),
    /// Every broker is given up.
    #[error(
        "every registered broker ({0}) is to be given up: no replica of any partition would be left to lead. Name only those \
         that are gone for good; if all of them are, every record is lost, and a new cluster is all that helps"
    )]
    EveryBroker(String),
    /// A counter has no room left.
    #[error("the {0} has no room for another recovery of the controllers")]
    NoRoom(&'static str),
    /// The result would be wrong.
    #[error("a fault of Holdfast, report it: {0}")]
    Fault(String),
}

/// The metadata that the controllers go on with, from all that one of them holds (`image`): its index lies far above.
pub fn recover_controllers(image: &Image, order: &RecoverControllers) -> Result<Image, RecoveryError> {
    if image.cluster_id().is_none() {
        return Err(RecoveryError::NoCluster);
    }
    if image.controller_recoveries().len() >= MAX_CONTROLLER_RECOVERIES {
        return Err(RecoveryError::NoRoom("list of recoveries"));
    }
    let (without, expected) = brokers(image, order)?;
    let first_broker_epoch = BrokerEpoch(image.next_broker_epoch().0 + BROKER_EPOCH_LEAP);
    let next_producer_id = image.next_producer_id().0.checked_add(PRODUCER_ID_LEAP);
    let mut records = Vec::new();
    if image.version() < RECOVERY {
        records.push(Record::Version { version: RECOVERY });
    }
    records.push(Record::ControllerRecovery(ControllerRecovery {
        controller_id: order.controller_id,
        index: image.index(),
        term: order.term,
        committed: order.committed,
        given_up: order.given_up.clone(),
        without: without.iter().copied().collect(),
        expected: expected.into_iter().collect(),
        first_broker_epoch,
        at_ms: order.at_ms,
    }));
    records.push(Record::NextBrokerEpoch { next_broker_epoch: first_broker_epoch });
    let next_producer_id = ProducerId(next_producer_id.ok_or(RecoveryError::NoRoom("producer id"))?);
    records.push(Record::NextProducerId { next_producer_id });
    records.extend(registrations(image, order, first_broker_epoch).map(Record::Broker));
    for (tp, _, state) in image.partitions() {
        let state = unsettled(state, &without)?;
        records.push(Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state });
    }
    let index = image.index().0.checked_add(INDEX_LEAP).ok_or(RecoveryError::NoRoom("metadata index"))?;
    let mut recovered = image.clone();
    let fault = |why: String| RecoveryError::Fault(why);
    recovered.apply_all(MetadataIndex(index), &records).map_err(|error| fault(error.to_string()))?;
    invariant::check(&recovered).map_err(|violations| fault(violations[0].to_string()))?;
    Ok(recovered)
}

/// The brokers that are given up, and those that are waited for though they are not registered.
fn brokers(
    image: &Image,
    order: &RecoverControllers,
) -> Result<(BTreeSet<BrokerId>, BTreeSet<BrokerId>), RecoveryError> {
    let known = || image.brokers().keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut without: BTreeSet<BrokerId> = order.without.iter().copied().collect();
    if let Some(both) = order.expected.iter().find(|broker| without.contains(broker)) {
        return Err(RecoveryError::GivenUpAndExpected(*both));
    }
    let is_known = |broker: &BrokerId| image.broker(*broker).is_some() || image.expected_epoch(*broker).is_some();
    if let Some(unknown) = without.iter().find(|broker| !is_known(broker)) {
        return Err(RecoveryError::UnknownBroker(*unknown, known()));
    }
    let still_expected = image.unheard_brokers().filter(|broker| image.broker(*broker).is_none());
    let mut expected: BTreeSet<BrokerId> = order.expected.iter().copied().chain(still_expected).collect();
    expected.retain(|broker| image.broker(*broker).is_none() && !without.contains(broker));
    if image.brokers().len() + expected.len() > MAX_BROKERS {
        return Err(RecoveryError::NoRoom("list of brokers"));
    }
    without.extend(image.given_up_brokers().filter(|broker| !order.expected.contains(broker)));
    let is_nobody_left = expected.is_empty() && image.brokers().keys().all(|broker| without.contains(broker));
    if !order.without.is_empty() && is_nobody_left {
        return Err(RecoveryError::EveryBroker(known()));
    }
    Ok((without, expected))
}

/// The registrations, ended. Of a broker that is said to be there the disk may have been given up before: by that
/// nobody waits for its registration. It gets another epoch, one that no broker ever got, as [`Image::expected_epoch`]
/// is: it is waited for like any other, until it registers, or its disk is given up by that one.
fn registrations(
    image: &Image,
    order: &RecoverControllers,
    first_broker_epoch: BrokerEpoch,
) -> impl Iterator<Item = BrokerRegistration> {
    let is_said_to_be_there = move |broker: &BrokerRegistration| {
        order.expected.contains(&broker.broker_id) && image.has_lost_disk(broker.broker_id, broker.broker_epoch)
    };
    let mut unused = first_broker_epoch.0;
    image.brokers().values().map(move |broker| {
        let mut broker_epoch = broker.broker_epoch;
        if is_said_to_be_there(broker) {
            // Another one for each: epochs are distinct.
            unused -= 1;
            broker_epoch = BrokerEpoch(unused);
        }
        BrokerRegistration { broker_epoch, ..ended(broker) }
    })
}

/// A registration that counts for nothing any more: what token its folder has by now is not known.
fn ended(broker: &BrokerRegistration) -> BrokerRegistration {
    BrokerRegistration { fenced: true, shutting_down: false, token: None, ..broker.clone() }
}

/// The state of a partition of which nothing is known but who may hold it, and what was known against a replica: one that is
/// not believed may be half copied by now, which it does not know itself, and what was acknowledged stays so.
fn unsettled(state: &PartitionState, without: &BTreeSet<BrokerId>) -> Result<PartitionState, RecoveryError> {
    let leader_epoch =
        state.leader_epoch.0.checked_add(LEADER_EPOCH_LEAP).filter(|epoch| i32::try_from(*epoch).is_ok());
    let partition_epoch = state.partition_epoch.0.checked_add(PARTITION_EPOCH_LEAP);
    let is_given_up = |replica: &BrokerId| without.contains(replica);
    let is_believed = |replica: &BrokerId| state.distrusted.iter().all(|distrust| distrust.broker_id != *replica);
    let distrust = |broker_id: BrokerId| Distrust { broker_id, reason: DistrustReason::Folder };
    let given_up = state.replicas.iter().copied().filter(|replica| is_given_up(replica) && is_believed(replica));
    Ok(PartitionState {
        leader: None,
        leader_epoch: LeaderEpoch(leader_epoch.ok_or(RecoveryError::NoRoom("leader epoch of a partition"))?),
        partition_epoch: PartitionEpoch(
            partition_epoch.ok_or(RecoveryError::NoRoom("partition epoch of a partition"))?,
        ),
        isr: Vec::new(),
        elr: state.replicas.iter().copied().filter(|replica| !is_given_up(replica) && is_believed(replica)).collect(),
        claims: Vec::new(),
        distrusted: state.distrusted.iter().copied().chain(given_up.map(distrust)).collect(),
        unsettled: true,
        ..state.clone()
    })
}
