//! One broker, one replica: produce, consume, offsets, plain records, restart.

use futures::StreamExt;

use holdfast_log::{DataDir, LogConfig};
use holdfast_proto::{
    batch::ProducerStamp,
    ids::{ProducerEpoch, ProducerId, Sequence},
    v1::{self, offset_query::Position},
};

use crate::{
    fake_controller::FakeController,
    rig::{Client, Rig, batch, produce_until, soon, stamped, until},
};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_come_back_as_they_were_sent_also_after_a_restart() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    assert_eq!(produce_until(&client, "t", 0, &["a", "b"]).await, 0);
    let mut stream = client.stream().await;
    for (index, value) in ["c", "d", "e"].into_iter().enumerate() {
        assert_eq!(stream.produce("t", 0, batch(&[value])).await, Ok(2 + index as u64));
    }
    assert_eq!(client.read("t", 0, 0).await.unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(client.read("t", 0, 1).await.unwrap(), ["b", "c", "d", "e"], "from the middle of a batch");
    soon("the broker stops", broker.stop()).await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let read = until("read after a restart", async || client.read("t", 0, 0).await.ok()).await;
    assert_eq!(read, ["a", "b", "c", "d", "e"]);
    assert_eq!(produce_until(&client, "t", 0, &["f"]).await, 5);
    soon("the broker stops", broker.stop()).await;
}

/// Its folder was lost, and it has not joined again: it knows of no cluster, no broker and no topic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_empty_controller_answers_is_no_answer() {
    let (empty, rig) = (FakeController::start_empty().await, Rig::start().await);
    let with = |controllers: [std::net::SocketAddr; 2]| {
        move |mut config: holdfast_broker::config::Config| {
            config.controllers = controllers.map(|address| address.to_string().parse().unwrap()).into();
            config
        }
    };
    let broker = rig.broker_with(1, with([empty.address, rig.controller.address])).await;
    let mut admin = Client::connect(&broker).await.admin();
    // A session that breaks lets the next controller in the list be asked first: the empty one.
    for _ in 0..3 {
        rig.controller.break_sessions();
        let answer = soon("an answer", admin.describe_cluster(v1::DescribeClusterRequest {})).await.unwrap();
        assert_eq!(answer.into_inner().brokers.len(), 1);
    }
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_waits_until_something_comes() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 2, 1, ONE);
    let client = Client::connect(&broker).await;
    assert_eq!(produce_until(&client, "t", 0, &["a"]).await, 0);
    assert_eq!(produce_until(&client, "t", 1, &["x"]).await, 0);
    let partition = |partition, fetch_offset| v1::FetchPartition {
        topic: "t".to_owned(),
        partition,
        fetch_offset,
        ..Default::default()
    };
    let request = v1::FetchRequest {
        correlation_id: 7,
        partitions: vec![partition(0, 1), partition(1, 1)],
        max_wait_ms: 30_000,
        min_bytes: 1,
        max_bytes: 0,
    };
    let requests = futures::stream::iter([request]).chain(futures::stream::pending());
    let mut consumer = client.consumer();
    let mut answers = consumer.fetch(requests).await.unwrap().into_inner();
    let mut stream = client.stream().await;
    stream.send("t", 1, batch(&["y"])).await;
    let answer = soon("the fetch is woken", answers.message()).await.unwrap().unwrap();
    assert_eq!(answer.correlation_id, 7);
    assert_eq!(answer.partitions.len(), 1);
    assert_eq!((answer.partitions[0].partition, answer.partitions[0].high_watermark), (1, 2));
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_gets_its_first_offset_and_a_gap_is_refused() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    let id = soon("a producer id", client.producer().init_producer_id(v1::InitProducerIdRequest::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(id.producer_epoch, 0);
    let stamp = |sequence| {
        Some(ProducerStamp {
            id: ProducerId(id.producer_id),
            epoch: ProducerEpoch(0),
            base_sequence: Sequence(sequence),
        })
    };
    let mut stream = client.stream().await;
    assert_eq!(stream.produce("t", 0, stamped(&["a", "b"], stamp(0))).await, Ok(1));
    assert_eq!(stream.produce("t", 0, stamped(&["a", "b"], stamp(0))).await, Ok(1), "a duplicate");
    let gap = stream.produce("t", 0, stamped(&["d"], stamp(3))).await;
    assert_eq!(gap, Err("OUT_OF_ORDER_SEQUENCE_NUMBER".to_owned()));
    assert_eq!(stream.produce("t", 0, stamped(&["c"], stamp(2))).await, Ok(3));
    let raised = v1::InitProducerIdRequest { producer_id: Some(id.producer_id), producer_epoch: Some(0) };
    let raised = client.producer().init_producer_id(raised).await.unwrap().into_inner();
    assert_eq!((raised.producer_id, raised.producer_epoch), (id.producer_id, 1));
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_records_and_offsets_work_in_single_calls() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let create = v1::CreateTopicRequest {
        name: "t".to_owned(),
        partition_count: 3,
        replication_factor: 1,
        configs: vec![v1::ConfigEntry {
            key: "min.insync.replicas".to_owned(),
            value: Some("1".to_owned()),
            is_default: false,
        }],
        validate_only: false,
    };
    let index = soon("a topic", client.admin().create_topic(create)).await.unwrap().into_inner().index;
    let metadata = v1::GetMetadataRequest { all_topics: true, min_index: index, ..Default::default() };
    let metadata = soon("metadata", client.admin().get_metadata(metadata)).await.unwrap().into_inner();
    assert_eq!(metadata.topics[0].partitions.len(), 3);
    let record = |key: &'static str| v1::PlainRecord {
        key: Some(key.into()),
        value: Some(key.into()),
        timestamp_ms: Some(5_000),
        headers: vec![],
    };
    let request = v1::ProduceRecordsRequest {
        topic: "t".to_owned(),
        records: ["k1", "k2", "k3", "k1"].map(record).to_vec(),
        ..Default::default()
    };
    let results = until("plain records are taken", async || {
        let results = client.producer().produce_records(request.clone()).await.unwrap().into_inner().results;
        results.iter().all(|result| result.error.is_none()).then_some(results)
    })
    .await;
    assert_eq!(results.len(), 4);
    assert_eq!(results[0].partition, results[3].partition, "one key, one partition");
    assert!(results[0].offset < results[3].offset, "in order");
    let partition = results[0].partition;
    let query =
        |position| v1::OffsetQuery { topic: "t".to_owned(), partition, position: Some(position), ..Default::default() };
    let queries = vec![
        query(Position::Earliest(true)),
        query(Position::Latest(true)),
        query(Position::TimestampMs(5_000)),
        query(Position::TimestampMs(5_001)),
    ];
    let answer = client.consumer().list_offsets(v1::ListOffsetsRequest { queries }).await.unwrap().into_inner();
    let offsets: Vec<_> = answer.results.iter().map(|result| result.offset).collect();
    assert_eq!(offsets[0], Some(0));
    assert!(offsets[1] > Some(1));
    assert_eq!(offsets[2], Some(0));
    assert_eq!(offsets[3], None);
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_takes_its_folder_and_a_stray_one_stays() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let topic_id = rig.controller.create_topic("gone", 1, 1, ONE);
    let client = Client::connect(&broker).await;
    produce_until(&client, "gone", 0, &["a"]).await;
    let folders = || std::fs::read_dir(rig.data_dir(1).join("partitions")).unwrap().count();
    assert_eq!(folders(), 1);
    rig.controller.run(&holdfast_metadata::Command::DeleteTopic { topic_id }).unwrap();
    until("the folder goes", async || (folders() == 0).then_some(())).await;
    let again = client.read("gone", 0, 0).await.unwrap_err();
    assert!(again.message().contains("unknown topic 'gone'"), "{again:?}");
    soon("the broker stops", broker.stop()).await;
    // A folder that no metadata knows: kept.
    let stray = holdfast_proto::ids::TopicPartition {
        topic_id: holdfast_proto::ids::TopicId(uuid::Uuid::new_v4()),
        partition: holdfast_proto::ids::PartitionIndex(0),
    };
    {
        let id = holdfast_proto::ids::BrokerId(1);
        let data_dir = until("the folder is free", async || DataDir::open(&rig.data_dir(1), id, None).ok()).await;
        let (log, _) = data_dir.open_partition(stray, LogConfig::default()).unwrap();
        log.close().unwrap();
    }
    let broker = rig.broker(1).await;
    soon("the broker stops", broker.stop()).await;
    assert_eq!(folders(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_segments_go_by_retention() {
    let rig = Rig::start().await;
    let mut config = rig.config(1);
    config.retention_check_interval_ms = 100;
    let broker = holdfast_broker::life::start::Broker::start(config).await.unwrap();
    until("the broker serves", async || rig.controller.image().brokers().values().any(|b| !b.fenced).then_some(()))
        .await;
    let small = [("min.insync.replicas", "1"), ("segment.bytes", "65536"), ("retention.bytes", "65536")];
    rig.controller.create_topic("t", 1, 1, &small);
    let client = Client::connect(&broker).await;
    let large = "x".repeat(50_000);
    for _ in 0..6 {
        produce_until(&client, "t", 0, &[&large]).await;
    }
    until("the log start moves", async || {
        let replica = broker.context().partitions.all().pop()?;
        (replica.view().log_start.0 > 0).then_some(())
    })
    .await;
    let error = client.read("t", 0, 0).await.unwrap_err();
    assert!(error.message().contains("out of range"), "{error:?}");
    soon("the broker stops", broker.stop()).await;
}
