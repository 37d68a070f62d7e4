//! The file that says whose a data folder is, and the lock on the folder: of brokers and of controllers.
//!
//! An identity file is a short text, one field a line, `<key><separator><value>`:
//!
//! | | broker ([`BROKER`]) | controller ([`CONTROLLER`]) |
//! |---|---|---|
//! | file | `holdfast-data` | `meta.properties` |
//! | lock, held (flock) by the running process | `holdfast.lock` | `lock` |
//! | separator | `: ` | `=` |
//! | format version, now 1 | `version` | `version` |
//! | whose it is | `broker_id`: as the operator gave it | `node.id`: random, from 1 to 2^53 - 1 |
//! | random id of the folder, a UUID | `directory_id` | `directory.id` |
//! | starts on this folder, from 1 | `boot_counter` | `boot.counter` |
//! | its cluster, a UUID; no line until it is known | `cluster_id` | `cluster.id` |
//! | whom it promised to form that cluster with; 0: nobody | | `promised.to`, where there is a cluster |
//! | which list of partitions the folder has: `kept`, or `lost` until the controllers have heard | `replica_list` | |
//! | the token that the controllers confirmed last, a UUID; those given since, by commas | `token`, `pending_tokens` | |
//! | inode number and birth time (ns) of the lock file; whether they changed until the controllers have heard | `anchor`, `was_copied` | |
//! | CRC-32C of all that stands above it, 8 hexadecimal digits | `crc32c`, the last line | |
//!
//! 1. Fields may stand in any order, but for the checksum. A key that is not known is passed over, and is gone when that
//!    program replaces the file: what it stands for has to bear that.
//! 2. A newer format version is refused; so is what cannot be read. Nothing is guessed, and nothing written then.
//! 3. The programs replace the file as a whole, durably, before they act on what it says: each over its own door to its
//!    disk, for a broker that once failed to write must not write again.
//!
//! Place: below `holdfast-log` and `holdfast-controller`. It is a crate of its own, and no module of `holdfast-node`, for
//! the log is free of tokio and tonic, which that one needs.

mod form;
mod lock;

pub use form::{BROKER, CONTROLLER, Fields, Form, Problem, VERSION};
pub use lock::Lock;
