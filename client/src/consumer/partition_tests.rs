//! What one partition makes of answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use holdfast_proto::{
    batch::{self, BatchBuilder, Compression, RecordRef},
    convert,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs},
    v1,
};

use super::{Error, Gaps, PartitionFetch, Reaction};

/// A batch of so many records at the offset.
fn batch_at(offset: u64, count: usize, epoch: u32) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..count {
        builder.append(&RecordRef { timestamp: TimestampMs(1), value: Some(b"x"), ..RecordRef::default() }).unwrap();
    }
    let mut bytes = BytesMut::from(&builder.build(None).unwrap()[..]);
    batch::set_base_offset_and_epoch(&mut bytes, Offset(offset), LeaderEpoch(epoch));
    bytes.freeze()
}

fn part(batches: &[Bytes]) -> v1::FetchedPartition {
    v1::FetchedPartition { high_watermark: 100, batches: batches.concat().into(), ..Default::default() }
}

fn refusal(code: ErrorCode) -> v1::FetchedPartition {
    let error = convert::partition_error(ErrorDetail::from(code));
    v1::FetchedPartition { high_watermark: 100, error: Some(error), ..Default::default() }
}

fn fetch_from(offset: u64) -> PartitionFetch {
    PartitionFetch::new(Arc::from("t"), Bytes::new(), PartitionIndex(0), Offset(offset))
}

/// Offsets of the batches that are handed out, then the problem's first letters.
fn taken(fetch: &mut PartitionFetch) -> Vec<String> {
    std::iter::from_fn(|| fetch.take())
        .map(|item| match item {
            Ok(fetched) => fetched.header.base_offset.to_string(),
            Err(error) => format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect(),
        })
        .collect()
}

#[test]
fn batches_that_continue_each_other_are_taken_and_asked_on_from() {
    let mut fetch = fetch_from(7);
    let reaction = fetch.answer(part(&[batch_at(5, 5, 1), batch_at(10, 3, 1)]), Gaps::AreErrors, Instant::now());
    assert!(reaction.ready && !reaction.refresh);
    assert_eq!(taken(&mut fetch), ["5", "10"]);
    assert_eq!(fetch.buffered_bytes, 0);
    assert_eq!(fetch.request(1, Instant::now(), 10).fetch_offset, 13);
    assert_eq!(fetch.high_watermark, Some(Offset(100)));
}

#[test]
fn a_batch_that_lies_wholly_before_the_position_is_passed_over() {
    let mut fetch = fetch_from(10);
    fetch.answer(part(&[batch_at(5, 5, 1), batch_at(10, 3, 1)]), Gaps::AreErrors, Instant::now());
    assert_eq!(taken(&mut fetch), ["10"]);
}

#[test]
fn a_gap_is_told_after_what_came_before_it_and_only_if_gaps_are_errors() {
    let answer = || part(&[batch_at(0, 5, 1), batch_at(6, 2, 1)]);
    let mut fetch = fetch_from(0);
    fetch.answer(answer(), Gaps::AreErrors, Instant::now());
    assert!(fetch.has_failed());
    assert!(!fetch.wants_fetch(Instant::now(), 1 << 20));
    assert_eq!(taken(&mut fetch), ["0", "DataLoss"]);

    let mut compacted = fetch_from(0);
    compacted.answer(answer(), Gaps::AreNormal, Instant::now());
    assert_eq!(taken(&mut compacted), ["0", "6"]);
}

#[test]
fn an_older_leader_epoch_behind_a_newer_one_is_a_rewritten_log() {
    let mut fetch = fetch_from(0);
    fetch.answer(part(&[batch_at(0, 5, 3)]), Gaps::AreErrors, Instant::now());
    fetch.answer(part(&[batch_at(5, 5, 2)]), Gaps::AreErrors, Instant::now());
    assert_eq!(taken(&mut fetch), ["0", "Diverged"]);
    fetch.seek(Offset(5), LeaderEpoch(0));
    fetch.answer(part(&[batch_at(5, 5, 2)]), Gaps::AreErrors, Instant::now());
    assert_eq!(taken(&mut fetch), ["5"]);
}

#[test]
fn cut_and_garbled_bytes_are_an_error_and_no_panic() {
    let whole = batch_at(0, 5, 1);
    for length in 1..whole.len() {
        let mut fetch = fetch_from(0);
        fetch.answer(part(&[whole.slice(..length)]), Gaps::AreErrors, Instant::now());
        assert_eq!(taken(&mut fetch), ["Corrupt"], "{length} bytes");
    }
}

#[test]
fn a_not_now_is_asked_again_after_a_pause_that_grows() {
    let now = Instant::now();
    let mut fetch = fetch_from(0);
    let mut last = Duration::ZERO;
    for _ in 0..4 {
        fetch.request(1, now, 10);
        let reaction = fetch.answer(refusal(ErrorCode::OffsetNotAvailable), Gaps::AreErrors, now);
        fetch.out = None;
        assert!(reaction.refresh && !reaction.ready);
        let pause = fetch.retry_at(1 << 20).unwrap() - now;
        assert!(pause > last && !fetch.wants_fetch(now, 1 << 20));
        assert!(fetch.wants_fetch(now + pause, 1 << 20));
        last = pause;
    }
}

#[test]
fn a_refusal_for_good_is_told_and_a_position_out_of_range_is_named() {
    let mut fetch = fetch_from(200);
    fetch.answer(refusal(ErrorCode::OffsetOutOfRange), Gaps::AreErrors, Instant::now());
    let error = fetch.take().unwrap().unwrap_err();
    assert!(matches!(error, Error::OffsetOutOfRange { offset: Offset(200), high_watermark: Offset(100), .. }));

    let mut denied = fetch_from(0);
    denied.answer(refusal(ErrorCode::TopicAuthorizationFailed), Gaps::AreErrors, Instant::now());
    assert_eq!(taken(&mut denied), ["Rejected"]);
}

#[test]
fn the_beginning_is_followed_until_something_is_read_and_no_other_position() {
    let deleted = || v1::FetchedPartition { log_start_offset: 7, ..refusal(ErrorCode::OffsetOutOfRange) };
    let mut fetch = fetch_from(0);
    fetch.from_beginning = true;
    assert_eq!(fetch.answer(deleted(), Gaps::AreErrors, Instant::now()), Reaction::default());
    assert_eq!(fetch.request(1, Instant::now(), 10).fetch_offset, 7);
    fetch.answer(part(&[batch_at(7, 2, 1)]), Gaps::AreErrors, Instant::now());
    assert_eq!(taken(&mut fetch), ["7"]);
    let later = v1::FetchedPartition { log_start_offset: 20, ..deleted() };
    fetch.answer(later, Gaps::AreErrors, Instant::now());
    assert_eq!(taken(&mut fetch), ["OffsetOutOfRange"]);

    let mut named = fetch_from(0);
    named.answer(deleted(), Gaps::AreErrors, Instant::now());
    assert_eq!(taken(&mut named), ["OffsetOutOfRange"]);
}
