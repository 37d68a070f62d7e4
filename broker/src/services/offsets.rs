//! Offsets by time, and the ends of partitions.

use std::sync::Arc;

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{LeaderEpoch, Offset, TimestampMs},
};

use super::{
    caller::Caller,
    lookup::{self, Named},
};
use crate::{here::context::Context, partition::read};

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The log start offset.
    Earliest,
    /// The high watermark: the end of what consumers may read.
    Latest,
    /// The first record at or after this time.
    Time(TimestampMs),
}

/// The offset of a position, and what it was read under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset; `None` if no record is as late.
    pub offset: Option<Offset>,
    /// Time of that record, for a look-up by time.
    pub timestamp: Option<TimestampMs>,
    /// Leader epoch of this leadership.
    pub leader_epoch: LeaderEpoch,
}

/// What consumers may read of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// First offset that the partition holds.
    pub log_start_offset: Offset,
    /// End of what consumers may read, exclusive.
    pub high_watermark: Offset,
}

/// Looks up offsets. Only what consumers may read is found.
#[derive(Clone)]
pub struct OffsetService {
    context: Arc<Context>,
}

impl OffsetService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Looks up one offset.
    pub async fn find(
        &self,
        caller: &Caller,
        named: Named<'_>,
        position: Position,
    ) -> Result<FoundOffset, ErrorDetail> {
        self.look_up(&named, position).await.inspect_err(|detail| caller.refused("an offset", detail))
    }

    /// Both ends of a partition.
    pub fn ends(&self, caller: &Caller, named: &Named<'_>) -> Result<Ends, ErrorDetail> {
        let ends = || {
            let (replica, _) = lookup::replica(&self.context, named)?;
            let view = replica.view();
            let high_watermark = view.latest.map_err(|code| lookup::explain(&self.context, replica.id, code))?;
            Ok(Ends { log_start_offset: view.log_start, high_watermark })
        };
        ends().inspect_err(|detail| caller.refused("the ends of a partition", detail))
    }

    async fn look_up(&self, named: &Named<'_>, position: Position) -> Result<FoundOffset, ErrorDetail> {
        let context = &self.context;
        let (replica, _) = lookup::replica(context, named)?;
        let view = replica.view();
        let end = match position {
            Position::Earliest => view.readable,
            // No end, and no record that is the first of its time, may later turn out to be an earlier one.
            Position::Latest | Position::Time(_) => view.latest,
        };
        let end = end.map_err(|code| lookup::explain(context, replica.id, code))?;
        let (offset, timestamp) = match position {
            Position::Earliest => (Some(view.log_start), None),
            Position::Latest => (Some(end), None),
            Position::Time(time) => {
                let reader = replica.reader.clone();
                let work = move || reader.offset_for_timestamp(time).map_err(|error| read::read_error(&error));
                let found = context.logs.single_records.run(work).await;
                let found = found.map_err(|code| lookup::explain(context, replica.id, code))?;
                let found = found.filter(|(offset, _)| *offset < end);
                (found.map(|(offset, _)| offset), found.map(|(_, timestamp)| timestamp))
            }
        };
        Ok(FoundOffset { offset, timestamp, leader_epoch: view.leader_epoch.unwrap_or_default() })
    }
}
