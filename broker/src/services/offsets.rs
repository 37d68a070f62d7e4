//! Offsets by time, and the ends of partitions.

use std::sync::Arc;

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{LeaderEpoch, Offset, TimestampMs},
};

use super::lookup::{self, Named};
use crate::{here::context::Context, partition::read};

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The log start offset.
    Earliest,
    /// The high watermark.
    Latest,
    /// The first record at or after this time.
    Time(TimestampMs),
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset; `None` if no record is as late.
    pub offset: Option<Offset>,
    /// Time of that record, for a look-up by time.
    pub timestamp: Option<TimestampMs>,
    /// Leader epoch of this leadership.
    pub leader_epoch: LeaderEpoch,
}

/// Looks up one offset. Only what consumers may read is found.
pub async fn find(context: &Arc<Context>, named: Named<'_>, position: Position) -> Result<FoundOffset, ErrorDetail> {
    let (replica, _) = lookup::replica(context, &named)?;
    let view = replica.view();
    let end = view.readable.map_err(|code| lookup::explain(context, replica.id, code))?;
    let (offset, timestamp) = match position {
        Position::Earliest => (Some(view.log_start), None),
        Position::Latest => (Some(end), None),
        Position::Time(time) => {
            let reader = replica.reader.clone();
            let work = move || reader.offset_for_timestamp(time).map_err(|error| read::read_error(&error));
            let (found, _permit) =
                context.logs.disk.run(work).await.map_err(|code| lookup::explain(context, replica.id, code))?;
            let found = found.filter(|(offset, _)| *offset < end);
            (found.map(|(offset, _)| offset), found.map(|(_, timestamp)| timestamp))
        }
    };
    Ok(FoundOffset { offset, timestamp, leader_epoch: view.leader_epoch.unwrap_or_default() })
}
