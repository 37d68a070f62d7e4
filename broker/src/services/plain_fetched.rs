//! Single records as they are asked for and given.

use std::{sync::Arc, time::Duration};

use holdfast_proto::batch::Record;

use super::{fetched::FetchTarget, found_offsets::Ends};
use crate::partition::{answer_memory::AnswerRoom, answer_reader::Reader};

/// One call for single records of one partition.
#[derive(Clone, Debug)]
pub struct PlainFetch {
    /// From where to read.
    pub target: FetchTarget,
    /// How long to wait for a first record.
    pub max_wait: Duration,
    /// Most records; 0: 500.
    pub max_records: u32,
    /// Bytes of records that an answer may have; the first record comes whatever its size. 0: 2 MiB.
    pub max_bytes: u32,
    /// Who the answer goes to, as far as its answers have a share of the memory.
    pub reader: Option<Arc<Reader>>,
}

/// What one plain fetch found, with the room that it takes up.
#[derive(Debug)]
pub struct PlainFetched {
    /// The records, by offset; none if nothing came in time.
    pub records: Vec<Record>,
    /// What consumers may read of the partition; `None` if nothing came in time.
    pub ends: Option<Ends>,
    /// What the records take up of the memory for answers: hold it as long as they are there.
    pub room: Option<AnswerRoom>,
}

impl PlainFetched {
    pub(super) fn nothing() -> Self {
        Self { records: Vec::new(), ends: None, room: None }
    }
}
