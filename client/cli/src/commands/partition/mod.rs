//! `holdfast partition`: where replicas are, moving them, and the last resort.

mod change;
mod command;
mod list;
mod rebalance;
mod recover;
mod recover_many;

pub use command::{PartitionArgs, run};
