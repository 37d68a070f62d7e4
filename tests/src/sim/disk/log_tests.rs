use holdfast_proto::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use holdfast_replication::{BatchInfo, PlacedBatch};

use super::*;

const FIRST: LogGeneration = LogGeneration(0);

fn batch(offset: u64, epoch: u32) -> SimBatch {
    let info = BatchInfo {
        record_count: 1,
        size_bytes: 100,
        producer_id: ProducerId(1),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(0),
    };
    let placed = PlacedBatch { base_offset: Offset(offset), leader_epoch: LeaderEpoch(epoch), info };
    SimBatch { id: BatchId { producer: 1, counter: offset as u32 }, placed }
}

/// Offsets 0 to 2 are durable, 2 to 4 written, 4 to 6 wait for the writer.
fn log() -> SimLog {
    let mut log = SimLog::new(1);
    for offset in 0..6 {
        log.ask(Work::Append(vec![batch(offset, 1)], FIRST));
        match offset {
            1 => {
                log.write(usize::MAX);
                log.flush(false);
            }
            3 => _ = log.write(usize::MAX),
            _ => {}
        }
    }
    log
}

fn left_by(crash: Crash) -> u64 {
    let mut log = log();
    let taken = log.crash(crash);
    assert_eq!(log.end() + taken, 6);
    log.recover().log_end_offset.0
}

#[test]
fn a_crash_leaves_a_prefix_of_what_waited_and_of_what_was_not_durable() {
    assert_eq!(left_by(Crash::Kill { done: 0 }), 4);
    assert_eq!(left_by(Crash::Kill { done: 1 }), 5);
    assert_eq!(left_by(Crash::PowerLoss { done: 0, kept: 0 }), 2);
    assert_eq!(left_by(Crash::PowerLoss { done: 2, kept: 3 }), 5);
}

#[test]
fn a_cut_counts_only_once_the_writer_has_done_it() {
    let mut log = log();
    log.ask(Work::Truncate(1, LogGeneration(1)));
    assert_eq!((log.end(), log.clone().holds(1, batch(1, 1).id, true)), (1, true));
    log.crash(Crash::Kill { done: 0 });
    assert_eq!(log.end(), 4, "the old records are back");
}

#[test]
fn an_epoch_without_records_is_known_once_it_is_noted() {
    let mut log = log();
    log.ask(Work::BeginEpoch(LeaderEpoch(5), Offset(6)));
    let mut noted = log.clone();
    noted.write(usize::MAX);
    for (log, known) in [(&mut log, 1), (&mut noted, 5)] {
        log.crash(Crash::PowerLoss { done: 0, kept: 0 });
        assert_eq!(log.recover().epochs.latest(), Some(LeaderEpoch(known)));
    }
}

#[test]
fn a_power_loss_leaves_an_older_high_watermark() {
    let mut log = log();
    log.ask(Work::StoreHighWatermark(Offset(2)));
    log.write(usize::MAX);
    let mut marked = log.clone();
    log.flush(false);
    marked.flush(true);
    for (log, known) in [(&mut log, 0), (&mut marked, 2)] {
        log.crash(Crash::PowerLoss { done: 0, kept: 0 });
        assert_eq!(log.recover().high_watermark, Offset(known));
    }
}
