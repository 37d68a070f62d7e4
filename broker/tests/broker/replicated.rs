//! Three brokers: replication, fail-over, catching up, leaving in order.

use holdfast_broker::life::start::Broker;
use holdfast_proto::ids::{BrokerId, PartitionIndex, TopicId, TopicPartition};

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

fn tp(topic_id: TopicId, partition: u32) -> TopicPartition {
    TopicPartition { topic_id, partition: PartitionIndex(partition) }
}

fn leader(rig: &Rig, partition: TopicPartition) -> Option<BrokerId> {
    rig.controller.image().partition(partition).and_then(|state| state.leader)
}

async fn leader_is_not(rig: &Rig, partition: TopicPartition, old: BrokerId) -> BrokerId {
    until("another leader", async || leader(rig, partition).filter(|leader| *leader != old)).await
}

async fn full_isr(rig: &Rig, topic_id: TopicId, count: usize) {
    let full = || {
        let image = rig.controller.image();
        let topic = image.topic(topic_id).unwrap();
        topic.partitions().all(|(_, state)| state.isr.len() == count).then_some(())
    };
    until("every replica is in sync", async || full()).await;
}

fn by_id(brokers: &[Broker], id: BrokerId) -> &Broker {
    brokers.iter().find(|broker| broker.context().identity.broker_id == id).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_holds_what_was_acknowledged() {
    let rig = Rig::start().await;
    let brokers = rig.brokers(3).await;
    let topic_id = rig.controller.create_topic("t", 4, 3, &[]);
    for partition in 0..4 {
        let id = tp(topic_id, partition);
        let leading = leader(&rig, id).unwrap();
        let client = Client::connect(by_id(&brokers, leading)).await;
        produce_until(&client, "t", partition, &["first"]).await;
        let mut stream = client.stream().await;
        for round in 0..100 {
            stream.send("t", partition, batch(&[&format!("{round}"), "b"])).await;
        }
        for round in 0..100 {
            let answer = stream.answer().await;
            assert_eq!((answer.base_offset, answer.error), (1 + 2 * round, None));
        }
        assert_eq!(client.read("t", partition, 0).await.unwrap().len(), 201);
        for broker in &brokers {
            until("the replica has everything", async || {
                let replica = broker.context().partitions.get(id)?;
                (replica.view().log_end.0 == 201).then_some(())
            })
            .await;
        }
    }
    full_isr(&rig, topic_id, 3).await;
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_says_where_the_leader_is_and_sends_plain_records_on() {
    let rig = Rig::start().await;
    let brokers = rig.brokers(2).await;
    let topic_id = rig.controller.create_topic("t", 1, 2, &[]);
    let leading = leader(&rig, tp(topic_id, 0)).unwrap();
    let follower = brokers.iter().find(|broker| broker.context().identity.broker_id != leading).unwrap();
    let at_leader = Client::connect(by_id(&brokers, leading)).await;
    produce_until(&at_leader, "t", 0, &["a"]).await;
    let client = Client::connect(follower).await;
    let mut stream = client.stream().await;
    stream.send("t", 0, batch(&["b"])).await;
    let error = stream.answer().await.error.unwrap();
    assert_eq!(error.name, "NOT_LEADER_OR_FOLLOWER");
    let hint = error.leader.unwrap();
    assert_eq!(
        (hint.broker_id, hint.address),
        (leading.0, by_id(&brokers, leading).context().identity.addresses.client.clone())
    );
    let record = holdfast_proto::v1::PlainRecord { value: Some("plain".into()), ..Default::default() };
    let request = holdfast_proto::v1::ProduceRecordsRequest {
        topic: "t".to_owned(),
        partition: Some(0),
        records: vec![record],
        ..Default::default()
    };
    let results = soon("it is sent on", client.producer().produce_records(request)).await.unwrap().into_inner().results;
    assert_eq!((results[0].offset, &results[0].error), (Some(1), &None));
    assert_eq!(at_leader.read("t", 0, 0).await.unwrap(), ["a", "plain"]);
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_and_loses_nothing() {
    let rig = Rig::start().await;
    let mut brokers = rig.brokers(3).await;
    let topic_id = rig.controller.create_topic("t", 1, 3, &[]);
    let id = tp(topic_id, 0);
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        full_isr(&rig, topic_id, 3).await;
        let old = leader(&rig, id).unwrap();
        let client = Client::connect(by_id(&brokers, old)).await;
        let value = format!("before {round}");
        produce_until(&client, "t", 0, &[&value]).await;
        acknowledged.push(value);
        let index = brokers.iter().position(|broker| broker.context().identity.broker_id == old).unwrap();
        soon("it is killed", brokers.remove(index).kill()).await;
        let new = leader_is_not(&rig, id, old).await;
        let client = Client::connect(by_id(&brokers, new)).await;
        let value = format!("after {round}");
        produce_until(&client, "t", 0, &[&value]).await;
        acknowledged.push(value);
        let read = until("read at the new leader", async || client.read("t", 0, 0).await.ok()).await;
        // A produce that was refused or broken off may have been appended all the same.
        let mut rest = read.iter();
        for value in &acknowledged {
            assert!(rest.any(|found| found == value), "{value} is not where it should be in {read:?}");
        }
        drop(client);
        brokers.push(until("it starts again", async || Broker::start(rig.config(old.0)).await.ok()).await);
    }
    full_isr(&rig, topic_id, 3).await;
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_leaves_hands_over_and_catches_up_when_it_returns() {
    let rig = Rig::start().await;
    let mut brokers = rig.brokers(3).await;
    let topic_id = rig.controller.create_topic("t", 6, 3, &[]);
    full_isr(&rig, topic_id, 3).await;
    let leaving = brokers.remove(0);
    let old = leaving.context().identity.broker_id;
    soon("it hands over and stops", leaving.stop()).await;
    assert!(rig.controller.image().partitions_led_by(old).next().is_none());
    for partition in 0..6 {
        let leading = leader(&rig, tp(topic_id, partition)).unwrap();
        let client = Client::connect(by_id(&brokers, leading)).await;
        for value in ["a", "b", "c"] {
            produce_until(&client, "t", partition, &[value]).await;
        }
    }
    let returned = rig.broker(old.0).await;
    full_isr(&rig, topic_id, 3).await;
    for partition in 0..6 {
        let replica = returned.context().partitions.get(tp(topic_id, partition)).unwrap();
        assert_eq!(replica.view().log_end.0, 3);
    }
    brokers.push(returned);
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_replicas_refuse_and_then_take() {
    let rig = Rig::start().await;
    let mut brokers = rig.brokers(2).await;
    let topic_id = rig.controller.create_topic("t", 1, 2, &[]);
    full_isr(&rig, topic_id, 2).await;
    let leading = leader(&rig, tp(topic_id, 0)).unwrap();
    let client = Client::connect(by_id(&brokers, leading)).await;
    produce_until(&client, "t", 0, &["a"]).await;
    let index = brokers.iter().position(|broker| broker.context().identity.broker_id != leading).unwrap();
    let other = brokers.remove(index);
    let other_id = other.context().identity.broker_id;
    soon("the other is killed", other.kill()).await;
    let mut stream = client.stream().await;
    until("it is refused", async || {
        let refused = stream.produce("t", 0, batch(&["b"])).await;
        (refused == Err("NOT_ENOUGH_REPLICAS".to_owned())).then_some(())
    })
    .await;
    brokers.push(until("it starts again", async || Broker::start(rig.config(other_id.0)).await.ok()).await);
    produce_until(&client, "t", 0, &["c"]).await;
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}
