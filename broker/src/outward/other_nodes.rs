//! Other nodes as the services need them.

use std::sync::Arc;

use futures::FutureExt;

use holdfast_proto::ids::ProducerId;

use crate::{
    here::context::Context,
    services::{
        all::OtherNodes,
        other_nodes::{ProducerIdBlocks, RemoteAnswer},
    },
};

/// The nodes that this broker calls, for its services.
pub(crate) fn other_nodes(context: &Arc<Context>) -> OtherNodes {
    OtherNodes {
        controllers: Arc::clone(&context.nodes.controllers) as _,
        producer_ids: Arc::new(Blocks(Arc::clone(context))),
        brokers: Arc::clone(&context.nodes.brokers) as _,
    }
}

/// Blocks of producer ids, from the active controller.
struct Blocks(Arc<Context>);

impl ProducerIdBlocks for Blocks {
    fn allocate(&self) -> RemoteAnswer<'_, (ProducerId, u32)> {
        self.0.nodes.controllers.allocate_producer_ids(&self.0.identity).boxed()
    }
}
