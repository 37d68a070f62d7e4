//! `holdfast cluster`: the cluster as a whole.

mod command;
mod status;
mod trouble;

pub use command::{ClusterArgs, run};
pub use status::summary;
