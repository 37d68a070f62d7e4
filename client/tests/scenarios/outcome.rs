//! Delivered, not appended, in doubt: what is said is true.

use std::time::Duration;

use holdfast_client::{ErrorCode, ProduceError, Record};

use super::given::{builder, enqueue, within};
use crate::fake::{FakeCluster, ProduceFault};

#[tokio::test]
async fn what_was_refused_each_time_is_not_appended() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.script(vec![ProduceFault::Refuse(ErrorCode::NotEnoughReplicas); 1_000]);
    let client = cluster.client().await;
    let producer = builder(&client).delivery_timeout(Duration::from_millis(400)).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let error = within("the outcome", enqueue(&producer, &topic, "a").await).await.unwrap_err();
    assert!(matches!(error, ProduceError::NotAppended { code: ErrorCode::NotEnoughReplicas }), "{error}");
    assert!(error.is_retriable() && !error.is_in_doubt());

    cluster.state().produce_faults.clear();
    within("a delivery", enqueue(&producer, &topic, "b").await).await.unwrap();
    assert_eq!(cluster.values("t", 0), ["b"]);
}

#[tokio::test]
async fn what_was_not_answered_is_in_doubt_and_what_follows_is_neither_lost_nor_doubled() {
    for (fault, expected) in
        [(ProduceFault::AppendWithoutAnswer, vec!["a", "b", "c"]), (ProduceFault::Lose, vec!["b", "c"])]
    {
        let cluster = FakeCluster::start(1).await;
        cluster.add_topic("t", 1);
        cluster.script([fault]);
        let client = cluster.client().await;
        let producer = builder(&client).delivery_timeout(Duration::from_millis(400)).build().await.unwrap();
        let topic = producer.topic("t").await.unwrap();
        let error = within("the outcome", enqueue(&producer, &topic, "a").await).await.unwrap_err();
        assert!(matches!(error, ProduceError::InDoubt { .. }), "{fault:?}: {error}");
        within("a delivery", enqueue(&producer, &topic, "b").await).await.unwrap();
        within("a delivery", enqueue(&producer, &topic, "c").await).await.unwrap();
        assert_eq!(cluster.values("t", 0), expected, "{fault:?}");
        assert_eq!(cluster.state().init_calls, 2, "the epoch was not raised");
        let report = producer.close(Duration::from_secs(5)).await;
        assert_eq!((report.delivered, report.not_appended, report.in_doubt), (2, 0, 1));
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_fails_alone() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.set_gate(false);
    let producer = builder(&cluster.client().await).batch_size_bytes(1 << 10).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let large = |letter: &str| letter.repeat(900);
    let mut futures = Vec::new();
    for letter in ["a", "b", "c", "d", "e", "f"] {
        futures.push(enqueue(&producer, &topic, &large(letter)).await);
    }
    cluster.script([ProduceFault::Serve, ProduceFault::Refuse(ErrorCode::MessageTooLarge)]);
    cluster.set_gate(true);
    for (index, future) in futures.into_iter().enumerate() {
        let result = within("the outcome", future).await;
        if index == 1 {
            let error = result.unwrap_err();
            assert!(matches!(error, ProduceError::NotAppended { code: ErrorCode::MessageTooLarge }), "{error}");
        } else {
            result.unwrap();
        }
    }
    let expected: Vec<_> = ["a", "c", "d", "e", "f"].map(large).into();
    assert_eq!(cluster.values("t", 0), expected);
}

#[tokio::test]
async fn without_any_broker_nothing_is_in_doubt() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 2);
    let client = cluster.client().await;
    let producer = builder(&client).delivery_timeout(Duration::from_millis(400)).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    cluster.kill(1);
    cluster.kill(2);
    let error = within("the outcome", enqueue(&producer, &topic, "a").await).await.unwrap_err();
    assert!(matches!(error, ProduceError::NotAppended { .. }), "{error}");
}

#[tokio::test]
async fn close_reports_what_is_left_and_ends_every_future() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let producer = builder(&cluster.client().await).batch_size_bytes(1 << 10).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    within("a delivery", enqueue(&producer, &topic, "a").await).await.unwrap();
    cluster.script(vec![ProduceFault::AppendWithoutAnswer; 100]);
    let value = "x".repeat(900);
    let mut futures = Vec::new();
    for _ in 0..10 {
        futures.push(enqueue(&producer, &topic, &value).await);
    }
    cluster.wait_until("five batches in flight", |state| state.produced_batches.len() == 6).await;
    let report = producer.clone().close(Duration::from_millis(50)).await;
    assert_eq!((report.delivered, report.not_appended, report.in_doubt), (1, 5, 5));
    for (index, future) in futures.into_iter().enumerate() {
        let error = within("the outcome", future).await.unwrap_err();
        assert_eq!(error.is_in_doubt(), index < 5, "{index}: {error}");
    }
    let closed = producer.enqueue(Record::new(&topic).value("late")).await.unwrap_err();
    assert!(matches!(closed, ProduceError::Closed), "{closed}");
}

#[tokio::test]
async fn a_dropped_producer_ends_its_futures_without_waiting() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.set_gate(false);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let future = enqueue(&producer, &topic, "a").await;
    drop(producer);
    within("the outcome", future).await.unwrap_err();
}

#[tokio::test]
async fn a_callback_that_panics_holds_up_no_other_outcome() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let callback = |_: Result<_, _>| panic!("a fault of the application");
    producer.send_with_callback(Record::new(&topic).value("a"), callback).await.unwrap();
    within("the next one", producer.send(Record::new(&topic).value("b"))).await.unwrap();
    let report = within("the end", producer.close(Duration::from_secs(5))).await;
    assert_eq!(report.delivered, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_waits_for_an_outcome_that_is_known_but_not_told() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let (entered, in_callback) = tokio::sync::oneshot::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let callback = move |_: Result<_, _>| {
        entered.send(()).unwrap();
        let _ = left.recv();
    };
    producer.send_with_callback(Record::new(&topic).value("a"), callback).await.unwrap();
    within("the callback", in_callback).await.unwrap();
    let mut close = std::pin::pin!(producer.close(Duration::from_secs(15)));
    assert!(futures::poll!(close.as_mut()).is_pending(), "the callback has not returned");
    drop(leave);
    assert_eq!(within("the end", close).await.delivered, 1);
}
