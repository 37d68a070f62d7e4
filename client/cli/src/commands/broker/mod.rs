//! `holdfast broker`: the brokers, and emptying one before it goes.

mod command;
mod disk_lost;
mod drain;
mod find;
mod list;

pub use command::{BrokerArgs, run};
pub use list::{as_json, table};
