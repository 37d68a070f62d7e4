//! `holdfast partition`: where replicas are, and moving them.

mod change;
mod command;
mod list;
mod rebalance;

pub use command::{PartitionArgs, run};
