//! Settings of one log and of the log writer.

use crate::Error;

/// Settings of one partition's log. Names in parentheses are the topic's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Size at which a segment is closed and the next begins, bytes (`segment.bytes`). A single larger batch gets a
    /// segment of its own. Range 1 KiB to 2 GiB - 1 (positions are Kafka's signed 32 bits). Default 1 GiB.
    ///
    /// Small: many files, and a few fsyncs for each. Large: retention frees in large steps, recovery reads more.
    pub segment_bytes: u32,
    /// Age at which a segment is closed at the next append, ms since its first append (`segment.ms`). Default 7 days.
    pub segment_ms: u64,
    /// Bytes of batches between two entries of the offset index (`index.interval.bytes`). Default 4096.
    ///
    /// Small: larger indexes. Large: a read has to skip more bytes.
    pub index_interval_bytes: u32,
    /// Size at which an index is full and the segment is closed, bytes (`segment.index.bytes`). Default 10 MiB.
    pub index_max_bytes: u32,
    /// When appended batches are made durable (`flush.policy`, `flush.messages`, `flush.ms`).
    pub flush: FlushTiming,
    /// True to check the CRC of every batch that is read from disk. Default true.
    ///
    /// False saves about 5 % of a read's CPU time, and leaves silent corruption to the reader at the far end.
    pub verify_on_read: bool,
}

/// When appended batches are made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushTiming {
    /// After each round of the writer, before `Flushed` is reported. The default.
    #[default]
    EachRound,
    /// Only now and then: a power loss on all replicas can lose what was appended since.
    Interval {
        /// Flush when so many records wait (`flush.messages`); at least 1.
        messages: u64,
        /// Flush when the oldest waits so long, ms (`flush.ms`); at least 1.
        ms: u64,
    },
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            index_interval_bytes: 4096,
            index_max_bytes: 10 << 20,
            flush: FlushTiming::EachRound,
            verify_on_read: true,
        }
    }
}

impl LogConfig {
    /// Refuses settings out of range; tells the first one with [`Error::BadConfig`].
    pub fn validate(&self) -> Result<(), Error> {
        check("segment.bytes", self.segment_bytes.into(), 1024, i32::MAX as u64, "1024 to 2147483647")?;
        check("segment.ms", self.segment_ms, 1, u64::MAX, "at least 1")?;
        check("index.interval.bytes", self.index_interval_bytes.into(), 1, u64::MAX, "at least 1")?;
        check("segment.index.bytes", self.index_max_bytes.into(), 24, i32::MAX as u64, "24 to 2147483647")?;
        if let FlushTiming::Interval { messages, ms } = self.flush {
            check("flush.messages", messages, 1, u64::MAX, "at least 1")?;
            check("flush.ms", ms, 1, u64::MAX, "at least 1")?;
        }
        Ok(())
    }
}

/// Settings of the log writer of one data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterConfig {
    /// Threads that write and fsync. Default 24. Range 1 to 256.
    ///
    /// They mostly wait for the disk. Few: partitions wait for each other's fsync (18 busy partitions on 2 cores and one
    /// ext4 disk: 8 threads 544 MB/s, 16 threads 756, 24 threads 893). Many: the file system commits more fsyncs at
    /// once, and each thread that was ever needed keeps some 20 KiB.
    pub threads: usize,
    /// Bytes of batches that may wait for the disk, over all partitions. Default 64 MiB; at least one batch.
    ///
    /// Small: `OVERLOADED` in bursts. Large: memory, and waits that outlast the producers' timeouts.
    pub max_in_flight_bytes: usize,
    /// Bytes of fetched batches that may wait for the disk, over all partitions. Default 64 MiB; what comes last may pass it.
    ///
    /// Small: a replica catches up more slowly than its disk writes. Large: memory.
    pub max_fetched_bytes: usize,
    /// Bytes that one round of one partition may write before its fsync. Default 8 MiB. At least one append is taken.
    ///
    /// Small: more fsyncs under load. Large: a longer wait for those in the round.
    pub max_round_bytes: usize,
    /// How long the durable mark on disk may lag behind what was flushed, ms. Default 1000.
    ///
    /// Damage in the lag is cut as a torn tail, and leaves the log in doubt. Small: one more fsync of a small file per partition and interval.
    pub mark_interval_ms: u64,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            threads: 24,
            max_in_flight_bytes: 64 << 20,
            max_fetched_bytes: 64 << 20,
            max_round_bytes: 8 << 20,
            mark_interval_ms: 1000,
        }
    }
}

impl WriterConfig {
    /// Refuses settings out of range; tells the first one with [`Error::BadConfig`].
    pub fn validate(&self) -> Result<(), Error> {
        check("log writer threads", self.threads as u64, 1, 256, "1 to 256")?;
        check("log writer bytes in flight", self.max_in_flight_bytes as u64, 1, u64::MAX, "at least 1")?;
        check("log writer fetched bytes", self.max_fetched_bytes as u64, 1, u64::MAX, "at least 1")?;
        check("log writer bytes per round", self.max_round_bytes as u64, 1, u64::MAX, "at least 1")?;
        check("durable mark interval", self.mark_interval_ms, 1, u64::MAX, "at least 1")
    }
}

fn check(setting: &'static str, value: u64, least: u64, most: u64, range: &'static str) -> Result<(), Error> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(Error::BadConfig { setting, value, range }) }
}
