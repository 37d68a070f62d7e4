//! The services of one broker, made once: every listener calls the same, so that bounds hold over all of them.

use std::sync::Arc;

use super::{
    admin::{controllers::ControllerAdmin, service::AdminService},
    fetch::FetchService,
    offsets::OffsetService,
    other_nodes::{OtherBrokers, ProducerIdBlocks},
    plain::PlainService,
    plain_fetch::PlainFetchService,
    produce::ProduceService,
    producer_ids::ProducerIds,
};
use crate::here::context::Context;

/// Other nodes, as the services need them.
pub struct OtherNodes {
    /// The active controller, for administration.
    pub controllers: Arc<dyn ControllerAdmin>,
    /// Where blocks of producer ids come from.
    pub producer_ids: Arc<dyn ProducerIdBlocks>,
    /// Other brokers, which calls are passed on to.
    pub brokers: Arc<dyn OtherBrokers>,
}

/// Everything that a listener may call.
pub struct Services {
    /// Appends record batches to partitions.
    pub produce: ProduceService,
    /// Records without a batch.
    pub plain: PlainService,
    /// Gives record batches to consumers.
    pub fetch: FetchService,
    /// Gives single records to consumers.
    pub plain_fetch: PlainFetchService,
    /// Offsets by time, and the ends of partitions.
    pub offsets: OffsetService,
    /// Ids for idempotent producers.
    pub producer_ids: ProducerIds,
    /// Topics, moves of replicas, the state of the cluster.
    pub admin: AdminService,
}

impl Services {
    /// The services of this broker.
    pub fn new(context: &Arc<Context>, others: OtherNodes) -> Self {
        let context = || Arc::clone(context);
        let (produce, fetch) = (ProduceService::new(context()), FetchService::new(context()));
        let offsets = OffsetService::new(context(), Arc::clone(&others.brokers));
        Self {
            plain: PlainService::new(context(), produce.clone(), Arc::clone(&others.brokers)),
            produce,
            plain_fetch: PlainFetchService::new(context(), fetch.clone(), others.brokers),
            fetch,
            producer_ids: ProducerIds::new(others.producer_ids),
            admin: AdminService::new(context(), others.controllers, offsets.clone()),
            offsets,
        }
    }
}
