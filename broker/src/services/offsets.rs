//! Offsets by time, and the ends of partitions. What another broker leads is asked of that one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use tokio::time::Instant;

use holdfast_proto::{
    detail::{ErrorDetail, LeaderHint},
    error::ErrorCode,
};

use super::{
    caller::Caller,
    found_offsets::{Ends, FoundOffset, Lookup, Position},
    hop::Hop,
    lookup::{self, Named},
    other_nodes::OtherBrokers,
};
use crate::here::context::Context;

/// How long look-ups of a caller that says no deadline are begun.
const LONGEST: Duration = Duration::from_secs(30);

/// Looks up offsets. Only what consumers may read is found.
#[derive(Clone)]
pub struct OffsetService {
    context: Arc<Context>,
    others: Arc<dyn OtherBrokers>,
}

/// A leader elsewhere, and which of the look-ups are for it.
type Elsewhere = (LeaderHint, Vec<usize>);

impl OffsetService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>, others: Arc<dyn OtherBrokers>) -> Self {
        Self { context, others }
    }

    /// Looks up offsets here and, unless the call came from another broker, at the leaders elsewhere. One result a look-up,
    /// in their order.
    pub async fn find_all(
        &self,
        caller: &Caller,
        lookups: &[Lookup],
        hop: Hop,
    ) -> Vec<Result<FoundOffset, ErrorDetail>> {
        let mut elsewhere: BTreeMap<String, Elsewhere> = BTreeMap::new();
        let mut results = vec![Err(ErrorCode::UnknownServerError.into()); lookups.len()];
        for (index, lookup) in lookups.iter().enumerate() {
            let leader = lookup::other_leader(&self.context, &lookup.topic, lookup.partition);
            if let Some(leader) = leader.filter(|_| !hop.forwarded) {
                elsewhere.entry(leader.address.clone()).or_insert_with(|| (leader, Vec::new())).1.push(index);
            }
        }
        let limit = hop.limit(Duration::from_millis(self.context.config.peer_rpc_timeout_ms));
        let longest = Instant::now() + LONGEST;
        let end = hop.deadline.map_or(longest, |deadline| deadline.min(longest));
        let here = async {
            let mut found: Vec<(usize, Result<FoundOffset, ErrorDetail>)> = Vec::new();
            let remote: BTreeSet<usize> = elsewhere.values().flat_map(|(_, indices)| indices.iter().copied()).collect();
            let mut answered: BTreeMap<&Lookup, usize> = BTreeMap::new();
            for (index, lookup) in lookups.iter().enumerate().filter(|(index, _)| !remote.contains(index)) {
                let result = match answered.get(lookup) {
                    Some(at) => found[*at].1.clone(),
                    // Each may read through a segment: what comes after the time of the call is not begun.
                    None if Instant::now() >= end => Err(ErrorCode::RequestTimedOut.into()),
                    None => self.find(caller, lookup.named(), lookup.position).await,
                };
                answered.entry(lookup).or_insert(found.len());
                found.push((index, result));
            }
            found
        };
        let asked = join_all(elsewhere.values().map(|(leader, indices)| self.ask(leader, indices, lookups, limit)));
        let (here, asked) = futures::join!(here, asked);
        for (index, result) in here.into_iter().chain(asked.into_iter().flatten()) {
            results[index] = result;
        }
        results
    }

    async fn ask(
        &self,
        leader: &LeaderHint,
        indices: &[usize],
        lookups: &[Lookup],
        limit: Duration,
    ) -> Vec<(usize, Result<FoundOffset, ErrorDetail>)> {
        let wanted = indices.iter().map(|index| lookups[*index].clone()).collect();
        let results = match self.others.list_offsets(&leader.address, wanted, limit).await {
            Ok(results) if results.len() == indices.len() => results,
            Ok(_) => vec![Err(ErrorCode::UnknownServerError.into()); indices.len()],
            Err(detail) => vec![Err(lookup::not_reached(leader, &detail)); indices.len()],
        };
        indices.iter().copied().zip(results).collect()
    }

    /// Looks up one offset of a partition that is led here.
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
                let looked_at = replica.clone();
                let work = move || {
                    let found = looked_at.reader.offset_for_timestamp(time);
                    found.map_err(|error| looked_at.read_failed(&error))
                };
                let found = context.logs.time_lookups.run(work).await;
                let found = found.map_err(|code| lookup::explain(context, replica.id, code))?;
                let found = found.filter(|(offset, _)| *offset < end);
                (found.map(|(offset, _)| offset), found.map(|(_, timestamp)| timestamp))
            }
        };
        Ok(FoundOffset { offset, timestamp, leader_epoch: view.leader_epoch.unwrap_or_default() })
    }
}
