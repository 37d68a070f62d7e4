//! `holdfast partition`: where replicas are, moving them, and the last resort.

mod change;
mod command;
mod list;
mod rebalance;
mod recover;

pub use command::{PartitionArgs, run};
