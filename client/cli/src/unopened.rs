//! Replicas that their brokers cannot read, where another leads: nothing in the metadata tells of them, the brokers say it
//! themselves with their heartbeats.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use holdfast_checker::text::counted;
use holdfast_client::metadata::TopicView;
use holdfast_proto::{
    ids::TopicId,
    v1::{BrokerInfo, DescribeClusterResponse, PartitionInfo, ReplicaClaim, TopicInfo, UnopenedReplica},
};

use crate::trust;

/// How many there are in the cluster.
pub(crate) fn count(view: &DescribeClusterResponse) -> u64 {
    view.brokers.iter().filter_map(|broker| broker.unopened.as_ref()).map(|unopened| unopened.count).sum()
}

/// Which they are, why, and what happens next, one line a broker. Topics that are not in `topics` are named by their ids.
pub(crate) fn notices(view: &DescribeClusterResponse, topics: &[TopicView]) -> Vec<String> {
    let notice = |broker: &BrokerInfo| {
        let unopened = broker.unopened.as_ref()?;
        let mut names: Vec<_> = unopened.first.iter().map(|one| name(one, topics)).collect();
        let unnamed = unopened.count.saturating_sub(names.len() as u64);
        names.extend((0..unnamed).map(|_| String::new()));
        Some(format!(
            "broker {} cannot read {}, {}: {}; mend that, and it reads them by itself, within half a minute, and copies what \
             they lack",
            broker.broker_id,
            counted(unopened.count, "replica"),
            trust::names_of(&names),
            unopened.error,
        ))
    };
    view.brokers.iter().filter_map(notice).collect()
}

/// The same of one broker, for programs; null if it has none.
pub(crate) fn as_json(broker: &BrokerInfo) -> Value {
    let Some(unopened) = &broker.unopened else { return Value::Null };
    let one = |one: &UnopenedReplica| {
        let topic_id = TopicId::from_bytes(&one.topic_id).map(|id| id.to_string());
        json!({ "topic_id": topic_id, "partition": one.partition })
    };
    json!({
        "count": unopened.count,
        "error": unopened.error,
        "first": unopened.first.iter().map(one).collect::<Vec<_>>(),
    })
}

/// The problem of the whole cluster; `None` if there is none.
pub(crate) fn problem(view: &DescribeClusterResponse) -> Option<String> {
    match count(view) {
        0 => None,
        count => Some(format!("{} cannot be read", counted(count, "replica"))),
    }
}

/// Lets these topics say of which replicas their brokers say so.
pub(crate) fn mark(topics: &mut [TopicInfo], view: &DescribeClusterResponse) {
    let all = all(view);
    for topic in topics {
        let Some(id) = TopicId::from_bytes(&topic.topic_id) else { continue };
        topic.partitions.iter_mut().for_each(|partition| mark_one(partition, id, &all));
    }
}

/// The same of the partitions in trouble, by the names of their topics.
pub(crate) fn mark_troubled(view: &mut DescribeClusterResponse, topics: &[TopicView]) {
    let all = all(view);
    for troubled in &mut view.troubled_partitions {
        let id = topics.iter().find(|topic| *topic.name == troubled.topic).map(|topic| topic.id);
        if let (Some(id), Some(partition)) = (id, &mut troubled.partition) {
            mark_one(partition, id, &all);
        }
    }
}

/// Those that are named, with their brokers.
fn all(view: &DescribeClusterResponse) -> BTreeSet<(TopicId, u32, u32)> {
    let of = |broker: &BrokerInfo| {
        let id = broker.broker_id;
        let all = broker.unopened.iter().flat_map(|unopened| &unopened.first);
        all.filter_map(|one| Some((TopicId::from_bytes(&one.topic_id)?, one.partition, id))).collect::<Vec<_>>()
    };
    view.brokers.iter().flat_map(of).collect()
}

/// Of one without a leader the metadata knows it, and how far each of its replicas reaches.
fn mark_one(partition: &mut PartitionInfo, topic: TopicId, all: &BTreeSet<(TopicId, u32, u32)>) {
    if partition.leader.is_none() {
        return;
    }
    let index = partition.partition;
    for (_, _, broker_id) in all.range((topic, index, 0)..=(topic, index, u32::MAX)) {
        partition.claims.retain(|claim| claim.broker_id != *broker_id);
        partition.claims.push(ReplicaClaim { broker_id: *broker_id, unread: true, ..ReplicaClaim::default() });
    }
}

fn name(one: &UnopenedReplica, topics: &[TopicView]) -> String {
    let id = TopicId::from_bytes(&one.topic_id);
    let found = topics.iter().find(|topic| Some(topic.id) == id).map(|topic| topic.name.to_string());
    let topic = found.or_else(|| id.map(|id| id.to_string())).unwrap_or_else(|| "a topic".to_owned());
    format!("{topic}-{}", one.partition)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{TroubledPartition, UnopenedReplicas};

    use super::*;

    fn view(count: u64) -> DescribeClusterResponse {
        let first = (0..count.min(100)).map(|at| UnopenedReplica {
            topic_id: vec![7; 16].into(),
            partition: u32::try_from(at).unwrap_or_default(),
        });
        let unopened = UnopenedReplicas { count, error: "Permission denied".to_owned(), first: first.collect() };
        let broker = BrokerInfo { broker_id: 2, unopened: Some(unopened), ..BrokerInfo::default() };
        DescribeClusterResponse { brokers: vec![BrokerInfo::default(), broker], ..Default::default() }
    }

    fn topics() -> Vec<TopicView> {
        vec![TopicView { name: "orders".into(), id: TopicId::from_bytes(&[7; 16]).unwrap(), partitions: vec![] }]
    }

    #[test]
    fn they_are_named_with_the_reason_and_what_happens_next() {
        assert_eq!(problem(&DescribeClusterResponse::default()), None);
        assert_eq!(problem(&view(1)).as_deref(), Some("1 replica cannot be read"));
        let one = notices(&view(1), &topics());
        let expected = "broker 2 cannot read 1 replica, orders-0: Permission denied; mend that, and it reads";
        assert!(one.len() == 1 && one[0].starts_with(expected), "{one:?}");
        let many = notices(&view(150), &[]);
        assert!(many[0].contains("150 replicas, 07070707-") && many[0].contains("-4, 145 more: "), "{many:?}");
        assert_eq!(as_json(&view(150).brokers[1])["count"], 150);
        assert!(as_json(&view(1).brokers[0]).is_null());
    }

    #[test]
    fn a_partition_says_which_of_its_replicas_it_is() {
        let mut view = view(1);
        let partition = PartitionInfo { leader: Some(1), ..Default::default() };
        view.troubled_partitions = vec![TroubledPartition {
            topic: "orders".to_owned(),
            partition: Some(partition.clone()),
            ..Default::default()
        }];
        mark_troubled(&mut view, &topics());
        assert!(trust::is_unread(view.troubled_partitions[0].partition.as_ref().unwrap(), 2));
        let topic_id = vec![7; 16].into();
        let other = PartitionInfo { partition: 1, ..partition.clone() };
        let mut known = [TopicInfo { topic_id, partitions: vec![partition, other], ..Default::default() }];
        mark(&mut known, &view);
        let unread = known[0].partitions.iter().map(|one| trust::is_unread(one, 2)).collect::<Vec<_>>();
        assert_eq!(unread, [true, false]);
    }
}
