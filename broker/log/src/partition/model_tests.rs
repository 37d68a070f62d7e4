//! Random histories of a log against a model of what it has to hold.

use std::fs;

use proptest::prelude::*;

use holdfast_proto::ids::{LeaderEpoch, Offset};

use crate::{
    Disk, FlushTiming, LogConfig, PartitionLog,
    test_support::{Sample, bases, open, tempdir},
};

/// One step of a history. Fractions are of what is there, in 1/256.
#[derive(Clone, Debug)]
enum Step {
    /// Batches of these record counts, with one write.
    Append {
        counts: Vec<u32>,
        value_bytes: usize,
        new_epoch: bool,
    },
    Flush,
    BeginEpoch,
    Truncate(u8),
    AdvanceStart(u8),
    StartOver {
        ahead: u64,
    },
    Close,
    /// The process is killed: what was written stays.
    Kill,
    /// The power fails: of what was not flushed only a part stays.
    PowerLoss(u8),
    /// The power fails: of what was not flushed a piece reads as zeros, and what follows it stays.
    LostPiece(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let append = (prop::collection::vec(1u32..5, 1..6), 0usize..200, any::<bool>());
    prop_oneof![
        10 => append.prop_map(|(counts, value_bytes, new_epoch)| Step::Append { counts, value_bytes, new_epoch }),
        4 => Just(Step::Flush),
        1 => Just(Step::BeginEpoch),
        2 => any::<u8>().prop_map(Step::Truncate),
        2 => any::<u8>().prop_map(Step::AdvanceStart),
        1 => (0u64..50).prop_map(|ahead| Step::StartOver { ahead }),
        1 => Just(Step::Close),
        2 => Just(Step::Kill),
        2 => any::<u8>().prop_map(Step::PowerLoss),
        2 => any::<(u8, u8)>().prop_map(|(from, to)| Step::LostPiece(from, to)),
    ]
}

/// A batch that the log has to hold.
#[derive(Clone, Copy, Debug)]
struct Batch {
    base: u64,
    next: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Model {
    batches: Vec<Batch>,
    start: u64,
    end: u64,
    epoch: u32,
    sequence: i32,
}

impl Model {
    /// The batch border at this part of the log.
    fn border(&self, part: u8) -> u64 {
        let inside: Vec<u64> = self.batches.iter().map(|batch| batch.base).filter(|base| *base >= self.start).collect();
        inside.get(inside.len() * usize::from(part) / 256).copied().unwrap_or(self.end)
    }

    fn cut(&mut self, to: u64) {
        self.batches.retain(|batch| batch.next <= to);
        self.end = to;
    }

    fn check(&self, log: &PartitionLog) {
        assert_eq!((log.log_start_offset().0, log.log_end_offset().0), (self.start, self.end));
        let reader = log.reader();
        let mut at = self.start;
        let mut read = Vec::new();
        while at < self.end {
            let bytes = reader.read(Offset(at), 600, Offset(self.end)).unwrap();
            read.extend(bases(&bytes));
            let last = read[read.len() - 1];
            at = self.batches.iter().find(|batch| batch.base == last).expect("a batch of the model").next;
        }
        let expected = self.batches.iter().filter(|batch| batch.next > self.start).map(|batch| batch.base);
        assert_eq!(read, expected.collect::<Vec<_>>());
    }
}

const CONFIG: LogConfig = LogConfig {
    segment_bytes: 1500,
    segment_ms: u64::MAX,
    index_interval_bytes: 150,
    index_max_bytes: 200,
    flush: FlushTiming::EachRound,
    verify_on_read: true,
};

fn run(steps: Vec<Step>) {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), CONFIG);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append { counts, value_bytes, new_epoch } => {
                model.epoch += u32::from(new_epoch);
                let mut records = Vec::new();
                for count in counts {
                    let producer = Some((i64::from(count), model.sequence));
                    model.sequence += count as i32;
                    let sample =
                        Sample { records: count, value_bytes, epoch: model.epoch, producer, ..Sample::at(model.end) };
                    let batch = sample.build();
                    let next = model.end + u64::from(count);
                    model.batches.push(Batch { base: model.end, next, bytes: batch.len() as u64 });
                    model.end = next;
                    records.push(batch);
                }
                log.append(&records).unwrap();
            }
            Step::Flush => log.flush().unwrap(),
            Step::BeginEpoch => {
                model.epoch += 1;
                log.begin_epoch(LeaderEpoch(model.epoch), Offset(model.end)).unwrap();
            }
            Step::Truncate(part) => {
                let to = model.border(part);
                log.truncate_to(Offset(to)).unwrap();
                model.cut(to);
                assert_eq!(log.flushed_end(), Offset(to));
                model.epoch += 1;
            }
            Step::AdvanceStart(part) => {
                let to = model.border(part) + u64::from(part % 2);
                let to = to.min(model.end);
                log.advance_log_start(Offset(to)).unwrap();
                model.start = model.start.max(to);
            }
            Step::StartOver { ahead } => {
                let at = model.end + ahead;
                log.start_over(Offset(at)).unwrap();
                model.batches.clear();
                (model.start, model.end) = (at, at);
            }
            Step::Close => {
                let (epochs, producers) = (log.epochs().clone(), log.producers().clone());
                log.close().unwrap();
                let opened = open(folder.path(), CONFIG);
                log = opened.0;
                assert!(opened.1.was_clean);
                assert_eq!((opened.1.epochs, opened.1.producers), (epochs, producers));
            }
            Step::Kill => {
                let (epochs, producers) = (log.epochs().clone(), log.producers().clone());
                drop(log);
                let opened = open(folder.path(), CONFIG);
                log = opened.0;
                assert_eq!((opened.1.epochs, opened.1.producers), (epochs, producers));
            }
            Step::PowerLoss(part) => {
                let flushed = log.flushed_end().0;
                let lost: u64 =
                    model.batches.iter().filter(|batch| batch.base >= flushed).map(|batch| batch.bytes).sum();
                drop(log);
                let gone = lost * u64::from(part) / 255;
                let last = last_segment(&folder.path().join("p"));
                let file = fs::OpenOptions::new().write(true).open(&last).unwrap();
                file.set_len(file.metadata().unwrap().len() - gone).unwrap();
                let opened = open(folder.path(), CONFIG);
                log = opened.0;
                let end = opened.1.log_end_offset.0;
                assert!(flushed <= end && end <= model.end, "{flushed} {end} {}", model.end);
                assert!(gone == 0 || end < model.end);
                model.cut(end);
                // Epochs and sequences that were lost with it are not used again.
                model.epoch += 1;
            }
            Step::LostPiece(from, to) => {
                let flushed = log.flushed_end().0;
                let unflushed = model.batches.iter().filter(|batch| batch.base >= flushed);
                let lost: u64 = unflushed.map(|batch| batch.bytes).sum();
                drop(log);
                let last = last_segment(&folder.path().join("p"));
                let mut bytes = fs::read(&last).unwrap();
                let at = |part: u8| bytes.len() - (lost * u64::from(part) / 256) as usize;
                let piece = at(from.max(to))..at(from.min(to));
                bytes[piece.clone()].fill(0);
                let is_followed = bytes[piece.start..].iter().any(|byte| *byte != 0);
                fs::write(&last, bytes).unwrap();
                let opened = open(folder.path(), CONFIG);
                log = opened.0;
                let end = opened.1.log_end_offset.0;
                assert!(flushed <= end && end <= model.end, "{flushed} {end} {}", model.end);
                assert!(end == model.end || !is_followed || opened.1.doubt.is_some(), "{end} {}", model.end);
                if let Some(doubt) = &opened.1.doubt {
                    assert!(super::settle_doubt(&Disk::new(), &folder.path().join("p"), doubt).unwrap());
                }
                model.cut(end);
                model.epoch += 1;
            }
        }
        model.check(&log);
    }
}

fn last_segment(folder: &std::path::Path) -> std::path::PathBuf {
    let segments = crate::files::list(folder).unwrap().segments;
    crate::files::file(folder, segments[segments.len() - 1], crate::files::LOG)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_log_holds_what_the_model_holds(steps in prop::collection::vec(step(), 1..60)) {
        run(steps);
    }
}
