//! Brokers come, go, and leave in good order.
//!
//! Registrations are counted by the broker epoch; a command about an older registration is refused, so that a late
//! message hits no newer start (KIP-903). A registration with another disk, or with an older state or a copy of the same
//! disk, takes the broker out of every ISR and ELR in the same step: what it holds cannot be trusted. So is each single
//! replica that a trusted disk does not vouch for.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, ClusterId, TopicPartition},
};

use super::{
    change::PartitionChange,
    election::{Standing, Standings},
    reports::Reports,
    unsettled,
};
use crate::{
    command::RegisterBroker,
    image::Image,
    limits::{MAX_ADDRESS_BYTES, MAX_BROKERS},
    record::{BrokerRegistration, Record},
    response::{Decision, Rejection, Response},
};

/// Gives the cluster its id.
pub(crate) fn form_cluster(image: &Image, cluster_id: ClusterId) -> Decision {
    match image.cluster_id() {
        None => Ok((vec![Record::Cluster { cluster_id }], Response::ClusterFormed)),
        Some(known) if known == cluster_id => Ok((Vec::new(), Response::ClusterFormed)),
        Some(known) => Err(Rejection::new(
            ErrorCode::InconsistentClusterId,
            format!("the cluster is formed as {known} and cannot become {cluster_id}"),
        )),
    }
}

/// Refuses a registration that is wrong in itself, or that may not take the place of what is registered.
pub(crate) fn registrable(image: &Image, command: &RegisterBroker) -> Result<(), Rejection> {
    let broker_id = command.broker_id;
    check_registration(command)?;
    check_versions(image, command)?;
    let old = image.broker(broker_id);
    if let Some(old) = old.filter(|old| old.incarnation_id == command.incarnation_id) {
        return check_same_start(old, command);
    }
    let known = old.map_or(BrokerEpoch(0), |old| old.broker_epoch);
    if command.replaces.is_some_and(|replaces| replaces != known) {
        return Err(Rejection::new(
            ErrorCode::StaleBrokerEpoch,
            format!(
                "broker {broker_id} is registered with broker epoch {known} by now: this registration knows another, and \
                 was long on its way"
            ),
        ));
    }
    if old.is_some() && command.old_session_alive {
        return Err(Rejection::new(
            ErrorCode::DuplicateBrokerRegistration,
            format!("another broker with id {broker_id} has a live session; is the id given twice?"),
        ));
    }
    if old.is_none() && image.brokers().len() >= MAX_BROKERS {
        return Err(Rejection::new(
            ErrorCode::PolicyViolation,
            format!("{MAX_BROKERS} brokers are registered, which is the limit; unregister those that are gone"),
        ));
    }
    Ok(())
}

/// Registers one start of a broker, fenced.
pub(crate) fn register(image: &Image, command: &RegisterBroker) -> Decision {
    registrable(image, command)?;
    let broker_id = command.broker_id;
    let old = image.broker(broker_id);
    if let Some(old) = old.filter(|old| old.incarnation_id == command.incarnation_id) {
        return Ok(register_again(old, command));
    }
    let mut records = match old {
        Some(old) => end_registration(image, old, command)?,
        None => Vec::new(),
    };
    records.extend(settle(image, command)?);
    let broker_epoch = image.next_broker_epoch();
    records.push(Record::Broker(BrokerRegistration {
        broker_id,
        broker_epoch,
        incarnation_id: command.incarnation_id,
        directory_id: command.directory_id,
        boot_counter: command.boot_counter,
        client_address: command.client_address.clone(),
        peer_address: command.peer_address.clone(),
        rack: command.rack.clone(),
        versions: command.versions,
        fenced: true,
        shutting_down: false,
        token: command.folder.as_ref().map(|folder| folder.next),
    }));
    records.push(Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(broker_epoch.0 + 1) });
    Ok((records, Response::BrokerRegistered { broker_epoch }))
}

/// Refuses what says that it is the start that is registered, and is not.
fn check_same_start(old: &BrokerRegistration, command: &RegisterBroker) -> Result<(), Rejection> {
    if old.directory_id != command.directory_id || old.boot_counter != command.boot_counter {
        return Err(Rejection::new(
            ErrorCode::InvalidRequest,
            format!("incarnation {} registered with another data folder or boot before", command.incarnation_id),
        ));
    }
    Ok(())
}

/// The same start registers again: its first answer was lost, or its address changed.
fn register_again(old: &BrokerRegistration, command: &RegisterBroker) -> (Vec<Record>, Response) {
    let new = BrokerRegistration {
        client_address: command.client_address.clone(),
        peer_address: command.peer_address.clone(),
        rack: command.rack.clone(),
        versions: command.versions,
        ..old.clone()
    };
    let records = if new == *old { Vec::new() } else { vec![Record::Broker(new)] };
    (records, Response::BrokerRegistered { broker_epoch: old.broker_epoch })
}

/// Ends what the broker's last registration led and was in sync with, before the new one begins.
fn end_registration(
    image: &Image,
    old: &BrokerRegistration,
    command: &RegisterBroker,
) -> Result<Vec<Record>, Rejection> {
    let broker_id = old.broker_id;
    let standings = Standings::hearing(image, broker_id);
    let Some(folder) = &command.folder else {
        let is_trusted = is_same_folder(old, command);
        return change_partitions(image, &standings, broker_id, |_, change| {
            if is_trusted { change.leave_isr(broker_id) } else { change.forget(broker_id) }
        });
    };
    let reports = Reports::of(&folder.replicas);
    if !is_same_folder(old, command) {
        return change_partitions(image, &standings, broker_id, |partition, change| {
            change.other_folder(broker_id, reports.get(partition));
        });
    }
    change_partitions(image, &standings, broker_id, |partition, change| {
        change.restart(broker_id, reports.get(partition), folder.list_lost);
    })
}

/// What follows for unsettled partitions without a replica on this broker, as far as the metadata knows: it may hold one all
/// the same, and it may be the last that was waited for.
fn settle(image: &Image, command: &RegisterBroker) -> Result<Vec<Record>, Rejection> {
    let broker_id = command.broker_id;
    let standings = Standings::hearing(image, broker_id);
    let reports = Reports::of(command.folder.as_ref().map_or(&[][..], |folder| &folder.replicas[..]));
    let is_same_folder = image.broker(broker_id).is_none_or(|old| is_same_folder(old, command));
    let mut records = unsettled::settle(image, &standings, broker_id, |partition, change| {
        if let Some(report) = reports.get(partition) {
            change.found(broker_id, report, is_same_folder);
        }
    })?;
    records.extend(unsettled::keep_strays(image, &standings, broker_id, &reports)?);
    Ok(records)
}

/// True if the folder is the one that registered last, as it was then or later. A copy has another history from some
/// moment on; an older state lacks the last token.
pub fn is_same_folder(old: &BrokerRegistration, command: &RegisterBroker) -> bool {
    let is_known = match (old.token, &command.folder) {
        (Some(token), Some(folder)) => folder.known.contains(&token),
        (Some(_), None) => false,
        (None, _) => true,
    };
    is_known && old.directory_id == command.directory_id && command.boot_counter > old.boot_counter
}

/// The broker's session ended.
pub(crate) fn fence(image: &Image, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> Decision {
    let old = registered(image, broker_id, broker_epoch)?;
    if old.fenced {
        return Ok((Vec::new(), Response::BrokerFenced));
    }
    let standings = Standings::with(image, broker_id, Standing::Fenced);
    let mut records = change_partitions(image, &standings, broker_id, |_, change| change.leave_isr(broker_id))?;
    records.push(Record::Broker(BrokerRegistration { fenced: true, ..old.clone() }));
    Ok((records, Response::BrokerFenced))
}

/// The registration that is to be unfenced, or why it stays as it is.
pub(crate) fn unfenceable(
    image: &Image,
    broker_id: BrokerId,
    broker_epoch: BrokerEpoch,
) -> Result<&BrokerRegistration, Rejection> {
    let old = registered(image, broker_id, broker_epoch)?;
    if image.is_from_before_recovery(broker_epoch) {
        return Err(Rejection::new(
            ErrorCode::StaleBrokerEpoch,
            format!(
                "the controllers were recovered since broker {broker_id} registered: it has to start again, and say what \
                 it holds"
            ),
        ));
    }
    if old.fenced && old.shutting_down {
        return Err(Rejection::new(
            ErrorCode::ShuttingDown,
            format!("broker {broker_id} has left; it comes back with a new registration"),
        ));
    }
    Ok(old)
}

/// The broker is ready. Partitions that wait for it get their leader.
pub(crate) fn unfence(image: &Image, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> Decision {
    let old = unfenceable(image, broker_id, broker_epoch)?;
    if !old.fenced {
        return Ok((Vec::new(), Response::BrokerUnfenced));
    }
    let standings = Standings::with(image, broker_id, Standing::Active);
    let mut records = vec![Record::Broker(BrokerRegistration { fenced: false, ..old.clone() })];
    records.extend(change_partitions(image, &standings, broker_id, |_, _| ())?);
    Ok((records, Response::BrokerUnfenced))
}

/// The broker wants to leave.
pub(crate) fn begin_controlled_shutdown(image: &Image, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> Decision {
    let old = registered(image, broker_id, broker_epoch)?;
    let standing = if old.fenced { Standing::Fenced } else { Standing::Leaving };
    let standings = Standings::with(image, broker_id, standing);
    let mut records = Vec::new();
    if !old.shutting_down {
        records.push(Record::Broker(BrokerRegistration { shutting_down: true, ..old.clone() }));
    }
    let moved = change_partitions(image, &standings, broker_id, |_, change| change.move_away(broker_id))?;
    let led = image.load(broker_id).leaders as usize;
    let handed_over = moved
        .iter()
        .filter(|record| match record {
            Record::Partition { topic_id, partition, state } => {
                let old = image.topic(*topic_id).and_then(|topic| topic.partition(*partition));
                old.is_some_and(|old| old.leader == Some(broker_id) && state.leader != Some(broker_id))
            }
            _ => false,
        })
        .count();
    records.extend(moved);
    Ok((records, Response::ControlledShutdown { remaining_leaders: (led - handed_over) as u32 }))
}

/// Forgets a broker that holds nothing.
pub(crate) fn unregister(image: &Image, broker_id: BrokerId) -> Decision {
    let Some(old) = image.broker(broker_id) else {
        return Err(not_registered(broker_id));
    };
    let replicas = image.load(broker_id).replicas;
    if !old.fenced || replicas > 0 {
        let state = if old.fenced { "fenced" } else { "alive" };
        return Err(Rejection::new(
            ErrorCode::InvalidRequest,
            format!(
                "broker {broker_id} is {state} and has {replicas} replicas; only a fenced one without any can go: \
                 drain it, wait until its replicas have moved, and stop it"
            ),
        ));
    }
    if image.unheard_brokers().any(|unheard| unheard == broker_id)
        && image.partitions().any(|(_, _, state)| state.unsettled)
    {
        let message = format!(
            "broker {broker_id} has not said what it holds since the controllers were recovered, and partitions wait for that: \
             start it, or give up its disk with `holdfast broker disk-lost`"
        );
        return Err(Rejection::new(ErrorCode::InvalidRequest, message));
    }
    let mut records = vec![Record::RemoveBroker { broker_id }];
    let standings = Standings::hearing(image, broker_id);
    records.extend(unsettled::settle(image, &standings, broker_id, |_, _| ())?);
    records.extend(unsettled::keep_strays(image, &standings, broker_id, &Reports::of(&[]))?);
    Ok((records, Response::BrokerUnregistered))
}

/// Marks a broker as one to be emptied, or no longer. It outlives registrations.
pub(crate) fn set_drain(image: &Image, broker_id: BrokerId, draining: bool) -> Decision {
    if image.broker(broker_id).is_none() {
        return Err(not_registered(broker_id));
    }
    let changes = image.is_draining(broker_id) != draining;
    let records = changes.then_some(Record::BrokerDrain { broker_id, draining });
    Ok((records.into_iter().collect(), Response::BrokerDrainSet))
}

/// The registration that is meant, or why it counts no more.
pub fn registered(
    image: &Image,
    broker_id: BrokerId,
    broker_epoch: BrokerEpoch,
) -> Result<&BrokerRegistration, Rejection> {
    // A registration whose epoch a recovery of the controllers raised is no newer start.
    let is_older = |known: &BrokerRegistration| broker_epoch < known.broker_epoch;
    if image.broker(broker_id).is_some_and(|known| is_older(known) && image.is_raised_epoch(known.broker_epoch)) {
        let message = format!(
            "the controllers were recovered since broker {broker_id} registered: it has to start again, and say what \
             it holds"
        );
        return Err(Rejection::new(ErrorCode::BrokerIdNotRegistered, message));
    }
    let registration = last_registered(image, broker_id, broker_epoch)?;
    if image.has_lost_disk(broker_id, broker_epoch) {
        let message = format!(
            "the disk of broker {broker_id} was given up since it registered: it has to start again, and say what it holds"
        );
        return Err(Rejection::new(ErrorCode::BrokerIdNotRegistered, message));
    }
    Ok(registration)
}

/// The registration that is meant, even if its disk was given up since, or why it is not the last.
pub(super) fn last_registered(
    image: &Image,
    broker_id: BrokerId,
    broker_epoch: BrokerEpoch,
) -> Result<&BrokerRegistration, Rejection> {
    let registration = image.broker(broker_id).ok_or_else(|| not_registered(broker_id))?;
    if registration.broker_epoch != broker_epoch {
        return Err(Rejection::new(
            ErrorCode::StaleBrokerEpoch,
            format!(
                "broker {broker_id} is registered with broker epoch {}, not {broker_epoch}",
                registration.broker_epoch
            ),
        ));
    }
    Ok(registration)
}

fn not_registered(broker_id: BrokerId) -> Rejection {
    Rejection::new(ErrorCode::BrokerIdNotRegistered, format!("broker {broker_id} is not registered"))
}

/// Makes the same change to every partition with a replica on the broker.
fn change_partitions(
    image: &Image,
    standings: &Standings<'_>,
    broker_id: BrokerId,
    mut make: impl FnMut(TopicPartition, &mut PartitionChange<'_>),
) -> Result<Vec<Record>, Rejection> {
    image
        .partitions_of(broker_id)
        .filter_map(|(tp, topic, state)| {
            let mut change = PartitionChange::new(standings, topic, state);
            make(tp, &mut change);
            let changed = change.finish().transpose()?;
            Some(changed.map(|state| Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state }))
        })
        .collect()
}

/// Refuses a broker that does not know the metadata version that is finalised.
fn check_versions(image: &Image, command: &RegisterBroker) -> Result<(), Rejection> {
    let (finalised, versions) = (image.version(), command.versions);
    if versions.contains(finalised) {
        return Ok(());
    }
    let what = if versions.max < finalised { "older than the cluster: upgrade it" } else { "too new for the cluster" };
    Err(Rejection::new(
        ErrorCode::UnsupportedVersion,
        format!(
            "broker {} supports metadata versions {versions}, and the cluster's finalised one is {finalised}: this broker \
             is {what}",
            command.broker_id
        ),
    ))
}

/// Everything that is wrong with a registration's own fields.
fn check_registration(command: &RegisterBroker) -> Result<(), Rejection> {
    let mut problems = Vec::new();
    for (name, address) in [("client address", &command.client_address), ("peer address", &command.peer_address)] {
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        if address.len() > MAX_ADDRESS_BYTES || !matches!(port, Some(Ok(1..))) {
            problems.push(format!("the {name} is not host:port"));
        }
    }
    if command.rack.as_ref().is_some_and(|rack| rack.is_empty() || rack.len() > MAX_ADDRESS_BYTES) {
        problems.push(format!("a rack has 1 to {MAX_ADDRESS_BYTES} bytes"));
    }
    if command.boot_counter == 0 {
        problems.push("the boot counter starts at 1".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(Rejection::new(ErrorCode::InvalidRequest, problems.join("; "))) }
}
