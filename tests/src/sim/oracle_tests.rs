use uuid::Uuid;

use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId};
use holdfast_replication::{BatchInfo, PlacedBatch};

use super::*;

fn tp() -> TopicPartition {
    TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) }
}

fn batch(offset: u64, producer: u32, counter: u32) -> SimBatch {
    let info = BatchInfo {
        record_count: 1,
        size_bytes: 100,
        producer_id: ProducerId(i64::from(producer)),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(0),
    };
    SimBatch {
        id: BatchId { producer, counter },
        placed: PlacedBatch { base_offset: Offset(offset), leader_epoch: LeaderEpoch(1), info },
    }
}

#[test]
fn a_whole_history_passes() {
    let mut oracle = Oracle::default();
    oracle.acked(tp(), 0, BatchId { producer: 1, counter: 0 }, &Held { copies: 2, needed: 2, lacking: Vec::new() });
    oracle.readable(tp(), &[batch(0, 1, 0), batch(1, 1, 1)], 1);
    oracle.final_log(tp(), 0, &[batch(0, 1, 0), batch(1, 1, 1)]);
    oracle.readable(tp(), &[batch(1, 1, 1)], 2);
    oracle.final_log(tp(), 1, &[batch(1, 1, 1)]);
    let ended = [(BatchId { producer: 1, counter: 0 }, Ended::Delivered)];
    oracle.final_outcomes(tp(), 1, &[batch(1, 1, 1)], true, ended.into_iter());
}

#[test]
#[should_panic(expected = "LOST")]
fn what_retention_may_not_take_is_lost() {
    let mut oracle = Oracle::default();
    oracle.acked(tp(), 1, BatchId { producer: 1, counter: 1 }, &Held::default());
    oracle.log_up_to(tp(), 1, &[], 2);
}

#[test]
#[should_panic(expected = "a consumer read")]
fn a_batch_across_another_is_found() {
    let mut oracle = Oracle::default();
    let info = BatchInfo { record_count: 2, ..batch(0, 2, 0).placed.info };
    let wide = SimBatch { placed: PlacedBatch { info, ..batch(0, 2, 0).placed }, ..batch(0, 2, 0) };
    oracle.readable(tp(), &[batch(1, 1, 0)], 2);
    oracle.readable(tp(), &[wide], 2);
}

#[test]
#[should_panic(expected = "LOST")]
fn a_lost_batch_is_found() {
    let mut oracle = Oracle::default();
    oracle.acked(tp(), 1, BatchId { producer: 1, counter: 1 }, &Held::default());
    oracle.final_log(tp(), 0, &[batch(0, 1, 0)]);
}

#[test]
#[should_panic(expected = "LOST")]
fn a_lost_beginning_is_found() {
    let mut oracle = Oracle::default();
    oracle.retains(tp(), 3);
    oracle.begins(tp(), BrokerId(1), 3);
    oracle.begins(tp(), BrokerId(1), 4);
}

#[test]
#[should_panic(expected = "DUPLICATED")]
fn a_duplicate_is_found() {
    Oracle::default().final_log(tp(), 0, &[batch(0, 1, 0), batch(1, 1, 0)]);
}

#[test]
#[should_panic(expected = "REORDERED")]
fn a_reordering_is_found() {
    Oracle::default().final_log(tp(), 0, &[batch(0, 1, 1), batch(1, 1, 0)]);
}

#[test]
#[should_panic(expected = "durable copies")]
fn an_early_ack_is_found() {
    let held = Held { copies: 1, needed: 2, lacking: Vec::new() };
    Oracle::default().acked(tp(), 0, BatchId { producer: 1, counter: 0 }, &held);
}

#[test]
#[should_panic(expected = "who may lead")]
fn an_ack_that_a_member_lacks_is_found() {
    let held = Held { copies: 2, needed: 2, lacking: vec![BrokerId(3)] };
    Oracle::default().acked(tp(), 0, BatchId { producer: 1, counter: 0 }, &held);
}

#[test]
#[should_panic(expected = "led twice")]
fn a_split_brain_is_found() {
    let mut oracle = Oracle::default();
    let leader = |start| Leadership { broker: BrokerId(1), incarnation: IncarnationId(Uuid::from_u128(start)), log: 1 };
    oracle.leads(tp(), LeaderEpoch(3), leader(1));
    oracle.leads(tp(), LeaderEpoch(3), leader(2));
}

#[test]
#[should_panic(expected = "a consumer read")]
fn a_changed_record_is_found() {
    let mut oracle = Oracle::default();
    oracle.readable(tp(), &[batch(0, 1, 0)], 1);
    oracle.readable(tp(), &[batch(0, 2, 0)], 1);
}

#[test]
#[should_panic(expected = "joins the ISR")]
fn a_member_that_lacks_something_acknowledged_is_found() {
    let mut oracle = Oracle::default();
    let joins = |oracle: &Oracle| oracle.joins(tp(), BrokerId(2), None, true);
    joins(&oracle);
    oracle.acked(tp(), 1, BatchId { producer: 1, counter: 1 }, &Held::default());
    joins(&oracle);
}
