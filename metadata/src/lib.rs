//! The state machine of the controller quorum. Pure: no IO, no clock, no randomness, no await.
//!
//! ```text
//!  active controller ── Command ──▶ Raft log ──▶ every controller: apply_command(&mut Image, index, command)
//!                                                     decide: Image + Command ──▶ records + response
//!                                                     Image::apply(record)
//!                                   brokers ◀── records of the index ──┘          (the same Image, the same apply)
//! ```
//!
//! - [`command`]: what can be decided; [`response`]: the answers; [`record`]: what the state is made of; [`image`]: the
//!   state.
//! - [`invariant`]: what always holds. The promise hangs on it: only a replica that holds every acknowledged record is
//!   ever elected.
//! - [`version`]: which commands and records the cluster may use; [`history`]: the hash of all changes, by which controllers
//!   find out that one of them decides otherwise.
//! - [`trust`]: what is believed of disks, and what of that is kept. [`recovery`]: the controllers go on from one of them.
//! - [`config`]: settings of topics; [`retention`]: whose records go sooner than before; [`limits`]: how much of
//!   anything; [`status`]: how well the partitions are; [`plan`]: which replicas should move.
//!
//! Inside, `decide` has a handler for every command, and the rules of ISR, ELR and epochs once.
//!
//! On failure: a command that cannot be carried out is a [`Rejection`] and changes nothing; so is one whose records would
//! break an invariant. A record that does not fit is an [`image::Error`]. A state that is broken already panics, which ends
//! the process.

pub mod command;
pub mod config;
pub mod history;
pub mod image;
pub mod invariant;
pub mod limits;
pub mod plan;
pub mod record;
pub mod recovery;
pub mod response;
pub mod retention;
pub mod status;
pub mod trust;
pub mod version;

mod decide;
mod needs;

pub use command::{
    AlterPartition, AlterReplicas, AlterTopic, Command, ControllerVersions, CreateTopic, DistrustReplicas,
    DistrustedReplica, EndedSession, FinalizeVersion, IsrChange, IsrMember, RecoverPartition, RegisterBroker,
    ReplicaMove,
};
pub use config::TopicConfig;
pub use decide::{
    PRODUCER_ID_BLOCK, RecoveryError, apply_command, decide, is_same_folder, leader_without, recover_controllers,
    refusal, registered,
};
pub use history::HistoryHash;
pub use image::{Image, Topic};
pub use record::{BrokerRegistration, PartitionState, Record};
pub use response::{Outcome, Rejection, Response};
pub use version::VersionRange;
