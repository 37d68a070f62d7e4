//! What the services ask of other nodes; what administration asks is in `admin::controllers`. Who carries a call there, and
//! by which protocol, no service knows.

use std::time::Duration;

use futures::future::BoxFuture;

use holdfast_proto::{detail::ErrorDetail, ids::ProducerId};

use super::{
    found_offsets::{FoundOffset, Lookup},
    plain_fetched::{PlainFetch, PlainFetched},
    plain_records::{PlainProduce, PlainResult},
};

/// Another node's answer. An error says by its outcome whether what was asked for may have been done.
pub type RemoteAnswer<'a, T> = BoxFuture<'a, Result<T, ErrorDetail>>;

/// The brokers that lead partitions which this one does not.
pub trait OtherBrokers: Send + Sync {
    /// Gives records of one partition to the broker at `address`, which sends them no further. One result a record, in
    /// their order; any other number is a fault of that broker.
    fn produce_plain<'a>(&'a self, address: &'a str, call: PlainProduce) -> RemoteAnswer<'a, Vec<PlainResult>>;

    /// Asks the broker at `address` for records, which asks nobody else. `limit` is beyond the wait for a first record.
    fn fetch_plain<'a>(&'a self, address: &'a str, call: PlainFetch, limit: Duration)
    -> RemoteAnswer<'a, PlainFetched>;

    /// Looks offsets up at the broker at `address`, which asks nobody else. One result a look-up, in their order; any other
    /// number is a fault of that broker.
    fn list_offsets<'a>(
        &'a self,
        address: &'a str,
        lookups: Vec<Lookup>,
        limit: Duration,
    ) -> RemoteAnswer<'a, Vec<Result<FoundOffset, ErrorDetail>>>;
}

/// Where blocks of producer ids come from.
pub trait ProducerIdBlocks: Send + Sync {
    /// A block that nobody else is given, as its first id and their number, which is not 0.
    fn allocate(&self) -> RemoteAnswer<'_, (ProducerId, u32)>;
}
