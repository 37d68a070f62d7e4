//! Pure core of one partition replica.

pub mod effect;
pub mod epoch;
pub mod event;
pub mod producer;

pub use effect::{Effect, FetchReply, Produced};
pub use epoch::{EpochChain, EpochEntry};
pub use event::{
    Acks, Assignment, BatchInfo, Event, FetchOutcome, FetchPosition, FlushPolicy, LogGeneration, PlacedBatch,
    ProduceToken,
};
pub use producer::{ProducerEntry, ProducerTable, RememberedBatch, Verdict};
