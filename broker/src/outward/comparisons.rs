//! As a leader: asks followers what they hold of a range. As one that is to copy all again: asks whether the leader is there.

use std::time::Duration;

use holdfast_log::Digest;
use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    convert::peer_header,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, TopicPartition},
    status::classify,
    v1::{self, replica_service_client::ReplicaServiceClient},
};

use super::channels::Purpose;
use crate::{here::context::Context, partition::roster::Leadership};

/// First pause before a leader is asked again; doubles up to `reconnect_max_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest time in which an answer may be read for.
const READING_MAX: Duration = Duration::from_hours(1);

/// What a follower answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What it holds of the range.
    pub(crate) held: Held,
    /// Where its log begins.
    pub(crate) log_start: Offset,
}

/// What a follower holds of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Batches with this digest.
    Known(Digest),
    /// Batches with other borders.
    OtherBorders,
    /// It does not know, or does not hold all of it.
    Unknown,
}

/// What a leader asks for: of which partition, in which leadership, which range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) partition: TopicPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) range: (Offset, Offset),
    /// The leader's digest, once both are known to differ: the follower then reads its own batches again.
    pub(crate) settled: Option<Digest>,
    /// The log start of the follower, once it is known to lack what the leader holds before it.
    pub(crate) settled_log_start: Option<Offset>,
    /// Bytes that the follower reads before it answers, at the rate of the scrub.
    pub(crate) read_bytes: u64,
}

/// Asks one follower, with the deadline of every call to another node, and the time in which it reads what is settled.
pub(crate) async fn ask(context: &Context, follower: BrokerId, question: Question) -> Result<Answer, ErrorDetail> {
    let cluster_id = context.identity.cluster_id().ok_or(ErrorCode::BrokerNotAvailable)?;
    let address = context.metadata.look().broker(follower).map(|broker| broker.peer_address.clone());
    let address = address.ok_or(ErrorCode::BrokerNotAvailable)?;
    let Question { partition, leader_epoch, range: (from, to), settled, settled_log_start, read_bytes } = question;
    let mut request = tonic::Request::new(v1::CompareReplicaRequest {
        header: Some(peer_header(cluster_id, follower.0.into(), context.identity.broker_id.0.into())),
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
        leader_epoch: leader_epoch.0,
        from_offset: from.0,
        to_offset: to.0,
        settled_digest: settled.map(|digest| digest.0),
        settled_log_start: settled_log_start.map(|offset| offset.0),
    });
    let normal = Duration::from_millis(context.config.peer_rpc_timeout_ms);
    let limit = normal.saturating_add(reading_time(read_bytes, context.config.scrub_bytes_per_second));
    request.set_timeout(limit);
    let mut client = ReplicaServiceClient::new(context.nodes.brokers.channel(&address, Purpose::Calls)?);
    let Ok(answer) = tokio::time::timeout(limit, client.compare_replica(request)).await else {
        return Err(ErrorDetail::new(ErrorCode::RequestTimedOut, "the broker did not answer in time"));
    };
    let answer = answer.map_err(|status| classify(&status).1)?.into_inner();
    let held = match answer.digest {
        Some(digest) => Held::Known(Digest(digest)),
        None if answer.is_inside_batch => Held::OtherBorders,
        None => Held::Unknown,
    };
    Ok(Answer { held, log_start: Offset(answer.log_start_offset) })
}

/// Returns true once that broker has answered that it leads the partition in that epoch; false once the metadata names it no
/// more.
pub(crate) async fn wait_for_leader(context: &Context, partition: TopicPartition, by: Leadership) -> bool {
    let (leader, leader_epoch) = by;
    let mut backoff = Backoff::new(FIRST_PAUSE, Duration::from_millis(context.config.reconnect_max_ms));
    let mut is_said = false;
    loop {
        let named = context.metadata.look().partition(partition).map(|state| (state.leader, state.leader_epoch));
        if named != Some((Some(leader), leader_epoch)) {
            return false;
        }
        let (range, settled, settled_log_start) = ((Offset(0), Offset(0)), None, None);
        let nothing = Question { partition, leader_epoch, range, settled, settled_log_start, read_bytes: 0 };
        match ask(context, leader, nothing).await {
            Ok(_) => return true,
            // A build from before this question: it is there, and the replica is open.
            Err(error) if error.code == ErrorCode::NotLeaderOrFollower => return true,
            Err(error) if !std::mem::replace(&mut is_said, true) => {
                tracing::warn!(
                    %partition, %leader, %error,
                    "a replica is to be copied again, and its leader does not answer: it keeps what it has"
                );
            }
            Err(error) => tracing::debug!(%partition, %leader, %error, "the leader still does not answer"),
        }
        tokio::time::sleep(jittered(backoff.next_pause())).await;
    }
}

/// How long a follower may read so many bytes, where its brokers have the same rate: it shares that with its own scrub and
/// with what other leaders have it read, one after the other. Were it given up before, nothing would note that it has looked.
fn reading_time(bytes: u64, bytes_per_second: u64) -> Duration {
    /// Readers of a follower at one time, that are waited for.
    const READERS: u64 = 4;
    let milliseconds = bytes.saturating_mul(READERS * 1_000) / bytes_per_second.max(1);
    Duration::from_millis(milliseconds).min(READING_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_much_is_waited_for_longer() {
        assert_eq!(reading_time(0, 16 << 20), Duration::ZERO);
        assert_eq!(reading_time(256 << 20, 16 << 20), Duration::from_secs(64));
        assert_eq!(reading_time(4 << 20, 1 << 20), Duration::from_secs(16));
        assert_eq!(reading_time(u64::MAX, 0), READING_MAX);
    }
}
