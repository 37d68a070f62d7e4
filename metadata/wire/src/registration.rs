//! What a broker says of its folder and replicas, as messages, both ways.

use std::collections::BTreeMap;

use holdfast_metadata::{
    DistrustedReplica,
    trust::{DistrustReason, FolderProof, ReplicaReport, Vouch},
};
use holdfast_proto::{
    convert::{Error, leader_epoch, optional_id, partition, required_id},
    ids::{FolderToken, Offset, PartitionEpoch, TopicId},
    v1,
};

use crate::trust::{reason_from_message, reason_to_message};

/// Puts what the folder shows into a registration.
pub fn show_folder(request: &mut v1::RegisterBrokerRequest, folder: &FolderProof) {
    let mut topics: BTreeMap<TopicId, Vec<v1::ReplicaReport>> = BTreeMap::new();
    for report in &folder.replicas {
        topics.entry(report.topic_id).or_default().push(report_to_message(report));
    }
    let topics = topics.into_iter().map(|(id, replicas)| v1::TopicReplicas { topic_id: id.to_bytes(), replicas });
    let known = folder.known.iter().copied().map(FolderToken::to_bytes);
    request.known_tokens = known.collect();
    request.next_token = folder.next.to_bytes();
    request.topics = topics.collect();
    request.replica_list_lost = folder.list_lost;
}

/// What the folder shows; `None` if the broker shows nothing.
pub fn shown_folder(request: &v1::RegisterBrokerRequest) -> Result<Option<FolderProof>, Error> {
    let Some(next) = optional_id(&request.next_token, "next_token")? else { return Ok(None) };
    let known =
        request.known_tokens.iter().map(|token| required_id(token, "known_tokens")).collect::<Result<_, _>>()?;
    let mut replicas = Vec::new();
    for topic in &request.topics {
        let topic_id = required_id(&topic.topic_id, "topic_id")?;
        for report in &topic.replicas {
            replicas.push(report_from_message(topic_id, report)?);
        }
    }
    Ok(Some(FolderProof { known, next, replicas, list_lost: request.replica_list_lost }))
}

fn report_to_message(report: &ReplicaReport) -> v1::ReplicaReport {
    let distrust = match report.vouch {
        Vouch::Full | Vouch::Doubtful => v1::DistrustReason::Unspecified,
        Vouch::Unread => v1::DistrustReason::Unread,
        Vouch::Not(reason) => reason_to_message(reason),
    };
    v1::ReplicaReport {
        partition: report.partition.0,
        leader_epoch: report.leader_epoch.map(|epoch| epoch.0),
        end: report.end.0,
        doubtful: report.vouch == Vouch::Doubtful,
        distrust: distrust.into(),
    }
}

fn report_from_message(topic_id: TopicId, report: &v1::ReplicaReport) -> Result<ReplicaReport, Error> {
    let vouch = match (report.distrust, report.doubtful) {
        (0, false) => Vouch::Full,
        (0, true) => Vouch::Doubtful,
        (unread, _) if unread == v1::DistrustReason::Unread as i32 => Vouch::Unread,
        // A reason of a later version is one, too.
        (reason, _) => Vouch::Not(reason_from_message(reason).unwrap_or(DistrustReason::Damaged)),
    };
    Ok(ReplicaReport {
        topic_id,
        partition: partition(report.partition, "partition")?,
        leader_epoch: report.leader_epoch.map(|epoch| leader_epoch(epoch, "leader_epoch")).transpose()?,
        end: Offset(report.end),
        vouch,
    })
}

/// Replicas that a broker does not vouch for.
pub fn untrusted_from_messages(replicas: Vec<v1::UntrustedReplica>) -> Result<Vec<DistrustedReplica>, Error> {
    let one = |replica: v1::UntrustedReplica| {
        Ok(DistrustedReplica {
            topic_id: required_id(&replica.topic_id, "topic_id")?,
            partition: partition(replica.partition, "partition")?,
            partition_epoch: PartitionEpoch(replica.partition_epoch),
            reason: reason_from_message(replica.reason).unwrap_or(DistrustReason::Damaged),
        })
    };
    replicas.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::{LeaderEpoch, PartitionIndex};

    use super::*;

    #[test]
    fn what_a_folder_shows_comes_back_as_it_was() {
        let token = |n| FolderToken(Uuid::from_u128(n));
        let report = |topic, index, leader_epoch, end, vouch| ReplicaReport {
            topic_id: TopicId(Uuid::from_u128(topic)),
            partition: PartitionIndex(index),
            leader_epoch,
            end: Offset(end),
            vouch,
        };
        let folder = FolderProof {
            known: vec![token(1), token(2)],
            next: token(3),
            replicas: vec![
                report(4, 0, None, 0, Vouch::Full),
                report(4, 1, Some(LeaderEpoch(5)), 6, Vouch::Doubtful),
                report(4, 2, None, 0, Vouch::Unread),
                report(7, 0, Some(LeaderEpoch(8)), 9, Vouch::Not(DistrustReason::Vanished)),
            ],
            list_lost: true,
        };
        let mut request = v1::RegisterBrokerRequest::default();
        assert_eq!(shown_folder(&request), Ok(None), "an older broker shows nothing");
        show_folder(&mut request, &folder);
        assert_eq!(request.topics.len(), 2);
        assert_eq!(shown_folder(&request), Ok(Some(folder)));
        request.known_tokens.push(bytes::Bytes::from_static(b"short"));
        assert!(shown_folder(&request).is_err());
    }
}
