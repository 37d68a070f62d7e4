//! What a broker says of its folder and replicas, as it travels.

use bytes::Bytes;

use holdfast_metadata::{
    DistrustedReplica, Image, RegisterBroker, is_same_folder,
    trust::{DistrustReason, FolderProof, ReplicaReport, Vouch},
};
use holdfast_metadata_wire::trust::reason_from_message;
use holdfast_proto::{
    convert::{leader_epoch, optional_id, partition, required_id},
    detail::ErrorDetail,
    ids::Offset,
    v1,
};

/// What the folder shows; `None` if the broker shows nothing.
pub(super) fn folder(
    known: Vec<Bytes>,
    next: &Bytes,
    topics: Vec<v1::TopicReplicas>,
) -> Result<Option<FolderProof>, ErrorDetail> {
    let Some(next) = optional_id(next, "next_token")? else { return Ok(None) };
    let known = known.iter().map(|token| required_id(token, "known_tokens")).collect::<Result<_, _>>()?;
    let mut replicas = Vec::new();
    for topic in topics {
        let topic_id = required_id(&topic.topic_id, "topic_id")?;
        for report in topic.replicas {
            replicas.push(ReplicaReport {
                topic_id,
                partition: partition(report.partition, "partition")?,
                leader_epoch: report.leader_epoch.map(|epoch| leader_epoch(epoch, "leader_epoch")).transpose()?,
                end: Offset(report.end),
                vouch: vouch(report.distrust, report.doubtful),
            });
        }
    }
    Ok(Some(FolderProof { known, next, replicas }))
}

fn vouch(distrust: i32, doubtful: bool) -> Vouch {
    match (distrust, doubtful) {
        (0, false) => Vouch::Full,
        (0, true) => Vouch::Doubtful,
        // A reason of a later version is one, too.
        (reason, _) => Vouch::Not(reason_from_message(reason).unwrap_or(DistrustReason::Damaged)),
    }
}

/// Replicas that a broker does not vouch for.
pub(super) fn untrusted(replicas: Vec<v1::UntrustedReplica>) -> Result<Vec<DistrustedReplica>, ErrorDetail> {
    let one = |replica: v1::UntrustedReplica| {
        Ok(DistrustedReplica {
            topic_id: required_id(&replica.topic_id, "topic_id")?,
            partition: partition(replica.partition, "partition")?,
            reason: reason_from_message(replica.reason).unwrap_or(DistrustReason::Damaged),
        })
    };
    replicas.into_iter().map(one).collect()
}

/// True if the folder is not the one that registered last under this id, as the image has it.
pub(super) fn is_of_other_folder(image: &Image, command: &RegisterBroker) -> bool {
    let old = image.broker(command.broker_id);
    let old = old.filter(|old| old.incarnation_id != command.incarnation_id);
    old.is_some_and(|old| !is_same_folder(old, command))
}
