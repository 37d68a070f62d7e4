//! What a listener of another protocol does: everything through the services, without one gRPC message.

use std::{collections::BTreeMap, num::NonZeroU32};

use holdfast_broker::services::{
    admin::topics::NewTopic,
    caller::Caller,
    fetched::{FetchCommand, FetchTarget},
    found_offsets::{Ends, Position},
    hop::Hop,
    lookup::Named,
    plain_records::{PlainProduce, PlainRecord},
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{Offset, PartitionIndex},
};
use holdfast_replication::Acks;

use crate::rig::{Rig, soon, until};

fn new_topic(name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partition_count: NonZeroU32::new(1),
        replication_factor: NonZeroU32::new(1),
        configs: BTreeMap::from([("min.insync.replicas".to_owned(), "1".to_owned())]),
        validate_only: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_created_written_and_read_through_the_services_alone() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let (services, caller) = (broker.services(), Caller::anonymous("test"));
    let partition = PartitionIndex(0);

    let created = until("the topic is created", async || {
        services.admin.create_topic(&caller, new_topic("t"), Hop::default()).await.ok()
    })
    .await;
    assert_eq!((created.partitions.len(), created.topic_id.is_some()), (1, true));
    let again = services.admin.create_topic(&caller, new_topic("t"), Hop::default()).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::TopicAlreadyExists);
    let seen = services.admin.metadata(&caller, created.index).await.unwrap();
    assert_eq!(seen.image.topic_by_name("t").map(holdfast_metadata::Topic::topic_id), created.topic_id);
    let settings = services.admin.topic_settings(&caller, "t").await.unwrap().settings;
    let own: Vec<_> = settings.iter().filter(|setting| !setting.is_default).collect();
    assert_eq!(
        own.iter().map(|setting| (setting.key, setting.value.as_str())).collect::<Vec<_>>(),
        [("min.insync.replicas", "1")]
    );

    let record = PlainRecord { key: None, value: Some("a".into()), headers: Vec::new(), timestamp: None };
    let call = || PlainProduce {
        topic: "t".to_owned(),
        topic_id: None,
        partition: Some(partition),
        records: vec![record.clone()],
        acks: Acks::All,
        timeout_ms: 0,
        forwarded: false,
    };
    let produce = async || services.plain.produce(&caller, call()).await.ok()?.pop()?.1.ok();
    assert_eq!(until("the record is taken", produce).await, Offset(0));

    let target = FetchTarget {
        topic: "t".to_owned(),
        topic_id: None,
        partition,
        fetch_offset: Offset(0),
        leader_epoch: None,
        max_bytes: 0,
    };
    let max_wait = std::time::Duration::from_secs(20);
    let command =
        FetchCommand { targets: vec![target], max_wait, min_bytes: 1, max_bytes: 0, spare_bytes: 0, reader: None };
    let fetched = soon("records", services.fetch.fetch(&caller, &command)).await.fetched.pop().unwrap();
    assert_eq!(fetched.ends.unwrap().high_watermark, Offset(1));
    assert!(fetched.result.is_ok());

    let named = |topic| Named { topic, topic_id: None, partition };
    let ends = services.offsets.ends(&caller, &named("t")).unwrap();
    assert_eq!(ends, Ends { log_start_offset: Offset(0), high_watermark: Offset(1) });
    let latest = services.offsets.find(&caller, named("t"), Position::Latest).await.unwrap();
    assert_eq!(latest.offset, Some(Offset(1)));
    let unknown = services.offsets.ends(&caller, &named("other")).unwrap_err();
    assert_eq!(unknown.code, ErrorCode::UnknownTopicOrPartition);
    soon("the broker stops", broker.stop()).await;
}
