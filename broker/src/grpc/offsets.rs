//! Look-ups of offsets as messages, both ways.

use holdfast_proto::{
    convert::{self, optional_id, partition_error},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::TimestampMs,
    v1::{self, offset_query::Position as WirePosition},
};

use crate::services::{
    caller::Caller,
    found_offsets::{FoundOffset, Lookup, Position},
    hop::Hop,
    offsets::OffsetService,
};

/// What became of one look-up.
pub(super) type Found = Result<FoundOffset, ErrorDetail>;

/// Looks up what makes sense; one result a query, in their order.
pub(super) async fn found(
    service: &OffsetService,
    caller: &Caller,
    queries: &[v1::OffsetQuery],
    hop: Hop,
) -> Vec<Found> {
    let parsed: Vec<Result<Lookup, ErrorDetail>> = queries.iter().map(lookup).collect();
    let lookups: Vec<Lookup> = parsed.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
    let mut results = service.find_all(caller, &lookups, hop).await.into_iter();
    let missing = || Err(ErrorCode::UnknownServerError.into());
    parsed.into_iter().map(|one| one.and_then(|_| results.next().unwrap_or_else(missing))).collect()
}

fn lookup(query: &v1::OffsetQuery) -> Result<Lookup, ErrorDetail> {
    let nothing = |field: &str| {
        let message = format!("'{field}' is false, which names no position: set it to true, or name another position");
        Err(ErrorDetail::new(ErrorCode::InvalidRequest, message))
    };
    let position = match convert::required(query.position, "position")? {
        WirePosition::Earliest(true) => Position::Earliest,
        WirePosition::Earliest(false) => return nothing("earliest"),
        WirePosition::Latest(true) => Position::Latest,
        WirePosition::Latest(false) => return nothing("latest"),
        WirePosition::TimestampMs(time) => Position::Time(TimestampMs(time)),
    };
    Ok(Lookup {
        topic: query.topic.clone(),
        topic_id: optional_id(&query.topic_id, "topic_id")?,
        partition: convert::partition(query.partition, "partition")?,
        position,
    })
}

/// The one error of a call none of whose look-ups found anything, if all met the same; else each result tells its own.
pub(super) fn all_failed(results: &[Found]) -> Option<ErrorDetail> {
    let first = results.first()?.as_ref().err()?;
    let same = |result: &Found| result.as_ref().is_err_and(|detail| detail.code == first.code);
    results.iter().all(same).then(|| {
        // Nothing that reads is in doubt.
        let detail = first.clone().with_outcome(holdfast_proto::error::Outcome::NotAppended);
        match results.len() {
            1 => detail,
            count => {
                let message = format!("all {count} look-ups failed; the first: {}", detail.message);
                ErrorDetail { message, ..detail }
            }
        }
    })
}

/// The result of a query as a message.
pub(super) fn message(query: v1::OffsetQuery, found: Found) -> v1::OffsetResult {
    let result = v1::OffsetResult { topic: query.topic, partition: query.partition, ..Default::default() };
    match found {
        Ok(found) => v1::OffsetResult {
            offset: found.offset.map(|offset| offset.0),
            timestamp_ms: found.timestamp.map(|timestamp| timestamp.0),
            leader_epoch: found.leader_epoch.0,
            ..result
        },
        Err(detail) => v1::OffsetResult { error: Some(partition_error(detail)), ..result },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(position: Option<WirePosition>) -> v1::OffsetQuery {
        v1::OffsetQuery { topic: "t".to_owned(), position, ..Default::default() }
    }

    #[test]
    fn a_position_that_is_false_or_missing_is_refused() {
        for position in [None, Some(WirePosition::Earliest(false)), Some(WirePosition::Latest(false))] {
            assert_eq!(lookup(&query(position)).unwrap_err().code, ErrorCode::InvalidRequest, "{position:?}");
        }
        let found = lookup(&query(Some(WirePosition::Earliest(true)))).unwrap();
        assert_eq!(found.position, Position::Earliest);
        assert_eq!(
            lookup(&query(Some(WirePosition::TimestampMs(-1)))).unwrap().position,
            Position::Time(TimestampMs(-1))
        );
    }

    #[test]
    fn a_call_fails_as_a_whole_if_all_met_the_same() {
        let failed = |code: ErrorCode| Found::Err(code.into());
        assert_eq!(all_failed(&[]), None);
        let one = all_failed(&[failed(ErrorCode::LeaderNotAvailable)]).unwrap();
        assert_eq!(one, ErrorCode::LeaderNotAvailable.into());
        let both = [failed(ErrorCode::LeaderNotAvailable), failed(ErrorCode::LeaderNotAvailable)];
        assert!(all_failed(&both).unwrap().message.contains("all 2 look-ups"));
        assert_eq!(all_failed(&[failed(ErrorCode::LeaderNotAvailable), failed(ErrorCode::UnknownTopicId)]), None);
    }
}
