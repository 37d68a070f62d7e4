//! The log of a broker: segments, indexes, recovery, group commit, and the data folder that holds them.

mod checkpoint;
mod config;
mod data_dir;
mod disk;
mod error;
mod files;
mod index;
mod mark;
mod partition;
mod reader;
mod scan;
mod segment;
mod shared;
mod snapshot;
mod writer;

pub use config::{FlushPolicy, LogConfig, WriterConfig};
pub use data_dir::{DataDir, Space};
pub use disk::{Disk, DiskStats};
pub use error::Error;
pub use partition::{PartitionLog, Recovered};
pub use reader::{LogReader, Retention};
pub use writer::{Completion, LogHandle, LogWriter, Notify, Op, Room};

#[cfg(test)]
mod test_support;
