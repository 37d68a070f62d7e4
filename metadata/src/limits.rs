//! The limits of the metadata, each with its reason. Past one, the answer is POLICY_VIOLATION or INVALID_REQUEST.

use holdfast_proto::limits::MAX_BATCH_BYTES;

/// Registered brokers. Every snapshot and every heartbeat round grows with them.
pub const MAX_BROKERS: usize = 1_000;

/// Partitions of one topic. A topic is created by one command, whose records go to each broker in one message.
pub const MAX_PARTITIONS_PER_TOPIC: u32 = 10_000;

/// Partitions of the cluster. Fencing a broker looks at all of them within one step.
pub const MAX_PARTITIONS: usize = 50_000;

/// Replicas of one partition: more add latency to every acknowledgement and no safety that anyone asks for.
pub const MAX_REPLICATION_FACTOR: u32 = 15;

/// ISR changes in one command: bounds the step and the answer.
pub const MAX_ISR_CHANGES: usize = 10_000;

/// Moves in one command: bounds the step and the answer.
pub const MAX_MOVES: usize = 1_000;

/// Length of a topic's name, in bytes (Kafka's limit: the name was once a folder's).
pub use holdfast_proto::limits::MAX_TOPIC_NAME_BYTES;

/// Length of an address or a rack, in bytes: a DNS name with its port, and room.
pub const MAX_ADDRESS_BYTES: usize = 300;

/// Largest `max.message.bytes`: every stream and cache is sized for it.
pub const MAX_MESSAGE_BYTES: u32 = MAX_BATCH_BYTES as u32;

/// Recoveries of partitions that are kept, the newest ones; beside them the last of each partition that is there.
pub const MAX_RECOVERIES: usize = 1_000;

/// Disks of brokers that operators gave up and that are kept, the newest ones; beside them the last of each broker that is
/// registered, or expected since a recovery of the controllers.
pub const MAX_LOST_DISKS: usize = 1_000;

/// Recoveries of the controllers. All of them are kept, for who was given up in one is refused for ever; and the partition epochs
/// have no room for more ([`crate::recovery::PARTITION_EPOCH_LEAP`]).
pub const MAX_CONTROLLER_RECOVERIES: usize = 1_000;

/// Ids of deleted topics that are kept, the newest ones: about 2 MiB of what a broker is sent when its session begins. A
/// broker that was away while more topics were deleted sets the data of the oldest of them aside instead of deleting it.
pub const MAX_DELETED_TOPICS: usize = 100_000;
