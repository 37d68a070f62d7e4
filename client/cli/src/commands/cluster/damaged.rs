//! Replicas that are damaged and go on, for no other could take their place.

use serde_json::{Value, json};

use holdfast_checker::text::counted;
use holdfast_client::metadata::TopicView;
use holdfast_proto::{
    ids::TopicId,
    v1::{BrokerInfo, DamagedReplicas, DescribeClusterResponse},
};

/// How many there are in the cluster.
pub(super) fn count(view: &DescribeClusterResponse) -> u64 {
    view.brokers.iter().filter_map(|broker| broker.damaged.as_ref()).map(|damaged| damaged.count).sum()
}

/// Which they are, and what to do; one line a broker. Topics that are not in `topics` are named by their ids.
pub(super) fn notices(view: &DescribeClusterResponse, topics: &[TopicView]) -> Vec<String> {
    let notice = |broker: &BrokerInfo| {
        let damaged = broker.damaged.as_ref()?;
        let more = match damaged.count {
            0 | 1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        Some(format!(
            "broker {}: {}{more} is damaged, and no other replica can take its place: it goes on with what is sound, and \
             what is damaged is refused to readers; start the brokers of its other replicas, or produce again what is lost \
             (the broker's log says which offsets)",
            broker.broker_id,
            name(damaged, topics),
        ))
    };
    view.brokers.iter().filter_map(notice).collect()
}

/// The same of one broker, for programs; null if it has none.
pub(super) fn as_json(broker: &BrokerInfo) -> Value {
    let Some(damaged) = &broker.damaged else { return Value::Null };
    let topic_id = TopicId::from_bytes(&damaged.topic_id).map(|id| id.to_string());
    json!({ "count": damaged.count, "topic_id": topic_id, "partition": damaged.partition })
}

/// The problem of the whole cluster; `None` if there is none.
pub(super) fn problem(view: &DescribeClusterResponse) -> Option<String> {
    match count(view) {
        0 => None,
        1 => Some("1 damaged replica is the last of its partition".to_owned()),
        count => Some(format!("{} are the last of their partitions", counted(count, "damaged replica"))),
    }
}

fn name(damaged: &DamagedReplicas, topics: &[TopicView]) -> String {
    let id = TopicId::from_bytes(&damaged.topic_id);
    let found = topics.iter().find(|topic| Some(topic.id) == id).map(|topic| topic.name.to_string());
    let topic = found.or_else(|| id.map(|id| id.to_string())).unwrap_or_else(|| "a topic".to_owned());
    format!("{topic}-{}", damaged.partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_replica_is_named_with_what_to_do() {
        let damaged = |count| Some(DamagedReplicas { count, topic_id: vec![7; 16].into(), partition: 3 });
        let broker = |broker_id, damaged| BrokerInfo { broker_id, damaged, ..BrokerInfo::default() };
        let brokers = vec![broker(1, damaged(1)), broker(2, None), broker(3, damaged(2))];
        let view = DescribeClusterResponse { brokers, ..DescribeClusterResponse::default() };
        assert_eq!(problem(&view).as_deref(), Some("3 damaged replicas are the last of their partitions"));
        let told = notices(&view, &[]);
        assert!(told[0].starts_with("broker 1: 07070707-0707-0707-0707-070707070707-3 is damaged"), "{told:?}");
        assert!(told[1].contains("-3 and 1 more is damaged"), "{told:?}");
        assert_eq!(as_json(&view.brokers[1]), Value::Null);
        assert_eq!(as_json(&view.brokers[2])["count"], 2);
    }
}
