//! The one table of errors that travel between nodes and to clients.
//!
//! Names and numbers are Kafka's where Kafka has one; Holdfast's own start at 10,000. The table also says whether the
//! same request may succeed later (`retriable`) and what became of the records of a produce (`outcome`).

use std::fmt;

/// What became of the records of a failed produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Certainly not in the log, and never will be.
    NotAppended,
    /// Perhaps in the log. A retry with the same producer id and sequence makes no duplicate.
    Unknown,
}

/// Class of an error for gRPC's own status, without naming tonic here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request is wrong in itself.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// What it creates exists.
    Exists,
    /// It went to the wrong node, or came in an old epoch.
    Precondition,
    /// It asks for what lies outside the log.
    OutOfRange,
    /// Nobody can serve it now.
    Unavailable,
    /// A limit is reached.
    Exhausted,
    /// It took too long.
    Deadline,
    /// Stored or received bytes are damaged.
    DataLoss,
    /// The caller may not do that.
    Denied,
    /// The server failed in itself; its log says why.
    Internal,
}

/// Declares the table: variant, number, name, class, retriable, outcome, sentence.
macro_rules! errors {
    ($($variant:ident = $number:literal, $name:literal, $class:ident, $retriable:literal, $outcome:ident, $sentence:literal;)*) => {
        /// An error with a number that travels. See [`ErrorCode::sentence`] for what each one means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum ErrorCode {
            $(#[doc = $sentence] $variant = $number,)*
        }

        impl ErrorCode {
            /// Every error, by number of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its number: Kafka's where Kafka has one.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// Its name in capitals.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its class, for gRPC's status.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// True if the same request may succeed later without any change.
            pub const fn is_retriable(self) -> bool {
                match self { $(Self::$variant => $retriable,)* }
            }

            /// What became of the records if a produce failed with this.
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)* }
            }

            /// What it means, in one sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// The error with this number.
            pub const fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

errors! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", Internal, false, Unknown, "The server failed in a way it did not foresee; see its log.";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", OutOfRange, false, NotAppended, "The offset lies outside what the partition holds; seek to an offset within the range.";
    CorruptMessage = 2, "CORRUPT_MESSAGE", DataLoss, true, NotAppended, "The record batch fails its checksum or is malformed; send it again.";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", NotFound, true, NotAppended, "This broker knows no such topic or partition; check the name, or create the topic.";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", Unavailable, true, NotAppended, "The partition has no leader now; one is elected when an in-sync replica returns.";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", Precondition, true, NotAppended, "This broker does not lead the partition; ask the leader.";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", Deadline, true, Unknown, "The in-sync replicas did not confirm in time; the records may be there.";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", Unavailable, true, NotAppended, "The broker is not there, is fenced, or is still starting.";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", Exhausted, false, NotAppended, "The request, or a record batch in it, is larger than is taken; a topic's limit is max.message.bytes.";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", Unavailable, true, NotAppended, "The node is still loading its state.";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", Precondition, false, NotAppended, "A node, or the cluster's metadata version, does not support what is asked: upgrade the node, or finalise a newer version.";
    InvalidTopic = 17, "INVALID_TOPIC_EXCEPTION", Invalid, false, NotAppended, "The topic's name is not allowed: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'.";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", Unavailable, true, NotAppended, "Fewer replicas are in sync than min.insync.replicas; nothing was appended.";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Unavailable, true, Unknown, "The records were appended, but then too few replicas were in sync.";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", Invalid, false, NotAppended, "acks must be 0, 1 or all.";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", Denied, false, NotAppended, "The caller may not do that with this topic.";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", Denied, false, NotAppended, "The caller may not do that in this cluster.";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", Exists, false, NotAppended, "A topic of this name exists.";
    InvalidPartitions = 37, "INVALID_PARTITIONS", Invalid, false, NotAppended, "The number of partitions is out of range, or not more than now.";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", Invalid, false, NotAppended, "The replication factor is out of range, or more than the brokers that are there.";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", Invalid, false, NotAppended, "The replicas named for a partition are unknown, named twice, too few, or on a broker that takes none.";
    InvalidConfig = 40, "INVALID_CONFIG", Invalid, false, NotAppended, "A setting is unknown or its value is out of range.";
    NotController = 41, "NOT_CONTROLLER", Precondition, true, NotAppended, "This controller is not the active one.";
    InvalidRequest = 42, "INVALID_REQUEST", Invalid, false, NotAppended, "The request is malformed.";
    PolicyViolation = 44, "POLICY_VIOLATION", Invalid, false, NotAppended, "The request breaks a limit of the cluster.";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Precondition, false, NotAppended, "The sequence does not follow the producer's last one; an earlier batch is missing.";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", Exists, false, Unknown, "The batch is older than those whose offsets are remembered; it was appended before.";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", Precondition, false, NotAppended, "A newer producer with this id has written; this one is fenced.";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", Unavailable, true, Unknown, "The disk of this replica failed; another replica will lead.";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", Precondition, false, NotAppended, "The partition remembers nothing of this producer, whose sequence is not 0.";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", Precondition, true, NotAppended, "The request names an older leader epoch than the partition's.";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", Precondition, true, NotAppended, "The request names a newer leader epoch than this broker knows; retry.";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", Invalid, false, NotAppended, "The compression is not one of none, gzip, snappy, lz4 and zstd.";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", Precondition, false, NotAppended, "A newer start of this broker has registered; this one is fenced.";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", Unavailable, true, NotAppended, "The new leader does not know its high watermark yet (KIP-207); retry.";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", Precondition, false, NotAppended, "No move of the partition's replicas is under way.";
    InvalidRecord = 87, "INVALID_RECORD", Invalid, false, NotAppended, "A record or batch breaks the format's rules.";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", NotFound, true, NotAppended, "The topic has another id: it was deleted, or created again.";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", Exists, true, NotAppended, "Another live broker has this id.";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", NotFound, true, NotAppended, "The controller knows no such broker; it has to register.";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", Precondition, true, NotAppended, "The log on disk belongs to another topic id.";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", Precondition, false, NotAppended, "The caller belongs to another cluster.";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", Precondition, true, NotAppended, "A proposed member of the ISR is fenced, leaving, or of an old broker epoch.";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", Precondition, false, NotAppended, "The change also elected another leader.";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", Precondition, false, NotAppended, "The partition epoch of the proposal is not the current one.";
    Overloaded = 10_000, "OVERLOADED", Exhausted, true, NotAppended, "A queue of this node is full; slow down and retry.";
    OutcomeUnknown = 10_001, "OUTCOME_UNKNOWN", Unavailable, true, Unknown, "The leadership ended before the records were confirmed; they may be there.";
    WrongNode = 10_002, "WRONG_NODE", Precondition, false, NotAppended, "The request was meant for another node: check the addresses.";
    DiskFull = 10_003, "DISK_FULL", Exhausted, true, NotAppended, "The disk is below its reserve; free space, or lower retention.ms of large topics.";
    DeadlineExceeded = 10_004, "DEADLINE_EXCEEDED", Deadline, true, Unknown, "The call's deadline passed.";
    ShuttingDown = 10_005, "SHUTTING_DOWN", Unavailable, true, NotAppended, "The node is stopping.";
    LogDamaged = 10_006, "LOG_DAMAGED", DataLoss, false, NotAppended, "What the replica holds there is damaged. It is copied again if another holds what was acknowledged; else the rest can be read.";
    NoQuorum = 10_007, "NO_QUORUM", Unavailable, true, Unknown, "No active controller: a majority of the controllers is not reachable.";
    TooManyProducers = 10_008, "TOO_MANY_PRODUCERS", Exhausted, true, NotAppended, "The partition remembers as many producers as it can, and each wrote lately; let fewer producers write more, or retry.";
    StaleFolder = 10_009, "STALE_FOLDER", Precondition, false, NotAppended, "The caller's data folder is an older copy, or another process goes on with it.";
    GivenUp = 10_010, "GIVEN_UP", Precondition, false, NotAppended, "The caller was given up when the controllers were recovered from another one.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_found_again() {
        let mut numbers = HashSet::new();
        let mut names = HashSet::new();
        for code in ErrorCode::ALL {
            assert!(numbers.insert(code.number()), "{} twice", code.number());
            assert!(names.insert(code.name()), "{} twice", code.name());
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(ErrorCode::from_number(9_999), None);
    }
}
