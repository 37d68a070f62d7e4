use holdfast_metadata::PartitionState;
use holdfast_proto::{error::ErrorCode, ids::BrokerId};

use super::*;

fn configs() -> Vec<v1::ConfigEntry> {
    vec![entry("flush.ms".to_owned(), Some("1".to_owned())), entry("retention.ms".to_owned(), Some("2".to_owned()))]
}

#[test]
fn requests_that_pass_through_come_out_as_they_were() {
    for (partition_count, validate_only) in [(0, true), (3, false)] {
        let request = v1::CreateTopicRequest {
            name: "t".to_owned(),
            partition_count,
            replication_factor: partition_count * 2,
            configs: configs(),
            validate_only,
        };
        assert_eq!(create_request(new_topic(request.clone()).unwrap()), request);
    }
    for topic_id in [Vec::new(), vec![7; 16]] {
        let request = v1::DeleteTopicRequest { name: "t".to_owned(), topic_id: topic_id.into() };
        assert_eq!(delete_request(deletion(request.clone()).unwrap()), request);
    }
    let configs = vec![entry("flush.ms".to_owned(), None), entry("retention.ms".to_owned(), Some("2".to_owned()))];
    let request =
        v1::AlterTopicRequest { name: "t".to_owned(), configs, partition_count: Some(0), validate_only: true };
    assert_eq!(alter_request(change(request.clone()).unwrap()), request);
}

#[test]
fn answers_that_pass_through_come_out_as_they_were() {
    let state = |leader: u32| PartitionState { leader: Some(BrokerId(leader)), ..PartitionState::default() };
    for topic_id in [None, TopicId::from_bytes(&[7; 16])] {
        let topic = view::created("t".to_owned(), topic_id, &[state(1), state(2)]);
        let answer = v1::CreateTopicResponse { topic: Some(topic), index: 3, warnings: vec!["risky".to_owned()] };
        assert_eq!(create_answer("t".to_owned(), created(answer.clone()).unwrap()), answer);
    }
    let answer = v1::AlterTopicResponse { index: 4, warnings: vec!["risky".to_owned()] };
    assert_eq!(alter_answer(changed(answer.clone())), answer);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let twice = vec![entry("flush.ms".to_owned(), Some("1".to_owned())), entry("flush.ms".to_owned(), None)];
    let request = v1::CreateTopicRequest { configs: twice, ..Default::default() };
    assert_eq!(new_topic(request).unwrap_err().code, ErrorCode::InvalidConfig);
    let request = v1::CreateTopicRequest { configs: vec![entry("flush.ms".to_owned(), None)], ..Default::default() };
    let refused = new_topic(request).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    assert!(refused.message.contains("configs.value"), "{refused}");
    let request = v1::DeleteTopicRequest { name: "t".to_owned(), topic_id: vec![1; 3].into() };
    assert_eq!(deletion(request), Err(Error::IdLength { field: "topic_id", length: 3 }));

    assert_eq!(created(v1::CreateTopicResponse::default()), Err(Error::Missing { field: "topic" }));
    let mut topic = view::created("t".to_owned(), None, &[PartitionState::default()]);
    topic.partitions[0].partition = 1;
    let answer = v1::CreateTopicResponse { topic: Some(topic), ..Default::default() };
    assert!(matches!(created(answer), Err(Error::OutOfRange { value: 1, .. })));
}
