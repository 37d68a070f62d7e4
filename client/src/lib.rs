//! Holdfast's client: producer, consumer and administration over gRPC.
//!
//! # Produce
//!
//! ```no_run
//! use std::time::Duration;
//! use holdfast_client::{Client, ClientConfig, NewTopic, Producer, Record};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClientConfig::new(["localhost:9201"])).await?;
//! client.admin().create_topic(NewTopic::new("orders").partitions(6).replication_factor(3)).await?;
//!
//! let producer = Producer::builder(client).build().await?;
//! let orders = producer.topic("orders").await?;
//!
//! // Wait for each record: it is on the disks of the in-sync replicas when this returns.
//! let delivery = producer.send(Record::new(&orders).key("customer-7").value("3 apples")).await?;
//! println!("partition {}, offset {:?}", delivery.partition, delivery.offset);
//!
//! // Or accept many and wait later; they are batched.
//! let mut futures = Vec::new();
//! for n in 0..1_000 {
//!     futures.push(producer.enqueue(Record::new(&orders).value(&format!("order {n}"))).await?);
//! }
//! for future in futures {
//!     match future.await {
//!         Ok(_) => {}
//!         Err(error) if error.is_in_doubt() => eprintln!("perhaps delivered: {error}"),
//!         Err(error) => eprintln!("not delivered: {error}"),
//!     }
//! }
//! let report = producer.close(Duration::from_secs(30)).await;
//! assert_eq!(report.in_doubt, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Consume
//!
//! ```no_run
//! use futures::StreamExt;
//! use holdfast_client::{Client, ClientConfig, Consumer, StartAt};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClientConfig::new(["localhost:9201"])).await?;
//! let mut consumer = Consumer::builder(client).assign_topic("orders", StartAt::Earliest).build().await?;
//! while let Some(message) = consumer.next().await {
//!     let message = message?;
//!     println!("{}-{}@{}: {:?}", message.topic, message.partition, message.offset, message.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! - [`producer`]: batches, retries, order, exactly one copy.
//! - [`consumer`]: positions, prefetch, checks.
//! - [`admin`]: topics, settings, moves of replicas, the state of the cluster.
//! - [`metadata`]: who leads what; `connection`: channels; `deadline`, `stream_end`: when they give up.
//! - [`config`], [`error`]: shared by all.

pub mod admin;
mod client;
pub mod config;
mod connection;
pub mod consumer;
mod deadline;
pub mod error;
mod housekeeping;
pub mod metadata;
pub mod offsets;
pub mod producer;
#[doc(hidden)]
pub mod simulation;
mod stream_end;
mod wall_clock;

pub use admin::{Admin, NewTopic, TopicChange};
pub use client::Client;
pub use config::{ClientConfig, split_list};
pub use consumer::{Consumer, Error as ConsumeError, Message, MessageBatch, StartAt};
pub use error::Error;
pub use holdfast_proto::{
    batch::{Compression, Header},
    error::{ErrorCode, Outcome},
    ids,
};
pub use offsets::{OffsetAt, OffsetQuery, OffsetSpec};
pub use producer::{Acks, CloseReport, Delivery, DeliveryFuture, Error as ProduceError, Producer, Record, TopicHandle};
