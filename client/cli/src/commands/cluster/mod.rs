//! `holdfast cluster`: the cluster as a whole.

mod clock;
mod command;
mod damaged;
mod finalize;
mod notices;
mod quorum;
mod recovered;
mod remedy;
mod silent;
mod status;
mod trouble;
mod waiting;

pub use command::{ClusterArgs, run};
pub use silent::Silent;
pub use status::summary;
