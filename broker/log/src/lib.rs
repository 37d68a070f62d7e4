//! The log of a broker: segments, indexes, recovery, group commit, and the data folder that holds them.

mod config;
mod data_dir;
mod disk;
mod error;
mod partition;
mod reader;
mod writer;

pub use config::{FlushPolicy, LogConfig, WriterConfig};
pub use data_dir::{DataDir, Space};
pub use disk::Disk;
pub use error::Error;
pub use partition::{PartitionLog, Recovered};
pub use reader::{LogReader, Retention};
pub use writer::{Completion, LogHandle, LogWriter, Notify, Op, Room};
