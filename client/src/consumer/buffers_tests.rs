//! Which partitions are asked for, of whom, and for how much.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};

use holdfast_proto::{
    batch::{BatchBuilder, Compression, RecordRef, set_base_offset_and_epoch},
    convert,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{Offset, PartitionIndex},
};

use super::*;

const BROKER: BrokerId = BrokerId(1);

fn rules(prefetch_bytes: usize, fetch_max_bytes: usize, partition_max_bytes: usize) -> Rules {
    Rules {
        max_wait: Duration::ZERO,
        min_bytes: 1,
        fetch_max_bytes,
        partition_max_bytes,
        prefetch_bytes,
        request_timeout: Duration::ZERO,
        gaps: Gaps::AreErrors,
        limits: DecodeLimits { max_decompressed_bytes: 1, max_built_bytes: 1 },
    }
}

/// So many partitions of one topic, led by the brokers 1 to `brokers` in turn.
fn buffers(brokers: u32, partitions: u32) -> Buffers {
    let new = |index| PartitionFetch::new(Arc::from("t"), Bytes::new(), PartitionIndex(index), Offset(0));
    let mut buffers = Buffers::new((0..partitions).map(new).collect());
    for index in 0..partitions {
        assert!(buffers.lead(index as usize, BrokerId(1 + index % brokers), LeaderEpoch(0)));
    }
    buffers
}

/// One record at this offset.
fn batch(offset: u64) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(&RecordRef { value: Some(&[b'x'; 100]), ..RecordRef::default() }).unwrap();
    let mut bytes = BytesMut::from(&builder.build(None).unwrap()[..]);
    set_base_offset_and_epoch(&mut bytes, Offset(offset), LeaderEpoch(0));
    bytes.freeze()
}

/// What a leader with a backlog everywhere answers: a batch of each partition, in the order of the request, while they fit.
fn backlog(request: &v1::FetchRequest) -> v1::FetchResponse {
    let mut left = request.max_bytes as usize;
    let mut partitions = Vec::new();
    for wanted in &request.partitions {
        let batches = batch(wanted.fetch_offset);
        if batches.len() > left && !partitions.is_empty() {
            break;
        }
        left = left.saturating_sub(batches.len());
        let part =
            v1::FetchedPartition { topic: wanted.topic.clone(), partition: wanted.partition, ..Default::default() };
        partitions.push(v1::FetchedPartition { batches, ..part });
    }
    v1::FetchResponse { correlation_id: request.correlation_id, partitions }
}

#[test]
fn every_broker_is_asked_whatever_the_others_may_still_bring() {
    for (brokers, prefetch, answer, partition) in [(5, 32 << 20, 8 << 20, 1 << 20), (2, 1 << 10, 1 << 10, 1 << 10)] {
        let rules = rules(prefetch, answer, partition);
        let mut buffers = buffers(brokers, brokers * 8);
        let now = Instant::now();
        let asked: Vec<_> = (1..=brokers)
            .map(|id| buffers.next_request(BrokerId(id), id.into(), &rules, now).map_or(0, |request| request.max_bytes))
            .collect();
        assert!(asked.iter().all(|bytes| *bytes > 0), "a lane waits for ever: {asked:?}");
        assert!(asked.iter().sum::<u32>() as usize <= prefetch, "{asked:?}");
    }
}

#[test]
fn a_broker_that_became_a_leader_late_has_room_once_it_is_one() {
    let rules = rules(1 << 10, 1 << 10, 1 << 10);
    let mut buffers = buffers(1, 2);
    let now = Instant::now();
    let first = buffers.next_request(BROKER, 1, &rules, now).unwrap();
    assert_eq!(first.partitions.len(), 2);
    assert!(buffers.lead(1, BrokerId(2), LeaderEpoch(1)));
    assert!(!buffers.lead(1, BROKER, LeaderEpoch(0)), "that was before");
    assert!(buffers.next_request(BrokerId(2), 2, &rules, now).is_some());
    assert!(buffers.lead(1, BROKER, LeaderEpoch(2)));
    let all = buffers.next_request(BROKER, 3, &rules, now);
    assert!(all.is_none(), "the first request has all of its share");
    buffers.forget(BROKER);
    assert_eq!(buffers.next_request(BROKER, 4, &rules, now).unwrap().max_bytes, 1 << 10, "no other broker has a share");
}

#[test]
fn partitions_with_a_backlog_are_served_in_turn() {
    let size = batch(0).len();
    let rules = rules(2 * size, 2 * size, size);
    let mut buffers = buffers(1, 5);
    let mut handed_out = [0; 5];
    for correlation in 1..=10 {
        let request = buffers.next_request(BROKER, correlation, &rules, Instant::now()).unwrap();
        buffers.take_answer(backlog(&request), rules.gaps, Instant::now());
        while let Some((index, item)) = buffers.take() {
            item.unwrap();
            handed_out[index] += 1;
        }
    }
    assert_eq!(handed_out, [4; 5], "10 answers of two batches");
}

#[test]
fn a_stream_that_is_over_gives_its_room_back() {
    let rules = rules(100, 100, 100);
    let mut buffers = buffers(1, 2);
    assert!(buffers.next_request(BROKER, 1, &rules, Instant::now()).is_some());
    buffers.forget(BROKER);
    assert!(buffers.next_request(BROKER, 2, &rules, Instant::now()).is_some());
}

#[test]
fn a_lane_without_room_does_not_wait_for_the_time_of_a_refused_partition() {
    let (rules, now) = (rules(100, 100, 100), Instant::now());
    let mut buffers = buffers(1, 2);
    let mut request = buffers.next_request(BROKER, 1, &rules, now).unwrap();
    let refused = request.partitions.pop().unwrap();
    let error = Some(convert::partition_error(ErrorDetail::from(ErrorCode::OffsetNotAvailable)));
    let part =
        v1::FetchedPartition { topic: "t".to_owned(), partition: refused.partition, error, ..Default::default() };
    assert!(buffers.take_answer(v1::FetchResponse { correlation_id: 1, partitions: vec![part] }, rules.gaps, now));
    assert!(buffers.retry_at(BROKER, &rules).is_some());
    assert!(buffers.next_request(BROKER, 2, &rules, now).is_some(), "of the other partition");
    assert_eq!(buffers.retry_at(BROKER, &rules), None, "it would be over at once, again and again");
}

#[test]
fn a_partition_that_is_set_back_holds_no_room_and_forgets_no_problem_that_was_told() {
    let size = batch(0).len();
    let rules = rules(size, size, size);
    let mut buffers = buffers(1, 2);
    let request = buffers.next_request(BROKER, 1, &rules, Instant::now()).unwrap();
    buffers.take_answer(backlog(&request), rules.gaps, Instant::now());
    assert!(buffers.next_request(BROKER, 2, &rules, Instant::now()).is_none());
    let full = buffers.partitions.iter_mut().find(|fetch| fetch.is_ready()).unwrap();
    full.paused = true;
    full.set_back(Offset(0), LeaderEpoch(0));
    let request = buffers.next_request(BROKER, 3, &rules, Instant::now()).expect("a paused partition holds the room");
    assert_eq!(request.partitions.len(), 1, "the other one");

    let failed = &mut buffers.partitions[0];
    failed.paused = false;
    failed.fail(Error::TopicGone("t".to_owned()));
    failed.take().unwrap().unwrap_err();
    failed.set_back(Offset(0), LeaderEpoch(0));
    assert!(failed.has_failed());
}

#[test]
fn a_request_that_brings_nothing_does_not_hold_the_others_up_for_long() {
    let size = batch(0).len();
    let rules = Rules { max_wait: Duration::from_secs(30), ..rules(2 * size, 2 * size, size) };
    let mut buffers = buffers(1, 2);
    let first = buffers.next_request(BROKER, 1, &rules, Instant::now()).unwrap();
    assert_eq!((first.partitions.len(), first.max_wait_ms), (2, 30_000), "nobody else is there");
    let mut answer = backlog(&first);
    answer.partitions.truncate(1);
    buffers.take_answer(answer, rules.gaps, Instant::now());
    let second = buffers.next_request(BROKER, 2, &rules, Instant::now()).unwrap();
    assert_eq!(second.partitions.len(), 1, "the other one has enough for now");
    assert!(second.max_wait_ms <= 50, "it holds all of the room for {} ms", second.max_wait_ms);
}

#[test]
fn one_request_that_is_refused_stops_the_partition_that_is_the_cause_alone() {
    let (rules, now) = (rules(1 << 20, 1 << 10, 1 << 10), Instant::now());
    let mut buffers = buffers(2, 12); // six of them at the broker
    let (bad, problem) = (8, ErrorDetail::from(ErrorCode::InvalidRequest));
    let failed = |buffers: &Buffers| {
        let of = |(index, fetch): (usize, &PartitionFetch)| fetch.has_failed().then_some(index);
        buffers.partitions.iter().enumerate().filter_map(of).collect::<Vec<_>>()
    };
    let mut asked = Vec::new();
    for correlation in 1..20 {
        let Some(request) = buffers.next_request(BROKER, correlation, &rules, now) else { break };
        asked.push(request.partitions.len());
        assert!(correlation == 1 || buffers.next_request(BROKER, 100, &rules, now).is_none(), "beside one alone");
        if request.partitions.iter().any(|wanted| wanted.partition == bad) {
            buffers.single_out(BROKER, &problem);
            buffers.forget(BROKER);
        } else {
            buffers.take_answer(backlog(&request), rules.gaps, now);
        }
        if buffers.partitions.iter().all(|fetch| fetch.asked == Asked::WithOthers || fetch.has_failed()) {
            break;
        }
    }
    assert_eq!(failed(&buffers), [bad as usize]);
    assert_eq!(asked, [6, 1, 1, 1, 1, 1, 1]);
    assert!(buffers.next_request(BrokerId(2), 200, &rules, now).is_some(), "what the others lead goes on");
}

#[test]
fn a_broker_that_takes_no_request_stops_all_that_is_out_at_it() {
    let mut buffers = buffers(2, 4);
    buffers.next_request(BROKER, 1, &rules(100, 100, 100), Instant::now()).unwrap();
    buffers.fail_out(BROKER, &ErrorDetail::from(ErrorCode::InvalidRequest));
    assert_eq!(
        buffers.partitions.iter().map(PartitionFetch::has_failed).collect::<Vec<_>>(),
        [true, false, true, false]
    );
}
